# SPDX-License-Identifier: GPL-2.0
"""Run tests under seeded schedules; a failing one is made short, kept, and told.

Each guest has its own seed, which decides when its virtual CPUs pass their turn on
(patches/um, "explore interleavings by seeds"). The first seed with which a test fails ends
it: the hand-overs that a seed has forced are cut down to those that still make it fail,
by delta debugging, and kept in build/explore/ with a text of who ran when. That file, or
the seed, gives the same run again: SCHEDULE=<file> or SEED=<n> for run, trace and gdb.

It needs a kernel of VARIANT=explore. Status 1 if a test failed.
"""

from __future__ import annotations

import argparse
import bisect
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from scripts.common import BUILD, Fatal, json_option, main, run, say, write_json
from scripts.guest import machine, testlist

OUT = BUILD / "explore"
SHORT = "RACE_MS=50"     # each seed is another try; so has the Makefile for SEED=
MAX_SECONDS = 120       # for which a schedule is made shorter
SPARSE = 16             # seeds of each number of hand-overs that are tried
TAIL = 40               # hand-overs that the text shows


WORDS = {"S": "forced", "P": "lowered", "H": "lower", "R": "waits", "I": "idle", "F": "long"}


class HandOver(NamedTuple):
    """One virtual CPU passed its turn to another."""

    why: str        # a key of WORDS
    step: int
    source: int
    target: int
    address: int    # 0 if it was idle
    own: int = 0    # the step of the source, counted by itself


def lines_of(plan: Sequence[HandOver], order: Sequence[int] = ()) -> str:
    """A schedule, as explore_schedule= reads it.

    Args:
        order: the CPUs by priority, the highest one first; none if priorities don't count.
    """
    first = f"order {' '.join(map(str, order))}\n" if order else ""
    return first + "".join(f"{h.own} {h.source}{'' if order else f' {h.target}'}\n" for h in plan)


class Outcome(NamedTuple):
    """A run under a schedule."""

    run: machine.Run
    hand_overs: list[HandOver]
    steps: int
    unrepeatable: str       # why, from some step on; empty if it is repeatable
    order: list[int]        # the CPUs by priority, the highest one first; none without

    @property
    def plan(self) -> list[HandOver]:
        """What a schedule has to say to have this run again."""
        return [h for h in self.hand_overs if h.why == ("P" if self.order else "S")]

    @property
    def problem(self) -> str:
        """In a line what failed; empty if nothing did."""
        if not self.run.status:
            return ""
        bad = [test.name for test in self.run.tests if test.outcome == "fail"]
        return self.run.problem or f"failed: {' '.join(bad)}"

    @property
    def kind(self) -> str:
        """What sort of problem; while a schedule is made short it must not become another."""
        return self.problem.partition(":")[0]


def check_kernel(kernel: Path) -> None:
    """Raise Fatal unless a kernel can be explored."""
    values = kernel.parent / ".config"
    if not kernel.exists() or not values.exists() or \
            "CONFIG_UML_EXPLORE=y" not in values.read_text():
        raise Fatal(f"{kernel} has no schedules by seeds: VARIANT=explore")


def build_id(kernel: Path) -> str:
    """What tells one program from another."""
    return re.search(r"Build ID: (\w+)", run("readelf", "-n", str(kernel)))[1]  # type: ignore[index]


def read_log(path: Path) -> tuple[list[HandOver], int, str, list[int]]:
    """What a log of the kernel's says, as in Outcome."""
    hand_overs, steps, why = [], 0, ""
    priorities: dict[int, int] = {}
    for line in path.read_text(errors="replace").splitlines():
        kind, *words = line.split()
        if kind in "SPHRF" and len(words) >= 4:
            hand_overs.append(HandOver(kind, int(words[0]), int(words[1]), int(words[2]),
                                       int(words[3], 16), int((*words, "0")[4])))
        elif kind == "I" and len(words) == 3:
            hand_overs.append(HandOver(kind, int(words[0]), int(words[1]), int(words[2]), 0))
        elif kind == "O" and len(words) == 2:
            priorities[int(words[0])] = int(words[1])
            continue
        elif kind == "U" and not why:
            why = f"from step {words[0]} on: {' '.join(words[1:])}"
        if words and words[0].isdigit():
            steps = max(steps, int(words[0]))
    return hand_overs, steps, why, sorted(priorities, key=lambda cpu: -priorities[cpu])


class Setting(NamedTuple):
    """How a test is run under schedules."""

    kernel: Path
    rootfs: Path = BUILD / "rootfs"
    append: str = ""        # more kernel arguments
    cpus: int = 2           # virtual ones
    timeout: int = 60       # seconds for a seed
    strategy: str = "random"
    depth: int = 3          # PCT: of the bug
    mean: int = 0           # random: steps from one hand-over to the next; 0: of all magnitudes


class Explorer:
    """Runs one test under schedules, one guest on each of the host's CPUs."""

    def __init__(self, options: Setting, test: str) -> None:
        self.options, self.test = options, test
        self.cpus = machine.Cpus()
        self.workers = self.cpus.count

    def play(self, args: Sequence[str]) -> Outcome:
        """Boot a guest with kernel arguments that say the schedule."""
        with tempfile.TemporaryDirectory() as folder, self.cpus.one() as cpu:
            log = Path(folder) / "log"
            done = machine.boot(
                self.options.kernel,
                [*machine.hostfs(self.options.rootfs), f"ncpus={self.options.cpus}", SHORT,
                 *self.options.append.split(), *args, f"explore_log={log}"],
                [self.test], timeout=self.options.timeout, cpu=cpu)
            if not log.exists():
                raise Fatal(f"the kernel didn't start: {done.problem or done.output[-300:]}")
            return Outcome(done, *read_log(log))

    def strategy(self, steps: int) -> list[str]:
        """The kernel's arguments for it; PCT wants to know how long the test is."""
        if self.options.strategy == "pct":
            return [f"explore_pct={self.options.depth - 1}:{steps}"]
        return [f"explore_mean={self.options.mean}"] if self.options.mean else []

    def first_failure(self, seeds: range, more: Sequence[str] = ()) -> tuple[int, Outcome] | None:
        """The first of some seeds with which the test fails, and how."""
        stop = threading.Event()
        found: dict[int, Outcome] = {}

        def one(seed: int) -> None:
            if not stop.is_set():
                outcome = self.play([f"explore={seed}", *more])
                if outcome.problem:
                    found[seed] = outcome
                    stop.set()

        with ThreadPoolExecutor(self.workers) as pool:
            for n, _ in enumerate(pool.map(one, seeds), 1):
                if n % 50 == 0 and not stop.is_set():
                    say(f"{self.test}: {n} of {len(seeds)} seeds")
        return min(found.items(), key=lambda item: item[0]) if found else None

    def search(self, seeds: range) -> tuple[int, Outcome] | None:
        """As first_failure(), and say what came of it; seed 0 if it fails without one."""
        plain = self.play(["explore=0", "explore_schedule=/dev/null"])
        if plain.problem:
            print(f"not ok {self.test} # no hand-over has to be forced: {plain.problem}", flush=True)
            return 0, plain
        if any(test.outcome == "skip" for test in plain.run.tests):
            say(f"{self.test}: skipped by this kernel")
            return None
        if plain.unrepeatable:
            say(f"{self.test} isn't repeatable {plain.unrepeatable}")
        more, start = self.strategy(plain.steps), time.monotonic()
        found = self.first_failure(seeds, more)
        seconds = time.monotonic() - start
        if not found:
            print(f"ok {self.test} # {len(seeds)} seeds, {plain.steps} steps, "
                  f"{seconds / len(seeds) * self.workers:.2f} s each", flush=True)
            return None
        seed, outcome = found
        again = " ".join([f"SEED={seed}", *(f"APPEND={word}" for word in more)])
        print(f"not ok {self.test} # {again}, {seed - seeds.start + 1} seeds, "
              f"{seconds:.1f} s: {outcome.problem}", flush=True)
        return found

    def replay(self, plan: Sequence[HandOver], order: Sequence[int] = ()) -> Outcome:
        """Run under a schedule."""
        with tempfile.NamedTemporaryFile("w", suffix=".schedule") as file:
            file.write(lines_of(plan, order))
            file.flush()
            return self.play(["explore=0", f"explore_schedule={file.name}"])


def side_by_side(workers: int) -> Callable[..., Iterator[bool]]:
    """map(), with so many at a time."""
    def run(function: Callable[[Any], bool], items: Sequence[Any]) -> Iterator[bool]:
        with ThreadPoolExecutor(workers) as pool:
            for at in range(0, len(items), workers):
                yield from pool.map(function, items[at:at + workers])
    return run


def shorten(plan: list[HandOver], fails: Callable[[list[HandOver]], bool],
            enough: Callable[[], bool], each: Callable[..., Iterator[bool]] = map
            ) -> list[HandOver]:
    """The fewest hand-overs that still fail, as far as they are found before enough().

    First those after the failure go, by halves, then any that aren't needed (ddmin).

    Args:
        each: map(), or what does the same side by side.
    """
    passes = 0
    while len(plan) - passes > 1 and not enough():
        middle = (passes + len(plan)) // 2
        if fails(plan[:middle]):
            plan = plan[:middle]
        else:
            passes = middle
    pieces = 2
    while plan and not enough():
        size = -(-len(plan) // pieces)
        rests = [plan[:at] + plan[at + size:] for at in range(0, len(plan), size)]
        for rest, failed in zip(rests, each(fails, rests)):
            if failed:
                plan, pieces = rest, max(pieces - 1, 2)
                break
            if enough():
                return plan
        else:
            if size == 1:
                break
            pieces = min(2 * pieces, len(plan))
    return plan


class Functions:
    """The kernel's functions by address."""

    def __init__(self, kernel: Path) -> None:
        rows = [line.split() for line in run("nm", "-n", str(kernel)).splitlines()]
        rows = [row for row in rows if len(row) == 3 and row[1] in "tT"]
        self.addresses, self.names = [int(row[0], 16) for row in rows], [row[2] for row in rows]

    def at(self, address: int) -> str:
        """function+offset of an address."""
        n = bisect.bisect(self.addresses, address) - 1
        if n < 0 or n == len(self.names) - 1:
            return f"user code at {address:#x}"
        return f"{self.names[n]}+0x{address - self.addresses[n]:x}"


def story(hand_overs: Sequence[HandOver], functions: Functions) -> str:
    """Who ran when, by function: the last hand-overs of a run, a line each."""
    lines = []
    for h in hand_overs[-TAIL:]:
        place = functions.at(h.address) if h.address else ""
        lines.append(f"# step {h.step:8}  {'':{24 * h.source}}CPU {h.source} {WORDS[h.why]:7} "
                     f"-> CPU {h.target}  {place}".rstrip())
    return "\n".join(lines) + "\n"


def fewer(explorer: Explorer, outcome: Outcome) -> Outcome:
    """A failure of the same kind that takes few forced hand-overs, if a few seeds have one.

    What is left out of a schedule changes all that comes after. So a short one is found
    sooner than it is made from a long one: by PCT, which forces a change of priorities
    at one or a few steps only; else with hand-overs further apart.
    """
    many = len(outcome.plan)
    ways = [f"explore_pct={points}:{outcome.steps}" for points in (1, 2, 4) if points < many]
    ways += [f"explore_mean={outcome.steps // few}" for few in (5, 15, 50, 150) if few < many / 2]
    with ThreadPoolExecutor(explorer.workers) as pool:
        for way in ways:
            for at in range(1, SPARSE, explorer.workers):
                for found in pool.map(lambda seed, way=way: explorer.play(
                        [f"explore={seed}", way]), range(at, at + explorer.workers)):
                    if found.kind == outcome.kind and len(found.plan) < many:
                        return found
    return outcome


def keep(explorer: Explorer, seed: int, outcome: Outcome) -> Path:
    """Make the schedule of a failure short and keep it; the file."""
    options, many = explorer.options, len(outcome.plan)
    if seed:
        outcome = fewer(explorer, outcome)
    plan, order = outcome.plan, outcome.order
    again = explorer.replay(plan, order)
    if not again.problem:
        say(f"the schedule of SEED={seed} doesn't fail again: the run isn't repeatable "
            f"{again.unrepeatable or outcome.unrepeatable or 'for a reason that is not known'}")
        short, last = plan, outcome
    else:
        end = time.monotonic() + MAX_SECONDS
        short = shorten(plan, lambda rest: explorer.replay(rest, order).kind == outcome.kind,
                        lambda: time.monotonic() > end, side_by_side(explorer.workers))
        last = explorer.replay(short, order)
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{explorer.test}.schedule"
    path.write_text(
        f"# {explorer.test}, ncpus={options.cpus}, SEED={seed}: {last.problem}\n"
        f"# kernel {build_id(options.kernel)}\n"
        + lines_of(short, order)
        + "#\n# Who ran when, the end of it:\n"
        + story(last.hand_overs, Functions(options.kernel)))
    say(f"{many} forced hand-overs; {len(short)} are enough: {path}")
    return path


def read_schedule(path: Path, kernel: Path) -> None:
    """Raise Fatal unless a schedule is one of this kernel."""
    if not path.exists():
        raise Fatal(f"no schedule {path}: make explore keeps them in {OUT}")
    made = re.search(r"^# kernel (\w+)", path.read_text(), re.M)
    if not made or made[1] != build_id(kernel):
        raise Fatal(f"{path} is a schedule of another kernel: its steps mean nothing here")


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    machine.guest_options(parser)
    parser.add_argument("tests", nargs="*")
    parser.add_argument("--seeds", type=int, default=100, help="for each test (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first (%(default)s)")
    default = Setting._field_defaults
    parser.add_argument("--strategy", choices=("random", "pct"), default=default["strategy"])
    parser.add_argument("--mean", type=int, default=default["mean"],
                        help="random: steps from one hand-over to the next; 0: of all magnitudes")
    parser.add_argument("--depth", type=int, default=default["depth"],
                        help="PCT: of the bug (%(default)s)")
    parser.add_argument("--cpus", type=int, default=default["cpus"],
                        help="virtual ones (%(default)s)")
    parser.add_argument("--timeout", type=int, default=default["timeout"],
                        help="seconds for a seed")
    parser.add_argument("--check", type=Path, metavar="SCHEDULE",
                        help="only say whether a schedule is one of this kernel")
    json_option(parser)
    options = parser.parse_args()
    check_kernel(options.kernel)
    if options.check:
        read_schedule(options.check, options.kernel)
        return 0
    if options.seeds < 1 or options.seed < 0 or options.depth < 1 or options.mean < 0:
        raise Fatal("SEEDS and DEPTH must be at least 1, SEED not below 0")
    if not options.tests:
        raise Fatal("which tests? T=\"name glob ...\"; `make list` lists them")
    setting = Setting(*(getattr(options, name) for name in Setting._fields))
    failed: dict[str, object] = {}
    for test in testlist.match(options.tests, options.rootfs):
        explorer = Explorer(setting, test)
        found = explorer.search(range(options.seed, options.seed + options.seeds))
        if found:
            seed, outcome = found
            print(outcome.run.output[-3000:])
            path = keep(explorer, seed, outcome)
            failed[test] = {"seed": seed, "problem": outcome.problem, "schedule": str(path)}
    write_json(options.json, failed=failed)
    return 1 if failed else 0


if __name__ == "__main__":
    main(command)
