# SPDX-License-Identifier: GPL-2.0
"""gdb and its mm- commands, on real guests, against what /proc says in there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, ROOTFS

from scripts.guest import machine

RUNNER = ["/usr/bin/python3", "-m", "scripts.guest.run"]
STOPS = ROOT / "tests/gdb_stops.py"

pytestmark = pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed")

# Bits of /proc/kpageflags and the names that the kernel has for the flags.
KPF = {"locked": 0, "referenced": 2, "uptodate": 3, "dirty": 4, "lru": 5, "active": 6,
       "writeback": 8, "reclaim": 9, "swapcache": 13, "swapbacked": 14, "unevictable": 18}
KPF_BUDDY, KPF_ANON, KPF_HEAD, KPF_TAIL, KPF_HUGE, KPF_THP = 10, 12, 15, 16, 17, 22


def debug(kernel: Path, test: str, place: str, commands: str, *args: str,
          env: dict[str, str] | None = None) -> str:
    """What gdb and the guest print when gdb stops a test at a place."""
    done = subprocess.run([*RUNNER, "--kernel", str(kernel), *args, "--gdb", place, test],
                          input=f"source {STOPS}\n{commands}\nkill\nquit\n", capture_output=True,
                          text=True, timeout=120, env=env)
    if skip := re.search(r"^ok 1 \S+ # SKIP (.*)", done.stdout, re.M):
        pytest.skip(skip[1])
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


class Section(NamedTuple):
    """What the commands said at a stop."""

    address: str
    label: str
    said: dict[str, str]        # of each command; a second time with another argument: "name 2"
    seconds: dict[str, float]


def sections(output: str) -> Iterator[Section]:
    """The stops in gdb's output."""
    for part in output.split("\n=== ")[1:]:
        head, *commands = part.split("\n--- ")
        address, _, label = head.splitlines()[0].partition(" ")
        said, seconds = dict[str, str](), dict[str, float]()
        for command in commands:
            first, _, text = command.partition("\n")
            if first == "end":
                break
            name, _, took = first.partition(" ")
            name = f"{name} 2" if name in said else name
            said[name], seconds[name] = text, float(took)
        yield Section(address, label, said, seconds)


def views(output: str) -> list[dict[str, str]]:
    """What the program says of /proc, stage by stage."""
    return [{"stage": m[1], **dict(re.findall(r"(\w+)=(\S+)", m[2]))}
            for m in re.finditer(r"# view (\w+) (.*)", output)]


def find(pattern: str, text: str) -> str:
    """The group of a pattern in a text, or the test fails."""
    found = re.search(pattern, text, re.M)
    assert found, f"no {pattern!r} in:\n{text}"
    return found[1]


def kb(kind: str, said: str) -> int:
    """How much of an area is mapped in a way."""
    found = re.search(rf"^mapped .*\b{kind} (\d+) kB", said, re.M)
    return int(found[1]) if found else 0


def agrees(view: dict[str, str], stop: Section) -> None:
    """Assert that the commands say what /proc does."""
    said, flags, pfn = stop.said, int(view["flags"], 16), int(view["pfn"])
    assert stop.address == view["addr"]
    area, ptes = said["mm-vma"], said["mm-ptes"]
    assert int(find(r"VmPTE (\d+) kB: agrees", ptes)) == int(view["vmpte"])
    assert ", counted " in ptes and "DISAGREES" not in ptes
    assert "DISAGREES" not in "".join(said.values())
    if view["stage"] == "freed":
        assert flags >> KPF_BUDDY & 1
        assert "free     in a buddy block" in said["mm-page"]
        assert "unmap_region" in find(r"^freed by (.*)", said["mm-page"])
        assert re.match(rf"error: page {pfn} is free: ", said["mm-refs"])
        assert "nothing is mapped at" in area and "nothing is mapped at" in said["mm-walk"]
        return
    huge = kb("PMD", area)
    if flags >> KPF_HUGE & 1:
        assert huge == int(view["huge"])
    else:
        assert kb("4K", area) + huge == int(view["rss"])
        assert huge == int(view["huge"])
    assert kb("swap", area) == int(view["swap"])
    walk = said["mm-walk"]
    assert f"of pid {view['pid']} (bench_gdb_pages)" in walk
    assert re.search(r"^host .*: agrees$", walk, re.M), walk
    if not pfn:
        assert re.search(r"^pte .* swap type 0 offset", walk, re.M)
        return
    assert int(find(r"^page +(\d+) of ", walk)) == pfn
    assert int(find(r"^host +page (\d+) ", walk)) == pfn

    page, refs = said["mm-page"], said["mm-refs"]
    assert int(find(r"^page +pfn (\d+),", page)) == pfn
    names = set(find(r"^flags +([\w|]+)", page).split("|"))
    for name, bit in KPF.items():
        if name != "swapbacked" or not flags >> KPF_HUGE & 1:
            assert (name in names) == bool(flags >> bit & 1), (name, names, hex(flags))
    order = int(find(r"order (\d+)", page))
    assert bool(order) == bool(flags >> KPF_HEAD & 1 or flags >> KPF_TAIL & 1)
    tail = int(find(r"page (\d+) of it", page)) if order else 0
    assert bool(tail) == bool(flags >> KPF_TAIL & 1)
    entire = int(find(r"\((\d+) by PMD", page)) if order else 0
    mapcount = int(find(r"mapcount (\d+)", page))
    if own := re.search(r"this page (\d+) by PTE", page):
        mapcount = entire + int(own[1])
    elif order and mapcount:    # NO_PAGE_MAPCOUNT: kpagecount has the average, rounded
        mapcount = max(entire + (mapcount - entire + (1 << order - 1) >> order), 1)
    assert mapcount == int(view["count"])
    assert ("anon" in find(r"^mapping +(.*)", page)) == bool(flags >> KPF_ANON & 1) or \
        view["stage"] in ("hugetlb", "hvo", "fake_head", "file")
    assert ("a fake head" in page) == (view["stage"] == "fake_head")
    if view["cgroup"] != "0":
        assert find(r"^memcg .*\(inode (\d+)\)", page) == view["cgroup"]
    if view["stage"] not in ("zero", "file", "file_parts", "swapin", "swapcache"):
        assert "(bench_gdb_page" in find(r"^owner +(.*)", page)
        assert find(r"^owner .*order (\d+)", page) == str(order) or view["stage"] == "split"

    assert find(r"^  unattributed +(-?\d+)$", refs) == "0"
    total = int(find(r"refs (\d+)", refs))
    assert total == int(find(r"^counts +refcount (\d+)", page))
    rows = dict(re.findall(r"^  (\w[\w ]*?)  +(-?\d+)(?:  |$)", refs, re.M))
    assert total == sum(map(int, rows.values()))
    mapped = int(rows.get("PMD mappings", 0)), int(rows.get("PTE mappings", 0))
    if view["stage"] in ("team", "team_first"):
        assert not sum(mapped) and view["huge"] == "2048"
        assert re.search(r"^mapped +1 times by PMD, for which the team", refs, re.M), refs
        for text in (page, walk, refs):
            assert "512 members, mapped by 1 PMDs" in text, text
        assert int(find(r"^team +page (\d+) of the one", page)) == pfn % 512
    elif view["stage"] not in ("zero", "huge_zero"):
        assert mapped[0] == entire and sum(mapped) == int(find(r"mapped (\d+)", refs))
    wants = {"fork": ("PMD mappings", 2), "partial": ("PTE mappings", 511),
             "partial_fork": ("PTE mappings", 1022), "pin": ("pins", 1), "subpage_pin": ("pins", 5),
             "small_pin": ("pins", 1024), "swapcache": ("swap cache", 1),
             "file": ("page cache", 512), "file_parts": ("page cache", 512),
             "huge_zero": ("allocation", 1), "team": ("team", 1), "team_first": ("team", 1),
             "team_parts": ("PTE mappings", 1), "hugetlb": ("PMD mappings", 1),
             "hvo": ("PMD mappings", 1), "fake_head": ("PMD mappings", 1)}
    if view["stage"] in wants:
        name, count = wants[view["stage"]]
        assert int(rows.get(name, 0)) == count, refs
    if view["stage"] == "subpage_pin":
        assert "pins 5, of page 7 twice, 511 of it, 2 of the whole" in page
        assert "5 by FOLL_PIN, of page 7 twice, 511 of it, 2 of the whole" in refs
    listed = "list     none" not in said["mm-lru 2"]
    assert listed == (bool(flags >> KPF["lru"] & 1) and not flags >> KPF["unevictable"] & 1)
    zero = said["mm-huge-zero"]
    if view["stage"] == "huge_zero":
        assert "mapped   1 times" in zero and "and 1 of m" in zero and ": agrees" in zero


@pytest.mark.parametrize("mode", ["on", "off"])
def test_commands_agree_with_proc(mode: str, kernel: Path) -> None:
    output = debug(kernel, "bench_gdb_pages", "sys_mincore", "python follow()",
                   "--append", f"seccomp={mode}")
    stops, seen = list(sections(output)), views(output)
    assert len(seen) == 23 and "0 failed" in output, output[-3000:]
    assert len(stops) == len(seen), output[-3000:]
    for view, stop in zip(seen, stops):
        try:
            agrees(view, stop)
        except AssertionError as why:
            raise AssertionError(f"{view}: {why}") from why


def test_lies_are_noticed(kernel: Path) -> None:
    # At the end the guest goes on, so that all that it has printed comes out.
    output = debug(kernel, "bench_gdb_pages", "sys_mincore", "python stage(); ask_all(); lie()\n"
                   "continue\npython stage(); ask_all(); lie()\ndelete\ncontinue")
    stops, seen = list(sections(output)), {v["addr"]: v for v in reversed(views(output))}
    believed = {stop.label for stop in stops}
    for stop in stops:
        try:
            agrees(seen[stop.address], stop)
        except AssertionError:
            believed.discard(stop.label)
    assert believed == {""}, "the truth isn't believed, or a lie is"


def test_what_is_planted(kernel: Path) -> None:
    output = debug(kernel, "bench_gdb_pages", "sys_mincore", "python plant()")
    said = {stop.label: stop.said for stop in sections(output)}

    def unattributed(label: str) -> str:
        return find(r"^  unattributed +(-?\d+)$", said[label]["mm-refs"])

    assert [unattributed(x) for x in ("stray get", "put", "lost get", "got")] == \
        ["1", "0", "-1", "0"]
    lost = said["lost entry"]
    assert unattributed("lost entry") == "1" and "PMD mappings" not in lost["mm-refs"]
    assert "mapcount 1, but 0 mappings found: DISAGREES" in lost["mm-refs"]
    assert ": DISAGREES with the entry" in find(r"^host (.*)", lost["mm-walk"])
    wrong = said["wrong entry"]
    assert unattributed("wrong entry") == "1"
    assert ": DISAGREES with the entry" in find(r"^host (.*)", wrong["mm-walk"])
    assert "does not reach" in said["wrong index"]["mm-refs"]
    assert unattributed("wrong index") == "0"
    assert len(re.findall("counted .*: DISAGREES", said["lost small entry"]["mm-ptes"])) == 1


def test_team_is_checked(kernel: Path) -> None:
    output = debug(kernel, "team_counts", "unmap_team_by_pmd", "python team()")
    said = {stop.label: stop.said["mm-refs"] for stop in sections(output)}
    assert "DISAGREES" not in said["right"], said
    assert re.search(r"^team +\d+ PMDs, but \d+ found: DISAGREES", said["wrong"], re.M), said


def test_every_folio_of_the_guest_adds_up(kernel: Path) -> None:
    output = debug(kernel, "bench_gdb_pages", "sys_mincore", "continue\npython every_folio()")
    assert "wrong: " not in output, output
    assert int(find(r"^(?:\(gdb\) )*good: (\d+)$", output)) > 1000


def test_middle_of_an_update(kernel: Path) -> None:
    ask = "python ask('mm-refs folio')"
    frozen = debug(kernel, "thp_split_debugfs", "__split_unmapped_folio", ask)
    assert "caution  its count is frozen at 0" in frozen, frozen
    assert re.search(r"caution  stopped in the middle of #\d+ __\w*split", frozen)
    assert re.search(r"\d+ migration entries name it", frozen)
    caller = debug(kernel, "thp_split_debugfs", "__folio_split", ask)
    assert re.search(r"^  caller +1  of #\d+ __folio_split", caller, re.M), caller
    assert re.search(r"^  unattributed +0$", caller, re.M)
    for bits, pages in ((0, 1), (2, 16)):
        gather = debug(kernel, "bench_gdb_pages", "sys_mincore", f"python gathered({bits})")
        assert re.search(rf"^  mmu_gather +{pages} ", gather, re.M), gather
        assert re.search(r"^  unattributed +0$", gather, re.M), gather


def test_reclaim_isolates(kernel: Path) -> None:
    output = debug(kernel, "thp_swap_out_in", "try_to_unmap", "python ask('mm-refs folio')")
    assert re.search(r"^  lru isolation +1 ", output, re.M), output
    assert re.search(r"^  swap cache +\d+ ", output, re.M), output
    assert re.search(r"^  unattributed +0$", output, re.M), output


@pytest.mark.parametrize("watch", [True, False])
def test_every_change_is_said(kernel: Path, watch: bool) -> None:
    output = debug(kernel, "thp_cow_pinned", "copy_huge_pmd",
                   f"python count('src_pmd->pmd >> 12', {watch})")
    changes = [(int(a), int(b), who) for a, b, who in
               re.findall(r"^folio \d+: (-?\d+) -> (-?\d+)  (.*)$", output, re.M)]
    assert len(changes) == 5, output
    assert all(old[1] == new[0] for old, new in zip(changes, changes[1:]))
    assert all(a != b for a, b, _ in changes)
    assert all(" < " in who and not re.match(r"(__)?page_ref|arch_", who) for *_, who in changes)
    assert "0 failed" in output


BAD = [
    ("mm-page", r"usage: mm-page PAGE"),
    ("mm-page 1 2", r"A syntax error in expression"),
    ("mm-page nothing", r'No symbol "nothing" in current context'),
    ("mm-page 99999999", r"0x5f5e0ff is no pfn or kernel address: this guest has \d+ pages"),
    ("mm-page 0x123456789abc", r"0x123456789abc is no pfn or kernel address"),
    ("mm-page ((struct page *)8)", r"no struct page of this guest is there"),
    ("mm-refs", r"usage: mm-refs FOLIO"),
    ("mm-refs -1", r"is no pfn or kernel address"),
    ("mm-walk 4711 0", r"no process 4711; processes: 1 init, \d+ bench_gdb_pages"),
    ("mm-walk 2 0", r"pid 2 \(kthreadd\) has no memory of its own"),
    ("mm-vma current 0", r"nothing is mapped at 0x0 in pid \d+ .*: the next area begins at 0x4"),
    ("mm-vma 4711", r"no process 4711"),
    ("mm-ptes (1", r"A syntax error in expression|Unmatched|unmatched"),
    ("mm-huge-zero 1", r"usage: mm-huge-zero"),
    ("mm-buddy x", r"usage: mm-buddy"),
    ("mm-break-refs -log", r"usage: mm-break-refs"),
    ("mm-break-test nowhere x", r'nowhere: Function "nowhere" not defined'),
    ("mm-walk current *(char **)1", r"\*\(char \*\*\)1 can't be read"),
    ("optimized out", r"is optimized out here: try the caller's frame"),
]


def test_bad_input_is_one_line(kernel: Path) -> None:
    output = debug(kernel, "bench_gdb_pages", "sys_mincore", "python bad()")
    said = {m[2]: m[1] for m in
            re.finditer(r"^--- \S+ [\d.]+\n((?:.*\n)*?)\((.*)\)$", output, re.M)}
    for command, why in BAD:
        assert re.match(f"error: .*(?:{why})", said[command]), (command, said.get(command))
    free = [text for command, text in said.items()
            if re.match(r"mm-(refs|lru|break-refs) \d+$", command)]
    assert len(free) == 3 and all("is free: in a buddy block" in text for text in free), free
    for command, text in said.items():
        assert text.startswith("error: ") and text.count("\n") == 1, (command, text)


def test_stops_in_the_test_not_before(kernel: Path) -> None:
    output = debug(kernel, "thp_write_fault", "mm/memory.c:handle_mm_fault",
                   "python print('comm', mms.current().string('comm'))")
    assert "comm thp_write_fault" in output
    begin = debug(kernel, "thp_write_fault", "", "bt 1")
    assert re.search(r"#0 .* begin_new_exec", begin), begin


def test_unknown_place(kernel: Path) -> None:
    done = subprocess.run([*RUNNER, "--kernel", str(kernel), "--gdb", "nowhere", "boot_hello"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert 'uml-mm: error: nowhere: Function "nowhere" not defined' in done.stderr


def attach(kernel: Path, which: str, commands: str) -> subprocess.CompletedProcess[str]:
    """gdb on what runs."""
    return subprocess.run([*RUNNER, "--kernel", str(kernel), "--attach", which], input=commands,
                          capture_output=True, text=True, timeout=60)


def test_attach(kernel: Path, tmp_path: Path) -> None:
    mine = tmp_path / "linux"       # so that no other test's guest is meant
    shutil.copy(kernel, mine)
    (kernel.parent / "gdb-index").mkdir(exist_ok=True)
    for name in ("mm", "arch", "include", "gdb-index"):     # where macros get their values
        (tmp_path / name).symlink_to(kernel.parent / name)
    done = attach(mine, "1", "")
    assert done.returncode == 2 and "no guest runs" in done.stderr
    with machine.Guest(mine, [*machine.hostfs(ROOTFS), "--", "hang"]) as guest:
        time.sleep(1)
        done = attach(mine, "1", "mm-vma 1\nmm-walk 1 0x400000\ndetach\nquit\n")
        assert '"init"' in done.stdout and re.search(r"^host .*: agrees$", done.stdout, re.M), done
        assert guest.proc.poll() is None
        done = attach(mine, "4711", "")
        assert done.returncode == 2 and "as 4711" in done.stderr
        with machine.Guest(mine, [*machine.hostfs(ROOTFS), "--", "hang"]):
            time.sleep(0.5)
            done = attach(mine, "1", "")
            assert done.returncode == 2 and "ATTACH=<pid> chooses one" in done.stderr, done.stderr


def plain_gdb(program: Path, *commands: str) -> str:
    """What plain gdb prints, which may load what is next to the program."""
    args = [arg for command in commands for arg in ("-ex", command)]
    done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-iex", "set debuginfod enabled off",
                           "-iex", "set auto-load safe-path /", str(program), *args],
                          capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_plain_gdb_has_the_commands(kernel: Path) -> None:
    said = plain_gdb(ROOT / "linux/linux" if (ROOT / "linux/linux").exists() else kernel,
                     "help mm-page", "mm-page 1", "info signals SIGSEGV", "help user-defined")
    assert "mm-page PAGE: what a page is" in said
    assert "the kernel isn't running" in said
    assert re.search(r"^SIGSEGV +No\s+No\s+Yes", said, re.M), said


def test_help(kernel: Path) -> None:
    names = re.findall(r'name = "(mm-[\w-]+)"', "".join(
        p.read_text() for p in (ROOT / "scripts/gdb/mm").glob("*.py")))
    assert len(names) == 14
    said = plain_gdb(kernel, *(f"help {name}" for name in names))
    for name in names:
        assert re.search(rf"^{name}\b.*: ", said, re.M), name


def test_no_debug_info(kernel: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "linux"
    subprocess.run(["strip", "--strip-debug", "-o", stripped, kernel], check=True)
    (tmp_path / "linux-gdb.py").symlink_to(ROOT / "scripts/gdb/linux-gdb.py")
    said = plain_gdb(stripped, f"set args {' '.join(machine.hostfs(ROOTFS))} -- boot_hello",
                     "break do_exit", "run", "mm-page 1", "mm-vma 1")
    assert "Traceback" not in said
    found = re.findall(r"^no debug info for .*: is this a kernel built here", said, re.M)
    assert len(found) == 2, said


def test_gdb_without_python(kernel: Path, tmp_path: Path) -> None:
    fake = tmp_path / "gdb"
    fake.write_text("#!/bin/sh\necho 'Python scripting is not supported' >&2\n")
    fake.chmod(0o755)
    done = subprocess.run([*RUNNER, "--kernel", str(kernel), "--gdb", "", "boot_hello"],
                          capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 2 and "this gdb has no Python" in done.stderr
    assert done.stderr.count("\n") == 1
