# SPDX-License-Identifier: GPL-2.0
"""The Makefile: what it refuses, and what it passes on."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT
from test_series import Clone


def clean_env(**more: str) -> dict[str, str]:
    """The environment without the outer make's."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith(("MAKE", "MFLAGS")) and k not in ("T", "V", "M", "LINUX")} | more


def make(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    return subprocess.run(["make", *args], cwd=folder, capture_output=True, text=True,
                          env=clean_env(**env), stdin=subprocess.DEVNULL)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with the Makefile and a tiny kernel in the cache."""
    clone = Clone(tmp_path / "clone")
    shutil.copy(ROOT / "Makefile", clone.path)
    return clone


def test_help() -> None:
    verbs = set(re.findall(r"^  ([a-z-]+) ", make(ROOT, "help").stdout, re.M))
    assert {"run", "test", "linux", "kernel", "patches", "check-series", "shell", "gdb",
            "mutants", "bench", "watch", "coverage", "stress", "clean", "distclean",
            "deps", "trace", "pagemap"} <= verbs


def test_path_with_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    done = make(folder)
    assert done.returncode == 2 and "a space in its path" in done.stderr
    assert done.stderr.count("\n") == 1


def test_linux_and_distclean(clone: Clone) -> None:
    assert make(clone.path, "linux", **clone.env).returncode == 0
    assert (clone.path / "linux/mm/memory.c").exists()
    clone.edit("mm/memory.c", "row 3\n", "mine\n")
    done = make(clone.path, "distclean", **clone.env)
    assert done.returncode == 2 and "uncommitted changes (mm/memory.c)" in done.stderr
    assert (clone.path / "linux/mm/memory.c").exists()
    assert make(clone.path, "distclean", "FORCE=1", **clone.env).returncode == 0
    assert not (clone.path / "linux").exists() and not (clone.path / "build").exists()


def test_two_at_once(clone: Clone) -> None:
    (clone.path / "build").mkdir()
    with (clone.path / "build/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(["make", "linux"], cwd=clone.path, stderr=subprocess.PIPE,
                                   text=True, env=clean_env(**clone.env))
        assert waiting.stderr
        assert "waiting for another make in this clone" in waiting.stderr.readline()
        assert waiting.poll() is None
    assert waiting.wait(30) == 0
    waiting.stderr.close()
    assert (clone.path / "linux/Kconfig").exists()


def test_interrupted_while_making_linux(clone: Clone) -> None:
    slow = clone.path.parent / "bin"
    slow.mkdir()
    (slow / "xz").write_text("#!/bin/sh\nsleep 20\n")
    (slow / "xz").chmod(0o755)
    env = clean_env(**{**clone.env, "PATH": f"{slow}:{clone.env['PATH']}"})
    process = subprocess.Popen(["make", "linux"], cwd=clone.path, stderr=subprocess.PIPE,
                               text=True, env=env, start_new_session=True)
    assert process.stderr
    while "making linux/" not in process.stderr.readline():
        pass
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)       # as Ctrl-C does
    assert process.wait(10) != 0
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not (clone.path / "linux").exists()
    assert make(clone.path, "linux", **clone.env).returncode == 0
    assert sorted(p.name for p in (clone.path / "build").iterdir()) == [
        ".deps", ".deps.d", ".lock", ".series"]


@pytest.mark.parametrize("manager, line", [
    ("apt-get", r"apt-get install --no-install-recommends .*\bflex bison bc\b.*\bxz-utils\b"),
    ("dnf", r"dnf install bc bison flex git perl .*\bxz$"),
    ("pacman", r"pacman -S --needed bc bison flex git perl .*\bxz$")])
def test_missing_tool_is_named(tmp_path: Path, manager: str, line: str) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    for tool in ("sh", "gcc", "ld", "make", "python3", "ldd", "echo", "sed", "cut", "sort", "tr",
                 "grep"):
        found = shutil.which(tool)
        assert found
        (bin / tool).symlink_to(found)
    for tool, text in ((manager, "exit 1"), ("id", "echo 1000")):
        (bin / tool).write_text(f"#!/bin/sh\n{text}\n")
        (bin / tool).chmod(0o755)
    done = subprocess.run([ROOT / "scripts/deps"], env={"PATH": str(bin)}, capture_output=True,
                          text=True)
    assert done.returncode == 1
    assert re.search(line, done.stderr.strip())


def test_unknown_variant() -> None:
    done = make(ROOT, "kernel", "VARIANT=smp+nope", "-n")
    assert done.returncode == 2 and "nope" in done.stderr
