# SPDX-License-Identifier: GPL-2.0
"""A guest's console on the user's terminal."""

from __future__ import annotations

import sys


class Console:
    """Show a guest's console on stdout as it comes.

    The tests' own lines are indented. When terse, only those of a test that
    fails are shown, or of the one in which the guest ended.
    """

    def __init__(self, terse: bool) -> None:
        self.terse = terse
        self.rest = b""
        self.held: list[bytes] = []

    def take(self, data: bytes) -> None:
        """Show what came."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r") + b"\n"
            if self.terse and line.startswith(b"  "):
                self.held.append(line)
                continue
            if line.startswith(b"ok "):
                self.held.clear()
            elif line.startswith(b"not ok "):
                self.flush()
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def flush(self) -> None:
        """Show what was held back."""
        sys.stdout.buffer.write(b"".join(self.held))
        self.held.clear()

    def end(self) -> None:
        """Show the rest, at the guest's end."""
        self.flush()
        sys.stdout.buffer.write(self.rest)
        sys.stdout.buffer.flush()
