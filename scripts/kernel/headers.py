# SPDX-License-Identifier: GPL-2.0
"""What has to be compiled anew where a patch changes headers.

Nearly every object includes nearly every header of mm, so make would compile all of
a kernel for a line in one of them. What can tell the difference is what names
something that the changed lines define.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from scripts.series.commits import in_patch


def users_of(text: str, tree: Path) -> tuple[list[str], bool]:
    """The sources that name what the headers that a patch changes define.

    Args:
        text: the patch.
        tree: the kernel tree with it applied.

    Returns:
        Them, and whether a struct has changed, on whose layout all objects of a
        kernel have to agree.
    """
    words: set[str] = set()
    layout = False
    for name in in_patch(text):
        if not name.endswith(".h"):
            continue
        part = f"\n{text}".partition(f"\ndiff --git a/{name} ")[2].partition("\ndiff --git ")[0]
        if part.startswith(f"b/{name}\nnew file"):
            continue        # who includes it has changed as well
        for hunk in part.split("\n@@ ")[1:]:
            inside = ""
            for line in hunk.splitlines():
                if re.match(r"[ +-]?(?:.*@@ )?(?:typedef )?(?:struct|union)\b[^;(]*$", line):
                    inside = "struct"
                elif line[1:2] in ("}", "{") or re.match(r".*@@ ", line):
                    inside = ""
                elif inside and re.match(r"[+-].*;\s*(/\*.*)?$", line):
                    layout = True
                words |= set(re.findall(r"^[+-]#\s*define\s+(\w+)", line))
                # What is defined at a line's begin, and what the hunk is in
                words |= set(re.findall(r"^(?:[ +-]|.*@@ )(?![#/*}]|typedef|struct|union)\S.*?"
                                        r"\b(\w+)\(", line))
    found = subprocess.run(["git", "grep", "-lwE", "|".join(sorted(words)), "--", "*.c"],
                           cwd=tree, capture_output=True, text=True).stdout if words else ""
    return found.split(), layout


def let_be(names: set[str], tree: Path, out: Path, sources: list[str]) -> None:
    """Have make compile some sources anew, and not all else that includes some headers.

    Args:
        names: the headers; let_count() takes that back.
    """
    for name in sources:
        if name.endswith((".c", ".S")):
            (out / name).with_suffix(".o").unlink(missing_ok=True)
    for name in names:
        if (tree / name).exists():
            os.utime(tree / name, (0, 0))


def let_count(names: set[str], tree: Path) -> None:
    """Have make compile all that includes some headers."""
    for name in names:
        if (tree / name).exists():
            os.utime(tree / name)
