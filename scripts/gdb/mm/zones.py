# SPDX-License-Identifier: GPL-2.0
"""The allocator's free lists and the reclaim lists: mm-buddy, mm-lru."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import gdb
from mm.about import cgroup_path, folio_of
from mm.constants import const
from mm.freelists import pages_on, pcp_lists, zones
from mm.kernel import (Command, Struct, enum, field, has_field, has_symbol, list_of, names, number,
                       per_cpu, say, text, u64)
from mm.page import Folio, Page
from mm.stop import say_doubts


# ---- free pages


def zone_counter(zone: Struct, item: str) -> int:
    """A counter of a zone, what its CPUs haven't added yet included."""
    index = enum("zone_stat_item")[item]
    value = zone.array("vm_stat")[index]
    if has_field("struct per_cpu_zonestat", "vm_stat_diff"):
        for _, stat in per_cpu(zone["per_cpu_zonestats"]):
            value += Struct("struct per_cpu_zonestat", stat).array("vm_stat_diff")[index]
    return value


class MmBuddy(Command):
    """mm-buddy: the free blocks of each zone, by order and migrate type.

Counts the blocks on the allocator's lists and compares them with its counters:
nr_free of each order and the zone's free pages. Then the per-CPU lists."""

    name = "mm-buddy"

    def run(self, args: list[str]) -> None:
        if args:
            raise self.usage()
        kinds, area = names("migratetype_names"), field("struct zone", "free_area")
        heads = field("struct free_area", "free_list")
        for zone in zones():
            say("zone", f"{text(zone['name'])}, from page {zone['zone_start_pfn']}, "
                        f"{zone['present_pages']} pages")
            free = 0
            for order in range(area.elements):
                raw = Struct("struct free_area", zone.address + area.offset + order * area.size)
                count = {kind: sum(1 for _ in pages_on(raw.address + heads.offset +
                                                       i * heads.size))
                         for i, kind in enumerate(kinds[:heads.elements])}
                blocks = sum(count.values())
                free += blocks << order
                if blocks or raw["nr_free"]:
                    what = ", ".join(f"{n} {kind}" for kind, n in count.items() if n)
                    gdb.write(f"  order {order:2}{blocks:7} blocks  {what}" + (
                        "\n" if blocks == raw["nr_free"] else
                        f"; nr_free {raw['nr_free']}: DISAGREES\n"))
            counted = zone_counter(zone, "NR_FREE_PAGES")
            verdict = "agrees" if free == counted else f"nr_free_pages {counted}: DISAGREES"
            say("free", f"{free} pages: {verdict}")
        for name, order, blocks_ in pcp_lists():
            say("per CPU", f"zone {name}, order {order}: {len(blocks_)} blocks")
        say_doubts()


# ---- reclaim lists

class LruList(NamedTuple):
    """A list of folios that reclaim works on."""

    cgroup: str
    name: str           # as in enum lru_list, or a generation of the multi-gen LRU
    head: int           # 0 for what is only counted
    counted: int        # pages on it, as the kernel counts


def memcgs() -> Iterator[int]:
    """Every memory cgroup, the root first."""
    if not has_symbol("root_mem_cgroup") or not number("root_mem_cgroup"):
        return
    css = field("struct mem_cgroup", "css").offset

    def below(memcg: int) -> Iterator[int]:
        yield memcg
        children = memcg + css + field("struct cgroup_subsys_state", "children").offset
        for child in list_of(children, "struct cgroup_subsys_state", "sibling"):
            yield from below(child - css)

    yield from below(number("root_mem_cgroup"))


def lru_lists() -> Iterator[LruList]:
    """Every list of every memory cgroup, empty ones as well."""
    kinds = {value: name.removeprefix("LRU_").lower() for name, value in
             enum("lru_list").items() if name != "NR_LRU_LISTS"}
    lists = field("struct lruvec", "lists")
    for memcg in memcgs():
        node = Struct("struct mem_cgroup_per_node",
                      u64(memcg + field("struct mem_cgroup", "nodeinfo").offset))
        sizes, cgroup, vec = node.array("lru_zone_size"), cgroup_path(memcg), node.at("lruvec")
        for index, name in sorted(kinds.items()):
            # Folios that can't be reclaimed are counted, but on no list.
            head = vec + lists.offset + index * lists.size if name != "unevictable" else 0
            yield LruList(cgroup, name, head, sum(sizes[index::len(kinds)]))    # of each zone
        if Struct("struct lruvec", vec)["lrugen.enabled"] if has_field(
                "struct lruvec", "lrugen") else 0:
            yield from gen_lists(vec, cgroup)


def gen_lists(vec: int, cgroup: str) -> Iterator[LruList]:
    """The lists of the multi-gen LRU of a cgroup that have something on them."""
    heads, counts = (field("struct lruvec", f"lrugen.{n}") for n in ("folios", "nr_pages"))
    sizes, gens = Struct("struct lruvec", vec).array("lrugen.nr_pages"), const("MAX_NR_GENS")
    for index in range(counts.elements):
        head = vec + heads.offset + index * heads.size
        if sizes[index] or u64(head) != head:
            gen, kind = divmod(index * 2 * gens // counts.elements, 2)
            yield LruList(cgroup, f"gen {gen} {('anon', 'file')[kind]}", head, sizes[index])


def folios_on(lru: LruList) -> Iterator[Folio]:
    """The folios of a list."""
    for pfn in pages_on(lru.head) if lru.head else ():
        yield Folio(Page(pfn))


class MmLru(Command):
    """mm-lru [FOLIO]: the lists that reclaim works on, or which one holds a folio.

By memory cgroup: how many folios and pages are on each list, and whether that is
what the kernel has counted. With a folio: its list and its place on it, from the
end that is reclaimed first; a folio on none is isolated, in a batch (mm-refs says
which), or not for reclaim."""

    name = "mm-lru"

    def run(self, args: list[str]) -> None:
        if args:
            folio = folio_of(self.only(args))
            for lru in lru_lists():
                pfns = list(pages_on(lru.head)) if lru.head else []
                if folio.pfn in pfns:
                    say("list", f"{lru.name} of {lru.cgroup}, {len(pfns) - pfns.index(folio.pfn)}"
                                f" of {len(pfns)} from the end")
                    break
            else:
                say("list", "none")
            say("folio", folio)
            say_doubts(folio)
            return
        cgroup = ""
        for lru in lru_lists():
            folios = [f.nr for f in folios_on(lru)]
            if not folios and not lru.counted:
                continue
            if lru.cgroup != cgroup:
                cgroup = lru.cgroup
                say("memcg", cgroup)
            verdict = "" if sum(folios) == lru.counted else \
                f"; counted {lru.counted}: DISAGREES" if lru.head else \
                f"; {lru.counted} pages counted, they are on no list"
            gdb.write(f"  {lru.name:16}{len(folios):7} folios{sum(folios):8} pages{verdict}\n")
        say_doubts()
