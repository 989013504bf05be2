# SPDX-License-Identifier: GPL-2.0
"""make explore: schedules are cut down, kept and told; with VARIANT=explore, repeated."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest
from conftest import ROOTFS, Boot

from scripts.common import Fatal
from scripts.guest import machine
from scripts.judge import explore
from scripts.judge.explore import HandOver

RUNNER = ["/usr/bin/python3", "-m", "scripts.guest.run"]


def forced(*steps: int) -> list[HandOver]:
    """Hand-overs at these steps."""
    return [HandOver("S", step, 0, 1, 0) for step in steps]


@pytest.mark.parametrize("needed", [(), (0,), (99,), (17, 18), (3, 50, 98)])
def test_shortest_that_fails(needed: tuple[int, ...]) -> None:
    def fails(plan: list[HandOver]) -> bool:
        return set(needed) <= {h.step for h in plan}

    for each in (map, explore.side_by_side(3)):
        assert explore.shorten(forced(*range(100)), fails, lambda: False, each) == forced(*needed)


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
    log.write_text("O 0 3\nO 1 7\nS 300 0 1 60186249 120\nR 302 1 0 60100000\nI 310 0 1\n"
                   "U 400 user code ran for too long\nE 512 deadbeef\nS 6")
    hand_overs, steps, why, order = explore.read_log(log)
    assert hand_overs == [HandOver("S", 300, 0, 1, 0x60186249, 120),
                          HandOver("R", 302, 1, 0, 0x60100000),
                          HandOver("I", 310, 0, 1, 0)]
    assert steps == 512 and order == [1, 0] and why == "from step 400 on: user code ran for too long"


def test_story_names_functions(kernel: Path) -> None:
    functions = explore.Functions(kernel)
    address = functions.addresses[functions.names.index("handle_mm_fault")]
    text = explore.story([HandOver("S", 7, 0, 1, address + 4), HandOver("I", 9, 1, 0, 0)], functions)
    assert "CPU 0 forced  -> CPU 1  handle_mm_fault+0x4\n" in text and "idle" in text
    assert functions.at(0x402000) == "user code at 0x402000"


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


def parting(one: str, other: str) -> str:
    """Where two runs part, a line of each: pytest would compare all for minutes."""
    return next((f"{a} | {b}" for a, b in zip_longest(one.splitlines(), other.splitlines())
                 if a != b), "")


@pytest.fixture
def explored(kernel: Path) -> Path:
    """The program under test, if it has schedules by seeds."""
    if "explore" not in kernel.parent.name:
        pytest.skip("VARIANT=explore")
    return kernel


@pytest.mark.parametrize("test", ["thp_split_shared", "tail_fork_race", "pte_stress"])
def test_same_seed_same_steps(explored: Path, boot: Boot, tmp_path: Path, test: str) -> None:
    runs = []
    for n, seed in enumerate((5, 5, 6)):
        path = tmp_path / f"hash{n}"
        boot(test, "ncpus=2", "RACE_MS=50", f"explore={seed}", f"explore_hash={path}")
        runs.append(path.read_text())
    assert not parting(runs[0], runs[1]) and parting(runs[0], runs[2])


def test_no_alarm_is_lost(explored: Path, boot: Boot) -> None:
    # Elsewhere the host keeps the next alarm back while one is handled.
    assert boot("um_kunit_tick", "ncpus=2", "explore=1").tests[0].outcome == "pass"


def test_same_steps_from_anywhere(explored: Path, tmp_path: Path, cpu: int,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    # make explore, make run and gdb, another folder, environment and stdin
    name, args = "thp_split_shared", f"ncpus=2 {explore.SHORT} explore=5 explore_hash="
    other = tmp_path / "another folder" / "rootfs"
    shutil.copytree(ROOTFS, other, symlinks=True)
    where = [tmp_path / f"hash{n}" for n in range(4)]
    setting = explore.Setting(explored, append=f"explore_hash={where[0]}")
    explore.Explorer(setting, name).play(["explore=5"])
    run = [*RUNNER, "--kernel", str(explored), "--append", args]
    subprocess.run([*run[:-1], args + str(where[1]), name], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    subprocess.run([*run[:-1], args + str(where[2]), "--gdb", "", name], check=True,
                   input="continue\n", text=True, capture_output=True, timeout=60)
    monkeypatch.setenv("LOTS", 5000 * "x")
    machine.boot(explored, [*machine.hostfs(other), *args.split()[:-1], f"explore_hash={where[3]}"],
                 [name], cpu=cpu)
    runs = [path.read_text() for path in where]
    assert runs[0] and not any(parting(runs[0], run) for run in runs[1:])


@pytest.mark.parametrize("way", ["explore_mean=300", "explore_pct=3:900000"])
def test_schedule_gives_the_run_of_its_seed(explored: Path, boot: Boot, tmp_path: Path,
                                            way: str) -> None:
    log, again, file = tmp_path / "log", tmp_path / "again", tmp_path / "a.schedule"
    run = boot("thp_split_shared", "ncpus=2", "explore=5", way, f"explore_log={log}")
    seed = explore.Outcome(run, *explore.read_log(log))
    file.write_text("# a comment\n\n" + explore.lines_of(seed.plan, seed.order))
    boot("thp_split_shared", "ncpus=2", "explore=0", f"explore_schedule={file}",
         f"explore_log={again}")
    if "pct" in way:    # whose priority becomes the lowest gives its turn away
        assert len(seed.plan) == 3 and any(h.source != h.target for h in seed.plan)
    else:
        assert len(seed.plan) > 1000
    assert not parting(*("".join(line for line in path.read_text().splitlines(True)
                                 if line[0] != "O") for path in (log, again)))


def test_back_in_gdb(explored: Path) -> None:
    done = subprocess.run(
        [*RUNNER, "--kernel", str(explored), "--append", f"ncpus=2 {explore.SHORT} explore=3 "
         "explore_stop=800000", "--gdb", "explore_stopped", "thp_split_shared"],
        input="mm-step-to\nbreak __folio_split\nmm-back\nmm-step-to\nmm-back-refs folio\n"
              "mm-back\nmm-step-to 800000\nmm-step-to\nmm-step-to 799000\nmm-back now\n",
        capture_output=True, text=True, timeout=120)
    said = re.findall(r"^(?:\(gdb\) )?(step|back|folio) +(.*)", done.stdout, re.M)
    assert said[0] == ("step", "800000, CPU " + said[0][1][-1]), done.stdout + done.stderr
    assert (split := re.match(r"from step 800000 to (\d+), breakpoint", said[1][1]))
    assert said[2][1].startswith(f"{split[1]}, CPU ")
    change = re.match(r"\d+: (\d+) -> (\d+) at step (\d+), back from", said[3][1])
    assert change and change[1] != change[2] and int(change[3]) < int(split[1])
    # Before that change the breakpoint isn't hit.
    assert f"no breakpoint is hit before step {change[3]}" in done.stderr
    assert said[4] == said[5] == said[0] and said[6][1].startswith("799000, CPU ")
    assert "usage: mm-back\n" in done.stderr


def test_back_without_a_seed(kernel: Path) -> None:
    done = subprocess.run([*RUNNER, "--kernel", str(kernel), "--gdb", "", "boot_hello"],
                          input="mm-back\n", capture_output=True, text=True, timeout=60)
    assert "this run can't be repeated: `make gdb VARIANT=explore SEED=<n>`" in done.stderr
