# SPDX-License-Identifier: GPL-2.0
"""How long a newcomer's first command takes, phase by phase.

`make` in a new clone of what is committed here, with no kernel built, no compiler cache and
the packages and the kernel's tarball there (make fresh measures with these as well, on
a bare system). With AGAINST=<commit> a clone of that takes turns with it.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from scripts.common import BUILD, ROOT, Fatal, run, say
from scripts.kernel.config import clean_env
from scripts.judge.phases import Phases


def one(rev: str, folder: Path) -> dict[str, float]:
    """Seconds of each phase of `make` in a clone at a commit, and those of the CPUs.

    The clone stays: for minutes ext4 doesn't use the inodes of deleted files, and to step
    over 90,000 of these makes each new file ten times as slow.

    Raises:
        Fatal: it failed.
    """
    run("git", "clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
    run("git", "checkout", "--quiet", "--detach", rev, cwd=folder)
    before, phases = resource.getrusage(resource.RUSAGE_CHILDREN), Phases()
    with subprocess.Popen(["make"], cwd=folder, env={**clean_env(), "CCACHE_DISABLE": "1"},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as make:
        assert make.stdout
        for line in make.stdout:
            phases.take(line)
    phases.end()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if make.returncode:
        raise Fatal(f"make at {rev}: {phases.text[-2000:]}")
    return {**phases.took, "all": sum(phases.took.values()),
            "seconds of CPUs": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def measure(count: int, against: str = "") -> None:
    """Print the phases' times, and what they are to those of another commit."""
    revs = [run("git", "rev-parse", f"{name}^{{commit}}", cwd=ROOT).strip()
            for name in ("HEAD", against) if name]
    rounds: list[list[dict[str, float]]] = [[] for _ in revs]
    BUILD.mkdir(exist_ok=True)
    clones = Path(tempfile.mkdtemp(prefix="first.", dir=BUILD))
    try:
        for number in range(count):
            for column, (rev, results) in enumerate(zip(revs, rounds)):
                say(f"make in a new clone of {rev[:12]}, {number + 1} of {count}")
                results.append(one(rev, clones / f"{number}.{column}"))
    finally:
        shutil.rmtree(clones)
    print(f"{f'median of {count}, s, {os.cpu_count()} CPUs':30}" +
          "".join(f"{rev[:9]:>12}" for rev in revs) + ("    ratio" if against else ""))
    for key in dict.fromkeys(key for results in rounds for one in results for key in one):
        times = [median(one.get(key, 0.0) for one in results) for results in rounds]
        print(f"{key:30}" + "".join(f"{seconds:12.1f}" for seconds in times) +
              (f"{times[0] / times[1]:9.2f}" if against and times[1] else ""))
