# SPDX-License-Identifier: GPL-2.0
"""Run the kernel's own tools/testing/selftests/mm in guests and judge them.

One guest runs one category of run_vmtests.sh, so that a panic loses no more
than that. What they print is compared with tests/selftests.txt, which says how
many results of each program pass, and why the others don't.
"""

from __future__ import annotations

import argparse
import ctypes
import difflib
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.guest import machine
from scripts.common import BUILD, LINUX, ROOT, Fatal, json_option, main, write_json
from scripts.judge.expected import (RECORD, Category, Done, Known, compare, learn, parse,
                             read_record, write_record)

SOURCE = LINUX / "tools/testing/selftests/mm"
LIMIT = 480             # seconds that a program may run
# mremap_test maps 2 GB; memory that no test touches costs nothing. A pool of huge
# pages in ZONE_MOVABLE would refuse the long-term pins of cow.
MEMORY = ["mem=2500M", "movablecore=0"]
UNLISTED = "unlisted"   # the category of what run_vmtests.sh doesn't name
# Not tests by themselves: a helper of charge_reserved_hugetlb.sh.
HELPERS = {"write_to_hugetlbfs", "local_config.h_gen"}
# These take longest, so they start first.
LONGEST = ("hugetlb", "thp", "vmalloc", "userfaultfd", "page_frag", "ksm", "compaction", "cow")

# What run_vmtests.sh lacks: a choice of programs, a limit to their time, output
# that isn't held back until a crash. Each must be there exactly once.
EDITS = (
    ("if test_selected ${CATEGORY}; then", "if test_selected ${CATEGORY} && wanted \"$@\"; then"),
    ('("$@" 2>&1) | tap_prefix', '(timeout -k 5 $LIMIT "$@" 2>&1) | tap_prefix'),
    ('sed -e "s/^/${TAP_PREFIX}/"', 'stdbuf -oL sed -e "s/^/${TAP_PREFIX}/"'),
    ("run_test() {", """wanted() {
	local word
	[ -n "$ONLY" ] || return 0
	for word; do [[ $word != ./* || " $ONLY " != *" ${word#./} "* ]] || return 0; done
	return 1
}
run_test() {"""),
)
CALL = re.compile(r'^\s*CATEGORY="([\w-]+)" run_test ([^\\\n]*)', re.M)


def catalogue(script: str, built: Iterable[str]) -> dict[str, list[str]]:
    """The programs of each category of run_vmtests.sh; UNLISTED has the others.

    Args:
        built: the names of all that was built.
    """
    found: dict[str, list[str]] = {}
    script = script.replace("${uffd_stress_bin}", "./uffd-stress")
    for category, command in CALL.findall(script):
        for name in re.findall(r"\./([\w.-]+)", command):
            if name not in found.setdefault(category, []):
                found[category].append(name)
    found[UNLISTED] = sorted(set(built) - HELPERS)
    return found


def stage(folder: Path) -> dict[str, list[str]]:
    """Put the scripts next to the programs; the catalogue.

    Raises:
        Fatal: run_vmtests.sh isn't what EDITS expects.
    """
    text = (SOURCE / "run_vmtests.sh").read_text()
    scripts = [p for p in SOURCE.glob("*.sh") if not p.name.startswith("ksft_")]
    named = text + "".join(p.read_text() for p in scripts)
    built = [p.name for p in folder.iterdir()
             if p.is_file() and p.suffix != ".sh" and f"/{p.name}" not in
             re.sub(r"_(32|64)$", "_64", named) and f"/{p.name} " not in named]
    for script in scripts:
        shutil.copy(script, folder)
    found = catalogue(text, built)
    extra = "".join(f'CATEGORY="{UNLISTED}" run_test ./{name}\n' for name in found[UNLISTED])
    for old, new in (*EDITS, ('echo "SUMMARY', f'{extra}echo "SUMMARY')):
        if text.count(old) != 1:
            raise Fatal(f"run_vmtests.sh of this kernel has no single '{old}': see EDITS")
        text = text.replace(old, new)
    (folder / "run_vmtests.sh").write_text(text)
    return found


def choose(words: Sequence[str], found: dict[str, list[str]]) -> dict[str, list[str]]:
    """The categories to run, each with its chosen programs (none: all).

    Raises:
        Fatal: a word means neither.
    """
    chosen: dict[str, list[str]] = {} if words else {c: [] for c in found}
    for word in words:
        homes = [c for c, programs in found.items() if word in programs]
        if word in found:
            chosen[word] = []
        elif homes:
            for home in homes:
                if home not in chosen or chosen[home]:
                    chosen.setdefault(home, []).append(word)
        else:
            names = list(dict.fromkeys([*found, *(p for ps in found.values() for p in ps)]))
            near = [n for n in names if word in n] or difflib.get_close_matches(word, names, 6)
            raise Fatal(f"no category or program '{word}'; " +
                        (f"near: {', '.join(near)}" if near else
                         f"categories: {' '.join(sorted(found))}"))
    return chosen


class Job(NamedTuple):
    """A guest to boot."""

    kernel: Path
    folder: Path
    modules: Path
    append: list[str]
    category: str
    only: list[str]
    live: bool          # show the console as it comes


def run(job: Job) -> Done:
    """Boot a guest for a category and follow it to its end."""
    args = [*machine.hostfs(Path("/")), f"init={ROOT / 'scripts/judge/selftests-init'}", *MEMORY, *job.append]
    words = [str(job.folder), str(job.modules), job.category, *job.only]
    sink: Callable[[bytes], object] = sys.stdout.buffer.write if job.live else len
    guest = machine.boot(job.kernel, args, words, timeout=LIMIT, sink=sink)
    sys.stdout.flush()
    problem = guest.problem if not guest.problem.startswith("kernel complaint") else ""
    if not problem and "\n# SUMMARY: " not in guest.output:
        problem = "the guest ended early: " + "; ".join(guest.output.splitlines()[-2:])
    if guest.backtrace:
        problem += "\n" + guest.backtrace
    return Done(job.category, parse(guest.output, problem), problem, guest.seconds, guest.output)


def show_row(title: str, runs: Sequence[Done], seconds: float) -> None:
    """Print a line of the table."""
    counts = [sum(p.count(o) for done in runs for p in done.programs)
              for o in ("pass", "fail", "skip")]
    print(f"{title:20}{counts[0]:8}{counts[1]:8}{counts[2]:9}{seconds:9.1f}", flush=True)


def show_known(runs: Iterable[Done], known: dict[str, Category], all_of: Iterable[str]) -> None:
    """Print the recorded failures and skips that happened, and the categories never run."""
    for done in sorted(runs):
        for program in done.programs:
            recorded = known[done.category].programs.get(program.name, Known(0))
            for e in recorded.entries:
                if n := sum(e.covers(r) for r in program.results):
                    print(f"{e.outcome} {program.name}: {e.pattern}"
                          f"{f' ({n} results)' if n > 1 else ''}: {e.cause}")
    for name in all_of:
        if known[name].never:
            print(f"not run: {name}: {known[name].never}")


def worker(cpus: multiprocessing.Queue[int]) -> None:
    """Prepare a process of the pool: its own CPU, and an end with its parent."""
    ctypes.CDLL(None).prctl(machine.PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cpu = cpus.get()
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})


def command() -> int:
    """The command line; 1 when something is worse than recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="NAME", help="categories or programs")
    parser.add_argument("--kernel", type=Path, default=BUILD / "default/linux")
    parser.add_argument("--modules", type=Path, default=Path("/nonexistent"),
                        help="a folder with lib/modules and page_frag_test.ko")
    parser.add_argument("--append", default="", metavar="ARGS", help="more kernel arguments")
    parser.add_argument("--record", action="store_true", help=f"rewrite {RECORD.name}")
    parser.add_argument("--verbose", action="store_true", help="show what the programs print")
    json_option(parser)
    options = parser.parse_args()
    folder = BUILD / "selftests/bin"
    head, known = read_record(RECORD.read_text() if RECORD.exists() else "")
    found = stage(folder)
    chosen = choose(options.words, found)
    if not options.words:
        chosen = {c: only for c, only in chosen.items() if not known.get(c, Category()).never}
    order = sorted(chosen, key=lambda c: LONGEST.index(c) if c in LONGEST else len(LONGEST))
    append = options.append.split()
    jobs = [Job(options.kernel.resolve(), folder, options.modules, append, c, chosen[c],
                options.verbose and len(order) == 1) for c in order]

    cpus = sorted(os.sched_getaffinity(0))
    queue: multiprocessing.Queue[int] = multiprocessing.Queue()
    for cpu in cpus:
        queue.put(-1 if any(a.startswith("ncpus=") for a in append) else cpu)
    runs: list[Done] = []
    bad: list[str] = []
    good: list[str] = []
    start = time.monotonic()
    print(f"{'category':20}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}", flush=True)
    with multiprocessing.Pool(len(cpus), worker, (queue,)) as pool:
        for done in pool.imap_unordered(run, jobs):
            if options.verbose and not jobs[0].live:
                print(done.output)
            runs.append(done)
            show_row(done.category, [done], done.seconds)
            category = known.setdefault(done.category, Category())
            if options.record and not done.problem and not category.never:
                learn(category, done, chosen[done.category])
            worse, better = compare(category, done, chosen[done.category])
            bad += worse
            good += better
    if len(runs) > 1:
        show_row("all", runs, time.monotonic() - start)
    if options.record:
        RECORD.write_text(write_record(head, known))
    show_known(runs, known, [] if options.words else sorted(known))
    if not options.words:
        bad += [f"{c}: vanished" for c in known if c not in found and not known[c].never]
    write_json(options.json, worse=bad, better=good, programs={
        f"{done.category}/{program.name}": [result._asdict() for result in program.results]
        for done in runs for program in done.programs})
    for line in good:
        print(f"better: {line}")
    for line in bad:
        print(f"worse: {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    main(command)
