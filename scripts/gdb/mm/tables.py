# SPDX-License-Identifier: GPL-2.0
"""Page tables, and what the host has mapped for them: mm-walk, mm-ptes."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gdb
from mm.constants import const
from mm.kernel import (Command, Error, Struct, address_of, enum, evaluate, field, has_field,
                       has_symbol, list_of, number, per_cpu, read, say, u64)
from mm.mms import Mm, Vma, mm_of
from mm.page import Folio, Page, max_pfn, pa, va
from mm.stop import say_doubts

LEVELS = ("pgd", "pud", "pmd", "pte")       # the p4d is folded into the pgd


def shift_of(level: str) -> int:
    """How many bits of an address are below an entry of a level."""
    return const({"pgd": "PGDIR_SHIFT", "pud": "PUD_SHIFT", "pmd": "PMD_SHIFT",
                  "pte": "PAGE_SHIFT"}[level])


# ---- entries

class Entry(NamedTuple):
    """A page table entry."""

    level: str
    address: int        # the first user address that it is for
    where: int          # of the entry itself
    value: int

    @property
    def size(self) -> int:
        """Bytes that it maps."""
        return 1 << shift_of(self.level)

    @property
    def kind(self) -> str:
        """"none", "table", "page", "migration", "hwpoison", "marker" or "swap"."""
        return kind_of(self.level, self.value)

    @property
    def pfn(self) -> int | None:
        """The page that it maps or, for migration and hwpoison, names."""
        return pfn_in(self.level, self.value)

    @property
    def flags(self) -> str:
        """Its bits by name."""
        bits: tuple[str, ...]
        if self.kind in ("page", "table"):
            bits = ("PRESENT", "PROTNONE", "HUGE", "RW", "USER", "ACCESSED", "DIRTY", "NX",
                    "NEEDSYNC")
        else:
            bits = ("SWP_EXCLUSIVE", "NEEDSYNC") if self.kind != "none" else ("NEEDSYNC",)
        found = [b.lower() for b in bits if self.value & const(f"_PAGE_{b}")]
        if self.kind == "page" and self.level == "pmd" and \
                not self.value & (const("_PAGE_PRESENT") | const("_PAGE_PROTNONE")):
            found.append("(made invalid for a moment)")
        return " ".join(found) or "-"

    def __str__(self) -> str:
        kind, pfn = self.kind, self.pfn
        what = {"none": "none", "table": f"table, page {pfn}", "page": f"page {pfn}",
                "migration": f"migration entry for page {pfn}",
                "hwpoison": f"hwpoison entry for page {pfn}"}.get(kind)
        if not what:
            what = f"{kind} {swap_entry(to_swap(self.value))}"
        return f"{self.value:016x} {what}, {self.flags}"


def kind_of(level: str, value: int) -> str:
    """As Entry.kind."""
    if not value & ~const("_PAGE_NEEDSYNC"):
        return "none"
    present = const("_PAGE_PRESENT") | const("_PAGE_PROTNONE")
    if level != "pte":
        if value & const("_PAGE_HUGE"):
            return "page"
        if value & const("_PAGE_PRESENT"):
            return "table"
    elif value & present:
        return "page"
    type_ = to_swap(value)[0]
    if const("SWP_MIGRATION_READ") <= type_ <= const("SWP_MIGRATION_WRITE"):
        return "migration"
    return {const("SWP_HWPOISON"): "hwpoison", const("SWP_PTE_MARKER"): "marker"}.get(
        type_, "swap")


def pfn_in(level: str, value: int) -> int | None:
    """As Entry.pfn."""
    kind = kind_of(level, value)
    if kind in ("page", "table"):
        return value >> const("PAGE_SHIFT")
    if kind in ("migration", "hwpoison"):
        return to_swap(value)[1] & const("SWP_PFN_MASK")
    return None


def to_swap(value: int) -> tuple[int, int]:
    """(type, offset) of an entry that isn't present."""
    type_unit, offset_unit = const("SWP_TYPE_UNIT"), const("SWP_OFFSET_UNIT")
    return value // type_unit % 32, value // offset_unit


def swap_entry(entry: int | tuple[int, int]) -> str:
    """A swap entry for people; a number is a swp_entry_t."""
    if isinstance(entry, int):
        shift = const("SWP_TYPE_SHIFT")
        entry = entry >> shift, entry & (1 << shift) - 1
    type_, offset = entry
    if type_ == const("SWP_PTE_MARKER"):
        known = {const(f"PTE_MARKER_{n}"): n.lower() for n in ("UFFD_WP", "POISONED", "GUARD")}
        return "|".join(name for bit, name in known.items() if offset & bit) or f"0x{offset:x}"
    return f"type {type_} offset 0x{offset:x}"


# ---- tables

def table_at(pfn: int) -> int:
    """Where a table is that an entry names.

    Raises:
        Error: no such page.
    """
    if pfn >= max_pfn():
        raise Error(f"a table at page {pfn}, of which there is none: the entry is corrupt")
    return va(pfn << const("PAGE_SHIFT"))


def walk(mm: Mm, address: int) -> list[Entry]:
    """The entries on the way to an address, as far as the tables go."""
    table, found = mm.raw["pgd"], []
    for level in LEVELS:
        shift = shift_of(level)
        index = address >> shift & const("PTRS_PER_PTE") - 1
        value = int(struct.unpack("<Q", read(table + index * 8, 8))[0])
        entry = Entry(level, address & -(1 << shift), table + index * 8, value)
        found.append(entry)
        if entry.kind != "table" or entry.pfn is None or level == "pte":
            break
        table = table_at(entry.pfn)
    return found


def all_tables(mm: Mm, start: int = 0, end: int = 1 << 47) -> Iterator[
        tuple[str, int, int, int, tuple[int, ...]]]:
    """The tables that are for a part of a range, each before those below it.

    Yields:
        level, the first address, the pfn of the table, where it is, its entries
    """
    entries, present, huge = const("PTRS_PER_PTE"), const("_PAGE_PRESENT"), const("_PAGE_HUGE")
    page, unpack = const("PAGE_SHIFT"), struct.Struct(f"<{entries}Q").unpack

    def below(level: str, table: int, base: int, pfn: int) -> Iterator[
            tuple[str, int, int, int, tuple[int, ...]]]:
        values = unpack(read(table, entries * 8))
        yield level, base, pfn, table, values
        if level == "pte":
            return
        next_level, step = LEVELS[LEVELS.index(level) + 1], 1 << shift_of(level)
        for index, value in enumerate(values):
            at = base + index * step
            if value & present and not value & huge and at < end and at + step > start:
                yield from below(next_level, table_at(value >> page), at, value >> page)

    yield from below("pgd", mm.raw["pgd"], 0, 0)


class Usage:
    """How an area is mapped."""

    def __init__(self, mm: Mm, vma: Vma) -> None:
        self.kb: Counter[str] = Counter()
        zeroes = {pa(address_of("empty_zero_page")) >> const("PAGE_SHIFT"): "zero"}
        if has_symbol("huge_zero_pfn"):
            zeroes[number("huge_zero_pfn")] = "huge zero"
        for level, base, _, _, values in all_tables(mm, vma.start, vma.end):
            size = 1 << shift_of(level)
            for index, value in enumerate(values):
                at = base + index * size
                if not value or not vma.start <= at < vma.end:
                    continue
                kind = kind_of(level, value)
                if kind in ("none", "table"):
                    continue
                if kind == "page":
                    kind = zeroes.get(value >> const("PAGE_SHIFT"),
                                      "4K" if level == "pte" else "PMD")
                elif level == "pmd":
                    kind += " PMD"
                self.kb[kind] += size >> 10

    def __str__(self) -> str:
        return ", ".join(f"{kind} {kb} kB" for kind, kb in sorted(self.kb.items())) or "nothing"


def kernel_pfn(address: int) -> int | None:
    """The page at an address of the kernel's own tables (vmalloc); None for none."""
    entry = walk(Mm(address_of("init_mm")), address)[-1]
    if entry.kind != "page" or entry.pfn is None:
        return None
    return entry.pfn + ((address & entry.size - 1) >> const("PAGE_SHIFT"))


# ---- the host's side

class HostMap(NamedTuple):
    """A mapping of a process on the host."""

    start: int
    end: int
    rights: str
    offset: int
    file: tuple[str, int]       # device and inode


def host_map(pid: int, address: int) -> HostMap | None:
    """What the host has at an address of one of its processes; None for nothing.

    Raises:
        OSError: there is no such process, or it isn't ours.
    """
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, offset, device, inode = line.split()[:5]
        start, end = (int(x, 16) for x in span.split("-"))
        if start <= address < end:
            return HostMap(start, end, rights, int(offset, 16), (device, int(inode)))
    return None


def host_view(mm: Mm, entry: Entry, address: int) -> tuple[str, bool | None]:
    """What the host has mapped for an address, and whether that is what is due.

    Returns:
        A line about it, and None where it can't be told or is not due yet.
    """
    user = mm.address != address_of("init_mm")
    pid = mm.raw["context.id.pid"] if user else gdb.selected_inferior().pid
    try:
        got = host_map(pid, address)
        memory = host_map(gdb.selected_inferior().pid, va(max_pfn() - 1 << const("PAGE_SHIFT")))
    except OSError as why:
        return f"can't be seen: {why.strerror} (host process {pid})", None
    want = None
    accessed, dirty = const("_PAGE_ACCESSED"), const("_PAGE_DIRTY")
    present = const("_PAGE_PRESENT")
    pfn = entry.pfn
    if entry.kind == "page" and pfn is not None and entry.value & (
            present | const("_PAGE_PROTNONE")):
        rights = "---"
        if entry.value & accessed and entry.value & present:
            write = entry.value & const("_PAGE_RW") and entry.value & dirty
            rights = ("rw" if write else "r-") + ("-" if entry.value & const("_PAGE_NX") else "x")
        physical = (pfn << const("PAGE_SHIFT")) + (address & entry.size - 1)
        want = rights, physical & -(1 << const("PAGE_SHIFT"))
    said = "nothing"
    good = want is None
    if got:
        at = got.offset + (address & -(1 << const("PAGE_SHIFT"))) - got.start
        ours = memory is not None and got.file == memory.file
        what = f"page {at >> const('PAGE_SHIFT')}" if ours else "something else"
        said = f"{what} {got.rights[:3]}, in {got.start:x}-{got.end:x}"
        good = bool(want and ours and at == want[1] and got.rights.startswith(want[0]))
        if want and want[0] == "---":       # no access: it may as well be unmapped
            good = got.rights.startswith("---")
    elif want and want[0] == "---":
        good = True
    if good:
        return f"{said}: agrees", True
    if entry.value & const("_PAGE_NEEDSYNC"):
        return f"{said}: to be synced before it runs again (needsync)", None
    if user and (queued := mm.raw["context.id.syscall_data_len"]):
        return f"{said}: not what the entry says, but {queued} calls wait to be made", None
    return f"{said}: DISAGREES with the entry", False


# ---- the commands

class MmWalk(Command):
    """mm-walk PID ADDRESS: the way of an address through the page tables.

PID may be "current", "init_mm", or an expression: a task, an mm, an area. Shows
the entry of each level, decoded, the folio at its end, what the host has mapped
there, and whether the two agree: an entry that isn't accessed is not mapped, one
that isn't dirty is read-only there, one that is marked needsync is still to be
brought up to date."""

    name = "mm-walk"

    def run(self, args: list[str]) -> None:
        if len(args) < 2:
            raise self.usage()
        mm, address = mm_of(args[0]), int(evaluate(self.only(args[1:]))) & (1 << 64) - 1
        vma = mm.vma_at(address)
        if vma:
            say("area", f"{vma.start:x}-{vma.end:x} {vma.letters} {vma.name}, of {mm.owner}")
        elif mm.address != address_of("init_mm"):
            say("area", f"none: nothing is mapped at 0x{address:x} in {mm.owner}")
        way = walk(mm, address)
        for entry in way:
            say(entry.level, entry)
        last, folio = way[-1], None
        if last.kind in ("page", "migration", "hwpoison") and last.pfn is not None:
            pfn = last.pfn + ((address & last.size - 1) >> const("PAGE_SHIFT"))
            if pfn < max_pfn():
                folio = Folio(Page(pfn))
                say("page", f"{pfn} of {folio}")
                if folio.team:
                    say("team", f"at page {folio.team.head}: {folio.team}")
            else:
                say("page", f"{pfn}, of which there is none: the entry is corrupt")
        if mm.address == address_of("init_mm") and \
                0 <= pa(address) >> const("PAGE_SHIFT") < max_pfn():
            say("host", f"page {pa(address) >> const('PAGE_SHIFT')}: the linear mapping, which "
                        f"no table describes")
        else:
            say("host", host_view(mm, last, address)[0])
        say_doubts(folio, mm)


class MmPtes(Command):
    """mm-ptes PID: the pages that hold a process's PTEs.

Of each: the range that it is for, its own page, how many of its 512 entries are
in use and for what, and with FREE_USER_PTE the kernel's count of them. The last line
compares what all tables take with what the kernel has counted (VmPTE)."""

    name = "mm-ptes"

    def run(self, args: list[str]) -> None:
        mm, tables, used_all = mm_of(self.only(args)), 0, 0
        upper, deposited, pmd = 0, deposits(mm), shift_of("pmd")
        for level, base, pfn, _, values in all_tables(mm):
            if level != "pte":
                upper += level != "pgd"
                continue
            tables += 1
            kinds = Counter(kind_of("pte", v) for v in values)
            used = len(values) - kinds.pop("none", 0)
            used_all += used
            what = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "empty"
            gdb.write(f"{base:x}-{base + (1 << pmd):x} page {pfn}: {used} used ({what})"
                      f"{counted(pfn, used)}\n")
        found = (tables + deposited + upper) << const("PAGE_SHIFT")
        bytes_ = mm.raw["pgtables_bytes"]
        verdict = "agrees" if found == bytes_ else f"{found >> 10} kB found: DISAGREES"
        say("tables", f"{tables} of PTEs with {used_all} entries used, {deposited} kept for "
                      f"splits, {upper} above; VmPTE {bytes_ >> 10} kB: {verdict}")
        say_doubts(mm=mm)


def counted(pfn: int, used: int) -> str:
    """What the kernel itself counts of a PTE page (CONFIG_FREE_USER_PTE), if it does."""
    if not has_field("struct ptdesc", "pte_ref"):
        return ""
    table = Struct("struct ptdesc", Page(pfn).address)
    if not table["pt_flags"] >> enum("pt_flags")["PT_counted"] & 1:
        return ", not counted"
    raw = Struct("struct pte_ref", table["pte_ref"])
    count = percpu_count(raw) if has_field("struct pte_ref", "ref") else raw["nr"]
    return f", counted {count}{'' if count == used else ': DISAGREES'}"


def percpu_count(raw: Struct) -> int:
    """How many references the percpu_ref `ref` of a structure has, see percpu_ref_sum()."""
    data = Struct("struct percpu_ref_data", raw["ref.data"])
    count, where = data["count"], raw["ref.percpu_count_ptr"]
    if not where & const("PERCPU_REF_ATOMIC_DEAD"):
        # In percpu mode there is a bias of the topmost bit.
        count = (count + sum(u64(at) for _, at in per_cpu(where))) % (1 << 63)
    return count


def deposits(mm: Mm) -> int:
    """How many PTE pages are kept for when the huge pages of an mm are split."""
    if not has_field("struct mm_struct", "pmd_huge_pte") or not mm.raw["pmd_huge_pte"]:
        return 0
    first = mm.raw["pmd_huge_pte"] + field("struct page", "lru").offset
    return 1 + sum(1 for _ in list_of(first, "struct page", "lru"))
