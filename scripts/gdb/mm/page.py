# SPDX-License-Identifier: GPL-2.0
"""Pages and folios: what their structs say."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from mm.constants import const, has
from mm.kernel import (Error, Struct, address_of, enum, field, flag_names, has_symbol,
                       number, read, remembered, symbol, text, type_of)


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
            names = ("partially_mapped", "has_hwpoisoned")
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
        """Which of its pages are pinned, as ", of page 5-12, 511 twice of it"; empty if unknown."""
        if not self._counts_pins or not self.raw["_subpage_pins"]:
            return ""
        counts = [Page(pfn).raw["_mapcount"] + 1 for pfn in self.pfns]
        runs = []
        for count, group in itertools.groupby(range(self.nr), key=counts.__getitem__):
            first, *_, last = [*(at := list(group)), at[-1]]
            if count:
                runs.append(f"{first}" + (f"-{last}" if last > first else "") +
                            {1: "", 2: " twice"}.get(count, f" {count} times"))
        opaque = self.pins - self.raw["_subpage_pins"]
        return f", of page {', '.join(runs)} of it" + (f", {opaque} of the whole" if opaque else "")

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


# ---- more about a folio


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
