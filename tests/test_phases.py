# SPDX-License-Identifier: GPL-2.0
"""Where the time of the first command goes."""

from __future__ import annotations

import pytest

from scripts.judge.phases import Phases


def phases_of(*lines: tuple[float, str]) -> Phases:
    """The phases of a command that printed lines at some times, and ended with the last."""
    time = 0.0
    phases = Phases(lambda: time)
    for time, line in lines:    # noqa: B007
        phases.take(line + "\n")
    phases.end()
    return phases


def test_first_command() -> None:
    phases = phases_of(
        (1, "uml-mm: installing gcc"), (30, "uml-mm: looking for linux-source-7.3"),
        (35, "uml-mm: making linux/ from x"), (50, "uml-mm: linux/ has the series: 94 patches"),
        (55, "  CC      boot_hello"), (60, "  kernel: 100 objects"), (70, "  kernel: 200 objects"),
        (160, "KTAP version 1"), (170, "ok 1 a"), (190, "# totals: 1 passed, 0 failed, 0 skipped"))
    assert phases.took == pytest.approx({
        "packages": 30, "fetch": 5, "source, series": 15, "rootfs, first objects": 10,
        "kernel": 100, "tests": 30})
    assert "  all                        190.0" == phases.table("x").splitlines()[-1]


def test_what_is_there_takes_no_time() -> None:
    phases = phases_of((1, "uml-mm: making linux/ from x"), (9, "uml-mm: linux/ has the series: 2"),
                       (20, "KTAP version 1"), (25, "# totals: "))
    assert phases.took == pytest.approx({
        "packages": 1, "fetch": 0, "source, series": 8, "kernel": 11, "tests": 5})


def test_second_command() -> None:
    assert phases_of((2, "bringing up nodes..."), (90, ".....  [100%]")).took == \
        pytest.approx({"kernel": 2, "tests": 88})


def test_failed_command() -> None:
    assert "rest" in phases_of((1, "uml-mm: linux/ has the series: 1"), (5, "gcc: error")).took
