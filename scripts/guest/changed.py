# SPDX-License-Identifier: GPL-2.0
"""Which tests execute what was changed in linux/, by what `make coverage` has measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from scripts.series import series
from scripts.guest import testlist
from scripts.series.commits import git
from scripts.common import BUILD, say

MEASURED = BUILD / "gcov/coverage.json"
# What the kernel executes before its first test, in some ways to boot it: their
# kernel arguments. In what is measured each of them is a test.
BOOTS = {"(boot)": "ROOT", "(boot embedded)": "", "(boot ptrace)": "ROOT seccomp=off",
         "(boot unpinned)": "ROOT pin=off"}
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class Measured(NamedTuple):
    """What was measured, on which sources."""

    tree: str                                       # git commit of the sources
    lines: dict[str, list[int]]                     # of a file, those with code
    functions: dict[str, list[tuple[int, int]]]     # of a file, first and last line
    tests: dict[str, dict[str, list[int]]]          # of a test, lines it executed


class Hunk(NamedTuple):
    """Lines old[0] up to, not including, old[1] became new[0] up to new[1]."""

    old: tuple[int, int]
    new: tuple[int, int]


def hunks(diff: str) -> dict[str, list[Hunk]]:
    """The hunks of `git diff -U0 --no-prefix --no-renames`, by their files."""
    result: dict[str, list[Hunk]] = {}
    old = name = ""
    for line in diff.splitlines():
        if line.startswith("diff --git "):
            name = ""
        elif line.startswith("--- ") and not name:
            old = line[4:]
        elif line.startswith("+++ ") and not name:
            name = line[4:] if line[4:] != "/dev/null" else old
            result[name] = []
        elif m := HUNK.match(line):
            ranges = []
            for start, count in ((m[1], m[2]), (m[3], m[4])):
                size = int(count or 1)
                first = int(start) + (not size)     # git names the line before
                ranges.append((first, first + size))
            result[name].append(Hunk(*ranges))
    return result


def diff(old: str, *files: str) -> dict[str, list[Hunk]]:
    """What changed in linux/, or in some of its files, since a commit."""
    return hunks(git("diff", "-U0", "--no-prefix", "--no-renames", "--no-ext-diff", "--no-color",
                     old, "--", *files))


def carry(changed: tuple[int, int], since: list[Hunk]) -> set[int]:
    """The lines of an older file that a range of lines of the newer one stands for.

    Lines that were only added stand for their neighbours.

    Args:
        since: what changed from the older file to the newer.
    """
    first, last = changed
    lines: set[int] = set()
    rest = set(range(first, last))
    for old, new in since:
        if new[0] <= last and first <= new[1]:
            lines.update(range(*old) if old[0] < old[1] else (old[0] - 1, old[0]))
            rest -= set(range(*new))
    shift = {line: sum(h.old[1] - h.old[0] - h.new[1] + h.new[0] for h in since
                       if h.new[1] <= line) for line in rest}
    return lines | {line + shift[line] for line in rest}


def choose(measured: Measured, changed: dict[str, list[set[int]]]) -> tuple[set[str], list[str]]:
    """The tests that execute changed lines, and what is to be said about it.

    Where no test does, or the lines have no code, it is those that execute the
    function around; where that isn't enough to tell, it is all tests.

    Args:
        changed: for each file the lines of each change, as it was measured.
    """
    tests, words = set[str](), list[str]()
    everything = set(measured.tests) - set(BOOTS)

    def executing(name: str, lines: set[int]) -> set[str]:
        return {t for t, files in measured.tests.items()
                if not lines.isdisjoint(files.get(name, ()))}

    for name, changes in changed.items():
        if name not in measured.lines:
            tests |= everything
            words.append(f"{name} was never measured: all tests")
            continue
        for lines in changes:
            around = {n for first, last in measured.functions[name]
                      if not lines.isdisjoint(range(first, last + 1))
                      for n in range(first, last + 1)}
            found = executing(name, lines) or executing(name, around)
            if (found and found <= set(BOOTS)) or not (found or around):
                tests |= everything
                words.append(f"{name}:{min(lines)} is executed at boot only: all tests" if found
                             else f"{name}:{min(lines)} is outside of functions: all tests")
            elif not found:
                words.append(f"{name}:{min(lines)}: no test executes this function")
            tests |= found - set(BOOTS)
    return tests, words


def load(path: Path) -> Measured | None:
    """What was measured, if anything was."""
    if not path.exists():
        return None
    return Measured(**json.loads(path.read_text()))


def changed_tests(rootfs: Path) -> list[str]:
    """The tests that `T=changed` means; none if nothing changed."""
    changes = diff(series.SERIES_REF)
    if not changes:
        say("nothing in linux/ changed since the series was applied: nothing to run")
        return []
    names = testlist.names(rootfs)
    measured = load(MEASURED)
    if not measured:
        say("nobody has measured what the tests execute: all tests; `make coverage` does")
        return names
    since = diff(measured.tree, *changes)
    tests, words = choose(measured, {
        name: [carry(hunk.new, since.get(name, [])) for hunk in parts]
        for name, parts in changes.items()})
    for line in words:
        say(line)
    tests |= set(names) - set(measured.tests)     # new ones
    chosen = [name for name in names if name in tests]
    say(f"{len(chosen)} of {len(names)} tests execute what changed in {', '.join(changes)}")
    return chosen
