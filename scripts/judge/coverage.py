# SPDX-License-Identifier: GPL-2.0
"""Which test executes which line of the kernel.

It runs each C test in a guest of its own, keeps what it executed next to the
kernel, in coverage.json, and says which of the series' lines no test executes.
By what was measured with build/gcov, `make run T=changed` chooses the tests that execute
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

from scripts.series import series
from scripts.guest import machine, testlist
from scripts.guest.changed import BOOTS, MEASURED, Measured, load
from scripts.series.commits import git, ref
from scripts.common import BUILD, LINUX, Fatal, json_option, main, run, say, write_json

BAR = 90        # percent of each topic's lines that tests have to execute
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


def measure(job: tuple[Path, Path, str, str]) -> tuple[str, Measured, machine.Run]:
    """Run one test and see what the kernel executed meanwhile.

    Args:
        job: the kernel, the rootfs folder, the gcov to use, and the test or one of BOOTS.

    Returns: the test, what was measured of it alone, and how the guest ended.
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
        args = BOOTS.get(test, "ROOT").replace("ROOT", " ".join(machine.hostfs(rootfs)))
        result = machine.boot(kernel, args.split(),
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
    return test, Measured("", {n: sorted(v) for n, v in lines.items()},
                        {n: sorted(v) for n, v in functions.items()},
                        {test: {n: sorted(v) for n, v in executed.items()}}), result


def measure_all(kernel: Path, rootfs: Path) -> tuple[Measured, list[str]]:
    """Run each test and write what was measured of all.

    Returns: that, and what went wrong in tests.
    """
    tree = git("stash", "create") or git("rev-parse", "HEAD")
    tool, names, problems = gcov_tool(), [*BOOTS, *testlist.names(rootfs)], []
    measured = Measured(tree, {}, {}, {})
    with concurrent.futures.ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [(kernel, rootfs, tool, name) for name in names]
        for done, (test, part, result) in enumerate(pool.map(measure, jobs), 1):
            if not part.lines:
                problems.append(f"{test}: no data: {result.problem or result.output[-300:]}")
            elif result.status:
                problems.append(f"{test}: fails: {result.problem or 'see `make run`'}")
            measured.tests.update(part.tests)
            for name in part.lines:
                measured.lines[name] = sorted({*measured.lines.get(name, ()), *part.lines[name]})
                measured.functions[name] = sorted({*measured.functions.get(name, ()),
                                                 *part.functions[name]})
            if done % 10 == 0:
                say(f"{done} of {len(names)} tests")
    path = kernel.parent / MEASURED.name
    new = path.with_suffix(".new")
    new.write_text(json.dumps(measured._asdict()))
    new.rename(path)
    return measured, problems


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


def judge(measured: Measured, lines: dict[str, dict[int, str]],
          sources: dict[str, str]) -> dict[str, Topic]:
    """Sort the series' lines by topic and by whether a test executes them.

    Args:
        lines: see series_lines().
        sources: the text of these files.
    """
    topics: dict[str, Topic] = {}
    for name, owned in lines.items():
        code = set(measured.lines.get(name, ()))
        executed = {n for files in measured.tests.values() for n in files.get(name, ())}
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


def html(measured: Measured, lines: Iterable[str], out: Path) -> None:
    """Show files as pages; a line's count is the number of tests that execute it.

    Args:
        out: the folder for them.
    """
    if not shutil.which("genhtml"):
        say("notice: pages to look at need genhtml: apt-get install lcov")
        return
    info = []
    for name in lines:
        count = dict.fromkeys(measured.lines.get(name, ()), 0)
        for files in measured.tests.values():
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
    parser.add_argument("--kernel", type=Path, default=MEASURED.parent / "linux")
    parser.add_argument("--rootfs", type=Path, default=BUILD / "rootfs")
    parser.add_argument("--report", action="store_true", help="of what was measured last")
    json_option(parser)
    options = parser.parse_args()
    out = options.kernel.absolute().parent
    if options.report and (measured := load(out / MEASURED.name)):
        problems: list[str] = []
    else:
        measured, problems = measure_all(out / "linux", options.rootfs)
    lines = series_lines()
    sources = {name: (LINUX / name).read_text() for name in lines}
    for problem in problems:
        say(problem)
    topics = judge(measured, lines, sources)
    status = report(topics, sources)
    write_json(options.json, problems=problems,
               topics={name: topic._asdict() for name, topic in topics.items()})
    html(measured, lines, out)
    return status or int(bool(problems))


if __name__ == "__main__":
    main(command)
