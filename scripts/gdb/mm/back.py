# SPDX-License-Identifier: GPL-2.0
"""Backwards: a run under a seed or a schedule is run again, up to an earlier point.

It is the same run each time (VARIANT=explore), and a step of it is a basic block of
instrumented code, so a step and how often each breakpoint was hit say where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import gdb
from mm.about import pfn_of
from mm.kernel import Command, Error, field, has_symbol, number, read, say
from mm.page import Page
from mm.stop import one_line

MAX_HITS = 5000     # of breakpoints that are looked through
HOOKS = ("explore_stopped", "step", "__sanitizer_cov_trace_pc")


class Here(NamedTuple):
    """Where the kernel has stopped."""

    step: int
    cpu: int
    pc: int


class Hit(NamedTuple):
    """A breakpoint that was met on the way."""

    step: int
    number: int
    count: int      # how many times so far


class Arrival(gdb.Breakpoint):
    """Where the kernel says that the step has come which it was told to stop at."""

    def __init__(self) -> None:
        super().__init__("explore_stopped", internal=True)
        self.silent = True


def here() -> Here:
    """The point of the run.

    Raises:
        Error: this isn't a run that can be repeated.
    """
    if not has_symbol("watched_step") or not number("exploring"):
        raise Error("this run can't be repeated: `make gdb VARIANT=explore SEED=<n>` or "
                    "SCHEDULE=<file> can")
    if not number("begun"):
        raise Error("steps are counted from the first test on, which hasn't begun yet")
    return Here(number("steps"), gdb.selected_thread().num - 1, gdb.newest_frame().pc())


def go(command: str) -> list[gdb.Breakpoint]:
    """Let the kernel run until it stops; the breakpoints that it met.

    Raises:
        Error: it has ended.
    """
    met: list[gdb.Breakpoint] = []

    def stopped(event: gdb.StopEvent) -> None:
        met.extend(getattr(event, "breakpoints", []))

    gdb.events.stop.connect(stopped)
    try:
        gdb.execute(command, to_string=True)
    finally:
        gdb.events.stop.disconnect(stopped)
    if not gdb.selected_inferior().pid:
        raise Error("the kernel has ended before it came to that point: what isn't the same "
                    "as in the run before?")
    return met


@contextmanager
def alone(*but: gdb.Breakpoint) -> Iterator[None]:
    """Without any breakpoints except for some, and without a word of these."""
    others = [b for b in gdb.breakpoints() if b.enabled and b not in but]
    loud = [b for b in but if not b.silent]
    for breakpoint_ in others:
        breakpoint_.enabled = False
    for breakpoint_ in loud:
        breakpoint_.silent = True
    try:
        yield
    finally:
        for breakpoint_ in others:
            breakpoint_.enabled = True
        for breakpoint_ in loud:
            breakpoint_.silent = False


def users() -> list[gdb.Breakpoint]:
    """The breakpoints that the user has set, but for that of STEP=."""
    return [b for b in gdb.breakpoints()
            if b.number > 0 and b.enabled and not b.temporary and b.location not in HOOKS]


def again(step: int, watched: int = 0) -> list[gdb.Breakpoint]:
    """Run again from the start, to stop at a step at the latest; the breakpoints met first."""
    # gdb.parameter() doesn't know those that gdb was started with.
    args = gdb.execute("show args", to_string=True).partition('"')[2].rpartition('"')[0]
    args = re.sub(r" explore_(stop|watch)=\S+", "", " " + args)
    more = f" explore_stop={step}" + (f" explore_watch={watched}" if watched else "")
    gdb.execute("set args" + args.replace(" -- ", f"{more} -- ", 1))
    return go("run")


def to_step(step: int, watched: int = 0) -> None:
    """Run again up to a step, whatever breakpoints there are."""
    arrival = Arrival()
    try:
        with alone(arrival):
            again(step, watched)
    finally:
        arrival.delete()


def out_of_hooks() -> None:
    """Select the frame of the code that counts a step, and show it."""
    frame = gdb.newest_frame()
    while frame.name() in HOOKS and frame.older():
        frame = frame.older()
    frame.select()
    gdb.execute("frame")


def hits_before(now: Here) -> list[Hit]:
    """What the user's breakpoints meet until a point, in a run of its own."""
    mine, arrival = users(), Arrival()
    hits: list[Hit] = []

    def note(met: list[gdb.Breakpoint]) -> None:
        hits.extend(Hit(number("steps"), b.number, b.hit_count) for b in met if b in mine)
        if len(hits) > MAX_HITS:
            raise Error(f"breakpoints are met more than {MAX_HITS} times: they want conditions")

    # The last block ends where its CPU comes by here for the first time.
    end = gdb.Breakpoint(f"*{now.pc:#x}", internal=True)
    end.silent, end.enabled = True, False
    try:
        with alone(arrival, *mine):
            met = again(now.step)
            while arrival not in met:
                note(met)
                met = go("continue")
            end.enabled, end.thread = True, now.cpu + 1
            while end not in met and number("steps") == now.step:
                note(met)
                met = go("continue") if gdb.newest_frame().pc() != now.pc else [end]
    finally:
        arrival.delete()
        end.delete()
    return hits


class MmBack(Command):
    """mm-back: back to where a breakpoint was hit before, by running again.

All breakpoints count that are set now and enabled, also those set after the fact, with
their conditions. It takes two runs of the test up to here."""

    name = "mm-back"

    def run(self, args: list[str]) -> None:
        if args:
            raise self.usage()
        now = here()
        if not users():
            raise Error("no breakpoint is set that could have been hit")
        hits = hits_before(now)
        if not hits:
            to_step(now.step)
            raise Error(f"no breakpoint is hit before step {now.step}; that is where it "
                        f"stands again")
        last = hits[-1]
        goal = next(b for b in users() if b.number == last.number)
        with alone(goal):
            goal.ignore_count = last.count - 1
            again(now.step + 1)
        say("back", f"from step {now.step} to {number('steps')}, breakpoint {last.number}, "
                    f"time {last.count}, of {len(hits)} hits on the way")
        gdb.execute("frame")


class MmBackRefs(Command):
    """mm-back-refs FOLIO: back to the last change of a folio's reference count.

Stops where the block that has changed it is left, by running the test again twice. The
folio may be free by now; its first page's count is what is looked at."""

    name = "mm-back-refs"

    def run(self, args: list[str]) -> None:
        page = Page(pfn_of(self.only(args)))
        page = Page(page.head)
        where = page.address + field("struct page", "_refcount").offset
        now, count = here(), count_at(where)
        to_step(now.step, where)
        if count_at(where) != count:
            say("folio", f"{page.pfn}: {count_at(where)} -> {count} since step {now.step}, in the "
                         f"block that begins here")
            out_of_hooks()
            return
        last = number("watched_step")
        if not last:
            raise Error(f"the count of page {page.pfn} has not changed since the test began")
        to_step(last, where)
        say("folio", f"{page.pfn}: {number('watched_value')} -> {count_at(where)} at step {last}, "
                     f"back from {now.step}  {one_line()}")
        out_of_hooks()


class MmStepTo(Command):
    """mm-step-to [STEP]: to a step of the run, onwards or back; without one, say which it is.

Breakpoints on the way don't stop it."""

    name = "mm-step-to"

    def run(self, args: list[str]) -> None:
        now = here()
        if args:
            if len(args) > 1 or not args[0].isdigit():
                raise self.usage()
            step = int(args[0])
            if step > now.step:
                arrival = Arrival()
                try:
                    with alone(arrival):
                        gdb.execute(f"set var stop_step = {step}")
                        go("continue")
                finally:
                    arrival.delete()
            else:
                to_step(step)
            now = here()
        say("step", f"{now.step}, CPU {now.cpu}")
        out_of_hooks()


class MmRecord(Command):
    """mm-record: keep what this CPU does from now on, so that gdb can go back in it.

By gdb's own record: then reverse-step, reverse-continue, watchpoints (in software) and
the rest work, for a short way: it is some 10,000 times slower. No hand-over is forced
meanwhile and no other CPU runs, so it ends where this one waits for another. `record
stop` ends it."""

    name = "mm-record"

    def run(self, args: list[str]) -> None:
        if args:
            raise self.usage()
        now = here()
        out_of_hooks()
        gdb.execute("set var next_step = ~0ULL")
        gdb.execute(f"set var cpus[{now.cpu}].plan_step = ~0ULL")
        for command in ("can-use-hw-watchpoints 0", "scheduler-locking on",
                        "record full insn-number-max unlimited"):
            gdb.execute(f"set {command}")
        gdb.execute("record full", to_string=True)
        say("record", f"from step {now.step} on, CPU {now.cpu}")


def count_at(where: int) -> int:
    """A reference count."""
    return int.from_bytes(read(where, 4), "little", signed=True)
