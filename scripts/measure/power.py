# SPDX-License-Identifier: GPL-2.0
"""How soon schedules by seeds meet a race, and how soon plain runs and stress do.

Each mutant of tests/mutants that is explored ("Variant: explore") is looked for from
several first seeds on, test by test; then, with the same change in VARIANT=smp, by its
tests on two CPUs, again and again, and by what `make stress` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from scripts.guest import machine
from scripts.judge import explore, mutants, stress
from scripts.series.commits import git
from scripts.common import BUILD, say

LIMIT = 60      # seconds of plain runs, and of stress


def seeds_until(tests: list[str], first: int) -> tuple[int, float] | None:
    """Seeds and seconds until a mutant is caught; None if 200 seeds of each test don't."""
    setting = explore.Setting(mutants.WORK / "explore/linux", timeout=mutants.TIMEOUT)
    start, tried = time.monotonic(), 0
    for test in tests:
        found = explore.Explorer(setting, test).first_failure(range(first, first + mutants.SEEDS))
        if found:
            return tried + found[0] - first + 1, time.monotonic() - start
        tried += mutants.SEEDS
    return None


def again(once: Callable[[], bool]) -> str:
    """Until a run fails or the time is over: after how many runs and seconds."""
    start, count = time.monotonic(), 0
    while time.monotonic() - start < LIMIT:
        count += 1
        if once():
            return f"{count} in {time.monotonic() - start:.0f} s"
    return f"none of {count}"


def stressed(seed: int) -> bool:
    """Whether stress finds something within a guest's time."""
    run = machine.boot(mutants.WORK / "smp/linux",
                       [*machine.hostfs(BUILD / "rootfs"), "ncpus=2", *stress.STRICT,
                        f"STRESS_SEED={seed}", f"STRESS_SECS={stress.SECONDS}"],
                       ["bench_stress"], timeout=3 * stress.SECONDS)
    return bool(stress.complaint(run)[0])


def measure(_: Path, rounds: int) -> None:
    """Print the table, with as many first seeds for each mutant."""
    chosen = [p for p in sorted(mutants.MUTANTS.glob("*/*.patch"))
              if mutants.variant_of(p) == "explore"]
    for variant in ("explore", "smp"):
        say(f"building the unmutated {variant} kernel, without debug info")
        mutants.prepare(variant)
        mutants.build(variant)
    print(f"{f'median of {rounds}':40} {'seeds':>14} {'s':>18}  {'plain runs':14} stress", flush=True)
    for patch in chosen:
        name = str(patch.relative_to(mutants.MUTANTS).with_suffix(""))
        tests = mutants.names_of(patch)
        git("reset", "-q", "--hard", tree=mutants.TREE)
        git("apply", patch, tree=mutants.TREE)
        for variant in ("explore", "smp"):
            mutants.build(variant)
        tries = [seeds_until(tests, 1 + 1000 * n) for n in range(rounds)]
        met = sorted(t for t in tries if t)
        count = [seeds for seeds, _ in met]
        seconds = [took for _, took in met]
        found = f"{median(count):.0f} ({min(count)} {max(count)})" if met else "none"
        took = f"{median(seconds):.1f} ({min(seconds):.1f} {max(seconds):.1f})" if met else ""
        if len(met) < rounds:
            found += f" {len(met)}/{rounds}"
        plain = again(lambda tests=tests: any(  # type: ignore[misc]
            bool(mutants.blame(mutants.run("smp", [test]))) for test in tests))
        seeds = iter(range(1, 1000))
        print(f"{name:40} {found:>14} {took:>18}  {plain:14} {again(lambda: stressed(next(seeds)))}",
              flush=True)
    git("reset", "-q", "--hard", tree=mutants.TREE)
