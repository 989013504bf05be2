# SPDX-License-Identifier: GPL-2.0
"""What a guest's console says: results of tests, and the kernel's complaints."""

from __future__ import annotations

import re
from typing import NamedTuple

from scripts.common import ROOT

# Kernel messages that no run may print; init has the same list for what happens while
# a test runs, where a test may announce one.
SPLAT = re.compile("|".join(map(re.escape, re.findall(
    r'^SPLAT\("(.*)"\)', (ROOT / "rootfs/init/splats.h").read_text(), re.M))))
RESULT = re.compile(r"(not ok|ok) \d+(?: -)? ?(.*)$")
PANIC = re.compile(r"Kernel panic - not syncing: (.*)")


class Test(NamedTuple):
    """One test's line in the KTAP, with its own output before it."""

    name: str
    outcome: str        # "pass", "fail" or "skip"
    reason: str         # of a skip
    output: str


class Result(NamedTuple):
    """A result line of KTAP or TAP 13."""

    outcome: str        # "pass", "fail" or "skip" (XFAIL too)
    name: str
    directive: str      # "SKIP", "XFAIL" and the like, also other words after the #
    reason: str         # what follows the directive


def result_of(line: str) -> Result | None:
    """What a line says if it is a result; the only reader of such lines."""
    m = RESULT.match(line)
    if not m:
        return None
    name, _, rest = m[2].partition("# ")
    directive, _, reason = rest.strip().partition(" ")
    outcome = "fail" if m[1] == "not ok" else "skip" if directive in ("SKIP", "XFAIL") else "pass"
    return Result(outcome, name.strip(), directive, reason)


def parse(output: str) -> list[Test]:
    """The tests of a console's KTAP."""
    tests, own = list[Test](), list[str]()
    for line in output.splitlines():
        if result := result_of(line):
            reason = result.reason if result.outcome == "skip" else ""
            tests.append(Test(result.name, result.outcome, reason, "\n".join(own)))
            own = []
        else:
            own.append(line)
    return tests


def stray_splat(output: str) -> str:
    """The first splat outside of the tests (init judges those inside)."""
    inside = False
    for line in output.splitlines():
        if line.startswith("1.."):
            inside = True
        elif line.startswith("# totals:"):
            inside = False
        elif not inside and SPLAT.search(line):
            return line.strip()
    return ""
