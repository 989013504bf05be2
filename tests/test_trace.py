# SPDX-License-Identifier: GPL-2.0
"""make trace and make pagemap: what they tell of a test, and what ends them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import ROOT, ROOTFS
from test_gdb import debug

from scripts.pictures import pagemap, trace
from scripts.guest import machine

PYTHON = "/usr/bin/python3"
needs_gdb = pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed")


def script(name: str, kernel: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one of the two."""
    return subprocess.run(
        [PYTHON, "-m", f"scripts.pictures.{name}", "--kernel", str(kernel), *args], cwd=ROOT,
        capture_output=True, text=True, timeout=300, env={**os.environ, **env},
        stdin=subprocess.DEVNULL)


def test_story_of_a_copied_huge_page(kernel: Path) -> None:
    _, events = trace.record(kernel, machine.hostfs(ROOTFS), "thp_cow_child_writes")
    story = trace.Story(events, "thp_cow_child_writes")
    assert story.missed == 0 and len(story.folios) == 1 and len(story.steps) < 100
    [pfn] = story.folios
    said = [f"{step}: {step.event.who}" for step in story.steps]
    # Fault, fork, the child's write: in this order.
    order = [next(i for i, line in enumerate(said) if re.search(want, line)) for want in (
        rf"^refs of {pfn}: 0 -> 1: .*do_huge_pmd_anonymous_page", "mm 0, all pages: none -> PMD",
        rf"^refs of {pfn}: 1 -> 2: copy_huge_pmd", "mm 1, all pages: none -> PMD",
        rf"^refs of {pfn}: 2 -> 513: .*split_huge_pmd", "mm 1, all pages: PMD -> 4K",
        r"mm 1, page 0: 4K -> none and \d+ more: .*zap", "mm 0, all pages: PMD -> none: zap_huge",
        rf"^refs of {pfn}: 1 -> 0")]
    assert order == sorted(order), said
    assert story.steps[-1].refs == {pfn: 0}
    assert all(set(kinds) == {"none"} for kinds in story.steps[-1].maps.values())

    # An event that is lost is noticed, and so is one that says the wrong thing.
    changes = [i for i, e in enumerate(events) if e.name.startswith("page_ref_mod") and
               e.number("pfn") == pfn]
    lost = trace.Story([e for i, e in enumerate(events) if i != changes[1]],
                        "thp_cow_child_writes")
    assert lost.missed


@pytest.mark.parametrize("test, kinds", [
    ("thp_zero_write_fault", {"none", "huge zero", "pmd"}),
    ("thp_split_debugfs", {"none", "pmd", "page", "migration"})])
def test_kinds_of_mappings(test: str, kinds: set[str], kernel: Path) -> None:
    _, events = trace.record(kernel, machine.hostfs(ROOTFS), test)
    story = trace.Story(events, test)
    assert {kind for s in story.steps for pages in s.maps.values() for kind in pages} == kinds
    assert story.missed == 0


def test_files_of_a_trace(kernel: Path) -> None:
    pytest.importorskip("matplotlib")
    done = script("trace", kernel, "thp_zero_split")
    assert done.returncode == 0, done.stderr
    words, image = ROOT / "build/trace/thp_zero_split.txt", ROOT / "build/trace/thp_zero_split.svg"
    assert "build/trace/thp_zero_split.txt: " in done.stdout
    assert "build/trace/thp_zero_split.svg" in done.stdout
    assert re.search(r"^ +[\d.]+ ms +thp_zero_split-\d+ +mm 0, all pages: none -> huge zero page",
                     words.read_text(), re.M)
    picture = image.read_text()
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert "references" in picture and "huge zero page" in picture


def test_what_repeats_is_told_once() -> None:
    def event(who: str) -> object:
        return trace.Event(0.0, "t-1", "page_ref_mod", {}, [who])

    steps = [trace.Step(event(who), "refs of 1", str(i), str(i + 1), {1: i + 1}, {})
             for i, who in enumerate(["a", *["get", "put"] * 50, *["b"] * 9, "c"])]
    told = list(trace.compressed(steps))
    assert [(s.event.who, s.times) for s in told] == \
        [("a", 1), ("get", 50), ("put", 50), ("b", 9), ("c", 1)]
    assert told[3].old == "101" and told[3].new == "110" and told[3].refs == {1: 110}
    assert sum(s.times for s in told) == len(steps)


def test_what_did_not_fit_is_said(capsys: pytest.CaptureFixture[str], kernel: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(_kernel: Path, _args: list[str], init_args: list[str], **_: object) -> machine.Run:
        folder = Path(init_args[0].removeprefix("trace="))
        (folder / "trace").write_text("entries: 5\ndropped events: 3\ndropped events: 4\n")
        return machine.Run(0, "", [], "", 1.0, "")

    monkeypatch.setattr(machine, "boot", boot)
    assert trace.record(kernel, [], "boot_hello")[1] == []
    assert "the last 7 events had no room in the buffer" in capsys.readouterr().err


def test_parse() -> None:
    text = [" kworker/0:1-12      [000] d..1.     0.000012: page_ref_mod: pfn=0x10 count=2 val=1\n",
            " kworker/0:1-12      [000] d..1.     0.000013: <stack trace>\n",
            " => __page_ref_mod\n", " => get_it+0x10/0x20\n", "# comment\n",
            "     a test-b-7       [001] .....     1.5: exit_mmap: \n"]
    first, second = trace.parse(text)
    assert (first.task, first.number("pfn"), first.who) == ("kworker/0:1-12", 16, "get_it")
    assert (second.task, second.name, second.who) == ("a test-b-7", "exit_mmap", "?")


@needs_gdb
def test_pages_are_all_accounted_for(kernel: Path) -> None:
    pytest.importorskip("matplotlib")
    done = script("pagemap", kernel, "thp_write_fault")
    assert done.returncode == 0, done.stderr
    rows = {m[1].strip(): [int(n) for n in m[2].split()] for m in
            re.finditer(r"^(\w[\w ,]*?)((?: +\d+){3})$", done.stdout, re.M)}
    uses = {name: n for name, n in rows.items() if not name.startswith("used, order")}
    orders = {name: n for name, n in rows.items() if name.startswith("used, order")}
    # mem=1G, and what lies between the program and the first that it allocates, if much
    total = sum(n[0] for n in uses.values())
    assert 1 << 18 <= total < (1 << 18) + (32 << 8)
    for moment in range(3):
        assert sum(n[moment] for n in uses.values()) == total
        assert sum(n[moment] for n in orders.values()) == total - uses["free"][moment]
    assert uses["anon"][1] > uses["anon"][2] and uses["page table"][1] > uses["page table"][2]
    path = ROOT / done.stdout.splitlines()[-1]
    assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_memory_that_is_not_whole_lines(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    used = [(1000, 3, "anon"), (1008, 4, "what"), (1024, 10, "free"), (2048, 1, "slab")]
    lines = pagemap.by_line(used, lambda order, _: order)
    assert sorted(lines) == [1, 2, 3, 4] and {len(line) for line in lines.values()} == {512}
    told = [n for at in sorted(lines) for n in lines[at] if n == n]
    assert told == [3] * 8 + [4] * 16 + [10] * 1024 + [1] * 2
    assert lines[4][:2] == [1, 1] and lines[1][488:512] == told[:24]
    path = tmp_path / "pages.svg"
    pagemap.picture({"before": used, "after": used[:3]}, "x", path)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")


@needs_gdb
def test_free_pages_are_what_the_kernel_counts(kernel: Path) -> None:
    said = debug(kernel, "bench_gdb_pages", "sys_mincore", "\n".join((
        "python from mm import snapshot, zones",
        "python found = snapshot.pages()",
        "python print('free', sum(1 << o for _, o, u in found if u == 'free'), "
        "sum(zones.zone_counter(z, 'NR_FREE_PAGES') for z in zones.zones()))",
        "python print('use', next((o, u) for p, o, u in found "
        "if p <= int(gdb.parse_and_eval('vec')) < p + (1 << o)))")))
    free = re.search(r"^(?:\(gdb\) )*free (\d+) (\d+)$", said, re.M)
    assert free and free[1] == free[2] and "use (9, 'anon')" in said, said


@pytest.mark.parametrize("name", ["trace", "pagemap"])
def test_bad_input(name: str, kernel: Path, tmp_path: Path) -> None:
    for test, why in (("", "which test? T=<test>"), ("thp_cow_*", "one test at a time: thp_cow_"),
                      ("thp_cow_chid", "no test 'thp_cow_chid'; near: ")):
        done = script(name, kernel, "--", test)
        assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1
    if name == "pagemap" and not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    (tmp_path / "matplotlib.py").write_text("raise ImportError\n")
    done = script(name, kernel, "thp_zero_split", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and "needs python3-matplotlib: see `make deps`" in done.stderr
    assert "Traceback" not in done.stderr
