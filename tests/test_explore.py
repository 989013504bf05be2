# SPDX-License-Identifier: GPL-2.0
"""make explore: schedules are cut down, kept and told; with VARIANT=explore, repeated."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import Boot

from scripts.common import Fatal
from scripts.judge import explore
from scripts.judge.explore import HandOver


def forced(*steps: int) -> list[HandOver]:
    """Hand-overs at these steps."""
    return [HandOver("S", step, 0, 1, 0) for step in steps]


@pytest.mark.parametrize("needed", [(), (0,), (99,), (17, 18), (3, 50, 98)])
def test_shortest_that_fails(needed: tuple[int, ...]) -> None:
    def fails(plan: list[HandOver]) -> bool:
        return set(needed) <= {h.step for h in plan}

    assert explore.shorten(forced(*range(100)), fails, lambda: False) == forced(*needed)


def test_ends_when_it_is_enough() -> None:
    tries = 0

    def fails(plan: list[HandOver]) -> bool:
        nonlocal tries
        tries += 1
        return len(plan) >= 50

    assert len(explore.shorten(forced(*range(1000)), fails, lambda: tries == 20)) >= 50
    assert tries == 20


def test_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("S 300 0 1 60186249\nR 302 1 0 60100000\nI 310 0 1\n"
                   "U 400 user code ran for too long\nE 512 deadbeef\nS 6")
    hand_overs, steps, why = explore.read_log(log)
    assert hand_overs == [HandOver("S", 300, 0, 1, 0x60186249), HandOver("R", 302, 1, 0, 0x60100000),
                          HandOver("I", 310, 0, 1, 0)]
    assert steps == 512 and why == "from step 400 on: user code ran for too long"


def test_story_names_functions(kernel: Path) -> None:
    functions = explore.Functions(kernel)
    address = functions.addresses[functions.names.index("handle_mm_fault")]
    text = explore.story([HandOver("S", 7, 0, 1, address + 4), HandOver("I", 9, 1, 0, 0)], functions)
    assert "CPU 0 forced -> CPU 1  handle_mm_fault+0x4\n" in text and "idle" in text


@pytest.mark.parametrize(("args", "message"), [
    (["thp_split_shared"], "VARIANT=explore"),
])
def test_bad_input_is_one_line(kernel: Path, monkeypatch: pytest.MonkeyPatch,
                               args: list[str], message: str) -> None:
    if "explore" in kernel.parent.name:
        pytest.skip("this kernel can be explored")
    monkeypatch.setattr(sys, "argv", ["explore.py", f"--kernel={kernel}", *args])
    with pytest.raises(Fatal, match=message):
        explore.command()


def test_schedule_of_another_kernel(kernel: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.schedule"
    path.write_text("# x\n# kernel 0123456789abcdef\n300 1\n")
    with pytest.raises(Fatal, match="another kernel"):
        explore.read_schedule(path, kernel)
    with pytest.raises(Fatal, match="no schedule"):
        explore.read_schedule(tmp_path / "none", kernel)


@pytest.mark.parametrize("test", ["thp_split_shared", "tail_fork_race", "pte_stress"])
def test_same_seed_same_steps(kernel: Path, boot: Boot, tmp_path: Path, test: str) -> None:
    if "explore" not in kernel.parent.name:
        pytest.skip("VARIANT=explore")
    runs = []
    for n, seed in enumerate((5, 5, 6)):
        path = tmp_path / f"hash{n}"
        boot(test, "ncpus=2", f"explore={seed}", f"explore_hash={path}")
        runs.append(path.read_text())
    assert runs[0] == runs[1] != runs[2]
