#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Prove that every patch applies, passes checkpatch --strict, builds and boots.

The series is applied patch by patch in a worktree of its own, build/series/linux.
What a patch touches is compiled twice: with each option of .config.uml that the
kernel at hand has, "on", and with all those "off" that the series adds; any
warning counts. The former is linked and booted where arch/um has changed and at
the end of each topic, the latter at the end. ccache makes a second run short.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import config
import series
import uml
from commits import touched
from common import BUILD, LINUX, PATCHES, Fatal, main, say

WORK = BUILD / "series"
TREE = WORK / "linux"
# Said about any patch that adds a file; MAINTAINERS is not ours to change.
IGNORE = "FILE_PATH_CHANGES"
# What nothing of the series has to do with takes a fifth of a kernel's compilation.
NOT_NEEDED = {"NET", "UNIX", "BLK_DEV_NBD", "MODULES", "MODULE_UNLOAD", "EXT4_FS", "TEST_VMALLOC",
              "SYSVIPC", "POSIX_MQUEUE", "NAMESPACES", "IKCONFIG", "IKCONFIG_PROC", "KCMP", "PSI",
              "CHECKPOINT_RESTORE", "AIO", "SIGNALFD", "TIMERFD", "CGROUP_HUGETLB"}


def checkpatch(patch: Path) -> list[str]:
    """checkpatch's complaints about a patch."""
    done = subprocess.run(
        ["perl", LINUX / "scripts/checkpatch.pl", "--strict", "--no-tree", "--terse",
         "--no-summary", "--show-types", "--ignore", IGNORE, patch],
        cwd=LINUX, capture_output=True, text=True)
    return done.stdout.strip().splitlines() if done.returncode else []


def unknown_symbols(patch: Path) -> list[str]:
    """Options that a patch selects or asks for and no Kconfig file defines.

    The compiler takes a misspelt or renamed one for one that is off.
    """
    added = "\n".join(re.findall(r"^\+(?!\+\+)(.*)", patch.read_text(), re.M))
    names = set(re.findall(r"^\s*select (\w+)", added, re.M))
    names |= set(re.findall(r"IS_(?:ENABLED|BUILTIN|REACHABLE)\(CONFIG_(\w+)\)", added))
    names |= {name for line in re.findall(r"^\s*#\s*(?:el)?if.*", added, re.M)
              for name in re.findall(r"\bCONFIG_(\w+)", line)}
    return [f"no Kconfig file defines {name}" for name in sorted(names)
            if subprocess.run(["git", "grep", "-qE", rf"^\s*(menu)?config {name}$", "--",
                               "*Kconfig*"], cwd=TREE).returncode]


def configure(variant: str, ours: set[str]) -> int:
    """Configure the kernel at hand with what it can keep; how many lines that is.

    Args:
        variant: "on" or "off".
        ours: the options that the series adds.
    """
    lines = [line._replace(value="n") if variant == "off" and line.symbol in ours else line
             for line in config.read_fragments("default", debug_info=False)
             if line.symbol not in NOT_NEEDED]
    config.configure(TREE, WORK / variant, lines)
    values = config.read_config(WORK / variant / ".config")
    return sum(values.get(line.symbol, "n") == line.value for line in lines)


def objects(patch: series.Patch, variant: str) -> list[str]:
    """The objects that a patch touches and a configuration has.

    Of a changed header these are the objects whose source names what its changed
    lines define.
    """
    files, out = touched([patch]), WORK / variant
    sources = [name for name in files if name.endswith((".c", ".S"))]
    text = (PATCHES / patch.path).read_text()
    for name in files:
        if name.endswith(".h"):
            part = text.partition(f"\ndiff --git a/{name} ")[2].partition("\ndiff --git ")[0]
            defined = {word for line in re.findall(r"^[+-](?![+-]{2}).*", part, re.M)
                       for word in re.findall(r"(?:#define\s+|\b)(\w{6,})\s*\(|#define\s+(\w{6,})",
                                              line) for word in word if word}
            if defined:
                found = subprocess.run(["git", "grep", "-lwE", "|".join(sorted(defined)), "--",
                                        "*.c"], cwd=TREE, capture_output=True, text=True).stdout
                sources += found.split()
    values = config.read_config(out / ".config")
    result = []
    for name in dict.fromkeys(sources):
        target = Path(name).with_suffix(".o")
        rule = re.search(rf"^obj-(?:y|\$\(CONFIG_(\w+)\))\s*[+:]?=.*\b{re.escape(target.name)}\b",
                         makefile.read_text(), re.M) \
            if (makefile := TREE / target.parent / "Makefile").exists() else None
        if (out / target).exists() and (TREE / name).exists() or \
                rule and (not rule[1] or values.get(rule[1]) == "y"):
            result.append(str(target))
    return result


def boots(variant: str) -> str:
    """Boot the kernel at hand to a verdict of one trivial test; what failed."""
    value = next(line.value for line in config.read_fragments("default")
                 if line.symbol == "CMDLINE")
    args = shlex.split(value)[0].split() + uml.hostfs(BUILD / "rootfs")
    run = uml.boot(WORK / variant / "linux", args, ["boot_hello"], timeout=20)
    if run.status:
        return f"doesn't boot: {run.problem or run.output.strip()[-300:]}"
    return ""


def build(variant: str, patch: series.Patch | None, whole: bool) -> list[str]:
    """Compile what a patch touches, or build and boot all; what is wrong."""
    if not whole:
        if not (targets := objects(patch, variant)):
            return []
        words = config.make_kernel(TREE, WORK / variant, targets, strict=True)
    else:
        words = config.make_kernel(TREE, WORK / variant, strict=True) or boots(variant)
    return [f"{variant}: {line}" for line in words.splitlines()]


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="first", default="",
                        help="the patch to begin with, a part of its path")
    first = parser.parse_args().first
    if not LINUX.exists() or not series.is_ours(LINUX):
        raise Fatal("there is no linux/: `make linux` makes it")
    patches = series.read_patches()
    base = series.ref(series.BASE_REF)
    note = series.read_note(LINUX)
    commits = note["commits"]
    if note["applied"] != patches:
        say("patches/ isn't what linux/ was made from: applying it from the base")
        try:
            commits = series.commit_patches(LINUX, base, patches)
        except series.DoesNotApply as failure:
            raise Fatal(f"patches/{failure.patch} doesn't apply: {failure.why}") from None
    steps = list(zip([None, *patches], [base, *commits]))
    if first:
        begin = [n for n, (patch, _) in enumerate(steps) if patch and first in patch.path]
        if not begin:
            raise Fatal(f"FROM={first}: no such patch in patches/series")
        steps = steps[begin[0] - 1:]
    series.git("worktree", "prune")
    if not (TREE / "Makefile").exists():
        shutil.rmtree(TREE, ignore_errors=True)
        WORK.mkdir(parents=True, exist_ok=True)
        series.git("-c", "checkout.workers=0", "worktree", "add", "-qf", "--detach", TREE, base)
    ours = {name for patch in patches for name in
            re.findall(r"^\+config (\w+)$", (PATCHES / patch.path).read_text(), re.M)}
    bad, begun = 0, time.monotonic()
    for n, (patch, commit) in enumerate(steps):
        start = time.monotonic()
        series.git("reset", "-q", "--hard", commit, tree=TREE)
        kept = configure("on", ours)
        configure("off", ours)
        problems: list[str] = []
        last = n + 1 == len(steps)
        ends = last or not patch or \
            series.topic_of(steps[n + 1][0].path) != series.topic_of(patch.path)
        if patch:
            problems = checkpatch(PATCHES / patch.path) + unknown_symbols(PATCHES / patch.path)
            ends |= any(name.startswith(("arch/um/", "arch/x86/um/")) for name in touched([patch]))
        problems += build("on", patch, ends or not n)
        problems += build("off", patch, last or not n)
        print(f"{'not ok' if problems else 'ok'} {patch.path if patch else 'the base'} "
              f"# {kept} options, {time.monotonic() - start:.0f} s", flush=True)
        for text in problems:
            print(f"  {text}", flush=True)
        bad += bool(problems)
    print(f"# {len(steps) - 1} patches{'' if first else ' and the base'}, {bad} with problems, "
          f"{(time.monotonic() - begun) / 60:.0f} minutes")
    return min(bad, 1)


if __name__ == "__main__":
    main(command)
