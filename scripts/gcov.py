#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Which test executes which line of the kernel.

It runs each C test in a guest of its own, keeps what it executed next to the
kernel, in coverage.json, and says which of the series' lines no test executes.
With the record of build/gcov, `make run T=changed` chooses the tests that execute
the lines that were changed in linux/ since the series was applied.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import series
import uml
from commits import git, ref
from common import BUILD, LINUX, Fatal, main, run, say

RECORD = BUILD / "gcov/coverage.json"
BAR = 90        # percent of each topic's lines that tests have to execute
# What the kernel executes before its first test, in some ways to boot it: their
# kernel arguments. In a record each of them is a test.
BOOTS = {"(boot)": "ROOT", "(boot embedded)": "", "(boot ptrace)": "ROOT seccomp=off",
         "(boot unpinned)": "ROOT pin=off"}
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class Record(NamedTuple):
    """What was measured, on which sources."""

    tree: str                                       # git commit of the sources
    lines: dict[str, list[int]]                     # of a file, those with code
    functions: dict[str, list[tuple[int, int]]]     # of a file, first and last line
    tests: dict[str, dict[str, list[int]]]          # of a test, lines it executed


class Hunk(NamedTuple):
    """Lines old[0] up to, not including, old[1] became new[0] up to new[1]."""

    old: tuple[int, int]
    new: tuple[int, int]


# ---- which tests matter

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


def choose(record: Record, changed: dict[str, list[set[int]]]) -> tuple[set[str], list[str]]:
    """The tests that execute changed lines, and what is to be said about it.

    Where no test does, or the lines have no code, it is those that execute the
    function around; where that isn't enough to tell, it is all tests.

    Args:
        changed: for each file the lines of each change, as in the record.
    """
    tests, words = set[str](), list[str]()
    everything = set(record.tests) - set(BOOTS)

    def executing(name: str, lines: set[int]) -> set[str]:
        return {t for t, files in record.tests.items() if not lines.isdisjoint(files.get(name, ()))}

    for name, changes in changed.items():
        if name not in record.lines:
            tests |= everything
            words.append(f"{name} isn't in the coverage record: all tests")
            continue
        for lines in changes:
            around = {n for first, last in record.functions[name]
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


def load(path: Path) -> Record | None:
    """A record, if there is one."""
    if not path.exists():
        return None
    return Record(**json.loads(path.read_text()))


def changed_tests(rootfs: Path) -> list[str]:
    """The tests that `T=changed` means; none if nothing changed."""
    def diff(old: str, *files: str) -> dict[str, list[Hunk]]:
        return hunks(git("diff", "-U0", "--no-prefix", "--no-renames", "--no-ext-diff",
                                "--no-color", old, "--", *files))

    changes = diff(series.SERIES_REF)
    if not changes:
        say("nothing in linux/ changed since the series was applied: nothing to run")
        return []
    names = uml.test_names(rootfs)
    record = load(RECORD)
    if not record:
        say("no record of what the tests execute: all tests; `make coverage` makes one")
        return names
    since = diff(record.tree, *changes)
    tests, words = choose(record, {
        name: [carry(hunk.new, since.get(name, [])) for hunk in parts]
        for name, parts in changes.items()})
    for line in words:
        say(line)
    tests |= set(names) - set(record.tests)     # new ones
    chosen = [name for name in names if name in tests]
    say(f"{len(chosen)} of {len(names)} tests execute what changed in {', '.join(changes)}")
    return chosen


# ---- measuring

def gcov_tool() -> str:
    """The gcov of the compiler that builds the kernel.

    Raises:
        Fatal: there is none of its version.
    """
    version = run("gcc", "-dumpversion").strip()
    for tool in (f"gcov-{version.partition('.')[0]}", "gcov"):
        if shutil.which(tool) and re.search(rf"\) {version}\b", run(tool, "--version")):
            return tool
    raise Fatal(f"no gcov of gcc's version, {version}: apt-get install gcc")


# Data files of objects of which nothing is executed, to decode each of them once.
_idle: dict[str, bytes] = {}


def decode(tool: str, folder: Path) -> Iterable[dict[str, Any]]:
    """gcov's words about each source file of each object that has data in a folder."""
    data = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.gcda")}
    names = [name for name, content in data.items() if _idle.get(name) != content]
    text = run(tool, "-t", "-j", *names, cwd=folder) if names else ""
    for name, line in zip(names, text.splitlines(), strict=True):
        files = json.loads(line)["files"]
        if not any(entry["count"] for file in files for entry in file["lines"]):
            _idle[name] = data[name]
        yield from files


def measure(job: tuple[Path, Path, str, str]) -> tuple[str, Record, uml.Run]:
    """Run one test and see what the kernel executed meanwhile.

    Args:
        job: the kernel, the rootfs folder, the gcov to use, and the test or one of BOOTS.

    Returns: the test, a record of it alone, and how the guest ended.
    """
    kernel, rootfs, tool, test = job
    lines: dict[str, set[int]] = {}
    functions: dict[str, set[tuple[int, int]]] = {}
    executed: dict[str, set[int]] = {}
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as name:
        # init leaves each object's data in the object's folder, if it is there.
        folder = Path(f"{name}{kernel.parent}")
        for note in kernel.parent.rglob("*.gcno"):
            link = folder / note.relative_to(kernel.parent)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(note)
        args = BOOTS.get(test, "ROOT").replace("ROOT", " ".join(uml.hostfs(rootfs)))
        result = uml.boot(kernel, args.split(),
                          [f"gcov={name}", "list" if test in BOOTS else test])
        for file in decode(tool, folder):
            path = kernel.parent / file["file"]
            if not path.is_relative_to(LINUX):      # generated
                continue
            source = str(path.relative_to(LINUX))
            lines.setdefault(source, set()).update(e["line_number"] for e in file["lines"])
            functions.setdefault(source, set()).update(
                (f["start_line"], f["end_line"]) for f in file["functions"])
            if hit := {e["line_number"] for e in file["lines"] if e["count"]}:
                executed.setdefault(source, set()).update(hit)
    return test, Record("", {n: sorted(v) for n, v in lines.items()},
                        {n: sorted(v) for n, v in functions.items()},
                        {test: {n: sorted(v) for n, v in executed.items()}}), result


def measure_all(kernel: Path, rootfs: Path) -> tuple[Record, list[str]]:
    """Run each test and write the record of all.

    Returns: the record, and what went wrong in tests.
    """
    tree = git("stash", "create") or git("rev-parse", "HEAD")
    tool, names, problems = gcov_tool(), [*BOOTS, *uml.test_names(rootfs)], []
    record = Record(tree, {}, {}, {})
    with concurrent.futures.ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [(kernel, rootfs, tool, name) for name in names]
        for done, (test, part, result) in enumerate(pool.map(measure, jobs), 1):
            if not part.lines:
                problems.append(f"{test}: no data: {result.problem or result.output[-300:]}")
            elif result.status:
                problems.append(f"{test}: fails: {result.problem or 'see `make run`'}")
            record.tests.update(part.tests)
            for name in part.lines:
                record.lines[name] = sorted({*record.lines.get(name, ()), *part.lines[name]})
                record.functions[name] = sorted({*record.functions.get(name, ()),
                                                 *part.functions[name]})
            if done % 10 == 0:
                say(f"{done} of {len(names)} tests")
    path = kernel.parent / RECORD.name
    new = path.with_suffix(".new")
    new.write_text(json.dumps(record._asdict()))
    new.rename(path)
    return record, problems


# ---- what no test executes

def series_lines() -> dict[str, dict[int, str]]:
    """The lines of C that the series added or changed: {file: {line: topic}}.

    Tests that are part of the kernel don't count.
    """
    note = series.read_note(LINUX)
    topics = {commit: patch.path.partition("/")[0]
              for commit, patch in zip(note.get("commits", ()), note["applied"])}
    base = ref(series.BASE_REF)
    result: dict[str, dict[int, str]] = {}
    for name in git("diff", "--name-only", "--diff-filter=d", base).splitlines():
        if not name.endswith((".c", ".h")) or name.startswith(("tools/", "Documentation/")) \
                or name.endswith("_kunit.c"):
            continue
        blame = git("blame", "--porcelain", f"^{base}", "--", name)
        for m in re.finditer(r"^([0-9a-f]{40}) \d+ (\d+)", blame, re.M):
            if m[1] != base:
                result.setdefault(name, {})[int(m[2])] = topics.get(m[1], "(not in patches/)")
    return result


def bodies(text: str) -> Iterable[range]:
    """The lines of each function's body, in the kernel's style."""
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            yield range(start + 1, number)
            start = 0
        elif re.match(r"static .*\)\s*\{.*\}$", line):
            yield range(number, number + 1)


class Topic(NamedTuple):
    """The series' lines of one topic, as (file, line)."""

    executed: list[tuple[str, int]]
    missed: list[tuple[str, int]]
    unmeasured: list[tuple[str, int]]       # in functions without a line that has data

    def percent(self) -> float:
        """How much of what can be measured is executed."""
        return 100 * len(self.executed) / (len(self.executed) + len(self.missed) or 1)


def judge(record: Record, lines: dict[str, dict[int, str]],
          sources: dict[str, str]) -> dict[str, Topic]:
    """Sort the series' lines by topic and by whether a test executes them.

    Args:
        lines: see series_lines().
        sources: the text of these files.
    """
    topics: dict[str, Topic] = {}
    for name, owned in lines.items():
        code = set(record.lines.get(name, ()))
        executed = {n for files in record.tests.values() for n in files.get(name, ())}
        rows = sources[name].splitlines()
        unmeasured = {n for body in bodies(sources[name]) if code.isdisjoint(body)
                      for n in body if re.search(r"\w", rows[n - 1])}
        for number, topic in sorted(owned.items()):
            of = topics.setdefault(topic, Topic([], [], []))
            kind = of.executed if number in executed else of.missed if number in code \
                else of.unmeasured if number in unmeasured else None
            if kind is not None:
                kind.append((name, number))
    return topics


def report(topics: dict[str, Topic], sources: dict[str, str]) -> int:
    """Print what was found; 1 if a topic is below the bar."""
    rows = {name: text.splitlines() for name, text in sources.items()}
    for kind, title in ((1, "no test executes"),
                        (2, "not measurable: not compiled, or without gcov")):
        for topic, of in topics.items():
            if of[kind]:
                print(f"{topic}: {title}")
            for name, number in of[kind]:
                print(f"linux/{name}:{number}: {rows[name][number - 1].strip()}")
    for topic, of in topics.items():
        print(f"# {topic}: {len(of.executed)} of {len(of.executed) + len(of.missed)} lines "
              f"executed, {of.percent():.1f} %, {len(of.unmeasured)} not measurable"
              f"{'' if of.percent() >= BAR else f'; below {BAR} %'}")
    return int(any(of.percent() < BAR for of in topics.values()))


def html(record: Record, lines: Iterable[str], out: Path) -> None:
    """Show files as pages; a line's count is the number of tests that execute it.

    Args:
        out: the folder for them.
    """
    if not shutil.which("genhtml"):
        say("notice: pages to look at need genhtml: apt-get install lcov")
        return
    info = []
    for name in lines:
        count = dict.fromkeys(record.lines.get(name, ()), 0)
        for files in record.tests.values():
            for line in files.get(name, ()):
                count[line] += 1
        info += [f"SF:{LINUX / name}", *(f"DA:{n},{c}" for n, c in sorted(count.items())),
                 "end_of_record"]
    (out / "coverage.info").write_text("\n".join(info) + "\n")
    run("genhtml", "-q", "-o", out / "html", "--prefix", LINUX, out / "coverage.info")
    say(f"{os.path.relpath(out)}/html/index.html shows each line")


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=Path, default=RECORD.parent / "linux")
    parser.add_argument("--rootfs", type=Path, default=BUILD / "rootfs")
    parser.add_argument("--report", action="store_true", help="of the last record")
    options = parser.parse_args()
    out = options.kernel.absolute().parent
    if options.report and (record := load(out / RECORD.name)):
        problems: list[str] = []
    else:
        record, problems = measure_all(out / "linux", options.rootfs)
    lines = series_lines()
    sources = {name: (LINUX / name).read_text() for name in lines}
    for problem in problems:
        say(problem)
    status = report(judge(record, lines, sources), sources)
    html(record, lines, out)
    return status or int(bool(problems))


if __name__ == "__main__":
    main(command)
