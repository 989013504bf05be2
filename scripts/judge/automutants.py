# SPDX-License-Identifier: GPL-2.0
"""How many of the mutants that a machine makes do the tests catch?

The lines that the series' topics add, those that were changed in linux/, or those of a file
are mutated by mutate.py. All mutants are in one program: the objects of the kernel at hand,
but those of the mutated files, which are compiled anew from copies, and one with a variable
that mutant=<number> on the kernel's command line sets. First each test runs without a mutant,
and the program notes which mutants it reaches. Then for each mutant one guest runs the tests
that reach it, the most promising first, until one fails, a complaint comes or nothing comes any
more: it is caught. Results are appended to a file as they come; what is there of the same
program and tests isn't run again.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from scripts.guest import machine, testlist
from scripts.guest.changed import BOOTS, diff
from scripts.guest.ktap import result_of
from scripts.judge import coverage, mutate, mutants
from scripts.judge.mutate import Mutant
from scripts.judge.mutated import NUMBERS, Program, digest
from scripts.series import series
from scripts.series.commits import git
from scripts.common import BUILD, LINUX, ROOT, Fatal, json_option, main, say, write_json

EQUIVALENT = ROOT / "tests/mutants/equivalent"
TESTS = 40              # at most for a mutant
GRACE = 3               # seconds of silence after a test's time


class Job(NamedTuple):
    """A guest to boot."""

    kernel: Path
    args: list[str]         # of the kernel
    tests: list[str]
    timeout: int            # seconds for each test


class Outcome(NamedTuple):
    """What came of it."""

    by: str                 # what failed first; empty if nothing did
    times: dict[str, float]     # seconds of each test
    seconds: float


# ---- which lines

def series_lines(work: Path) -> dict[str, dict[int, str]]:
    """coverage.series_lines(), which takes a while, kept until linux/ changes."""
    state = digest(git("rev-parse", "HEAD"), git("diff", "--no-ext-diff", "HEAD"))
    kept = work / "lines.json"
    if kept.exists() and (known := json.loads(kept.read_text()))["state"] == state:
        lines = known["lines"]
    else:
        lines = coverage.series_lines()
        kept.write_text(json.dumps({"state": state, "lines": lines}))
    return {name: {int(n): topic for n, topic in of.items()} for name, of in lines.items()}


def wanted_lines(what: str, lines: dict[str, dict[int, str]]) -> dict[str, dict[int, str]]:
    """The lines to mutate and what they belong to.

    Args:
        what: a topic, "changed", a file below linux/, or nothing for all topics.

    Raises:
        Fatal: it means nothing.
    """
    if what == "changed":
        changed = {name: {n: "changed" for hunk in parts for n in range(*hunk.new)}
                   for name, parts in diff(series.SERIES_REF).items()}
        if not any(changed.values()):
            raise Fatal("nothing in linux/ changed since the series was applied")
        return changed
    if what and (LINUX / what.removeprefix("linux/")).is_file():
        name = what.removeprefix("linux/")
        count = len((LINUX / name).read_bytes().splitlines())
        return {name: dict.fromkeys(range(1, count + 1), name)}
    topics = sorted({topic for of in lines.values() for topic in of.values()})
    if what and what not in topics:
        raise Fatal(f"'{what}' is neither a file below linux/ nor 'changed' nor a topic: "
                    f"{', '.join(topics)}")
    return {name: chosen for name, of in lines.items()
            if (chosen := {n: t for n, t in of.items() if what in ("", t)})}


# ---- which tests

def choose(tests: set[str], times: dict[str, float], seconds: float, topic: str = "",
           kills: dict[str, int] | None = None) -> list[str]:
    """The most promising of some tests, up to a number of them and of seconds together.

    Nearly every test reaches what each fault runs through, so the shortest alone would leave
    out those that look at it. A test is worth more that is named after the topic, and that
    has caught other mutants of the file.

    Args:
        kills: how many mutants of the file each test has caught until now.
    """
    own = topic.removesuffix("-ref").removesuffix("-refs").replace("-", "_") + "_"
    chosen: list[str] = []

    def cost(test: str) -> tuple[float, str]:
        worth = 1 + 4 * test.startswith(own) + 4 * (kills or {}).get(test, 0)
        return (times.get(test, 1.0) + 0.05) / worth, test

    for test in sorted(tests, key=cost):
        seconds -= times.get(test, 1.0)
        if chosen and (seconds < 0 or len(chosen) == TESTS):
            break
        chosen.append(test)
    return chosen


def kills_by_file(path: Path) -> dict[str, Counter[str]]:
    """How many mutants of each file each test has caught, in all runs until now."""
    kills: dict[str, Counter[str]] = {}
    for record in read_all(path):
        if record["by"] in record["tests"]:
            kills.setdefault(record["file"], Counter())[record["by"]] += 1
    return kills


# ---- running

class Failed(Exception):
    """A test has: the guest is needed no longer."""


class Listener:
    """Takes a guest's console, and notes each test's seconds."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self.last, self.rest = time.monotonic(), b""

    def __call__(self, data: bytes) -> None:
        """The next bytes.

        Raises:
            Failed: a test has failed.
        """
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            if text.startswith("1.."):
                self.last = time.monotonic()
            elif result := result_of(text):
                now = time.monotonic()
                self.times[result.name], self.last = now - self.last, now
                if result.outcome == "fail":
                    raise Failed(result.name)


def run_job(job: Job, cpu: int | None = None) -> Outcome:
    """Boot a guest and see whether its tests pass.

    Args:
        cpu: the host's, to run on.
    """
    start, listener = time.monotonic(), Listener()
    try:
        result = machine.boot(job.kernel, job.args, job.tests, timeout=job.timeout, grace=GRACE,
                              stack=False, cpu=cpu, sink=listener)
        by = mutants.blame(result)
    except Failed as why:
        by = str(why)
    return Outcome(by, listener.times, time.monotonic() - start)


def run_jobs(jobs: dict[str, Job]) -> Iterable[tuple[str, Outcome]]:
    """Boot guests, one on each CPU, and give what came of each."""
    cpus = machine.Cpus()

    def one(job: Job) -> Outcome:
        with cpus.one() as cpu:
            return run_job(job, cpu)

    with ThreadPoolExecutor(cpus.count) as pool:
        futures = {pool.submit(one, job): key for key, job in jobs.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()


def limit(tests: Iterable[str], times: dict[str, float]) -> int:
    """Seconds for each of some tests, by the longest one's normal time."""
    return math.ceil(2 + 5 * max((times.get(t, 10.0) for t in tests), default=1))


class Reach:
    """Which tests pass without a mutant, how long they take, and what they reach.

    What is known of an earlier program says where to look in the next one.
    """

    def __init__(self, path: Path, state: str) -> None:
        self.path = path
        known = json.loads(path.read_text()) if path.exists() else {}
        self.old: dict[str, Any] = known.get("old", {})     # as below, of earlier programs
        self.tests: dict[str, Any] = known.get("tests", {})
        if known.get("state") != state:
            self.old, self.tests = {**self.old, **self.tests}, {}
        self.state = state
        self.times = {t: of["seconds"] for t, of in {**self.old, **self.tests}.items()}

    def candidates(self, places: set[str], tests: Sequence[str]) -> list[str]:
        """The tests that may reach some functions: those that did, and new ones; of a
        function that no test is known to reach those that reach its file, or all.

        Args:
            places: as Mutant.place() says them.
        """
        chosen = {t for t in tests if t not in self.old}
        for place in places:
            found = {t for t, of in self.old.items() if place in of["places"]} or \
                {t for t, of in self.old.items()
                 if any(p.split()[0] == place.split()[0] for p in of["places"])}
            if not found:
                return list(tests)
            chosen |= found
        return [t for t in tests if t in chosen]

    def measure(self, tests: Iterable[str], kernel: Path, args: list[str],
                mutants: dict[int, Mutant]) -> None:
        """Run tests, each in a guest of its own, that haven't been with this program."""
        todo = sorted((t for t in tests if t not in self.tests),
                      key=lambda t: -self.times.get(t, 1.0))
        if not todo:
            return
        say(f"running {len(todo)} tests without a mutant")
        with tempfile.TemporaryDirectory(prefix="uml-mm-") as folder:
            jobs = {}
            for number, test in enumerate(todo):
                notes = Path(folder, str(number))
                with notes.open("wb") as file:
                    file.truncate(NUMBERS)
                jobs[test] = Job(kernel, [*args, *BOOTS.get(test, "").replace("ROOT", "").split(),
                                          "mutant=0", f"reached={notes}"],
                                 ["list"] if test in BOOTS else [test], 120)
            for done, (test, outcome) in enumerate(run_jobs(jobs), 1):
                notes = Path(jobs[test].args[-1].partition("=")[2])
                data = notes.read_bytes()
                notes.unlink()
                reached = [n for n in mutants if data[n]]
                if outcome.by:
                    say(f"notice: {test} fails without a mutant, so it isn't used: {outcome.by}")
                self.times[test] = outcome.times.get(test, outcome.seconds)
                self.tests[test] = {
                    "seconds": round(self.times[test], 3), "failed": outcome.by,
                    "reached": reached, "places": sorted({mutants[n].place() for n in reached})}
                if done % 20 == 0 or done == len(jobs):
                    self.save()

    def save(self) -> None:
        """Write down what is known."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"state": self.state, "old": self.old, "tests": self.tests}))
        new.rename(self.path)

    def reaching(self) -> dict[int, set[str]]:
        """The tests that reach each mutant, without those that fail."""
        result: dict[int, set[str]] = {}
        for test, of in self.tests.items():
            for number in of["reached"] if not of["failed"] else ():
                result.setdefault(number, set()).add(test)
        return result


# ---- results

def wilson(good: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's confidence interval of a proportion; z is the normal quantile, 95 %."""
    if not count:
        return 0.0, 1.0
    p, square = good / count, z * z
    middle = p + square / (2 * count)
    spread = z * math.sqrt(p * (1 - p) / count + square / (4 * count * count))
    return (middle - spread) / (1 + square / count), (middle + spread) / (1 + square / count)


def equivalents(path: Path = EQUIVALENT) -> dict[str, str]:
    """Mutants that change nothing, by their keys, and why.

    Raises:
        Fatal: one has no reason.
    """
    result: dict[str, str] = {}
    key = ""
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        if line.startswith("#") or not line.strip():
            continue
        if not line[0].isspace():
            if key and not result[key]:
                raise Fatal(f"{path.name}:{number - 1}: no reason below: {key}")
            key = line.strip()
            result[key] = ""
        elif not key:
            raise Fatal(f"{path.name}:{number}: a reason without a mutant above")
        else:
            result[key] = f"{result[key]} {line.strip()}".strip()
    if key and not result[key]:
        raise Fatal(f"{path.name}: no reason below: {key}")
    return result


def read_all(path: Path) -> Iterable[dict[str, Any]]:
    """The results of all runs."""
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue        # was being written


def read_results(path: Path, state: str) -> dict[str, dict[str, Any]]:
    """What an earlier run of the same program and tests has found, by the mutants' keys."""
    return {record["key"]: record for record in read_all(path) if record.get("state") == state}


def report(records: Sequence[dict[str, Any]], equal: dict[str, int],
           untried: dict[str, str]) -> None:
    """Print survivors and scores.

    Args:
        records: a result each, see note() in command().
        equal: how many of each topic are known to be equivalent.
        untried: of a topic, how many weren't tried and why.
    """
    topics = sorted({r["topic"] for r in records} | set(equal))
    for record in sorted(records, key=lambda r: (r["topic"], r["file"], r["line"])):
        if record["by"]:
            continue
        tests = record["tests"]
        ran = f"{len(tests)} tests ran: {' '.join(tests[:6])}{' ...' if len(tests) > 6 else ''}" \
            if tests else "no test reaches it"
        print(f"{record['topic']}: survived: linux/{record['file']}:{record['line']} "
              f"(mutant={record['number']})\n  {record['key']}\n  {ran}")
    for topic in [*topics, "all"] if len(topics) > 1 else topics:
        mine = [r for r in records if topic in ("all", r["topic"])]
        caught = sum(bool(r["by"]) for r in mine)
        low, high = wilson(caught, len(mine))
        silent = sum(not r["by"] and not r["tests"] for r in mine)
        print(f"# {topic}: {caught} of {len(mine)} caught, {100 * caught / (len(mine) or 1):.1f} % "
              f"({100 * low:.1f} to {100 * high:.1f}), {len(mine) - caught - silent} survived, "
              f"{silent} not reached, "
              f"{sum(equal.values()) if topic == 'all' else equal.get(topic, 0)} equivalent"
              f"{'; ' + untried[topic] if untried.get(topic) else ''}")


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=Path, default=BUILD / "default/linux",
                        help="the one without mutants, in its build folder")
    parser.add_argument("--rootfs", type=Path, default=BUILD / "rootfs")
    parser.add_argument("--append", default="", metavar="ARGS", help="more kernel arguments")
    parser.add_argument("--count", default="all", help="a random sample of so many; or all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--seconds", type=float, default=8, help="of tests for a mutant, at most")
    parser.add_argument("what", nargs="?", default="", help="a topic, 'changed', or a file")
    json_option(parser)
    options = parser.parse_args()
    if options.count != "all" and not options.count.isdigit():
        raise Fatal(f"AUTO={options.count}: how many mutants? A number, or all")
    mutate.cindex()
    equal = equivalents()
    plain = options.kernel.resolve().parent
    work = BUILD / "auto" / plain.name
    work.mkdir(parents=True, exist_ok=True)
    smp = "ncpus=" in options.append
    lock = (work / "lock").open("w")
    try:        # the program is replaced, and its numbers are others
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Fatal(f"another one is at work in {os.path.relpath(work)}") from None

    lines = series_lines(work)
    wanted = wanted_lines(options.what, lines)
    program = Program(plain, work)
    absent = program.find({name: {**lines.get(name, {}), **wanted.get(name, {})}
                           for name in sorted({*lines, *wanted})})
    program.build()

    topic_of = {key: wanted[m.file][m.line] for m in program.mutants.values()
                if (key := m.key()) and m.line in wanted.get(m.file, {})}
    numbers = {m.key(): n for n, m in program.mutants.items() if m.key() in topic_of}
    untried: dict[str, Counter[str]] = {}
    for key, number in list(numbers.items()):
        why = "don't compile" if key in program.dropped else \
            "matter on SMP only" if program.mutants[number].smp and not smp else ""
        if why:
            untried.setdefault(topic_of[key], Counter())[why] += 1
            del numbers[key]
    keys = sorted(numbers)
    random.Random(options.seed).shuffle(keys)
    if options.count != "all":
        keys = keys[:int(options.count)]
    equals = Counter(topic_of[key] for key in keys if key in equal)
    keys = [key for key in keys if key not in equal]
    if options.what == "" and options.count == "all":
        for key in equal:
            if key not in numbers:
                say(f"notice: tests/mutants/equivalent has one that isn't there: {key}")
    say(f"{len(keys)} of {len(numbers)} mutants")

    args = [*machine.hostfs(options.rootfs), *options.append.split()]
    state = digest(digest(program.kernel.read_bytes()), options.append, *(
        digest(p.read_bytes()) for p in sorted((options.rootfs / "bin").iterdir()) if p.is_file()))
    reach = Reach(work / "reach.json", state)
    tests = [*testlist.names(options.rootfs), *(b for b in BOOTS if "ROOT" in BOOTS[b])]
    if options.what:
        tests = reach.candidates({program.mutants[numbers[key]].place() for key in keys}, tests)
    reach.measure(tests, program.kernel, args, program.mutants)
    reaching = reach.reaching()
    results = work / "results.jsonl"
    state = digest(state, options.seconds)
    known = read_results(results, state)
    kills = kills_by_file(results)

    jobs = {}
    begin = time.monotonic()
    fastest = choose({t for t, of in reach.tests.items() if not of["failed"]} - set(BOOTS),
                     reach.times, 0.5)
    records: list[dict[str, Any]] = []
    with results.open("a") as file:
        def note(key: str, by: str, ran: list[str], seconds: float) -> None:
            mutant = program.mutants[numbers[key]]
            records.append({
                "state": state, "key": key, "number": numbers[key], "topic": topic_of[key],
                "file": mutant.file, "line": mutant.line, "operator": mutant.operator,
                "by": by, "tests": ran, "seconds": round(seconds, 2)})
            file.write(json.dumps(records[-1]) + "\n")
            file.flush()

        for key in keys:
            users, more = reaching.get(numbers[key], set()), ""
            mutant = program.mutants[numbers[key]]
            names = choose(users - set(BOOTS), reach.times, options.seconds,
                           lines.get(mutant.file, {}).get(mutant.line, ""),
                           kills.get(mutant.file))
            if users and not names:         # another way to boot
                names, more = fastest, BOOTS[min(users)].replace("ROOT", "")
            if key in known:
                records.append({**known[key], "number": numbers[key], "topic": topic_of[key],
                                "line": mutant.line})
            elif not names:
                note(key, "", [], 0)
            else:
                jobs[key] = Job(program.kernel, [*args, *more.split(), f"mutant={numbers[key]}"],
                                names, limit(names, reach.times))
        for done, (key, outcome) in enumerate(run_jobs(jobs), 1):
            note(key, outcome.by, jobs[key].tests, outcome.seconds)
            if done % 50 == 0:
                say(f"{done} of {len(jobs)} mutants, {time.monotonic() - begin:.0f} s, "
                    f"{sum(not r['by'] for r in records)} survive")
    notes = {topic: ", ".join(filter(None, [
        *(f"{n} {why}" for why, n in sorted(untried.get(topic, {}).items())),
        f"{absent[topic]} lines aren't compiled" if absent.get(topic) else ""]))
        for topic in {*untried, *absent}}
    report(records, dict(equals), {t: f"not tried: {text}" for t, text in notes.items() if text})
    write_json(options.json, seconds=round(time.monotonic() - begin, 1), mutants=records,
               untried={t: dict(c) for t, c in untried.items()}, absent=absent)
    return int(any(not r["by"] for r in records))


if __name__ == "__main__":
    main(command)
