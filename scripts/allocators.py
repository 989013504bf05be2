# SPDX-License-Identifier: GPL-2.0
"""What real allocators leave of page tables: VmPTE and RSS over time, as a plot.

Debian's jemalloc and tcmalloc serve scripts/churn.c, in guests whose root is the
host's, by a kernel that frees empty page tables and by one that does as mainline.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import uml
from common import BUILD, ROOT, Fatal, say

# Both give memory back after a second of not being used, not ten.
ALLOCATORS = {
    "jemalloc": ("libjemalloc.so.2",
                 "MALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "TCMALLOC_RELEASE_RATE=10")}
COLORS = {"on": "#1b7837", "off": "#b2182b"}
WIDTH, HEIGHT, MARGIN = 420, 150, 45

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
    guest = uml.boot(kernel, [*uml.hostfs(Path("/")), f"init={BUILD / 'churn'}",
                              f"LD_PRELOAD={library(file)}", environment])
    if guest.status:
        raise Fatal(f"{name}: {guest.problem or guest.output[-500:]}")
    return [(int(ms) / 1000, float(pte), float(rss))
            for ms, pte, rss in re.findall(r"^(\d+) (\d+) (\d+)\r?$", guest.output, re.M)]


def panel(lines: dict[str, list[tuple[float, float]]], title: str, x: int, y: int) -> str:
    """A diagram, lines over time, as SVG."""
    right = max(t for points in lines.values() for t, _ in points)
    top = max(v for points in lines.values() for _, v in points)
    parts = [f'<g transform="translate({x},{y})" font-size="11">'
             f'<text x="0" y="-6">{title}, up to {top:.0f} kB in {right:.0f} s</text>'
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>']
    for name, points in lines.items():
        path = " ".join(f"{t / right * WIDTH:.1f},{HEIGHT - v / top * HEIGHT:.1f}"
                        for t, v in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLORS[name]}"/>')
    return "".join(parts) + "</g>"


def plot(results: dict[str, dict[str, Samples]]) -> str:
    """All results as an SVG picture."""
    width, height = 2 * (WIDTH + MARGIN) + MARGIN, len(results) * (HEIGHT + MARGIN) + MARGIN
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>']
    for row, (name, runs) in enumerate(results.items()):
        for column, what in enumerate(("VmPTE", "RSS")):
            lines = {kind: [(s[0], s[1 + column]) for s in samples]
                     for kind, samples in runs.items()}
            parts.append(panel(lines, f"{name}: {what}", MARGIN + column * (WIDTH + MARGIN),
                               MARGIN + row * (HEIGHT + MARGIN)))
    legend = "".join(f'<tspan fill="{color}">{kind} </tspan>' for kind, color in COLORS.items())
    return "".join(parts) + f'<text x="{MARGIN}" y="18" font-size="13">' \
        f'FREE_USER_PTE {legend}</text></svg>\n'


def measure(on: Path, off: Path) -> None:
    """Compare two kernels, print the table and write the plot.

    Raises:
        Fatal: packages are missing, or a guest failed.
    """
    if subprocess.run([ROOT / "scripts/deps", "allocators"]).returncode:
        raise Fatal("without these packages there is nothing to measure")
    subprocess.run(["gcc", "-O2", "-Wall", "-o", BUILD / "churn", ROOT / "scripts/churn.c",
                    "-lpthread"], check=True)
    results = {name: {kind: run(kernel, name) for kind, kernel in (("off", off), ("on", on))}
               for name in ALLOCATORS}
    print(f"{'kB':18}{'VmPTE: most':>14}{'in the end':>12}{'RSS: most':>12}{'in the end':>12}")
    for name, runs in results.items():
        for kind, samples in runs.items():
            print(f"{name + ', ' + kind:18}" + "".join(
                f"{max(s[column] for s in samples):{width}.0f}{samples[-1][column]:12.0f}"
                for column, width in ((1, 14), (2, 12))))
    picture = BUILD / "allocators.svg"
    picture.write_text(plot(results))
    say(str(picture))
