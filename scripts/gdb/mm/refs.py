# SPDX-License-Identifier: GPL-2.0
"""Who holds a folio: mm-refs, mm-break-refs, mm-huge-zero."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import gdb
from mm.about import folio_of, owner_of
from mm.constants import const
from mm.kernel import (Command, Error, Struct, address_of, field, has_field, has_symbol, number,
                       per_cpu, read, say, symbol, type_of, u64)
from mm.mms import Mm, Vma, flag_set, mms
from mm.page import Folio, page_size
from mm.stop import each_cpu, frames, one_line, points_to, say_doubts, sleepers, variables
from mm.tables import all_tables, kind_of, shift_of

# Functions whose caller holds a reference to the folio that they are given.
CALLER_HOLDS = re.compile(
    r"__folio_split|folio_split|split_folio_to_list|split_huge_page_to_list|folio_isolate_lru|"
    r"(__)?filemap_add_folio|shmem_add_to_page_cache|folio_add_new_anon_rmap|folio_add_lru|"
    r"map_anon_folio_pmd|migrate_folio|try_to_unmap$|try_to_migrate$|folio_referenced|"
    r"truncate_inode_folio|memory_failure|follow_page_pte|folio_mark_accessed")


# ---- page tables

class Mapping(NamedTuple):
    """An entry of a page table that names a page of a folio."""

    mm: Mm
    level: str
    address: int
    pfn: int
    kind: str           # "page" or "migration"


def mappings(folio: Folio) -> Iterator[Mapping]:
    """Every entry of every process that names the folio, found in the page tables."""
    first, last, shift = folio.pfn, folio.pfn + folio.nr, const("PAGE_SHIFT")
    low, high = first << shift, last << shift
    mask = const("SWP_PFN_MASK")
    unit, pmd_size = const("SWP_OFFSET_UNIT"), 1 << const("PMD_SHIFT")
    team = folio.team
    for mm in mms():
        for level, base, _, _, values in all_tables(mm):
            if level not in ("pmd", "pte"):
                continue
            size = pmd_size if level == "pmd" else 1 << shift
            for index, value in enumerate(values):
                if team and level == "pmd" and value >> shift == team.head:
                    if kind_of(level, value) == "page":
                        at = base + index * size + (first - team.head << shift)
                        yield Mapping(mm, level, at, first, "page")
                    continue
                if low <= value < high:
                    kind, pfn = kind_of(level, value), value >> shift
                elif value and first <= value // unit & mask < last:
                    kind, pfn = kind_of(level, value), value // unit & mask
                    if kind != "migration":
                        continue
                else:
                    continue
                if kind in ("page", "migration"):
                    yield Mapping(mm, level, base + index * size, pfn, kind)


def rmap_misses(folio: Folio, mapping: Mapping, vma: Vma | None) -> str:
    """Why rmap wouldn't find a mapping that is there; "" if it would."""
    if not vma:
        return "no area is there"
    if folio.is_ksm or not folio.mapping:
        return ""
    if folio.is_anon:
        if folio.mapping not in vma.anon_vmas:
            return "its area isn't on the folio's anon_vma"
    elif vma.mapping != folio.mapping:
        return "its area maps another file"
    if vma.index(mapping.address, folio.is_anon) != \
            folio.raw["index"] + mapping.pfn - folio.pfn:
        return "it is at the wrong index"
    return ""


def is_counted(folio: Folio, vma: Vma | None) -> bool:
    """Whether a mapping of the folio in an area holds a reference."""
    if folio.is_zero or folio.is_huge_zero or folio.has("PG_reserved"):
        return False
    return not vma or not vma.flags & const("VM_PFNMAP")


# ---- caches

def xarray_load(xarray: int, index: int) -> int:
    """The entry of an xarray at an index; 0 for none."""
    entry = u64(xarray + field("struct xarray", "xa_head").offset)
    bits = const("XA_CHUNK_SHIFT")
    slots = field("struct xa_node", "slots")
    top = True
    while entry & 3 == 2 and entry > 4096:
        node = Struct("struct xa_node", entry - 2)
        shift = node["shift"]
        if top and index >> shift + bits:
            return 0
        top = False
        at = index >> shift & (1 << bits) - 1
        entry = u64(node.address + slots.offset + at * slots.size)
        if entry & 3 == 2 and entry < 4096:         # a sibling
            entry = u64(node.address + slots.offset + (entry >> 2) * slots.size)
    return entry if not top or index == 0 else 0


def in_page_cache(folio: Folio) -> int:
    """How many pages of a folio the page cache of its file holds."""
    if not folio.is_file:
        return 0
    tree = folio.mapping + field("struct address_space", "i_pages").offset
    index = folio.raw["index"]
    return sum(xarray_load(tree, index + i) == folio.address for i in range(folio.nr))


def in_swap_cache(folio: Folio) -> int:
    """How many slots of the swap cache hold a folio."""
    if not folio.is_swapcache:
        return 0
    shift, per_cluster = const("SWP_TYPE_SHIFT"), const("SWAPFILE_CLUSTER")
    entry = folio.raw["swap"]
    device = int(symbol("swap_info")[entry >> shift])
    first = entry & (1 << shift) - 1
    clusters, size = Struct("struct swap_info_struct", device)["cluster_info"], \
        type_of("struct swap_cluster_info").sizeof
    found = 0
    for offset in range(first, first + folio.nr):
        cluster = Struct("struct swap_cluster_info", clusters + offset // per_cluster * size)
        if not (table := cluster["table"]):
            continue
        value = u64(table + offset % per_cluster * 8)
        if value & const("SWP_TB_PFN_MARK_MASK") == const("SWP_TB_PFN_MARK"):
            pfn = (value & ~const("SWP_TB_FLAGS_MASK")) >> const("SWAP_CACHE_PFN_MARK_BITS")
            found += pfn in folio.pfns
    return found


# ---- batches

def in_batch(batch: int, folio: Folio) -> int:
    """How often a folio_batch holds a folio."""
    raw = Struct("struct folio_batch", batch)
    return sum(f & ~3 == folio.address for f in raw.array("folios")[:raw["nr"]])


def in_cpu_batches(folio: Folio) -> Iterator[tuple[str, int]]:
    """The per-CPU batches that hold a folio, e.g. ("lru_add", 1)."""
    for variable in ("cpu_fbatches", "mlock_fbatch"):
        if not has_symbol(variable):
            continue
        for _, address in per_cpu(address_of(variable)):
            for member in symbol(variable).type.strip_typedefs().fields():
                if str(member.type.strip_typedefs()) == "struct folio_batch":
                    if count := in_batch(address + member.bitpos // 8, folio):
                        yield (variable if member.name == "fbatch" else member.name), count


@functools.cache
def gathers() -> set[int]:
    """Every mmu_gather that a frame has in a variable; the same until the kernel goes on."""
    found: set[int] = set()
    for _ in each_cpu():
        for at in frames():
            for _, value in variables(at):
                type_ = value.type.strip_typedefs()
                if type_.code == gdb.TYPE_CODE_PTR and \
                        str(type_.target().strip_typedefs()) == "struct mmu_gather":
                    found.add(int(value))
    return found


gdb.events.cont.connect(lambda _: gathers.cache_clear())


def in_gathers(folio: Folio) -> int:
    """How many references an mmu_gather on the stack is going to drop."""
    found = 0
    for gather in gathers():
        batch, active = gather + field("struct mmu_gather", "local").offset, \
            Struct("struct mmu_gather", gather)["active"]
        while batch:
            raw = Struct("struct mmu_gather_batch", batch)
            start = batch + field("struct mmu_gather_batch", "encoded_pages").offset
            pages = memoryview(bytes(read(start, raw["nr"] * 8))).cast("Q") if raw["nr"] else []
            flags = const("ENCODED_PAGE_BITS")
            number_next = const("ENCODED_PAGE_BIT_NR_PAGES_NEXT")
            for value, after in zip(pages, [*pages[1:], 0]):
                # A number of pages isn't a pointer to one.
                if 0 <= (value & ~flags) - folio.address < folio.nr * page_size():
                    found += after // (flags + 1) if value & number_next else 1
            batch = 0 if batch == active else raw["next"]
    return found


# ---- the ledger

class Row(NamedTuple):
    """A kind of holder."""

    name: str
    refs: int
    detail: str = ""


class Ledger:
    """All references to a folio that can be found, against its count.

    A mechanism that holds references of its own adds a row in rows().
    """

    def __init__(self, folio: Folio) -> None:
        self.folio = folio
        self.found = list(mappings(folio))
        self.uncounted: list[Mapping] = []
        self.by_team: list[Mapping] = []
        self.unreachable: list[str] = []
        self.migrating = 0
        self.rows: list[Row] = []
        for row in self._rows():
            if row.refs:
                self.rows.append(row)

    @property
    def unattributed(self) -> int:
        """What the holders found so far don't account for."""
        return self.folio.refs - sum(row.refs for row in self.rows)

    @property
    def off_lru(self) -> bool:
        """Whether it belongs on a list of reclaim's and is on none, nor in a batch."""
        folio = self.folio
        return not folio.type and (folio.is_anon or folio.is_file) and \
            not folio.has("PG_lru") and not folio.has("PG_hwpoison") and \
            "batches" not in [row.name for row in self.rows]

    @property
    def mapcount(self) -> int:
        """The mappings that count."""
        return len(self.by_team) + \
            sum(r.refs for r in self.rows if r.name in ("PMD mappings", "PTE mappings"))

    def _mapped(self) -> Iterator[Row]:
        folio, where = self.folio, dict[str, list[Mapping]](pmd=[], pte=[])
        areas: dict[int, list[Vma]] = {}
        for mapping in self.found:
            if mapping.kind == "migration":
                self.migrating += 1
                continue
            if mapping.mm.address not in areas:
                areas[mapping.mm.address] = list(mapping.mm.vmas())
            vma = next((v for v in areas[mapping.mm.address]
                        if v.start <= mapping.address < v.end), None)
            if not is_counted(folio, vma):
                self.uncounted.append(mapping)
                continue
            if why := rmap_misses(folio, mapping, vma):
                self.unreachable.append(f"0x{mapping.address:x} in {mapping.mm.owner}: {why}")
            if folio.team and mapping.level == "pmd":
                self.by_team.append(mapping)
                continue
            where[mapping.level].append(mapping)
        for level, found in where.items():
            yield Row(f"{level.upper()} mappings", len(found), places(found))

    def _rows(self) -> Iterator[Row]:
        folio = self.folio
        yield from self._mapped()
        yield Row("page cache", in_page_cache(folio), "a reference for each page")
        if team := folio.team:
            yield Row("team", 1, f"at page {team.head}: {team}")
        yield Row("swap cache", in_swap_cache(folio), "a reference for each page")
        if folio.is_file and folio.has("PG_private"):
            yield Row("private data", 1, "PG_private")
        batches = list(in_cpu_batches(folio))
        yield Row("batches", sum(n for _, n in batches), ", ".join(name for name, _ in batches))
        yield Row("mmu_gather", in_gathers(folio), "unmapped, to be freed after the flush")
        # A pin of a single page is a large number of references.
        weight = 1 if folio.large else const("GUP_PIN_COUNTING_BIAS")
        pins = folio.pins if folio.large else max(self.unattributed, 0) // weight
        yield Row("pins", pins * weight,
                  f"{pins} by FOLL_PIN" + (f", {weight} each" if weight > 1 else "") +
                  folio.pinned_pages)
        yield from self._owner()

    def _owner(self) -> Iterator[Row]:
        """What has no list of its holders: inferred from state and stack."""
        folio = self.folio
        if self.unattributed <= 0:
            return
        if folio.is_huge_zero or folio.is_zero or folio.has("PG_reserved"):
            yield Row("allocation", 1, "for as long as it exists")
        elif folio.type == "hugetlb":
            pass
        elif folio.type or not (folio.is_anon or folio.is_file):
            owner = owner_of(folio.pfn)
            by = next(iter(owner.stack), "") if owner else ""
            yield Row("allocation", 1, f"its user's, allocated by {by}" if by else "its user's")
        else:
            caller = next((f"{at}{cpu}" for cpu in each_cpu() for at in frames()
                           if CALLER_HOLDS.match(at.function) and
                           any(points_to(v, folio) for _, v in variables(at))), "")
            if self.off_lru:
                yield Row("lru isolation", 1, "off its LRU list and in no batch" +
                          (f"; {caller}" if caller else ""))
            elif caller:
                yield Row("caller", 1, f"of {caller}")
            if folio.has("PG_hwpoison") and not folio.large and self.unattributed > 0:
                yield Row("memory failure", 1, "keeps it for good")


def places(found: list[Mapping]) -> str:
    """Where mappings are, those that follow one another as one."""
    runs: list[tuple[Mapping, int]] = []        # the first, the end
    for mapping in found:
        size = 1 << shift_of(mapping.level)
        if runs and runs[-1][0].mm is mapping.mm and runs[-1][1] == mapping.address:
            runs[-1] = runs[-1][0], mapping.address + size
        else:
            runs.append((mapping, mapping.address + size))
    return shortened([f"{first.address:x}-{end:x} of {first.mm.owner}" for first, end in runs])


def shortened(what: list[str], limit: int = 4) -> str:
    """The first of a list, and how many more."""
    more = f" and {len(what) - limit} more" if len(what) > limit else ""
    return ", ".join(what[:limit]) + more


class MmRefs(Command):
    """mm-refs FOLIO: account for every reference to a folio.

FOLIO as for mm-page. Each line is a kind of holder and how many references it
has: entries found in the page tables of all processes, page cache and swap cache
by their contents, pins, per-CPU batches, an mmu_gather on the stack. Three are
inferred: the allocation of what nobody maps; LRU isolation, when the folio is off
its list and in no batch; the caller, when a function on the stack that demands a
reference has it as its argument. What remains is "unattributed": below 0 when more
holders were found than the count has. Then possible holders are named: frames and
sleeping tasks that have it in a variable or on their stack."""

    name = "mm-refs"

    def run(self, args: list[str]) -> None:
        folio = folio_of(self.only(args))
        ledger = Ledger(folio)
        say("folio", folio)
        for row in ledger.rows:
            gdb.write(f"  {row.name:15}{row.refs:6}  {row.detail}\n")
        gdb.write(f"  {'unattributed':15}{ledger.unattributed:6}\n")
        if ledger.unattributed > 0:
            for cpu in each_cpu():
                for at in frames():
                    held = [n for n, value in variables(at) if points_to(value, folio)]
                    if held:
                        say("maybe", f"{at}{cpu} has it in {', '.join(held)}")
            for sleeper in sleepers(folio):
                say("maybe", sleeper)
        if ledger.off_lru and not ledger.unattributed and ledger.rows and \
                "lru isolation" not in [row.name for row in ledger.rows]:
            say("lru", "it is off its list, in no batch, and nobody is left to put it back")
        if ledger.migrating:
            say("entries", f"{ledger.migrating} migration entries name it")
        if ledger.uncounted:
            say("mapped", f"{len(ledger.uncounted)} times without a reference: "
                          f"{places(ledger.uncounted)}")
        if ledger.by_team:
            say("mapped", f"{len(ledger.by_team)} times by PMD, for which the team has the "
                          f"reference: {places(ledger.by_team)}")
        team = folio.team
        if team and len(ledger.by_team) != team.pmds:
            say("team", f"{team.pmds} PMDs, but {len(ledger.by_team)} found: DISAGREES")
        if ledger.mapcount != folio.mapcount:
            say("mapcount", f"{folio.mapcount}, but {ledger.mapcount} mappings found: DISAGREES")
        for what in ledger.unreachable:
            say("rmap", f"does not reach {what}")
        say_doubts(folio)


# ---- changes

@functools.cache
def cpu_watches() -> bool:
    """Whether this machine's CPUs stop at watchpoints: those of some virtual ones don't.

    The dynamic linker's first instruction of any program but a few is a call.
    """
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-ex", "set startup-with-shell off", "-ex", "starti",
         "-ex", "watch *(long *)($sp - 8)", "-ex", "continue", sys.executable],
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return "Old value" in done.stdout


class Refs:
    """The reference count of a folio, as it was when somebody last looked."""

    def __init__(self, folio: Folio, log: bool) -> None:
        self.where = folio.address + field("struct folio", "_refcount").offset
        self.pfn, self.count, self.log = folio.pfn, folio.refs, log

    def changed(self) -> bool:
        """Say what became of it and who did that; whether to stop."""
        new = int.from_bytes(read(self.where, 4), "little", signed=True)
        if new == self.count:
            return False
        gdb.write(f"folio {self.pfn}: {self.count} -> {new}  {one_line()}\n")
        self.count = new
        return not self.log


class RefWatch(gdb.Breakpoint):
    """The CPU's watchpoint on a reference count."""

    def __init__(self, refs: Refs) -> None:
        super().__init__(f"*(int *)0x{refs.where:x}", gdb.BP_WATCHPOINT, gdb.WP_WRITE)
        self.refs, self.silent = refs, refs.log

    def stop(self) -> bool:
        """Called by gdb at a change."""
        return self.refs.changed()


class RefEvent(gdb.Breakpoint):
    """A breakpoint where an event of a page's reference count has come about."""

    EVENTS = ("set", "mod", "mod_and_test", "mod_and_return", "mod_unless", "freeze", "unfreeze")

    def __init__(self, refs: Refs, folio: Folio, event: str) -> None:
        super().__init__(f"*__page_ref_{event}")
        self.refs, self.silent = refs, True
        self.condition = f"$rdi == 0x{folio.address:x}"
        # Without its event being enabled, the function isn't called.
        gdb.execute(f"set var __tracepoint_page_ref_{event}.key.key.enabled.counter++")

    def stop(self) -> bool:
        """Called by gdb when it is that folio's."""
        return self.refs.changed()


class MmBreakRefs(Command):
    """mm-break-refs [-log] FOLIO: stop at every change of a folio's reference count.

Says the count before and after and the stack in one line. With -log the kernel
goes on by itself. A watchpoint of the CPU does it, of which there are four; it
goes with `delete`, and stays where the folio is when that is freed. Where the CPU
has none that work, as in some virtual machines, breakpoints in the kernel's own
tracing of references do, at more cost."""

    name = "mm-break-refs"

    def run(self, args: list[str]) -> None:
        log = "-log" in args
        folio = folio_of(self.only([a for a in args if a != "-log"]))
        refs = Refs(folio, log)
        if cpu_watches():
            RefWatch(refs)
        elif not has_symbol("__tracepoint_page_ref_set"):
            raise Error("this machine's CPU has no watchpoints that work, and this kernel was "
                        "built without CONFIG_DEBUG_PAGE_REF")
        else:
            for event in RefEvent.EVENTS:
                RefEvent(refs, folio, event)
        say("watching", f"{folio}")


# ---- the huge zero page

class MmHugeZero(Command):
    """mm-huge-zero: the huge zero page, who uses it, and whether its count is right.

The count is one for the shrinker and one for each mm that has ever mapped it, or for
each mapping, as the kernel was configured."""

    name = "mm-huge-zero"

    def run(self, args: list[str]) -> None:
        if args:
            raise self.usage()
        if not has_symbol("huge_zero_folio"):
            raise Error("this kernel has no huge zero page: it was built without THP")
        if not number("huge_zero_folio"):
            say("folio", "none is allocated")
            return
        folio = folio_of("huge_zero_folio")
        say("folio", folio)
        if has_symbol("huge_zero_allocs"):
            say("allocated", f"{number('huge_zero_allocs')} times, "
                             f"freed {number('huge_zero_frees')} times")
        found = [m for m in mappings(folio) if m.level == "pmd"]
        say("mapped", f"{len(found)} times" + (f": {places(found)}" if found else ""))
        if has_field("struct mmu_gather", "nr_huge_zero"):
            holders, what = len(found), "mappings"
        else:
            users = [mm for mm in mms() if flag_set(mm, const("MMF_HUGE_ZERO_FOLIO"))]
            say("users", f"{len(users)} mms" + (": " + shortened(
                [mm.owner for mm in users]) if users else ""))
            holders, what = len(users), "mms"
        if has_symbol("huge_zero_refcount"):
            count, want = number("huge_zero_refcount"), 1 + holders
            verdict = "agrees" if count == want else f"{want} found: DISAGREES"
            say("count", f"{count}, 1 of the shrinker and {holders} of {what}: {verdict}")
        else:
            say("count", "none: it is never freed")
        say_doubts(folio)

