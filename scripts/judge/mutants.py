# SPDX-License-Identifier: GPL-2.0
"""Prove that the tests notice what they are for.

tests/mutants/<topic>/NN-what.patch breaks one thing that the series promises.
Each is applied to a private copy of linux/'s HEAD, built, and run with the
tests that its line "Tests: NAME|GLOB ..." names, and with a line "Variant: smp"
as that variant; as explore, under up to 200 seeds of each test. Of a changed
header, what names what it defines is compiled anew, and all only if no test fails.
A mutant whose tests all pass is missed: a failure. The unmutated kernel has to
pass first.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import re
import shutil
import sys
import time
from pathlib import Path

from scripts.kernel import config
from scripts.kernel import headers
from scripts.guest import machine, testlist
from scripts.judge import explore
from scripts.series.commits import git, in_patch
from scripts.common import BUILD, ROOT, Fatal, json_option, main, say, write_json

MUTANTS = ROOT / "tests/mutants"
WORK = BUILD / "mutants"
TREE = WORK / "linux"
TIMEOUT = 20    # seconds for one test: mutants like to hang
SEEDS = 200     # for a mutant that is explored


def variant_of(patch: Path) -> str:
    """The variant that a mutant is built as."""
    head = patch.read_text().partition("\ndiff --git ")[0]
    found = re.search(r"^Variant: *(\S+)$", head, re.M)
    return found[1] if found else "default"


def names_of(patch: Path) -> list[str]:
    """The tests that shall catch a mutant.

    Raises:
        Fatal: the patch names none, or unknown ones.
    """
    head = patch.read_text().partition("\ndiff --git ")[0]
    found = re.findall(r"^Tests: *(.+)$", head, re.M)
    if not found:
        raise Fatal(f"{patch.relative_to(ROOT)}: no line 'Tests: NAME ...'")
    return testlist.match(" ".join(found).split(), BUILD / "rootfs")


def run(variant: str, tests: list[str]) -> machine.Run:
    """Boot the kernel at hand with some tests; with virtual CPUs without a schedule."""
    args = [*machine.hostfs(BUILD / "rootfs"), *(["ncpus=2"] if "smp" in variant else [])]
    return machine.boot(WORK / variant / "linux", args, tests, timeout=TIMEOUT)


def hunt(variant: str, tests: list[str]) -> str:
    """Who catches the mutant at hand, in a few words; empty if nobody does."""
    if "explore" not in variant:
        return blame(run(variant, tests))
    setting = explore.Setting(WORK / variant / "linux", timeout=TIMEOUT)
    for test in tests:
        if found := explore.Explorer(setting, test).first_failure(range(1, SEEDS + 1)):
            seed, outcome = found
            return f"{test} with SEED={seed}: {outcome.run.problem or outcome.problem}"
    return ""


def build(variant: str) -> None:
    """Build the kernel at hand.

    Raises:
        Fatal: it doesn't build; a mutant that doesn't proves nothing.
    """
    if words := config.make_kernel(TREE, WORK / variant):
        raise Fatal(f"doesn't build: {words.splitlines()[0]}")


def prepare(variant: str) -> None:
    """Have TREE at linux/'s HEAD and configured."""
    head = git("rev-parse", "HEAD")
    if git("status", "--porcelain"):
        say("notice: what isn't committed in linux/ doesn't take part")
    git("worktree", "prune")
    if not (TREE / "Makefile").exists():
        shutil.rmtree(TREE, ignore_errors=True)
        WORK.mkdir(parents=True, exist_ok=True)
        git("-c", "checkout.workers=0", "worktree", "add", "-qf", "--detach", TREE, head)
    git("reset", "-q", "--hard", head, tree=TREE)
    lines = config.read_fragments(variant, debug_info=False)
    config.configure(TREE, WORK / variant, lines)
    if dropped := config.check(lines, WORK / variant / ".config", TREE):
        raise Fatal(dropped[0])


def blame(result: machine.Run) -> str:
    """Who caught a mutant, in a few words; empty if nobody did."""
    failed = [t.name for t in result.tests if t.outcome == "fail"]
    if result.problem:
        failed.append(result.problem)
    if not failed and result.status:
        failed.append(f"status {result.status}")
    return ", ".join(failed[:4]) + (f" and {len(failed) - 4} more" if len(failed) > 4 else "")


def caught(name: str, patch: Path, variant: str, tests: list[str]) -> str:
    """Build a mutant, run its tests, and print and return what came of it."""
    start = time.monotonic()
    text, out = patch.read_text(), WORK / variant
    changed = {name for name in in_patch(text) if name.endswith(".h")}
    git("reset", "-q", "--hard", tree=TREE)
    try:
        git("apply", patch, tree=TREE)
        users, layout = headers.users_of(text, TREE)
        if not layout:
            headers.let_be(changed, TREE, out, users)
        build(variant)
        culprits = hunt(variant, tests)
        if not culprits and changed:        # then with each object that includes them
            headers.let_count(changed, TREE)
            build(variant)
            culprits = hunt(variant, tests)
            layout = True
        git("reset", "-q", "--hard", tree=TREE)
        if not layout:
            headers.let_be(changed, TREE, out, users)
    except Fatal as why:
        verdict = f"BROKEN  {why}"
    else:
        verdict = f"caught  by {culprits}" if culprits else f"MISSED  by all of {', '.join(tests)}"
    print(f"{name:40} {time.monotonic() - start:5.1f} s  {verdict}", flush=True)
    return verdict


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mutants", nargs="*", help="like um/03-lost-sync, or globs; all for none")
    json_option(parser)
    options = parser.parse_args()
    wanted = options.mutants
    patches = {str(p.relative_to(MUTANTS).with_suffix("")): p
               for p in sorted(MUTANTS.glob("*/*.patch"))}
    chosen = [n for n in patches if not wanted or any(fnmatch.fnmatch(n, w) for w in wanted)]
    if not chosen:
        near = difflib.get_close_matches(" ".join(wanted), patches, cutoff=0.3)
        raise Fatal(f"no mutant is called '{' '.join(wanted)}'; names are those of the files in "
                    f"tests/mutants, such as {', '.join(near or list(patches)[:3])}")
    tests = {name: names_of(patches[name]) for name in chosen}
    variants = {name: variant_of(patches[name]) for name in chosen}

    verdicts: dict[str, str] = {}
    for variant in sorted(set(variants.values())):
        mine = [name for name in chosen if variants[name] == variant]
        everything = sorted({test for name in mine for test in tests[name]})
        say(f"building the unmutated {variant} kernel, without debug info")
        prepare(variant)
        build(variant)
        clean = run(variant, everything)
        if clean.status:
            print(clean.output[-3000:], file=sys.stderr)
            raise Fatal(f"the unmutated kernel fails: {blame(clean)}")
        say(f"the unmutated kernel passes {len(everything)} tests")
        for name in mine:
            verdicts[name] = caught(name, patches[name], variant, tests[name])
    git("reset", "-q", "--hard", tree=TREE)
    missed = sum(not verdict.startswith("caught") for verdict in verdicts.values())
    write_json(options.json, mutants=verdicts)
    print(f"# {len(chosen)} mutants, {len(chosen) - missed} caught, {missed} not")
    return min(missed, 1)


if __name__ == "__main__":
    main(command)
