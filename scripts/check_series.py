#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Prove that every patch applies, passes checkpatch --strict, builds and boots.

The series is applied patch by patch in a worktree of its own, build/series/,
with one build folder, so that each step compiles what its patch changed. A
kernel in the middle of the series hasn't all of its options yet: its
configuration is .config.uml without the options that no Kconfig file defines,
and without those whose dependencies it can't meet yet.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import config
import series
import uml
from common import BUILD, LINUX, PATCHES, Fatal, main, say

WORK = BUILD / "series"
TREE = WORK / "linux"
OUT = WORK / "out"
# Said about any patch that adds a file; MAINTAINERS is not ours to change.
IGNORE = "FILE_PATH_CHANGES"


def checkpatch(patch: Path) -> str:
    """checkpatch's complaints about a patch; empty when it is clean."""
    done = subprocess.run(
        ["perl", LINUX / "scripts/checkpatch.pl", "--strict", "--no-tree", "--terse",
         "--no-summary", "--show-types", "--ignore", IGNORE, patch],
        cwd=LINUX, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode else ""


def possible_lines() -> list[config.Line]:
    """.config.uml's lines that the kernel at hand can keep, told in OUT/.config."""
    lines = config.read_fragments("default", debug_info=False)
    config.configure(TREE, OUT, lines)
    values = config.read_config(OUT / ".config")
    return [line for line in lines if values.get(line.symbol, "n") == line.value]


def boots() -> str:
    """Boot the kernel at hand to a verdict of one trivial test; what failed."""
    value = next(line.value for line in config.read_fragments("default")
                 if line.symbol == "CMDLINE")
    args = shlex.split(value)[0].split() + uml.hostfs(BUILD / "rootfs")
    run = uml.boot(OUT / "linux", args, ["boot_hello"], timeout=20)
    if run.status:
        return f"doesn't boot: {run.problem or run.output.strip()[-300:]}"
    return ""


def command() -> int:
    """The command line: no arguments."""
    if not LINUX.exists() or not series.is_ours(LINUX):
        raise Fatal("there is no linux/: `make linux` makes it")
    patches = series.read_patches()
    note = series.read_note(LINUX)
    base = series.ref(series.BASE_REF)
    commits = note.get("commits", [])
    if note["applied"] != patches:
        say("patches/ isn't what linux/ was made from: applying it from the base")
        try:
            commits = series.commit_patches(LINUX, base, patches)
        except series.DoesNotApply as failure:
            raise Fatal(f"patches/{failure.patch} doesn't apply: {failure.why}") from None
    series.git("worktree", "prune")
    if not (TREE / "Makefile").exists():
        shutil.rmtree(TREE, ignore_errors=True)
        WORK.mkdir(parents=True, exist_ok=True)
        series.git("-c", "checkout.workers=0", "worktree", "add", "-qf", "--detach", TREE, base)
    bad, total = 0, len(config.read_fragments("default", debug_info=False))
    for name, commit in [("the base", base), *zip((p.path for p in patches), commits)]:
        series.git("reset", "-q", "--hard", commit, tree=TREE)
        style = "" if commit == base else checkpatch(PATCHES / name)
        lines = possible_lines()
        words = config.make_kernel(TREE, OUT)
        problem = f"doesn't build: {words}" if words else boots()
        problems = [*style.splitlines(), *problem.splitlines()]
        print(f"{'not ok' if problems else 'ok'} {name} # {len(lines)} of {total} options",
              flush=True)
        for text in problems:
            print(f"  {text}")
        bad += bool(problems)
    print(f"# {len(commits)} patches and the base, {bad} with problems")
    return min(bad, 1)


if __name__ == "__main__":
    main(command)
