# SPDX-License-Identifier: GPL-2.0
"""The functions of the kernel that gdb's commands know by name are there."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest
from conftest import ROOT

MODULES = ("stop", "about", "refs")


def alternatives(pattern: str) -> list[str]:
    """What a regular expression has between the | that are in no group."""
    parts, depth = [""], 0
    for char in pattern:
        depth += (char == "(") - (char == ")")
        if char == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def patterns() -> list[tuple[str, str]]:
    """Each alternative of each pattern over names, and where it is."""
    found = []
    for module in MODULES:
        tree = ast.parse((ROOT / f"scripts/gdb/mm/{module}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and \
                    ast.unparse(node.value.func) == "re.compile":
                assert isinstance(node.targets[0], ast.Name)
                found += [(f"{module}.{node.targets[0].id}", part)
                          for part in alternatives(ast.literal_eval(node.value.args[0]))]
    return found


@pytest.fixture(scope="module")
def functions() -> set[str]:
    """What the kernel's sources define: functions, inline ones too, and macros."""
    lines = subprocess.run(
        ["git", "grep", "-hE", r"^(#\s*define\s+)?[A-Za-z_][^();=]*\(", "--", "mm", "include/linux",
         "kernel", "arch/um", "lib", "fs/proc", "include/asm-generic"], cwd=ROOT / "linux",
        capture_output=True, text=True, check=True).stdout.splitlines()
    return {m[1] for line in lines if not line.rstrip().endswith(";")
            and (m := re.search(r"(\w+)\(", line))}


def test_each_name_is_there(functions: set[str]) -> None:
    assert len(patterns()) > 60
    gone = [f"{where}: {part}" for where, part in patterns()
            if part and not any(re.match(part, name) for name in functions)]
    assert not gone
