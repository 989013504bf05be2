# SPDX-License-Identifier: GPL-2.0
"""make stress: what a seed decides, and what ends it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from conftest import Boot

from scripts.judge import stress
from scripts.guest import machine

WARNING = """\
KTAP version 1
  # 12: slot 1 thp_cow_pinned
[    1.0] WARNING: CPU: 0 PID: 40 at mm/memory.c:1 f+0x0/0x1
[    1.0] Call Trace:
[    1.0]  g+0x10/0x20
[    1.0] Kernel panic - not syncing: kernel: panic_on_warn set ...
"""


def outcome(output: str, problem: str = "", backtrace: str = "") -> machine.Run:
    """How a guest ended."""
    return machine.Run(int(bool(problem)), problem, [], output, 1.0, backtrace)


Play = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run the command on guests that end in given ways; its status and their seeds."""
    def play(guests: list[machine.Run], *args: str) -> tuple[int, list[str]]:
        seeds, left = [], iter(guests)

        def boot(_kernel: object, args: list[str], *_more: object, **_options: object) -> machine.Run:
            seeds.extend(a.removeprefix("STRESS_SEED=") for a in args if "STRESS_SEED" in a)
            return next(left)

        monkeypatch.setattr(machine, "boot", boot)
        monkeypatch.setattr(sys, "argv", ["stress.py", *args])
        return stress.command(), seeds
    return play


def test_complaint_ends_it_and_its_seed_repeats_it(
        play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    bad = outcome(WARNING, "kernel panic: panic_on_warn set ...")
    status, seeds = play([outcome("fine"), bad], "--seed=7", "--minutes=5")
    said = capsys.readouterr()
    assert (status, seeds) == (1, ["7", "8"])
    assert re.search(r"SEED=8: .*WARNING: CPU: 0 .* f\+0x0", said.err)
    assert "g+0x10/0x20" in said.out and "slot 1 thp_cow_pinned" in said.out
    assert play([bad], "--seed=8") == (1, ["8"])


def test_hang_shows_the_kernel_s_stack(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    hang = outcome("...\n", "hung: silent for 95 s", "#0  f ()")
    assert play([hang], "--seed=1")[0] == 1
    said = capsys.readouterr()
    assert "#0  f ()" in said.out and "SEED=1: hung: silent for 95 s" in said.err


def test_ends_after_its_minutes(play: Play) -> None:
    assert play([outcome("fine")] * 2, "--minutes=0.1")[0] == 0


def test_same_seed_same_events(boot: Boot) -> None:
    runs = [boot("bench_stress", f"STRESS_SEED={seed}", "STRESS_SECS=2").output
            for seed in (5, 5, 6)]
    starts = [re.findall(r"slot \d (\w+)", run) for run in runs]
    common = min(10, *map(len, starts))     # a busy machine doesn't come far
    assert common > 3 and starts[0][:common] == starts[1][:common] != starts[2][:common]
    events = [re.findall(r"# (\d+: (?:hog|fail).*)", run) for run in runs]
    common = min(len(events[0]), len(events[1])) - 2    # the last are those of the end
    assert common > 0 and events[0][:common] == events[1][:common] != events[2][:common]
