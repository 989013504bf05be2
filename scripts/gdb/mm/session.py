# SPDX-License-Identifier: GPL-2.0
"""gdb's set-up for the kernel, and the way to the start of a test."""

from __future__ import annotations

import os

import gdb
from mm.about import MmPage
from mm.areas import MmVma
from mm.back import MmBack, MmBackRefs, MmRecord, MmStepTo
from mm.kernel import Command, Error, text
from mm.mms import current
from mm.refs import MmBreakRefs, MmHugeZero, MmRefs
from mm.tables import MmPtes, MmWalk
from mm.zones import MmBuddy, MmLru

# What UML uses for itself: page faults, its timer, devices, stubs, and other CPUs (SIG34).
SIGNALS = "SIGSEGV SIGUSR1 SIGALRM SIGIO SIGCHLD SIGWINCH SIG34"


class TestStop(gdb.Breakpoint):
    """A breakpoint that only counts while a test runs, or a kernel thread meanwhile."""

    def __init__(self, where: str, tests: set[str]) -> None:
        super().__init__(where)
        self.tests = {name[:15] for name in tests}      # as long as comm is
        self.enabled = False

    def stop(self) -> bool:
        """Called by gdb."""
        task = current()
        return not task["mm"] or task.string("comm") in self.tests


class TestStart(gdb.Breakpoint):
    """Where a test's program begins to run."""

    def __init__(self, tests: set[str], then: TestStop | None) -> None:
        super().__init__("begin_new_exec", internal=True)
        self.tests, self.then = tests, then

    def stop(self) -> bool:
        """Called by gdb."""
        program = text(int(gdb.parse_and_eval("bprm->filename")))
        if os.path.basename(program) not in self.tests:
            return False
        if self.then:
            self.then.enabled = True
        return not self.then


class MmBreakTest(Command):
    """mm-break-test LOCATION TEST...: stop at a place once one of the tests gets there.

LOCATION is a function or file:line. Not before the first of the tests has begun,
and then only in one of them or in a kernel thread; "-" stops where a test begins."""

    name = "mm-break-test"
    live = False

    def run(self, args: list[str]) -> None:
        if len(args) < 2:
            raise self.usage()
        where, tests = args[0], set(args[1:])
        if where == "-":
            TestStart(tests, None)
            return
        try:
            gdb.decode_line(where)
        except gdb.error as why:
            raise Error(f"{where}: {str(why).splitlines()[0]}") from None
        TestStart(tests, TestStop(where, tests))


def debug(where: str, tests: list[str]) -> None:
    """Run the program up to where a test gets to a place; make gdb calls it."""
    try:
        gdb.execute(f"mm-break-test {where or '-'} {' '.join(tests)}")
    except gdb.error as why:
        gdb.write(f"uml-mm: error: {why}\n", gdb.STDERR)
        gdb.execute("quit 2")
    gdb.execute("run")


def start() -> None:
    """Set gdb up for the kernel that it has loaded."""
    gdb.execute(f"handle {SIGNALS} nostop noprint pass", to_string=True)
    gdb.execute("set print inferior-events off")
    for command in (MmPage, MmWalk, MmVma, MmRefs, MmHugeZero, MmPtes, MmLru, MmBuddy,
                    MmBreakRefs, MmBreakTest, MmBack, MmBackRefs, MmStepTo, MmRecord):
        command()
