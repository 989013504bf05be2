# SPDX-License-Identifier: GPL-2.0
"""Pages and folios: mm-page."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

import gdb
from mm.constants import const, has
from mm.kernel import (Command, Error, Struct, address_of, enum, field, flag_names, function_at,
                       has_field, has_symbol, names, number, pointer_or_number, read,
                       remembered, say, symbol, text, type_of)


# ---- where pages are

def pa(address: int) -> int:
    """The physical address of a kernel address in the linear mapping."""
    return address - number("uml_physmem")


def va(physical: int) -> int:
    """And back."""
    return physical + number("uml_physmem")


def max_pfn() -> int:
    """One more than the last page's number."""
    return number("max_pfn")


def memmap() -> int:
    """Where struct page of pfn 0 is."""
    return const("VMEMMAP") if has("VMEMMAP") else number("mem_map")


def page_size() -> int:
    """Of one struct page, in bytes."""
    return int(type_of("struct page").sizeof)


# ---- flags

@remembered
def _flag(name: str) -> int:
    """A page flag as a mask, e.g. _flag("PG_lru"); 0 if this kernel hasn't it."""
    bit = enum("pageflags").get(name)
    return 0 if bit is None else 1 << bit


class Page:
    """One struct page, as it was when it was read."""

    def __init__(self, pfn: int) -> None:
        if not 0 <= pfn < max_pfn():
            raise Error(f"there is no page {pfn}: this guest has {max_pfn()} pages")
        self.pfn = pfn
        self.address = memmap() + pfn * page_size()
        self.raw = Struct("struct page", self.address)

    def has(self, flag: str) -> bool:
        """Whether a flag is set on this very page, e.g. "PG_hwpoison"."""
        return bool(self.raw["flags"] & _flag(flag))

    @property
    def flags(self) -> str:
        """This page's flags by name."""
        mask = (1 << const("NR_PAGEFLAGS")) - 1
        return flag_names("pageflag_names", self.raw["flags"] & mask)

    @property
    def is_fake_head(self) -> bool:
        """Whether it shows its head's struct page, whose frame is mapped here as well."""
        if not has_symbol("hugetlb_fake_heads_key") or not self.has("PG_head") or \
                self.address & (1 << const("PAGE_SHIFT")) - 1:
            return False
        info = Page(self.pfn + 1).raw["compound_info"]
        return bool(info & 1) and info - 1 != self.address

    @property
    def is_tail(self) -> bool:
        """Whether it belongs to a folio that begins before it."""
        return bool(self.raw["compound_info"] & 1) or self.is_fake_head

    @property
    def head(self) -> int:
        """The pfn of the folio that it belongs to."""
        if not self.is_tail:
            return self.pfn
        if self.is_fake_head:
            return Page(self.pfn + 1).head
        info = self.raw["compound_info"]
        head = self.address & info if const("HEAD_IS_MASK") else info - 1
        return (head - memmap()) // page_size()

    @property
    def type(self) -> str:
        """What the page is typed as: "buddy", "slab", "table" ...; "" for none."""
        kind = self.raw["page_type"] >> 24
        for name, value in enum("pagetype").items():
            if value == kind and name != "PGTY_mapcount_underflow":
                return name.removeprefix("PGTY_")
        return ""

    @property
    def own_mapcount(self) -> int:
        """How many PTEs map this page; what of it a large folio's PMDs map isn't in it."""
        return 0 if self.type else self.raw["_mapcount"] + 1

    @property
    def zone(self) -> Struct:
        """The zone that it is in."""
        index = self.raw["flags"] >> const("ZONES_PGSHIFT") & const("ZONES_MASK")
        zones = symbol("contig_page_data")["node_zones"]
        return Struct("struct zone", int(zones[index].address))


class Team(NamedTuple):
    """A page team of huge tmpfs, as it was when it was read."""

    head: int           # the pfn of its first page
    members: int        # pages of it in the page cache
    pmds: int           # PMDs that map it
    disbanding: bool

    def __str__(self) -> str:
        return (f"{self.members} members, mapped by {self.pmds} PMDs" +
                (", being disbanded" if self.disbanding else ""))


class Folio:
    """The folio that a page belongs to, as it was when it was read."""

    def __init__(self, page: Page) -> None:
        self.page = page if not page.is_tail else Page(page.head)
        self.pfn, self.address = self.page.pfn, self.page.address
        if self.page.is_tail:
            raise Error(f"page {page.pfn}'s head, page {self.pfn}, is itself a tail: "
                        f"it is being changed just now, or corrupt")
        self.large = self.page.has("PG_head")
        size = type_of("struct folio").sizeof if self.large else page_size()
        data = bytes(read(self.address, size))
        self.raw = Struct("struct folio", self.address, data)
        order = self.raw["_flags_1"] & 0xff if self.large else 0
        self.order = order
        if order > const("PUD_SHIFT") - const("PAGE_SHIFT"):
            raise Error(f"folio {self.pfn} can't be of order {order}: it is being changed "
                        f"just now, or corrupt")

    def has(self, flag: str) -> bool:
        """Whether a flag is set, e.g. "PG_lru"."""
        return self.page.has(flag)

    @property
    def flags(self) -> str:
        """Its flags by name; what the kernel names by place, by its meaning here."""
        flags = self.page.flags.split("|")
        if self.is_anon and not self.type:
            flags = [{"owner_2": "anon_exclusive"}.get(f, f) for f in flags]
        if self.team:
            flags = [{"owner_2": "team"}.get(f, f) for f in flags]
        if self.has("PG_swapbacked") and not self.type:
            flags = [{"owner_priv_1": "swapcache"}.get(f, f) for f in flags]
        if self.large and not self.type:
            names = ("partially_mapped", "has_hwpoisoned", *(["pins_opaque"] * self._counts_pins))
            flags += [name for name in names if self.raw["_flags_1"] & _flag(f"PG_{name}")]
        return "|".join(flags)

    @property
    def nr(self) -> int:
        """Its pages."""
        return 1 << self.order

    @property
    def pfns(self) -> range:
        """Their numbers."""
        return range(self.pfn, self.pfn + self.nr)

    @property
    def type(self) -> str:
        """As Page.type."""
        return self.page.type

    @property
    def refs(self) -> int:
        """Its reference count."""
        return self.raw["_refcount"]

    @property
    def mapcount(self) -> int:
        """How many page table entries map it or a part of it, as the kernel counts."""
        return self.raw["_large_mapcount"] + 1 if self.large else self.page.own_mapcount

    @property
    def entire_mapcount(self) -> int:
        """How many PMDs map it."""
        return self.raw["_entire_mapcount"] + 1 if self.large else 0

    @property
    def pins(self) -> int:
        """How often it is pinned (FOLL_PIN); for a single page what its count suggests."""
        if self.large:
            return self.raw["_pincount"]
        return max(self.refs, 0) // const("GUP_PIN_COUNTING_BIAS")

    @property
    def _counts_pins(self) -> bool:
        return bool(const("SUBPAGE_PINS") and self.large and self.is_anon and not self.type)

    @property
    def pinned_pages(self) -> str:
        """Which of its pages are pinned, as "5-12, 511 twice"; empty if nobody knows."""
        if not self._counts_pins or not self.pins or self.raw["_flags_1"] & _flag("PG_pins_opaque"):
            return ""
        counts = [Page(pfn).raw["_mapcount"] + 1 for pfn in self.pfns]
        runs = []
        for count, group in itertools.groupby(range(self.nr), key=counts.__getitem__):
            first, *_, last = [*(at := list(group)), at[-1]]
            if count:
                runs.append(f"{first}" + (f"-{last}" if last > first else "") +
                            {1: "", 2: " twice"}.get(count, f" {count} times"))
        return ", ".join(runs)

    @property
    def mapping(self) -> int:
        """The mapping without its bits; of no use for a typed folio."""
        return 0 if self.type and self.type != "hugetlb" else \
            self.raw["mapping"] & ~const("FOLIO_MAPPING_FLAGS")

    @property
    def _mapping_flags(self) -> int:
        if self.type and self.type != "hugetlb":
            return 0
        return self.raw["mapping"] & const("FOLIO_MAPPING_FLAGS")

    @property
    def is_anon(self) -> bool:
        """Whether it is anonymous memory, KSM's included."""
        return bool(self._mapping_flags & const("FOLIO_MAPPING_ANON"))

    @property
    def is_ksm(self) -> bool:
        """Whether KSM has merged it."""
        return self._mapping_flags == const("FOLIO_MAPPING_FLAGS")

    @property
    def is_file(self) -> bool:
        """Whether it is a file's."""
        return bool(self.mapping) and not self.is_anon

    @property
    def is_swapcache(self) -> bool:
        """Whether it is in the swap cache."""
        return self.has("PG_swapcache") and self.has("PG_swapbacked")

    @property
    def team(self) -> Team | None:
        """The page team that it belongs to, in the page cache or held back for it."""
        if not has_symbol("shmem_teams_complete") or not self.has("PG_owner_2") or \
                self.large or self.type or self.is_anon or \
                self.mapping and not self.has("PG_swapbacked"):
            return None
        size = 1 << const("PMD_SHIFT") - const("PAGE_SHIFT")
        head = self.pfn & -size
        usage = Page(head).raw["private"]
        count = usage & (1 << 63) - 1
        return Team(head, min(count, size), max(0, count - size), bool(usage >> 63))

    @property
    def is_huge_zero(self) -> bool:
        """Whether it is the huge zero page."""
        return has_symbol("huge_zero_folio") and number("huge_zero_folio") == self.address

    @property
    def is_zero(self) -> bool:
        """Whether it is the zero page."""
        return self.pfn == pa(address_of("empty_zero_page")) >> const("PAGE_SHIFT") \
            if has_symbol("empty_zero_page") else False

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        if self.type:
            return {"table": "page table"}.get(self.type, self.type)
        if self.is_huge_zero:
            return "huge zero"
        if self.is_zero:
            return "zero"
        if self.is_anon:
            return "ksm" if self.is_ksm else "anon"
        if self.is_file:
            return "file"
        if self.has("PG_reserved"):
            return "reserved"
        if self.team:
            return "held back"
        return "kernel" if self.refs > 0 else "frozen"

    @property
    def size(self) -> str:
        """Its size for people."""
        kb = self.nr << const("PAGE_SHIFT") >> 10
        return f"{kb >> 10} MB" if kb >> 10 else f"{kb} kB"

    def __str__(self) -> str:
        return (f"{self.kind} folio, pfn {self.pfn}, order {self.order}, refs {self.refs}, "
                f"mapped {self.mapcount}")


# ---- which page an argument means

def pfn_of(expression: str) -> int:
    """The pfn that an argument means.

    It may be a struct page, folio, slab or ptdesc, a pointer to one, a pfn, or a
    kernel address: of a struct page, or in the linear or the vmalloc area.

    Raises:
        Error: it means no page.
    """
    kind, value = pointer_or_number(expression)
    in_memmap = 0 <= value - memmap() < max_pfn() * page_size()
    if kind in ("struct page", "struct folio", "struct slab", "struct ptdesc"):
        if not in_memmap:
            raise Error(f"{expression} is 0x{value:x}: no {kind} of this guest is there")
        return (value - memmap()) // page_size()
    if in_memmap:
        return (value - memmap()) // page_size()
    if not kind and value < max_pfn():
        return value
    if 0 <= pa(value) >> const("PAGE_SHIFT") < max_pfn():
        return pa(value) >> const("PAGE_SHIFT")
    from mm.tables import kernel_pfn     # which needs this module
    pfn = kernel_pfn(value)
    if pfn is None:
        what = "pfn or kernel address" if not kind else "kernel address"
        raise Error(f"0x{value:x} is no {what}: this guest has {max_pfn()} pages, from "
                    f"0x{va(0):x} on")
    return pfn


def folio_of(expression: str) -> Folio:
    """The folio that an argument means.

    Raises:
        Error: it means no page, or a free one.
    """
    page = Page(pfn_of(expression))
    if block := free_block(page):
        raise Error(f"page {page.pfn} is free: {block}")
    return Folio(page)


def free_block(page: Page) -> str:
    """Where a page that is free is kept; "" for one in use."""
    for order in range(const("MAX_PAGE_ORDER") + 1):
        head = page.pfn & -(1 << order)
        first = page if head == page.pfn else Page(head)
        if first.type == "buddy" and first.raw["private"] >= order:
            order = first.raw["private"]
            if page.pfn < head + (1 << order):
                return f"in a buddy block of order {order} from page {head} on"
    raw = page.raw
    if not page.is_tail and not page.type and raw["_refcount"] == 0 and not raw["mapping"] \
            and not page.has("PG_head") and page.pfn in pcp_pages():
        return "on a per-CPU list"
    return ""


def pcp_pages() -> set[int]:
    """The pages on the allocator's per-CPU lists."""
    from mm.zones import pcp_lists
    return {pfn for _, order, heads in pcp_lists() for head in heads
            for pfn in range(head, head + (1 << order))}


# ---- more about a folio

def cgroup_of(folio: Folio) -> str:
    """The memory cgroup that it is charged to: path and inode; "" for none."""
    if not has_field("struct folio", "memcg_data") or not (data := folio.raw["memcg_data"]):
        return ""
    flags = enum("page_memcg_data_flags")
    if data & flags["MEMCG_DATA_OBJEXTS"]:
        return ""
    data &= ~(flags["__NR_MEMCG_DATA_FLAGS"] - 1)
    memcg = Struct("struct obj_cgroup", data)["memcg"] if data else 0
    return cgroup_path(memcg) if memcg else ""


def cgroup_path(memcg: int) -> str:
    """A memory cgroup's path below the cgroup mount and its inode."""
    cgroup = Struct("struct cgroup", Struct("struct mem_cgroup", memcg)["css.cgroup"])
    node = cgroup.follow("kn", "struct kernfs_node")
    parts, inode = [], node["id"] if node else 0
    while node and node["__parent"]:
        parts.append(text(node["name"]))
        node = node.follow("__parent", "struct kernfs_node")
    return f"/{'/'.join(reversed(parts))} (inode {inode})"


def mapping_of(folio: Folio) -> str:
    """What the folio is a part of: which file or swap entry."""
    said = []
    if folio.is_anon:
        root = "stable node" if folio.is_ksm else "anon_vma"
        said.append(f"{'ksm' if folio.is_ksm else 'anon'}, {root} 0x{folio.mapping:x}")
    elif folio.is_file:
        said.append(file_of(folio.mapping))
    elif folio.kind == "slab":
        slab = Struct("struct slab", folio.address)
        cache = slab.follow("slab_cache", "struct kmem_cache")
        return f"slab {text(cache['name'])}" if cache else "slab"
    else:
        return folio.kind
    said.append(f"index 0x{folio.raw['index']:x}")
    if folio.is_swapcache:
        from mm.tables import swap_entry
        said.append(f"swap cache {swap_entry(folio.raw['swap'])}")
    return ", ".join(said)


def file_of(mapping: int) -> str:
    """The file of an address_space: file system, inode, name."""
    space = Struct("struct address_space", mapping)
    inode = space.follow("host", "struct inode")
    if not inode:
        return f"address_space 0x{mapping:x}"
    sb = inode.follow("i_sb", "struct super_block")
    fs = text(Struct("struct file_system_type", sb["s_type"])["name"]) if sb else "?"
    name = ""
    if first := inode["i_dentry"]:
        dentry = first - field("struct dentry", "d_alias").offset
        name = f" \"{text(Struct('struct dentry', dentry)['d_name.name'])}\""
    return f"{fs} inode {inode['i_ino']}{name}"


class Owner(NamedTuple):
    """What page_owner knows of a page."""

    allocated: bool
    order: int
    gfp: int
    comm: str
    pid: int
    stack: list[str]        # of the allocation, functions from the inside out
    free_stack: list[str]   # of its last freeing


def owner_of(pfn: int) -> Owner | None:
    """What page_owner knows of a page; None where it isn't built in or off."""
    if not has_symbol("page_owner_ops") or not number("page_owner_inited"):
        return None
    if has_symbol("mem_section"):
        section, per_root = pfn >> const("PFN_SECTION_SHIFT"), const("SECTIONS_PER_ROOT")
        sections = symbol("mem_section")[section // per_root]
        base, index = int(sections[section % per_root]["page_ext"]), pfn
    else:
        data = symbol("contig_page_data")
        base = int(data["node_page_ext"])
        index = pfn - (int(data["node_start_pfn"]) & -(1 << const("MAX_PAGE_ORDER")))
    if not base or base & 1:
        return None
    ext = base + number("page_ext_size") * index
    flags = Struct("struct page_ext", ext)["flags"]
    bits = enum("page_ext_flags")
    if not flags >> bits["PAGE_EXT_OWNER"] & 1:
        return None
    own = Struct("struct page_owner", ext + int(symbol("page_owner_ops")["offset"]))
    return Owner(bool(flags >> bits["PAGE_EXT_OWNER_ALLOCATED"] & 1), own["order"],
                 own["gfp_mask"], own.string("comm"), own["pid"], saved_stack(own["handle"]),
                 saved_stack(own["free_handle"]))


# What records the stack, and the allocator itself.
RECORDING = re.compile(r"save_stack|stack_trace_save|(__)?(re)?set_page_owner|post_alloc|"
                       r"get_page_from_freelist|prep_new_page|free_(unref|one)|__folio_put|"
                       r"(__)?(alloc|free)_(frozen_)?pages|(__)?folio_alloc_noprof")


def saved_stack(handle: int) -> list[str]:
    """The functions of a stack in the stack depot, from the inside out."""
    if not handle:
        return []
    parts = gdb.Value(handle.to_bytes(4, "little"), type_of("union handle_parts"))
    pool = int(parts["pool_index_plus_1"]) - 1
    if not 0 <= pool < number("pools_num"):
        return []
    at = int(symbol("stack_pools")[pool]) + (int(parts["offset"]) << const("DEPOT_STACK_ALIGN"))
    size = min(Struct("struct stack_record", at)["size"], 64)
    entries = Struct("struct stack_record", at).array("entries")[:size]
    functions = [function_at(pc) or f"0x{pc:x}" for pc in entries]
    while len(functions) > 1 and RECORDING.match(functions[0]):
        functions.pop(0)
    return functions


# ---- the command

class MmPage(Command):
    """mm-page PAGE: what a page is, who holds it, where it came from.

PAGE is a pfn, a kernel address, or an expression: a struct page or folio, or a
pointer to one. Says the flags by name, the counts as the kernel has them, what
the folio is mapped from, its memory cgroup, and the stack of its allocation (of
its freeing, if it is free) where page_owner knows it.
mm-refs accounts for each reference."""

    name = "mm-page"

    def run(self, args: list[str]) -> None:
        page = Page(pfn_of(self.only(args)))
        zone = text(page.zone["name"])
        say("page", f"pfn {page.pfn}, struct page 0x{page.address:x}, "
                    f"address 0x{va(page.pfn << const('PAGE_SHIFT')):x}, zone {zone}")
        owner = owner_of(page.pfn)
        if block := free_block(page):
            say("free", block)
            if owner and owner.free_stack:
                say("freed by", " < ".join(owner.free_stack))
            return
        folio = Folio(page)
        part = f", page {page.pfn - folio.pfn} of it" if folio.large else ""
        say("folio", f"pfn {folio.pfn}, order {folio.order} ({folio.size}){part}")
        own = "a fake head, which shows its head's" if page.is_fake_head else page.flags
        say("flags", folio.flags + (f"; of this page {own}" if page.is_tail else ""))
        own = f", this page {page.own_mapcount} by PTE" if const("PAGE_MAPCOUNT") else ""
        entire = f" ({folio.entire_mapcount} by PMD{own})" if folio.large else ""
        pinned = f", of page {folio.pinned_pages} of it" if folio.pinned_pages else ""
        say("counts", f"refcount {folio.refs}, mapcount {folio.mapcount}{entire}, "
                      f"pins {folio.pins}{pinned}")
        say("mapping", mapping_of(folio))
        if team := folio.team:
            say("team", f"page {folio.pfn - team.head} of the one at page {team.head}: {team}")
        if cgroup := cgroup_of(folio):
            say("memcg", cgroup)
        if owner and owner.allocated:
            say("owner", f"pid {owner.pid} ({owner.comm}), order {owner.order}, "
                         f"{flag_names('gfpflag_names', owner.gfp)}")
            say("stack", " < ".join(owner.stack) or "not saved")
        from mm.stop import say_doubts
        say_doubts(folio)
