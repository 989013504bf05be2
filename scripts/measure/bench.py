# SPDX-License-Identifier: GPL-2.0
"""Measure what the sandbox is quick or slow at, or what a mechanism costs and gives.

"faults" is about faults and placement, "loop" about an edit until its verdict,
"flush" about SMP; "huge-zero", "pte-ref", "hvo" and "tail-refs" compare kernels with
different forms of that mechanism, "team" compares page teams with large folios and small
pages, "allocators" shows pte-ref with jemalloc and tcmalloc, "threads" what a second CPU
is worth to the threads of one process, also of two kernels. "explore" says how soon seeds
meet the races of tests/mutants, and how soon plain runs do. "first" is `make` in a new
clone, once if no number of rounds is given.

All configurations take turns for several rounds, since a shared host's speed
drifts. Only the ratios mean something elsewhere.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from scripts.measure import allocators, first, power
from scripts.kernel import config, fast
from scripts.guest import machine
from scripts.common import BUILD, LINUX, ROOT, Fatal, main

CASES = {"seccomp, pinned": ["seccomp=on"], "seccomp, not pinned": ["seccomp=on", "pin=off"],
         "ptrace, pinned": ["seccomp=off"]}
EDITED = LINUX / "mm/huge_memory.c"
TEST = ROOT / "rootfs/tests/mm/boot_hello.c"
ZERO = {"per mapping": "", "per mm": "huge-zero-per-mm", "persistent": "huge-zero-persistent"}
ZERO_WORK = {"read": (30, 0), "populate": (300, 1)}     # rounds, by MADV_POPULATE_READ
PHASES = ("check", "compile", "link")       # as fast.py prints them; then the boot
PTE_REF = {"off": "pte-off+no-pt-reclaim", "PT_RECLAIM": "pte-off",
           "plain": "pte-plain+no-pt-reclaim", "percpu": "no-pt-reclaim"}


def measure(kernel: Path, args: list[str], program: str) -> dict[str, float]:
    """One boot's numbers: the keys that a program prints, run_ns and cpu_ns.

    Raises:
        Fatal: the guest failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = machine.boot(kernel, [*machine.hostfs(BUILD / "rootfs"), *args], [program], timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if run.status:
        raise Fatal(f"{' '.join(args)}: {run.problem or run.output[-500:]}")
    numbers = {k: float(v) for k, v in re.findall(r"^ *(\w+_(?:ns|kb)) (\d+)$", run.output, re.M)}
    return {"run_ns": run.seconds * 1e9, "cpu_ns": cpu * 1e9, **numbers}


def in_turns(count: int, runs: dict[str, Callable[[], dict[str, float]]]) \
        -> dict[str, list[dict[str, float]]]:
    """The numbers of several runs that alternate, so many times."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(count):
        for name, run in runs.items():
            rounds[name].append(run())
    return rounds


def faults(kernel: Path, count: int) -> None:
    """Boot, and 64 MB faulted by 4K and by huge pages, pinned and not."""
    def one(args: list[str]) -> dict[str, float]:
        boot = measure(kernel, args, "boot_hello")["run_ns"]
        return {**measure(kernel, args, "bench_fault"), "boot_ns": boot}

    rounds = in_turns(count, {name: partial(one, args) for name, args in CASES.items()})
    print(f"{'median of ' + str(count) + ', ms':22}{'boot':>8}{'64 MB 4K':>10}"
          f"{'64 MB THP':>11}{'4K / THP':>10}")
    for name, results in rounds.items():
        boot, small, huge = (median(r[key] for r in results) / 1e6
                             for key in ("boot_ns", "fault4k_ns", "faulthuge_ns"))
        print(f"{name:22}{boot:8.0f}{small:10.1f}{huge:11.1f}{small / huge:10.1f}")


def flush(kernel: Path, count: int) -> None:
    """A page of a file punched while a process on another CPU maps it, sleeps, runs.

    Raises:
        Fatal: not an SMP kernel.
    """
    rounds = [measure(kernel, ["ncpus=2"], "bench_flush") for _ in range(count)]
    if "running_ns" not in rounds[0]:
        raise Fatal("one CPU has no other to flush: make bench B=flush VARIANT=smp")
    print(f"{'median of ' + str(count) + ', us':38}{'a page':>8}{'ratio':>8}")
    base = median(r["unmapped_ns"] for r in rounds)
    for name, key in (("nobody else maps it", "unmapped_ns"),
                      ("mapped by a process that sleeps", "sleeping_ns"),
                      ("mapped by a process that runs", "running_ns")):
        ns = median(r[key] for r in rounds)
        print(f"{name:38}{ns / 1e3:8.1f}{ns / base:8.2f}")


def build(variant: str) -> Path:
    """The kernel of a variant, up to date.

    Raises:
        Fatal: it doesn't build.
    """
    if subprocess.run(["make", "kernel", f"VARIANT={variant}"], cwd=ROOT, env=config.clean_env(),
                      stdin=subprocess.DEVNULL).returncode:
        raise Fatal(f"make kernel VARIANT={variant}: failed")
    return BUILD / variant / "linux"


def huge_zero(kernel: Path, count: int) -> None:
    """40 processes that map the huge zero page, by what holds its references.

    The host's CPU time for the same work is compared: wall time would measure
    whoever else uses the machine.
    """
    variant = kernel.parent.name
    smp = ["ncpus=2"] if "smp" in variant else []
    base = "" if variant == "default" else variant
    kernels = {name: build("+".join(filter(None, (base, extra))) or "default")
               for name, extra in ZERO.items()}
    print(f"{'median of ' + str(count) + ', ' + variant:26}{'faults / CPU s':>15}"
          f"{'/ per mm':>11}{'from':>7}{'to':>7}{'/ persistent':>15}{'from':>7}{'to':>7}")
    for what, work in ZERO_WORK.items():
        args = [*smp, f"ROUNDS={work[0]}", f"POPULATE={work[1]}"]
        turns = in_turns(count, {name: partial(measure, path, args, "bench_huge_zero")
                                 for name, path in kernels.items()})
        rounds = {name: [40 * 64 * work[0] * 1e9 / run["cpu_ns"] for run in runs]
                  for name, runs in turns.items()}
        for name, results in rounds.items():
            print(f"{what + ', ' + name:26}{median(results):15.0f}", end="")
            for other, width in (("per mm", 11), ("persistent", 15)):
                ratios = sorted(a / b for a, b in zip(results, rounds[other]))
                print(f"{median(ratios):{width}.3f}{ratios[0]:7.3f}{ratios[-1]:7.3f}", end="")
            print()
    print("posted, reads: per mapping / never freed 0.99")


def hvo(kernel: Path, count: int) -> None:
    """HugeTLB pages optimized in mainline's form and in the posting's, beside plain ones.

    Args:
        kernel: that with mainline's form; the other is that of the variant fake-heads.
    """
    kernels = {"mainline": kernel, "fake heads": build("fake-heads")}
    rounds = in_turns(count, {name: partial(measure, program, [], "bench_hvo")
                              for name, program in kernels.items()})

    def row(title: str, key: str, unit: float, off: float) -> None:
        on = [median(r[f"on_{key}_ns"] for r in rounds[name]) / unit for name in kernels]
        print(f"{title:38}{off:8.2f}" + "".join(f"{ns:12.2f}" for ns in on) +
              "".join(f"{ns / off:12.2f}" for ns in on))

    print(f"{'median of ' + str(count):38}{'off':>8}" +
          "".join(f"{name:>12}" for name in kernels) +
          "".join(f"{'/ off':>12}" for _ in kernels))
    for title, key in (("allocate a HugeTLB page, us", "alloc"), ("free it, us", "free")):
        row(title, key, 1e3, median(r[f"off_{key}_ns"] for each in rounds.values()
                                    for r in each) / 1e3)
    for title, key in (("small page", "small"), ("head", "head"), ("tail", "tail"),
                       ("tail of HugeTLB, first in 4 KB", "border")):
        # Without an optimized page so far, and there a HugeTLB tail is any tail.
        base = median(r[f"off_{'tail' if key == 'border' else key}_ns"]
                      for r in rounds["fake heads"])
        row(f"compound_head(), {title}, ns"[:38], key, 2 ** 20, base / 2 ** 20)
    print("posted, on hardware: allocate / off 2, free / off 2 to 3; here to remap a page of\n"
          "the vmemmap is a call of the host's mmap()")


def edit(path: Path, text: str, function: bool = False) -> None:
    """Append what no compiler cache has seen, and what moves all that follows."""
    salt = time.time_ns()
    added = f"void bench_{salt}(void); void bench_{salt}(void) {{}}" if function else ""
    path.write_text(f'{text}\n__asm__(".text; .skip {16 + salt % 4096 & ~15}"); /* {salt} */\n'
                    + added)


def whole(kernel: Path) -> dict[str, float]:
    """Seconds of one `make run`, by phase.

    Raises:
        Fatal: it failed.
    """
    begin = last = time.monotonic()
    phases: dict[str, float] = {}
    with subprocess.Popen(["make", "run", f"VARIANT={kernel.parent.name}", "T=boot_hello", "V=1"],
                          cwd=ROOT, env=config.clean_env(), stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as make:
        assert make.stdout
        lines = []
        for line in make.stdout:
            lines.append(line)
            if m := re.match(r"# (\w+) done$", line):
                phases[m[1]] = time.monotonic() - last
                last = time.monotonic()
    if make.returncode:
        raise Fatal(f"make run: {''.join(lines[-5:])}")
    end = time.monotonic()
    return {**phases, "boot": end - last, "whole": end - begin}


def without_id(program: str) -> bytes:
    """A program in the working directory without its build ID."""
    subprocess.run(["objcopy", "--remove-section", ".note.gnu.build-id", program, ".bench.linux"],
                   check=True, stderr=subprocess.DEVNULL)
    return Path(".bench.linux").read_bytes()


def compare_with_kbuild(kernel: Path, function: bool) -> None:
    """Whether the fast build of an edit makes what Kbuild makes of it.

    Args:
        function: the edit adds one, so that kallsyms has a name more.

    Raises:
        Fatal: it doesn't.
    """
    edit(EDITED, EDITED.read_text(), function=function)
    whole(kernel)
    ours = without_id("linux")
    if words := config.make_kernel(LINUX, kernel.parent):
        raise Fatal(words)
    if without_id("vmlinux.unstripped") != ours:
        raise Fatal(f"the fast build of an edit {'with' if function else 'without'} a new "
                    "function isn't what Kbuild makes of it: see scripts/kernel/README.md")


def loop(kernel: Path, count: int) -> None:
    """From an edit to the verdict, beside the compilation of that object alone."""
    os.chdir(kernel.parent)
    command, _ = fast.command_of("mm/huge_memory.o")
    alone = fast.words_of(command).replace("mm/.huge_memory.o.d", ".bench.o.d") \
        .replace("-o mm/huge_memory.o", "-o .bench.o")
    rounds: dict[str, list[dict[str, float]]] = {
        "object alone": [], "kernel edited": [], "function added": [],
        "test edited": [], "nothing edited": []}
    kernel_text, test_text = EDITED.read_text(), TEST.read_text()
    try:
        edit(EDITED, kernel_text)
        whole(kernel)       # once without being measured: the caches
        for _ in range(count):
            edit(EDITED, kernel_text)
            begin = time.monotonic()
            subprocess.run(alone, shell=True, check=True)
            seconds = time.monotonic() - begin
            rounds["object alone"].append({"compile": seconds, "whole": seconds})
            edit(EDITED, kernel_text)
            whole(kernel)   # without the function that the last round added
            edit(EDITED, kernel_text)
            rounds["kernel edited"].append(whole(kernel))
            edit(EDITED, kernel_text, function=True)
            rounds["function added"].append(whole(kernel))
            edit(TEST, test_text)
            rounds["test edited"].append(whole(kernel))
            rounds["nothing edited"].append(whole(kernel))
        for function in (False, True):
            EDITED.write_text(kernel_text)
            compare_with_kbuild(kernel, function)
    finally:
        EDITED.write_text(kernel_text)
        TEST.write_text(test_text)
        for left in Path().glob(".bench.*"):
            left.unlink()
        whole(kernel)
    columns = (*PHASES, "boot", "whole")
    print(f"{'median of ' + str(count) + ', s':22}" + "".join(f"{c:>9}" for c in columns) +
          f"{'/ object':>10}")
    base = median(r["whole"] for r in rounds["object alone"])
    for name, results in rounds.items():
        print(f"{name:22}" + "".join(
            f"{median(r[c] for r in results):9.2f}" if c in results[0] else f"{'':9}"
            for c in columns) + f"{median(r['whole'] for r in results) / base:10.2f}")
    print("the program is what Kbuild makes of the same edits, but for its build ID")


def pte_ref(_: Path, count: int) -> None:
    """Small pages with no empty page table freed, as mainline does it, by each count.

    Raises:
        Fatal: a kernel doesn't build, or a guest failed.
    """
    kernels = {name: build(variant) for name, variant in PTE_REF.items()}
    rounds = in_turns(count, {name: partial(measure, kernel, [], "bench_pte")
                              for name, kernel in kernels.items()})
    result = {name: {key: median(r[key] for r in runs) for key in runs[0]}
              for name, runs in rounds.items()}
    heads = "".join(f"{name:>12}" for name in PTE_REF)
    print(f"{'VmPTE, kB, of 50 GB':26}{heads}")
    for key, text in (("once_before_kb", "each 2 MB touched"),
                      ("once_after_kb", "given back at once"),
                      ("pieces_after_kb", "given back page by page")):
        print(f"{text:26}" + "".join(f"{r[key]:12.0f}" for r in result.values()))
    print(f"{'bytes a table, besides':26}" +
          "".join(f"{r['once_beside_bytes']:12.0f}" for r in result.values()))
    print(f"\n{'throughput / off':26}{heads}   off, ms")
    for key, base in result["off"].items():
        if key.endswith("_ns") and key not in ("run_ns", "cpu_ns"):
            print(f"{key.removesuffix('_ns'):26}" +
                  "".join(f"{base / r[key]:12.2f}" for r in result.values()) +
                  f"{base / 1e6:10.1f}")


def team(kernel: Path, count: int) -> None:
    """64 MB of tmpfs as small pages, as large folios and as page teams."""
    runs = [measure(kernel, [], "bench_team") for _ in range(count)]
    kinds = {"never": "4K", "always": "folios", "team": "teams"}
    result = {kind: {key: median(r[f"{kind}_{key}"] for r in runs) for key in (
        "fault_ns", "again_ns", "unmap_ns", "write_ns", "punch_ns", "truncate_ns", "half_kb",
        "pinned_kb")} for kind in kinds}
    print(f"{'median of ' + str(count):36}" + "".join(f"{k:>9}" for k in kinds.values()) +
          f"{'teams / folios':>16}{'/ 4K':>7}")
    for key, title, unit in (("fault_ns", "fault 64 MB, ms", 1e6),
                             ("again_ns", "map it once more, ms", 1e6),
                             ("unmap_ns", "unmap, ms", 1e6), ("write_ns", "write(), ms", 1e6),
                             ("punch_ns", "punch every other page, ms", 1e6),
                             ("truncate_ns", "truncate, ms", 1e6),
                             ("half_kb", "then in memory, MB", 1024),
                             ("pinned_kb", "one page of each 2 MB pinned, MB", 1024)):
        small, folios, teams = (result[kind][key] / unit for kind in kinds)
        print(f"{title:36}{small:9.2f}{folios:9.2f}{teams:9.2f}{teams / folios:16.2f}"
              f"{teams / small:7.2f}")


def tail_refs(kernel: Path, count: int) -> None:
    """Pins counted for each page of a huge page, and for the whole as mainline does it.

    Args:
        kernel: that with the option on; the other is that of the variant tail-refs-off.
    """
    kernels = {"off": build("tail-refs-off"), "on": kernel}
    rounds = in_turns(count, {name: partial(measure, program, [], "bench_pins")
                              for name, program in kernels.items()})
    pages = 16384
    print(f"{'ns a page, median of ' + str(count):37}{'off':>9}{'on':>9}{'on / off':>10}"
          f"{'from':>7}{'to':>7}")
    for size in ("small", "huge"):
        for key, text in (("fault", "fault"), ("direct", "O_DIRECT read"),
                          *((f"{do}{n}", f"{text}, {n} a call")
                            for do, text in (("pin", "pin"), ("unpin", "unpin"),
                                             ("whole", "pin as a whole"),
                                             ("unwhole", "unpin as a whole"))
                            for n in (1, 8, 512))):
            off, on = ([r[f"{size}{key}_ns"] for r in rounds[name]] for name in kernels)
            ratios = sorted(b / a for a, b in zip(off, on))
            print(f"{size + ' pages, ' + text:37}{median(off) / pages:9.1f}"
                  f"{median(on) / pages:9.1f}{median(ratios):10.3f}{ratios[0]:7.3f}"
                  f"{ratios[-1]:7.3f}")


def threads(kernel: Path, count: int, against: str = "") -> None:
    """What one and two tasks get done, threads of one process and processes.

    Args:
        against: another kernel, to be compared with; the first takes turns with it.

    Raises:
        Fatal: there is no such kernel.
    """
    if against and not Path(against).is_file():
        raise Fatal(f"{against}: no such kernel")
    kernels = {"before": Path(against).resolve(), "after": kernel} if against else {"": kernel}
    args = ["ncpus=2"] if "smp" in kernel.parent.name else []
    rounds = in_turns(count, {name: partial(measure, path, args, "bench_threads")
                              for name, path in kernels.items()})
    head = f"{'1, us':>9}{'2, us':>9}{'1 : 2':>8}{'from':>7}{'to':>7}"
    print(f"{'median of ' + str(count) + ', tasks':26}" +
          "".join(head if not name else f"{name:>8}:{head}" for name in kernels) +
          (f"{'2, before / after':>19}{'from':>7}{'to':>7}" if against else ""))
    names = [key.removesuffix("1_ns") for key in rounds["after" if against else ""][0]
             if key.endswith("1_ns") and not key.endswith("fault1_ns")]
    for name in names:
        # Until two have had 64 MB each; of the loops, one operation of either.
        faults_all = name.startswith("fault64")
        unit = 1e6 if faults_all else 1e3
        print(f"{name.replace('64_', ' 64 MB, ms, ').replace('_', ', '):26}" if faults_all else
              f"{', '.join(name.rsplit('_', 1)):26}", end="")
        for which, results in rounds.items():
            one, two = ([r[f"{name}{n}_ns"] for r in results] for n in (1, 2))
            ratios = sorted(b / a if faults_all else a / b for a, b in zip(one, two))
            print(f"{'':{9 if which else 0}}{median(one) / unit:9.2f}{median(two) / unit:9.2f}"
                  f"{median(ratios):8.2f}{ratios[0]:7.2f}{ratios[-1]:7.2f}", end="")
        if against:
            ratios = sorted(a[f"{name}2_ns"] / b[f"{name}2_ns"]
                            for a, b in zip(rounds["before"], rounds["after"]))
            print(f"{median(ratios):19.2f}{ratios[0]:7.2f}{ratios[-1]:7.2f}", end="")
        print()
    print("1 : 2 of 64 MB is the time of two for 64 MB each by that of one: x86-64 has less\n"
          "than 1.25; of the others how much more two get done than one, 2 at best")


def allocator(kernel: Path, _: int) -> None:
    """Page tables under a real allocator, freed when empty or as mainline does it."""
    allocators.measure(kernel, build("pte-off"))


BENCHES = {"faults": faults, "loop": loop, "flush": flush, "huge-zero": huge_zero,
           "pte-ref": pte_ref, "allocators": allocator, "hvo": hvo, "team": team,
           "tail-refs": tail_refs, "threads": threads, "explore": power.measure}
ROUNDS = 5


def command() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=[*BENCHES, "first"],
                        default="faults")
    parser.add_argument("--kernel", type=Path, default=BUILD / "default/linux")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--against", default="", metavar="COMMIT|KERNEL",
                        help="a commit for first, a kernel for threads")
    options = parser.parse_args()
    if options.what == "first":
        first.measure(options.rounds or 1, options.against)
    elif options.what == "threads":
        threads(options.kernel, options.rounds or ROUNDS, options.against)
    else:
        BENCHES[options.what](options.kernel, options.rounds or ROUNDS)


if __name__ == "__main__":
    main(command)
