# SPDX-License-Identifier: GPL-2.0
"""The zones, and the lists of free pages that CPUs keep."""

from __future__ import annotations

from collections.abc import Iterator

from mm.constants import const
from mm.kernel import Struct, enum, field, list_of, per_cpu, symbol, text
from mm.page import memmap, page_size


def zones() -> Iterator[Struct]:
    """The zones that have pages."""
    all_zones = symbol("contig_page_data")["node_zones"]
    for index in range(all_zones.type.range()[1] + 1):
        zone = Struct("struct zone", int(all_zones[index].address))
        if zone["present_pages"]:
            yield zone


def pages_on(head: int) -> Iterator[int]:
    """The pfns of the pages on a list."""
    for page in list_of(head, "struct page", "lru"):
        yield (page - memmap()) // page_size()


def pcp_lists() -> Iterator[tuple[str, int, list[int]]]:
    """The allocator's per-CPU lists: (zone, order, first pages of blocks)."""
    kinds, costly = enum("migratetype")["MIGRATE_PCPTYPES"], const("PAGE_ALLOC_COSTLY_ORDER")
    lists = field("struct per_cpu_pages", "lists")
    for zone in zones():
        for _, pageset in per_cpu(zone["per_cpu_pageset"]):
            for index in range(lists.elements):
                order = index // kinds
                if order > costly:
                    order = const("PMD_SHIFT") - const("PAGE_SHIFT")
                heads = list(pages_on(pageset + lists.offset + index * lists.size))
                if heads:
                    yield text(zone["name"]), order, heads
