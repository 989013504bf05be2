# SPDX-License-Identifier: GPL-2.0
"""Where the time of `make` and `make test` goes, from what they print.

A phase ends with the first line that only comes after it. What is done side by side
belongs to the phase that ends last.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

# What is done, and the first line by which it is known to have ended.
ENDS = {
    "packages": r"uml-mm: (looking for|fetching|making linux/|notice: no)|  going on|^  linux-",
    "fetch": r"uml-mm: making linux/",
    "source, series": r"uml-mm: linux/ has",
    "rootfs, first objects": r"  kernel: 100 objects",
    "kernel": r"KTAP version|bringing up nodes|[.sF]+ +\[",
}


class Phases:
    """The phases of one command."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.start = self.last = now()
        self.took: dict[str, float] = {}
        self.text = ""

    def seconds(self) -> float:
        """Since the beginning."""
        return self.now() - self.start

    def take(self, line: str) -> None:
        """A line that was printed just now."""
        self.text += line
        names = list(ENDS)
        for at, (name, end) in enumerate(ENDS.items()):
            # What was skipped, such as a fetch of what is there, has taken no time.
            if re.match(end, line) and not any(n in self.took for n in names[at:]):
                self.note(name)

    def note(self, name: str) -> None:
        """A phase has ended."""
        now = self.now()
        self.took[name] = now - self.last
        self.last = now

    def end(self) -> None:
        """The command has ended: the last phase is that of the tests."""
        self.note("tests" if "kernel" in self.took or not self.took else "rest")

    def table(self, title: str) -> str:
        """The phases, in seconds."""
        rows = [*self.took.items(), ("all", self.last - self.start)]
        return "\n".join([title, *(f"  {name:24}{seconds:8.1f}" for name, seconds in rows)])
