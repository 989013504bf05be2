# SPDX-License-Identifier: GPL-2.0
"""What the pages tell a reader to type, and where they send him, is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from scripts.measure import bench

PAGES = sorted([ROOT / "README.md", *ROOT.glob("[a-z]*/README.md"), *ROOT.glob("patches/*/README.md"),
                *ROOT.glob("scripts/*/README.md")])
VERBS = set(re.findall(r"^([a-z-]+):[^#\n]*##", (ROOT / "Makefile").read_text(), re.M))
TESTS = [p.stem for folder in ("tests/*", "bench") for p in ROOT.glob(f"rootfs/{folder}/*.c")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path) -> None:
    text = page.read_text()
    typed = re.findall(r"^\$ (.*)", text, re.M) + re.findall(r"`(make [^`]*)`", text)
    for command in typed:
        if m := re.match(r"make ([a-z-]+)", command):
            assert m[1] in VERBS, command
        for names in re.findall(r"\bT='([^']*)'|\bT=([\w*]+)", command):
            for name in "".join(names).split():
                if name not in ("changed", "cow", "mremap_test"):
                    assert any(Path(test).match(name) for test in TESTS), command
        if m := re.search(r"\bB=([\w-]+)", command):
            assert m[1] in bench.BENCHES, command
        for variant in re.findall(r"VARIANT=([\w+-]+)", command):
            for part in variant.split("+"):
                assert (ROOT / f"scripts/variants/{part}.config").exists(), command
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:rootfs|scripts|tests|patches)/[\w./-]+)`", text):
        assert list(ROOT.glob(f"{path}*")), path


def test_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_rooms() -> None:
    """No folder is a heap, but what a topic has: tests, mutants, and patches in their order."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    folders = [str(Path(name).parent) for name in tracked.splitlines()]
    full = {f for f in folders if folders.count(f) > 40 and not f.startswith(
        ("rootfs/tests/", "tests/mutants/", "patches/"))}
    assert not full


ORDER = ["series", "kernel", "guest", "judge", "measure", "pictures"]


def test_rooms_import_one_way() -> None:
    """A room of scripts/ imports nothing from those after it, but pictures serve measure."""
    for path in ROOT.glob("scripts/*/*.py"):
        room = path.parent.name
        for other in re.findall(r"^\s*(?:from|import) scripts\.(\w+)", path.read_text(), re.M):
            if room in ORDER and other in ORDER and (room, other) != ("measure", "pictures"):
                assert ORDER.index(other) <= ORDER.index(room), path


def test_gdb_modules_import_no_circle() -> None:
    """They have an order, and none imports another inside a function."""
    needs = {path.stem: set(re.findall(r"^from mm\.(\w+) import", path.read_text(), re.M))
             for path in ROOT.glob("scripts/gdb/mm/*.py")}
    for path in ROOT.glob("scripts/gdb/mm/*.py"):
        assert not re.search(r"^ +from mm\b", path.read_text(), re.M), path
    while needs:
        free = {name for name, wanted in needs.items() if not wanted & set(needs)}
        assert free, needs
        needs = {name: wanted for name, wanted in needs.items() if name not in free}


def test_tests_by_name() -> None:
    """Each test that the page of tests names, by name or glob, exists."""
    table = (ROOT / "tests/README.md").read_text()
    for cell in re.findall(r"^\| (`[^|]*) \|", table, re.M):
        for name in re.findall(r"`([\w*]+)`", cell):
            assert any(Path(test).match(name) for test in TESTS), name
