# SPDX-License-Identifier: GPL-2.0
"""Prove that every patch applies, passes checkpatch --strict, builds and boots.

The series is applied patch by patch in a worktree of its own, build/series/linux.
What a patch touches is compiled twice: with each option of .config.uml that the
kernel at hand has, "on", and with all those "off" that the series adds; any
warning counts. Of a changed header that is what names what its changed lines
define. "on" is linked and booted where arch/um has
changed; all of it is built at the end of each topic, and "off" at the end.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from scripts.kernel import config
from scripts.kernel import headers
from scripts.series import series
from scripts.guest import machine
from scripts.series.commits import DoesNotApply, Patch, commit_patches, git, ref, touched
from scripts.common import BUILD, LINUX, PATCHES, Fatal, json_option, main, say, write_json

WORK = BUILD / "series"
TREE = WORK / "linux"
# Said about any patch that adds a file, as MAINTAINERS is not ours to change, and about
# any Fixes: tag, as linux/ has no history.
IGNORE = "FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID"
# What nothing of the series has to do with takes a fifth of a kernel's compilation.
NOT_NEEDED = {"NET", "UNIX", "BLK_DEV_NBD", "MODULES", "MODULE_UNLOAD", "EXT4_FS", "TEST_VMALLOC",
              "SYSVIPC", "POSIX_MQUEUE", "NAMESPACES", "IKCONFIG", "IKCONFIG_PROC", "KCMP", "PSI",
              "CHECKPOINT_RESTORE", "AIO", "SIGNALFD", "TIMERFD", "CGROUP_HUGETLB"}


# Headers that changed since all was built
stale: set[str] = set()


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


def objects(patch: Patch, variant: str, boot: bool) -> list[str]:
    """The objects that a patch touches and a configuration has; "linux" for all.

    Args:
        boot: they get linked with the others, so all may have to be new.
    """
    out, result = WORK / variant, []
    users, layout = headers.users_of((PATCHES / patch.path).read_text(), TREE)
    if layout and boot:
        return ["linux"]
    values = config.read_config(out / ".config")
    for name in dict.fromkeys([*touched([patch]), *users]):
        target = Path(name).with_suffix(".o")
        if not name.endswith((".c", ".S")) or not (TREE / name).exists():
            continue
        if name.startswith(("scripts/", "tools/")):
            continue        # a program of the host, with the host's headers
        made = (out / target).exists()
        makefile = TREE / target.parent / "Makefile"    # none: another source includes it
        if not made and name not in users and makefile.exists():
            # new: has its Makefile a line for it?
            rule = re.search(
                rf"^obj-(?:y|\$\(CONFIG_(\w+)\))\s*[+:]?=.*\b{re.escape(target.name)}",
                makefile.read_text(), re.M)
            made = bool(rule and (not rule[1] or values.get(rule[1]) == "y"))
        if made:
            result.append(str(target))
    return result


def boots(variant: str) -> str:
    """Boot the kernel at hand to a verdict of one trivial test; what failed."""
    value = next(line.value for line in config.read_fragments("default")
                 if line.symbol == "CMDLINE")
    args = shlex.split(value)[0].split() + machine.hostfs(BUILD / "rootfs")
    run = machine.boot(WORK / variant / "linux", args, ["boot_hello"], timeout=20)
    if run.status:
        return f"doesn't boot: {run.problem or run.output.strip()[-300:]}"
    return ""


def build(variant: str, patch: Patch | None, whole: bool, boot: bool) -> list[str]:
    """Compile what a patch touches, or all; what is wrong.

    Args:
        boot: link it with what else there is, and boot.
    """
    out = WORK / variant
    targets = ["linux"] if whole or not patch else objects(patch, variant, boot)
    stale.update(name for name in touched([patch] if patch else []) if name.endswith(".h"))
    if "linux" in targets:
        headers.let_count(stale, TREE)
        stale.clear()
    else:
        headers.let_be(stale, TREE, out, [str(Path(name).with_suffix(".c")) for name in targets])
    words = config.make_kernel(TREE, out, targets, strict=True) if targets else ""
    if not words and boot and "linux" not in targets:
        words = config.make_kernel(TREE, out, strict=True)
    if not words and (boot or "linux" in targets):
        words = boots(variant)
    return [f"{variant}: {line}" for line in words.splitlines()]


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="first", default="",
                        help="the patch to begin with, a part of its path")
    json_option(parser)
    options = parser.parse_args()
    first = options.first
    if not LINUX.exists() or not series.is_ours(LINUX):
        raise Fatal("there is no linux/: `make linux` makes it")
    patches = series.read_patches()
    base = ref(series.BASE_REF)
    note = series.read_note(LINUX)
    commits = note["commits"]
    if note["applied"] != patches:
        say("patches/ isn't what linux/ was made from: applying it from the base")
        try:
            commits = commit_patches(LINUX, base, patches)
        except DoesNotApply as failure:
            raise Fatal(f"patches/{failure.patch} doesn't apply: {failure.why}") from None
    steps: list[tuple[Patch | None, str]] = list(zip([None, *patches], [base, *commits]))
    if first:
        begin = [n for n, (patch, _) in enumerate(steps) if patch and first in patch.path]
        if not begin:
            raise Fatal(f"FROM={first}: no such patch in patches/series")
        steps = steps[begin[0] - 1:]
    git("worktree", "prune")
    if not (TREE / "Makefile").exists():
        shutil.rmtree(TREE, ignore_errors=True)
        WORK.mkdir(parents=True, exist_ok=True)
        git("-c", "checkout.workers=0", "worktree", "add", "-qf", "--detach", TREE, base)
    ours = config.added_options(patches)
    topics = [series.topic_of(patch.path) if patch else "" for patch, _ in steps]
    kept, begun = 0, time.monotonic()
    for variant in ("on", "off"):
        # An object of an earlier run would look like one that this configuration has.
        shutil.rmtree(WORK / variant, ignore_errors=True)
    found: dict[str, list[str]] = {}
    for n, (patch, commit) in enumerate(steps):
        start = time.monotonic()
        git("reset", "-q", "--hard", commit, tree=TREE)
        if not n or any("Kconfig" in name for name in touched([patch] if patch else [])):
            kept = configure("on", ours)
            configure("off", ours)
        problems: list[str] = []
        last = n + 1 == len(steps)
        ends = last or not patch or topics[n + 1] != topics[n]
        if patch:
            problems = checkpatch(PATCHES / patch.path) + unknown_symbols(PATCHES / patch.path)
        um = patch and any(name.startswith(("arch/um/", "arch/x86/um/"))
                           for name in touched([patch]))
        problems += build("on", patch, ends or not n, bool(um))
        problems += build("off", patch, last or not n, False)
        print(f"{'not ok' if problems else 'ok'} {patch.path if patch else 'the base'} "
              f"# {kept} options, {time.monotonic() - start:.0f} s", flush=True)
        for text in problems:
            print(f"  {text}", flush=True)
        found[patch.path if patch else "the base"] = problems
        write_json(options.json, patches=found)
    bad = sum(map(bool, found.values()))
    print(f"# {len(steps) - 1} patches{'' if first else ' and the base'}, {bad} with problems, "
          f"{(time.monotonic() - begun) / 60:.0f} minutes")
    return min(bad, 1)


if __name__ == "__main__":
    main(command)
