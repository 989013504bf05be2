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
RESULT = re.compile(r"(ok|not ok) \d+ (\S+)(?: # SKIP ?(.*))?$")
PANIC = re.compile(r"Kernel panic - not syncing: (.*)")


class Test(NamedTuple):
    """One test's line in the KTAP, with its own output before it."""

    name: str
    outcome: str        # "pass", "fail" or "skip"
    reason: str         # of a skip
    output: str


def parse(output: str) -> list[Test]:
    """The tests of a console's KTAP."""
    tests, own = list[Test](), list[str]()
    for line in output.splitlines():
        if m := RESULT.match(line):
            outcome = "fail" if m[1] == "not ok" else "pass" if m[3] is None else "skip"
            tests.append(Test(m[2], outcome, m[3] or "", "\n".join(own)))
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
