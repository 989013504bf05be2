# SPDX-License-Identifier: GPL-2.0
"""What a page is, and who has it: mm-page."""

from __future__ import annotations

import re
from typing import NamedTuple

import gdb
from mm.constants import const
from mm.freelists import pcp_lists
from mm.kernel import (Command, Error, Struct, enum, flag_names, function_at, has_field, has_symbol,
                       number, pointer_or_number, say, symbol, text, type_of)
from mm.page import Folio, Page, file_of, max_pfn, memmap, pa, page_size, va
from mm.stop import say_doubts
from mm.tables import kernel_pfn, swap_entry


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
    return {pfn for _, order, heads in pcp_lists() for head in heads
            for pfn in range(head, head + (1 << order))}


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
        said.append(f"swap cache {swap_entry(folio.raw['swap'])}")
    return ", ".join(said)


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
        say("counts", f"refcount {folio.refs}, mapcount {folio.mapcount}{entire}, "
                      f"pins {folio.pins}{folio.pinned_pages}")
        say("mapping", mapping_of(folio))
        if team := folio.team:
            say("team", f"page {folio.pfn - team.head} of the one at page {team.head}: {team}")
        if cgroup := cgroup_of(folio):
            say("memcg", cgroup)
        if owner and owner.allocated:
            say("owner", f"pid {owner.pid} ({owner.comm}), order {owner.order}, "
                         f"{flag_names('gfpflag_names', owner.gfp)}")
            say("stack", " < ".join(owner.stack) or "not saved")
        say_doubts(folio)
