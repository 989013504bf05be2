#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Measure what the sandbox is quick or slow at: boot, faults, placement.

All configurations take turns for several rounds, since a shared host's speed
drifts. Only the ratios mean something elsewhere.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from statistics import median

import uml
from common import BUILD, Fatal, main

CASES = {"seccomp, pinned": ["seccomp=on"], "seccomp, not pinned": ["seccomp=on", "pin=off"],
         "ptrace, pinned": ["seccomp=off"]}


def measure(kernel: Path, args: list[str]) -> dict[str, float]:
    """One boot's numbers: the keys that bench_fault prints, and boot_ns.

    Raises:
        Fatal: the guest failed.
    """
    root = uml.hostfs(BUILD / "rootfs")
    boot = uml.boot(kernel, [*root, *args], ["boot_hello"])
    run = uml.boot(kernel, [*root, *args], ["bench_fault"])
    for result in (boot, run):
        if result.status:
            raise Fatal(f"{' '.join(args)}: {result.problem or result.output[-500:]}")
    numbers = {k: float(v) for k, v in re.findall(r"^ *(\w+_ns) (\d+)$", run.output, re.M)}
    return {"boot_ns": boot.seconds * 1e9, **numbers}


def command() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", type=Path, default=BUILD / "default/linux")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for _ in range(options.rounds):
        for name, args in CASES.items():
            rounds[name].append(measure(options.kernel, args))
    print(f"{'median of ' + str(options.rounds) + ', ms':22}{'boot':>8}{'64 MB 4K':>10}"
          f"{'64 MB THP':>11}{'4K / THP':>10}")
    for name, results in rounds.items():
        boot, small, huge = (median(r[key] for r in results) / 1e6
                             for key in ("boot_ns", "fault4k_ns", "faulthuge_ns"))
        print(f"{name:22}{boot:8.0f}{small:10.1f}{huge:11.1f}{small / huge:10.1f}")


if __name__ == "__main__":
    main(command)
