# SPDX-License-Identifier: GPL-2.0
"""Run all tests in guests side by side, and show them as one run.

Each guest takes every so many-th test, in the same order as one guest would. There are
SHARES guests for each CPU, so that none is idle long at the end, and one more at a time
than there are CPUs, since some tests wait. What a test prints stays together, and the
results are numbered as they come.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.guest import machine
from scripts.guest.console import Console
from scripts.guest.ktap import RESULT

SHARES = 4
FRAME = re.compile(rb"KTAP version|1\.\.\d+$|# totals:")    # each guest has its own


class Results:
    """What has been shown of all guests."""

    def __init__(self, count: int, terse: bool) -> None:
        self.terse, self.shown = terse, 0
        self.lock = threading.Lock()
        self.write(f"KTAP version 1\n1..{count}\n".encode())

    @staticmethod
    def write(text: bytes) -> None:
        """Show text at once."""
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()


class Part(Console):
    """The console of one of the guests."""

    def __init__(self, results: Results) -> None:
        super().__init__(results.terse)
        self.results = results

    def take(self, data: bytes) -> None:
        """Show what came, a test at a time."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        with self.results.lock:
            for line in lines:
                line = line.rstrip(b"\r")
                if line.startswith(b"  "):
                    self.held.append(line + b"\n")
                elif m := RESULT.match(line.decode(errors="surrogateescape")):
                    self.results.shown += 1
                    own = b"" if self.terse and m[1] == "ok" else b"".join(self.held)
                    self.held.clear()
                    self.results.write(own + f"{m[1]} {self.results.shown} {m[2]}\n".encode(
                        errors="surrogateescape"))
                elif not FRAME.match(line):
                    self.results.write(line + b"\n")

    def end(self) -> None:
        """Show the rest, at the guest's end."""
        with self.results.lock:
            self.results.write(b"".join(self.held) + self.rest)


def run(kernel: Path, args: list[str], tests: list[str], timeout: int,
        verbose: bool) -> list[machine.Run]:
    """Run tests in guests; how each of these ended.

    Args:
        args: the kernel's arguments.
        timeout: seconds that a test may take.
        verbose: show the output of passing tests.
    """
    cpus = len(os.sched_getaffinity(0))
    shares = min(SHARES * cpus, len(tests))
    results = Results(len(tests), not verbose)

    def guest(number: int) -> machine.Run:
        part = Part(results)
        try:
            return machine.boot(kernel, args, tests[number::shares], timeout=timeout,
                                sink=part.take)
        finally:
            part.end()

    with ThreadPoolExecutor(cpus + 1) as pool:
        runs = list(pool.map(guest, range(shares)))
    outcomes = [test.outcome for done in runs for test in done.tests]
    print("# totals: {} passed, {} failed, {} skipped".format(
        *map(outcomes.count, ("pass", "fail", "skip"))), flush=True)
    return runs
