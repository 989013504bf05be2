# SPDX-License-Identifier: GPL-2.0
"""What scripts that draw share: matplotlib, and the command line of a test's picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

from scripts.guest import machine, testlist
from scripts.common import Fatal


def matplotlib() -> ModuleType:
    """matplotlib.pyplot, which writes SVG.

    Raises:
        Fatal: it isn't installed.
    """
    try:
        import matplotlib as package
        package.use("svg")
        from matplotlib import pyplot
    except ImportError:
        raise Fatal("the picture needs python3-matplotlib: see `make deps`") from None
    return pyplot


def legend(axis: Any, colours: dict[str, str], **how: Any) -> None:
    """Explain colours by their names."""
    from matplotlib.patches import Patch
    axis.legend(handles=[Patch(facecolor=colour, edgecolor="black", label=name)
                         for name, colour in colours.items()], loc="upper left", **how)


def one_test(doc: str | None) -> tuple[Path, list[str], str]:
    """From the command line: the kernel, its arguments, the test that is drawn.

    Raises:
        Fatal: not exactly one test.
    """
    parser = argparse.ArgumentParser(description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", help="the test to draw")
    machine.guest_options(parser)
    options = parser.parse_args()
    return options.kernel, machine.guest_args(options), testlist.match_one(options.test, options.rootfs)
