# SPDX-License-Identifier: GPL-2.0
"""The tests of a rootfs, and which of them names and globs mean."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.common import Fatal

VERBS = ("list", "sh", "panic", "hang")     # init's, besides tests


def names(rootfs: Path) -> list[str]:
    """The tests in a rootfs folder, in the order that init runs them."""
    return sorted(p.name for p in (rootfs / "tests").iterdir())


def match(patterns: Sequence[str], rootfs: Path) -> list[str]:
    """The tests that names or globs mean; all for none.

    Raises:
        Fatal: one of them means no test; the message names the near ones.
    """
    tests = names(rootfs)
    bench = sorted(p.name for p in (rootfs / "bench").iterdir())
    chosen: set[str] = set() if patterns else set(tests)
    for pattern in patterns:
        pool = bench if pattern.startswith("bench_") else tests
        hits = fnmatch.filter(pool, pattern)
        if not hits:
            near = [t for t in tests + bench if pattern in t] or \
                difflib.get_close_matches(pattern, tests + bench, 5, 0.5)
            raise Fatal(f"no test '{pattern}'" +
                        (f"; near: {', '.join(near[:8])}" if near else
                         "; `make list` lists them"))
        chosen.update(hits)
    return [t for t in tests + bench if t in chosen]


def match_one(pattern: str, rootfs: Path) -> str:
    """The test that a name or glob means.

    Raises:
        Fatal: it means none, or more than one.
    """
    if not pattern:
        raise Fatal("which test? T=<test>; `make list` lists them")
    tests = match([pattern], rootfs)
    if len(tests) > 1:
        raise Fatal(f"one test at a time: {', '.join(tests)}")
    return tests[0]


def init_words(words: Iterable[str]) -> list[str]:
    """The words for init; the kernel hands on 128 at most, so many names are one."""
    words = list(words)
    return [",".join(words)] if len(words) > 100 and words[0] not in VERBS else words
