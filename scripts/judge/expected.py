# SPDX-License-Identifier: GPL-2.0
"""What run_vmtests.sh prints, and how it compares with tests/selftests.txt."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.common import ROOT, Fatal
from scripts.guest.ktap import SPLAT, result_of

RECORD = ROOT / "tests/selftests.txt"
# Lines that explain nothing: frames, totals, marks of run_vmtests.sh.
NOISE = re.compile(r"^[-\s#]*$|^\[(PASS|SKIP|FAIL)\]|"
                   r"# (Totals:|Planned tests|PASSED:|FAILED:|RUN|OK|FAIL)|"
                   r"skipped test\(s\) detected|^TAP version|SUCCESS|mremap time")
KERNEL_SPLAT = re.compile(r"\[ *\d+\.\d{6}\].*(?:" + SPLAT.pattern + ")")


class Result(NamedTuple):
    """One result of a program, or the program's only one."""

    outcome: str        # "pass", "fail" or "skip"
    name: str
    cause: str          # as the program says it


@dataclass
class Program:
    """What a program with its arguments did."""

    name: str
    results: list[Result] = field(default_factory=list)
    splats: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        """How many results ended so."""
        return sum(r.outcome == outcome for r in self.results)


@dataclass
class Entry:
    """One line of the record: results that are known to fail or to be skipped."""

    outcome: str        # "fail" or "skip"
    pattern: str        # a result's name; * stands for anything
    cause: str          # begins with "?" until somebody has found it

    def covers(self, result: Result) -> bool:
        """Whether the result is one of those meant."""
        glob = ".*".join(map(re.escape, self.pattern.split("*")))
        return result.outcome == self.outcome and bool(re.fullmatch(glob, result.name))


@dataclass
class Known:
    """What the record says of a program."""

    passed: int
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Category:
    """What the record says of a category."""

    never: str = ""     # why it isn't run at all
    programs: dict[str, Known] = field(default_factory=dict)


class Done(NamedTuple):
    """A category's run."""

    category: str
    programs: list[Program]
    problem: str        # how the guest ended, if not well
    seconds: float
    output: str


# ---- what programs print

def steady(text: str) -> str:
    """A result's name without what differs from one run to the next."""
    text = re.sub(r"\b0x[0-9a-fA-F]{5,}\b", "0xN", text)
    return re.sub(r"(/tmp/\S*?)[A-Za-z0-9]{6}(?=[/\s]|$)", r"\1XXXXXX", text).strip()


def ending(status: int) -> str:
    """An exit status as a shell has it, in words."""
    if 128 < status <= 128 + signal.SIGSYS:
        return f"died of {signal.Signals(status - 128).name}"
    return f"exit status {status}"


def judge(program: Program, inner: list[str], status: int | None, problem: str) -> None:
    """Turn a program's own output, and how it ended, into its results.

    Args:
        status: its exit status; None when the guest ended before it.
        problem: how the guest ended.
    """
    planned, said = 0, ""
    for line in inner:
        if m := re.match(r"1\.\.(\d+)(?: # SKIP ?(.*))?$", line):
            planned, said = planned + int(m[1]), m[2] or said
        elif result := result_of(line):
            name, cause = result.name, result.reason
            if result.outcome == "fail":
                cause = f"{result.directive} {result.reason}".strip()
            if not name:
                name, cause = result.reason, ""
            cause = "" if result.outcome == "pass" else cause or said
            program.results.append(Result(result.outcome, steady(name), steady(cause)))
            said = ""
        elif not NOISE.search(line):
            said = steady(line.strip("# \t"))
    printed = len(program.results)
    failed = program.count("fail")
    if status is None:
        program.results.append(Result("fail", "(end)", problem or "the guest ended before it"))
    elif status == 124:
        program.results.append(Result("fail", "(end)", "killed, its time was up"))
    elif status == 4 and not printed:
        program.results.append(Result("skip", "(all)", said))
    elif not printed:
        why = f"{ending(status)}: {said}" if status else ""
        program.results.append(Result("fail" if status else "pass", "(all)", why))
    elif status not in (0, 4) and not failed:
        program.results.append(Result("fail", "(end)", f"{ending(status)}: {said}"))
    if status is not None and printed < planned and (printed or not status):
        program.results.append(Result("skip" if status == 4 else "fail", "(plan)",
                                      f"{printed} of {planned} results: {said}"))


def parse(output: str, problem: str = "") -> list[Program]:
    """The programs of a guest's console, in order.

    run_vmtests.sh prefixes what they print with "# ", which leaves its own
    "ok 3 name" alone. Kernel messages may be anywhere.

    Args:
        problem: how the guest ended, the cause of a program without an end.
    """
    programs: list[Program] = []
    inner: list[str] | None = None      # the lines of the program that runs
    for line in output.splitlines():
        if KERNEL_SPLAT.search(line):
            if not programs:
                programs.append(Program("(boot)"))
            programs[-1].splats.append(line.strip())
        if m := re.match(r"# running (?:.*?)\./(.*)", line):
            if inner is not None:
                judge(programs[-1], inner, None, problem)
            programs.append(Program(steady(m[1])))
            inner = []
        elif inner is None:
            continue
        elif m := re.match(r"(?:not )?ok \d+ .*?(# SKIP|# exit=(\d+))?$", line):
            judge(programs[-1], inner, int(m[2]) if m[2] else 4 if m[1] else 0, problem)
            inner = None
        elif line.startswith("# "):
            inner.append(line[2:])
    if inner is not None:
        judge(programs[-1], inner, None, problem)
    return programs


# ---- the record

def read_record(text: str) -> tuple[str, dict[str, Category]]:
    """The record's leading comment and what it knows.

    Raises:
        Fatal: a line is not understood.
    """
    head = "".join(re.findall(r"\A(?:#.*\n|\n)*", text)[:1])
    known: dict[str, Category] = {}
    category, program = Category(), Known(0)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if m := re.match(r"(\S+):(?: never # (.*))?$", line):
            category = known[m[1]] = Category(m[2] or "")
        elif m := re.match(r"  (\S.*) (\d+)$", line):
            program = category.programs[m[1]] = Known(int(m[2]))
        elif m := re.match(r"    (fail|skip) (.*?) # (.*)$", line):
            program.entries.append(Entry(m[1], m[2], m[3]))
        else:
            raise Fatal(f"{RECORD.name}:{number}: not understood: {line}")
    return head, known


def write_record(head: str, known: dict[str, Category]) -> str:
    """The record's text."""
    lines = []
    for name, category in sorted(known.items()):
        if not category.never and not category.programs:
            continue
        lines.append(f"{name}:" + (f" never # {category.never}" if category.never else ""))
        for title, program in category.programs.items():
            lines.append(f"  {title} {program.passed}")
            lines += [f"    {e.outcome} {e.pattern} # {e.cause}" for e in program.entries]
    return head + "\n".join(lines) + "\n"


def learn(known: Category, done: Done, only: Sequence[str]) -> None:
    """Bring a category's record up to date, keeping the causes that still apply."""
    ran = {}
    for program in filter(lambda p: p.results, done.programs):
        old = known.programs.get(program.name, Known(0)).entries
        rest = [r for r in program.results if r.outcome != "pass"]
        entries = [e for e in old if any(e.covers(r) for r in rest)]
        for result in rest:
            if not any(e.covers(result) for e in entries):
                entries.append(Entry(result.outcome, result.name, f"? {result.cause}".strip()))
        ran[program.name] = Known(program.count("pass"), entries)
    if only:
        known.programs.update(ran)
    else:
        known.programs = ran


def compare(known: Category, done: Done, only: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """What is worse than recorded, and what is better: lines to print.

    Args:
        only: the programs that were asked for; without any, all of them.
    """
    bad: list[str] = []
    good: list[str] = []
    if done.problem:
        bad.append(f"{done.category}: {done.problem}")
    for program in done.programs:
        bad += [f"{program.name}: {splat}" for splat in program.splats]
        if known.never:
            continue
        recorded = known.programs.get(program.name)
        entries = recorded.entries if recorded else []
        if not recorded and program.results:
            bad.append(f"{program.name}: not in the record, RECORD=1 adds it")
        new = Counter(f"{program.name}: {r.outcome} {r.name}: {r.cause}".removesuffix(": ")
                      for r in program.results
                      if r.outcome != "pass" and not any(e.covers(r) for e in entries))
        bad += [line + (f" ({n} times)" if n > 1 else "") for line, n in new.items()]
        for e in entries:
            if not any(e.covers(r) for r in program.results):
                good.append(f"{program.name}: no more {e.outcome}: {e.pattern}")
            elif e.cause.startswith("?"):
                bad.append(f"{program.name}: {e.outcome} {e.pattern}: has no cause in the record")
        passed = program.count("pass")
        if recorded and passed < recorded.passed:
            bad.append(f"{program.name}: {passed} passed, {recorded.passed} recorded")
        elif recorded and passed > recorded.passed:
            good.append(f"{program.name}: {passed} passed, {recorded.passed} recorded")
    seen = {program.name for program in done.programs}
    for name in known.programs:
        if name not in seen and (not only or name.split()[0] in only):
            bad.append(f"{name}: vanished")
    return bad, good
