# SPDX-License-Identifier: GPL-2.0
"""What real allocators leave of page tables: VmPTE and RSS over time, as a plot.

Debian's jemalloc and tcmalloc serve churn.c, in guests whose root is the
host's, by a kernel that frees empty page tables and by one that does as mainline.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from scripts.pictures import plot
from scripts.guest import machine
from scripts.common import BUILD, ROOT, Fatal, say

# Both give memory back after a second of not being used, not ten.
ALLOCATORS = {
    "jemalloc": ("libjemalloc.so.2",
                 "MALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "TCMALLOC_RELEASE_RATE=10")}
COLORS = {"on": "#1b7837", "off": "#b2182b"}

Samples = list[tuple[float, float, float]]      # seconds, VmPTE kB, RSS kB


def library(name: str) -> Path:
    """Where the dynamic linker finds a library.

    Raises:
        Fatal: nowhere.
    """
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    found = re.search(rf"^\t{re.escape(name)} \(.*x86-64.*\) => (.*)$", cache, re.M)
    if not found:
        raise Fatal(f"{name}: not found")
    return Path(found[1])


def run(kernel: Path, name: str) -> Samples:
    """What churn printed, served by one allocator.

    Raises:
        Fatal: it failed, or found a block changed.
    """
    file, environment = ALLOCATORS[name]
    guest = machine.boot(kernel, [*machine.hostfs(Path("/")), f"init={BUILD / 'churn'}",
                              f"LD_PRELOAD={library(file)}", environment])
    if guest.status:
        raise Fatal(f"{name}: {guest.problem or guest.output[-500:]}")
    return [(int(ms) / 1000, float(pte), float(rss))
            for ms, pte, rss in re.findall(r"^(\d+) (\d+) (\d+)\r?$", guest.output, re.M)]


def picture(results: dict[str, dict[str, Samples]], path: Path) -> None:
    """All results as an SVG.

    Raises:
        Fatal: matplotlib isn't installed.
    """
    figure, axes = plot.matplotlib().subplots(len(results), 2, figsize=(10, 3 * len(results)),
                                              squeeze=False, layout="constrained")
    for row, (name, runs) in zip(axes, results.items()):
        for column, what in enumerate(("VmPTE", "RSS"), start=1):
            axis = row[column - 1]
            for kind, samples in runs.items():
                axis.plot([s[0] for s in samples], [s[column] for s in samples], COLORS[kind],
                          label=f"FREE_USER_PTE {kind}")
            axis.set(title=f"{name}: {what}", xlabel="s", ylabel="kB", ylim=(0, None))
            axis.legend()
    figure.savefig(path)


def measure(on: Path, off: Path) -> None:
    """Compare two kernels, print the table and write the plot.

    Raises:
        Fatal: packages are missing, or a guest failed.
    """
    if subprocess.run([ROOT / "scripts/deps", "allocators"]).returncode:
        raise Fatal("without these packages there is nothing to measure")
    subprocess.run(["gcc", "-O2", "-Wall", "-o", BUILD / "churn", ROOT / "scripts/measure/churn.c",
                    "-lpthread"], check=True)
    results = {name: {kind: run(kernel, name) for kind, kernel in (("off", off), ("on", on))}
               for name in ALLOCATORS}
    print(f"{'kB':18}{'VmPTE: most':>14}{'in the end':>12}{'RSS: most':>12}{'in the end':>12}")
    for name, runs in results.items():
        for kind, samples in runs.items():
            print(f"{name + ', ' + kind:18}" + "".join(
                f"{max(s[column] for s in samples):{width}.0f}{samples[-1][column]:12.0f}"
                for column, width in ((1, 14), (2, 12))))
    path = BUILD / "allocators.svg"
    picture(results, path)
    say(str(path))
