# SPDX-License-Identifier: GPL-2.0
"""How many of the mutants that a machine makes do the tests catch?

The lines that the series' topics add, those that were changed in linux/, or those of a file
are mutated by mutate.py. All mutants are in one program: the objects of the kernel at hand,
but those of the mutated files, which are compiled anew from copies, and one with a variable
that mutant=<number> on the kernel's command line sets. For each mutant one guest runs the
tests that execute its line, as `make coverage` has measured, the shortest first, until one
fails, a complaint comes or nothing comes any more: it is caught. Results are appended to a
file as they come; what is there of the same program and tests isn't run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from scripts.guest import machine, testlist
from scripts.guest.changed import BOOTS, MEASURED, Measured, carry, hunks, load
from scripts.guest.ktap import result_of
from scripts.judge import coverage, mutate, mutants
from scripts.judge.mutate import Mutant
from scripts.kernel import fast
from scripts.series import series
from scripts.series.commits import git
from scripts.common import BUILD, LINUX, ROOT, Fatal, json_option, main, say, write_json

EQUIVALENT = ROOT / "tests/mutants/equivalent"
# Runs outside of the kernel, or is shared with what does
OUTSIDE = re.compile(r".*/skas/stub|.*/shared/|.*/vdso/|include/trace/|.*\.[^ch]$")
STRIDE = 10000          # numbers for each file
TESTS = 40              # at most for a mutant
GRACE = 3               # seconds of silence after a test's time
VARIABLE = f"""/* Set before anything else runs: the C library calls constructors with main()'s arguments. */
int {mutate.VARIABLE} __attribute__((section(".data..read_mostly")));

static void __attribute__((constructor)) choose_mutant(int argc, char **argv)
{{
	for (; argc > 0; argc--, argv++) {{
		const char *c = *argv, *name = "mutant=";

		while (*name && *c == *name)
			c++, name++;
		if (*name)
			continue;
		for ({mutate.VARIABLE} = 0; *c >= '0' && *c <= '9'; c++)
			{mutate.VARIABLE} = {mutate.VARIABLE} * 10 + *c - '0';
	}}
}}
"""


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

def digest(*parts: object) -> str:
    """A short hash."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogateescape")) \
        .hexdigest()[:16]


def diff(old: str, *files: str) -> dict[str, Any]:
    """What changed in linux/ since a commit, see changed.hunks()."""
    return hunks(git("diff", "-U0", "--no-prefix", "--no-renames", "--no-ext-diff",
                     "--no-color", old, "--", *files))


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


# ---- the program

class Program:
    """A kernel with mutants, made from the build folder of one without."""

    def __init__(self, plain: Path, work: Path) -> None:
        self.plain, self.work = plain, work
        self.src, self.obj, self.farm = work / "src", work / "obj", work / "farm"
        self.kernel = work / "linux"
        self.notes = work / "mutants.json"
        known = json.loads(self.notes.read_text()) if self.notes.exists() else {}
        self.bases: dict[str, int] = known.get("bases", {})
        self.found: dict[str, list[Any]] = known.get("found", {})       # state, mutants
        self.dropped: set[str] = set(known.get("dropped", []))
        self.mutants: dict[int, Mutant] = {}
        self.members = set(subprocess.run(["ar", "t", "vmlinux.a"], cwd=plain, text=True,
                                          capture_output=True).stdout.split())

    def save(self) -> None:
        """Write down what is known."""
        new = self.notes.with_suffix(".new")
        new.write_text(json.dumps({"bases": self.bases, "found": self.found,
                                   "dropped": sorted(self.dropped)}))
        new.rename(self.notes)

    def command(self, name: str) -> tuple[str, set[str]] | None:
        """How an object is compiled, and the files of linux/ that it reads; None if it isn't."""
        target = f"{name[:-2]}.o"
        if target not in self.members:
            return None
        here = os.getcwd()
        os.chdir(self.plain)
        try:
            command, read = fast.command_of(target)
        except fast.Kbuild:
            return None
        finally:
            os.chdir(here)
        return fast.words_of(command), {os.path.relpath(f, LINUX) for f in read
                                        if f.startswith(f"{LINUX}/")}

    def find(self, lines: dict[str, dict[int, str]]) -> dict[str, int]:
        """Find the mutants of all lines, and return how many lines of each topic have no code
        in this kernel's objects."""
        commands = {name: found for name in lines if name.endswith(".c") and
                    not OUTSIDE.match(name) and (found := self.command(name))}
        self.commands = {name: command for name, (command, _) in commands.items()}
        units: dict[str, list[str]] = {name: [name] for name in commands}
        for name in lines:
            if name.endswith(".h") and not OUTSIDE.match(name):
                user = next((c for c, (_, read) in commands.items() if name in read), None)
                if user:
                    units[user].append(name)
        jobs = []
        for unit, files in units.items():
            state = digest(*(digest((LINUX / f).read_bytes()) for f in files), self.commands[unit],
                           Path(mutate.__file__).read_bytes())
            if self.found.get(unit, [""])[0] != state:
                jobs.append((unit, state, mutate.flags(self.commands[unit], self.plain), files))
        if jobs:
            say(f"looking for places to break in {len(jobs)} files")
            mutate.cindex()
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for (unit, state, _, _), found in zip(jobs, pool.map(find_in, jobs)):
                self.found[unit] = [state, found]
                self.dropped -= {m.key() for of in found.values() for m in of}
        absent: Counter[str] = Counter()
        seen = {name for files in units.values() for name in files}
        for name, of in lines.items():
            absent.update(topic for topic in of.values() if name not in seen)
        self.mutants = {}
        for unit in units:
            for name, found in self.found[unit][1].items():
                base = self.bases.setdefault(name, STRIDE * (1 + len(self.bases)))
                for number, fields in enumerate(found, base):
                    mutant = from_json(fields)
                    if mutant.line in lines.get(name, {}):
                        self.mutants[number] = mutant
        self.save()
        return dict(absent)

    def in_file(self, name: str) -> list[tuple[int, Mutant]]:
        """A file's mutants with their numbers, without those that don't compile."""
        return [(n, m) for n, m in self.mutants.items()
                if m.file == name and m.key() not in self.dropped]

    def build(self) -> None:
        """Make the program; mutants that don't compile or link are dropped.

        Raises:
            Fatal: it can't be made.
        """
        names = sorted({m.file for m in self.mutants.values()})
        for tries in range(12):
            self.write_sources(names)
            bad = self.compile(list(self.commands))
            if not bad:
                bad = self.link()
            if not bad:
                return self.save()
            self.dropped |= bad
            say(f"{len(bad)} mutants don't compile or link: left out")
            self.save()
        raise Fatal("the mutated kernel doesn't build after 12 tries; see the compiler's words in "
                    f"{self.work}/words")

    def write_sources(self, names: Iterable[str]) -> None:
        """Have copies of the files with their mutants in src/, and no others."""
        names = set(names)
        self.texts: dict[str, str] = {}
        for name in names:
            text = (LINUX / name).read_bytes().decode("latin-1")
            self.texts[name] = mutate.write(text, self.in_file(name))
        for path in list(self.src.rglob("*.[ch]")):
            if str(path.relative_to(self.src)) not in names:
                path.unlink()
        for name, text in self.texts.items():
            path = self.src / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes().decode("latin-1") != text:
                path.write_bytes(text.encode("latin-1"))

    def compile(self, names: Sequence[str]) -> set[str]:
        """Compile objects anew whose sources are other ones; the keys of mutants that can't be."""
        headers = digest(*(f"{n}{t}" for n, t in sorted(self.texts.items()) if n.endswith(".h")))
        self.objects: dict[str, Path] = {}
        todo = []
        for name in names:
            if name not in self.texts and not headers:
                continue
            out = self.obj / f"{name[:-2]}.o"
            self.objects[f"{name[:-2]}.o"] = out
            state = digest(self.texts.get(name, ""), headers, self.commands[name])
            stamp = out.with_suffix(".state")
            if not out.exists() or not stamp.exists() or stamp.read_text() != state:
                todo.append((name, out, stamp, state))
        if len(todo) > 4:
            say(f"compiling {len(todo)} files with mutants")
        bad: set[str] = set()

        def one(job: tuple[str, Path, Path, str]) -> set[str]:
            name, out, stamp, state = job
            out.parent.mkdir(parents=True, exist_ok=True)
            out.unlink(missing_ok=True)
            done = subprocess.run(self.compilation(name, out), shell=True, cwd=self.plain,
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if not done.returncode:
                stamp.write_text(state)
                return set()
            words = done.stderr.decode(errors="replace")
            with (self.work / "words").open("a") as file:
                file.write(words)
            return self.guilty(words, name)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for keys in pool.map(one, todo):
                bad |= keys
        return bad

    def compilation(self, name: str, out: Path) -> str:
        """The command that compiles a mutated file: Kbuild's, with other paths."""
        words = self.commands[name].removeprefix("ccache ")
        words = re.sub(r" -Wp,-MMD,\S+| -g\S*(?= )| -o \S+", "", words)
        source = self.src / name if name in self.texts else LINUX / name
        words = words.replace(f" {LINUX / name}", f" -o {out} {source}")
        first = [f"-I{self.src}/{folder}" for folder in ("arch/um/include", "include")] \
            if "-nostdinc" in words else []
        # What a copy includes that lies beside the original
        beside = [f"-iquote {(LINUX / n).parent}" for n in
                  [name, *(n for n in self.texts if n.endswith(".h") and "include/" not in n)]]
        return words.replace("gcc ", " ".join(["gcc -w", *first, *dict.fromkeys(beside), ""]), 1)

    def guilty(self, words: str, name: str) -> set[str]:
        """The mutants that a compiler complains about.

        Raises:
            Fatal: about none of them.
        """
        place = re.escape(str(self.src)) + r"/(\S+?):(\d+)"
        for pattern in (f"^{place}:\\d+: error:", place):
            hit = {(file, int(line)) for file, line in re.findall(pattern, words, re.M)}
            for first in (lambda m: m.lines[0], lambda m: m.around):
                keys = {m.key() for _, m in self.live() for file, line in hit
                        if m.file == file and first(m) <= line <= m.lines[1]}
                if keys:
                    return keys
        keys = {m.key() for _, m in self.in_file(name)}
        if not keys:
            raise Fatal(f"{name} doesn't compile: {words.strip().splitlines()[-1]}")
        say(f"notice: {name} with mutants doesn't compile, and the compiler names no line of them")
        return keys

    def live(self) -> list[tuple[int, Mutant]]:
        """The mutants that are in the program."""
        return [(n, m) for n, m in self.mutants.items() if m.key() not in self.dropped]

    def link(self) -> set[str]:
        """Link the program in a folder of hard links; the mutants that need what isn't there."""
        variable = self.obj / "uml_mutant.o"
        state = digest(*(p.stat().st_mtime_ns for p in sorted(self.objects.values())),
                       (self.plain / "linux").stat().st_mtime_ns, VARIABLE)
        stamp = self.work / "link.state"
        if self.kernel.exists() and stamp.exists() and stamp.read_text() == state:
            return set()
        source = variable.with_suffix(".c")
        source.write_text(VARIABLE)
        subprocess.run(["gcc", "-O2", "-mcmodel=large", "-fno-PIE", "-fno-stack-protector", "-c",
                        "-o", variable, source], check=True)
        shutil.rmtree(self.farm, ignore_errors=True)
        subprocess.run(["cp", "-al", self.plain, self.farm], check=True)
        for name, path in {**self.objects, "uml_mutant.o": variable}.items():
            (self.farm / name).unlink(missing_ok=True)
            os.link(path, self.farm / name)
        archive = self.farm / "vmlinux.a"
        content = archive.read_bytes()
        archive.unlink()
        archive.write_bytes(content)
        subprocess.run(["ar", "qDPST", "vmlinux.a", "uml_mutant.o"], cwd=self.farm, check=True)
        here = os.getcwd()
        os.chdir(self.farm)
        try:
            kallsyms, old = fast.Build.kallsyms(), b""
            for _ in range(5):
                done = self.shell("kallsymso=$1; vmlinux_link vmlinux.auto", kallsyms)
                if done.returncode:
                    return self.unresolved(done.stderr.decode(errors="replace"))
                now = subprocess.run(["nm", "-n", "vmlinux.auto"], stdout=subprocess.PIPE,
                                     check=True).stdout
                if old and fast.move_kallsyms(Path("vmlinux.auto"), old, now):
                    break
                old, kallsyms = now, ".tmp_auto.kallsyms.o"
                done = self.shell("mksysmap vmlinux.auto .tmp_auto.syms; "
                                  "kallsyms .tmp_auto.syms .tmp_auto.kallsyms")
            else:
                raise Fatal("the mutated kernel's kallsyms don't settle")
            os.replace("vmlinux.auto", self.kernel)
        finally:
            os.chdir(here)
        shutil.rmtree(self.farm)
        stamp.write_text(state)
        return set()

    @staticmethod
    def shell(script: str, *args: str) -> subprocess.CompletedProcess[bytes]:
        """A piece of link-vmlinux.sh, see scripts/kernel/fast.py."""
        return subprocess.run(["bash", "-c", fast.LINK + script, "-", *args],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "GLIBC_TUNABLES": fast.MALLOC})

    def unresolved(self, words: str) -> set[str]:
        """The mutants of functions that need something that the compiler had left out."""
        (self.work / "words").write_text(words)
        keys: set[str] = set()
        for target, function in re.findall(r"(\S+)\.o: in function [`'](\w+)", words):
            mine = [m for _, m in self.live() if m.file == f"{target}.c"]
            keys |= {m.key() for m in mine if m.function == function} or \
                {m.key() for m in mine if m.operator in ("condition", "logic")}
        if not keys:
            raise Fatal(f"the mutated kernel doesn't link: {words.strip()[-300:]}")
        return keys


def find_in(job: tuple[str, str, list[str], list[str]]) -> dict[str, list[Mutant]]:
    """mutate.find() for a pool."""
    unit, _, arguments, files = job
    return mutate.find(LINUX / unit, arguments, {name: LINUX / name for name in files})


def from_json(fields: Sequence[Any]) -> Mutant:
    """A mutant as json kept it."""
    mutant = Mutant(*fields)
    return mutant._replace(lines=(mutant.lines[0], mutant.lines[1]),
                           wraps=[mutate.Wrap(*w) for w in mutant.wraps])


# ---- which tests

def executing(measured: Measured, mutants: Iterable[Mutant]) -> dict[str, set[str]]:
    """The tests that execute each mutant's lines, by its key.

    Where the compiler has left nothing of the lines, it is those of the statement, else of
    the function around.
    """
    users: dict[str, dict[int, set[str]]] = {}
    for test, files in measured.tests.items():
        for name, executed in files.items():
            of = users.setdefault(name, {})
            for number in executed:
                of.setdefault(number, set()).add(test)
    mutants = list(mutants)
    names = sorted({m.file for m in mutants})
    since = diff(measured.tree, *names) if names else {}
    result = {}
    for mutant in mutants:
        name, moved = mutant.file, since.get(mutant.file, [])
        code, of = set(measured.lines.get(name, ())), users.get(name, {})
        for first in (mutant.lines[0], mutant.around):
            lines = carry((first, mutant.lines[1] + 1), moved)
            if lines & code:
                break
        else:
            lines = {n for one, two in measured.functions.get(name, ())
                     if not lines.isdisjoint(range(one, two + 1)) for n in range(one, two + 1)}
        result[mutant.key()] = set().union(*(of.get(n, ()) for n in lines))
    return result


def choose(tests: set[str], times: dict[str, float], seconds: float) -> list[str]:
    """The shortest of some tests, up to a number of them and of seconds together."""
    chosen: list[str] = []
    for test in sorted(tests, key=lambda t: (times.get(t, 1.0), t)):
        seconds -= times.get(test, 1.0)
        if chosen and (seconds < 0 or len(chosen) == TESTS):
            break
        chosen.append(test)
    return chosen


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


def run_job(job: Job) -> Outcome:
    """Boot a guest and see whether its tests pass."""
    start, listener = time.monotonic(), Listener()
    try:
        result = machine.boot(job.kernel, job.args, job.tests, timeout=job.timeout, grace=GRACE,
                              stack=False, cpu=_cpu, sink=listener)
        by = mutants.blame(result)
    except Failed as why:
        by = str(why)
    return Outcome(by, listener.times, time.monotonic() - start)


_cpu: int | None = None


def take_cpu(cpus: Any) -> None:
    """Begin a worker: it has one of the host's CPUs."""
    global _cpu
    _cpu = cpus.get()


def run_jobs(jobs: dict[str, Job]) -> Iterable[tuple[str, Outcome]]:
    """Boot guests, one on each CPU, and give what came of each."""
    cpus = multiprocessing.Manager().Queue()
    for cpu in (available := os.sched_getaffinity(0)):
        cpus.put(cpu)
    with ProcessPoolExecutor(len(available), initializer=take_cpu, initargs=(cpus,)) as pool:
        futures = {pool.submit(run_job, job): key for key, job in jobs.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()


def limit(tests: Iterable[str], times: dict[str, float]) -> int:
    """Seconds for each of some tests, by the longest one's normal time."""
    return math.ceil(2 + 5 * max((times.get(t, 10.0) for t in tests), default=1))


class Baseline:
    """Which tests pass, and how long they take, in the program without a mutant."""

    def __init__(self, work: Path, kernel: Path, args: list[str]) -> None:
        self.path, self.kernel, self.args = work / "times.json", kernel, args
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.times: dict[str, float] = known.get("times", {})
        self.failed: dict[str, str] = {}

    def measure(self, tests: Iterable[str], again: bool) -> None:
        """Run tests, some in each guest; those that fail are noted, and said.

        Args:
            again: all of them, not only those whose times aren't known.
        """
        todo = sorted((t for t in tests if again or t not in self.times),
                      key=lambda t: (self.times.get(t, 1.0), t))
        jobs = {}
        groups = max(1, min(len(todo), len(todo) // 10 + 1))
        for number in range(groups):
            part = todo[number::groups]
            jobs[str(number)] = Job(self.kernel, [*self.args, "mutant=0"], part,
                                    max(60, limit(part, self.times)))
        if todo:
            say(f"running {len(todo)} tests without a mutant")
        left: list[str] = []
        for number, outcome in run_jobs(jobs):
            part = jobs[number].tests
            self.times.update(outcome.times)
            if outcome.by:
                failed = next((t for t in part if t not in outcome.times), outcome.by) \
                    if outcome.by not in part else outcome.by
                self.failed[failed] = outcome.by
                say(f"notice: without a mutant fails: {outcome.by}; not used")
                left += [t for t in part if t not in outcome.times and t != failed]
        if left:
            self.measure(left, again=True)
        self.path.write_text(json.dumps({"times": self.times}))


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


def read_results(path: Path, state: str) -> dict[str, dict[str, Any]]:
    """What an earlier run of the same program and tests has found, by the mutants' keys."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue        # was being written
        if record.get("state") == state:
            found[record["key"]] = record
    return found


def report(records: Sequence[dict[str, Any]], equal: dict[str, int], untried: dict[str, str]) -> None:
    """Print survivors and scores."""
    topics = sorted({r["topic"] for r in records} | set(equal))
    for record in sorted(records, key=lambda r: (r["topic"], r["file"], r["line"])):
        if record["by"]:
            continue
        tests = record["tests"]
        ran = f"{len(tests)} tests ran: {' '.join(tests[:6])}{' ...' if len(tests) > 6 else ''}" \
            if tests else "no test executes it"
        print(f"{record['topic']}: survived: linux/{record['file']}:{record['line']} "
              f"(mutant={record['number']})\n  {record['key']}\n  {ran}")
    for topic in [*topics, "all"] if len(topics) > 1 else topics:
        mine = [r for r in records if topic in ("all", r["topic"])]
        caught = sum(bool(r["by"]) for r in mine)
        low, high = wilson(caught, len(mine))
        silent = sum(not r["by"] and not r["tests"] for r in mine)
        print(f"# {topic}: {caught} of {len(mine)} caught, {100 * caught / (len(mine) or 1):.1f} % "
              f"({100 * low:.1f} to {100 * high:.1f}), {len(mine) - caught - silent} survived, "
              f"{silent} not executed, "
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
    parser.add_argument("--seconds", type=float, default=8, help="of tests for each mutant, at most")
    parser.add_argument("what", nargs="?", default="", help="a topic, 'changed', or a file")
    json_option(parser)
    options = parser.parse_args()
    if options.count != "all" and not options.count.isdigit():
        raise Fatal(f"AUTO={options.count}: how many mutants? A number, or all")
    mutate.cindex()
    measured = load(MEASURED)
    if not measured:
        raise Fatal("which test executes which line isn't known yet: `make coverage` measures it")
    equal = equivalents()
    plain = options.kernel.resolve().parent
    work = BUILD / "auto" / plain.name
    work.mkdir(parents=True, exist_ok=True)
    smp = "ncpus=" in options.append

    lines = series_lines(work)
    wanted = wanted_lines(options.what, lines)
    program = Program(plain, work)
    absent = program.find({name: {**lines.get(name, {}), **wanted.get(name, {})}
                           for name in {*lines, *wanted}})
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

    tests = executing(measured, (program.mutants[numbers[key]] for key in keys))
    present = set(testlist.names(options.rootfs))
    args = [*machine.hostfs(options.rootfs), *options.append.split()]
    state = digest(digest(program.kernel.read_bytes()), options.append, options.seconds, *(
        digest(p.read_bytes()) for p in sorted((options.rootfs / "bin").iterdir()) if p.is_file()))
    results = work / "results.jsonl"
    known = read_results(results, state)
    baseline = Baseline(work, program.kernel, args)
    checked = work / "checked.json"
    passed = json.loads(checked.read_text()) if checked.exists() else {}
    if passed.get("state") != state:
        passed = {"state": state, "tests": [], "failed": {}}
    # Those whose times aren't known first, then those that will be used, with this program
    everything = {t for of in tests.values() for t in of} & present
    baseline.measure(everything, again=False)
    chosen = {key: choose((tests[key] & present) - set(passed["failed"]), baseline.times,
                          options.seconds) for key in keys}
    used = {t for of in chosen.values() for t in of} - set(passed["tests"])
    baseline.measure(used, again=True)
    passed["tests"] += sorted(used - set(baseline.failed))
    passed["failed"].update(baseline.failed)
    checked.write_text(json.dumps(passed))

    jobs = {}
    begin = time.monotonic()
    fastest = sorted(baseline.times, key=lambda t: baseline.times[t])[:3]
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
            names = [t for t in chosen[key] if t not in passed["failed"]]
            more: list[str] = []
            if not names and (boots := tests[key] & set(BOOTS)):
                names = fastest
                if "(boot)" not in boots:
                    more = BOOTS[min(boots)].replace("ROOT", "").split()
            if key in known:
                records.append({**known[key], "number": numbers[key], "topic": topic_of[key],
                                "line": program.mutants[numbers[key]].line})
            elif not names:
                note(key, "", [], 0)
            else:
                jobs[key] = Job(program.kernel, [*args, *more, f"mutant={numbers[key]}"], names,
                                limit(names, baseline.times))
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
