# SPDX-License-Identifier: GPL-2.0
"""A picture of the guest's memory by page: before a test, at its end, after it.

gdb stops the kernel at these moments and reads every struct page. Each line of
the picture is 2 MB; what was free all the time is left out. Above is what the
pages are used for, below the order of the folio or free block that they are in. A
table says the same in numbers.
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from scripts.pictures import plot
from scripts.guest import debugger
from scripts.common import BUILD, ROOT, Fatal, main

LINE = 512      # pages
NOTHING = [math.nan] * LINE
USES = {"free": "#eeeeee", "anon": "#4c9be8", "ksm": "#76d7c4", "file": "#58b368",
        "shmem": "#1b5e20", "hugetlb": "#8e44ad", "huge zero": "#b8860b", "zero": "#e0c84c",
        "page table": "#c0392b", "slab": "#e67e22", "kernel": "#888888", "reserved": "#444444",
        "other": "black"}
Moments = dict[str, list[tuple[int, int, str]]]     # (first pfn, order, use)


def record(kernel: Path, args: list[str], test: str) -> Moments:
    """Memory at three moments of a test.

    Raises:
        Fatal: gdb couldn't stop there.
    """
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as folder:
        path = f"{folder}/pages"
        gdb = [*debugger.gdb_command(kernel), "-batch", "-ex", "python import mm.snapshot",
               "-ex", f"python mm.snapshot.record({test!r}, {path!r})", "--args", str(kernel),
               f"uml_dir={folder}/", *args, "--", "timeout=86400", test]
        done = subprocess.run(gdb, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        try:
            return dict(json.loads(Path(path).read_text()))
        except OSError:
            why = [line for line in done.stderr.splitlines() if "rror" in line] or ["?"]
            raise Fatal(f"no picture: {why[0]}") from None


def table(moments: Moments) -> list[str]:
    """Pages by use and by order, at each moment."""
    lines = [f"{'pages':16}" + "".join(f"{name:>12}" for name in moments)]
    for title, column in (("", 2), ("order ", 1)):
        counts = [Counter[object]() for _ in moments]
        for count, pages in zip(counts, moments.values()):
            for block in pages:
                if title == "" or block[2] != "free":
                    count[block[column]] += 1 << block[1]
        for key in sorted(set().union(*counts), key=str if title == "" else int):
            name = f"used, order {key}" if title else str(key)
            lines.append(f"{name:16}" + "".join(f"{count[key]:12}" for count in counts))
    return lines


def known(use: str) -> str:
    """A use that has a colour."""
    return use if use in USES else "other"


def by_line(pages: list[tuple[int, int, str]],
            value: Callable[[int, str], float]) -> dict[int, list[float]]:
    """A value of each page, by line; NaN where there is no page.

    Memory doesn't begin or end with a whole line in every program.

    Args:
        value: what to tell of a page in a block of an order and a use.
    """
    lines: dict[int, list[float]] = {}
    for pfn, order, use in pages:
        end, this = pfn + (1 << order), value(order, use)
        while pfn < end:
            at, first = divmod(pfn, LINE)
            count = min(LINE - first, end - pfn)
            lines.setdefault(at, [*NOTHING])[first:first + count] = [this] * count
            pfn += count
    return lines


def picture(moments: Moments, test: str, path: Path) -> None:
    """The moments as an SVG.

    Raises:
        Fatal: matplotlib isn't installed.
    """
    pyplot = plot.matplotlib()
    from matplotlib.colors import ListedColormap
    uses = list(USES)
    seen = {known(use) for pages in moments.values() for _, _, use in pages}
    # Of each moment: the use and the order of each page
    maps = [(by_line(pages, lambda _, use: uses.index(known(use))),
             by_line(pages, lambda order, _: order)) for pages in moments.values()]
    free = uses.index("free")
    lines = sorted({at for use_of, _ in maps for at, line in use_of.items()
                    if any(use != free and use == use for use in line)})
    figure, axes = pyplot.subplots(2, len(moments), figsize=(4 * len(moments), 9), squeeze=False,
                                   sharex=True, sharey=True, layout="constrained")
    for column, moment in enumerate(moments):
        for row, (colours, top) in enumerate((
                (ListedColormap(list(USES.values())), len(uses) - 1), ("viridis", 10))):
            axis = axes[row][column]
            grid = [maps[column][row].get(at, NOTHING) for at in lines]
            shown = axis.imshow(grid, aspect="auto", cmap=colours, vmin=0, vmax=top,
                                interpolation="nearest")
            axis.set_title(f"{moment}: {'order' if row else 'use'}", fontsize=9)
            step = max(1, len(lines) // 20)
            axis.set_yticks(range(0, len(lines), step),
                            [str(at * LINE) for at in lines[::step]], fontsize=6)
        axes[1][column].set_xlabel("page in 2 MB")
    axes[0][0].set_ylabel("first pfn of 2 MB")
    axes[1][0].set_ylabel("first pfn of 2 MB")
    plot.legend(axes[0][-1], {u: USES[u] for u in uses if u in seen}, fontsize=7,
                bbox_to_anchor=(1.02, 1))
    figure.colorbar(shown, ax=axes[1][-1], label="order")
    figure.suptitle(test)
    figure.savefig(path)
    pyplot.close(figure)


def command() -> int:
    """The command line."""
    kernel, args, test = plot.one_test(__doc__)
    plot.matplotlib()       # better missed now than after the run
    moments = record(kernel, args, test)
    print("\n".join(table(moments)))
    path = BUILD / "trace" / f"{test}-pages.svg"
    path.parent.mkdir(exist_ok=True)
    picture(moments, test, path)
    print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    main(command)
