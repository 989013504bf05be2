# SPDX-License-Identifier: GPL-2.0
"""The C tests in the guest, one item each, in both of UML's modes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts.series import series
from conftest import ROOT, Boot

KTAP = re.compile(r"KTAP version 1$|1\.\.\d+$|(not )?ok \d+ |# totals: |  |$")
# Of the default program, which has all topics and one CPU
SKIPS = {"there is only one CPU"}


@pytest.mark.parametrize("mode", ["seccomp", "ptrace"])
def test_c(c_test: str, mode: str, boot: Boot, kernel: Path) -> None:
    run = boot(c_test, "seccomp=on" if mode == "seccomp" else "seccomp=off")
    assert run.status == 0, f"{run.problem}\n{run.backtrace}\n{run.output[-6000:]}"
    assert [line for line in run.output.splitlines() if not KTAP.match(line)] == []
    [test] = run.tests
    if test.outcome == "skip":
        assert kernel.parent != ROOT / "build/default" or test.reason in SKIPS or \
            series.read_note(series.LINUX)["topics"], f"skipped: {test.reason}"
        pytest.skip(test.reason)
    assert test.name == c_test and test.outcome == "pass"


def test_embedded_rootfs_is_what_was_built(kernel: Path) -> None:
    assert (kernel.parent / "rootfs.cpio").read_bytes() in kernel.read_bytes()
