# SPDX-License-Identifier: GPL-2.0
"""All pages of a guest by use and order, at three moments of a test: make pagemap."""

from __future__ import annotations

import json

import gdb
from mm.constants import const
from mm.kernel import Error, enum, field, read
from mm.mms import current
from mm.page import Folio, Page, max_pfn, memmap, page_size
from mm.session import TestStart


def pages() -> list[tuple[int, int, str]]:
    """What memory is used for: (first pfn, order, use) of each folio or free block."""
    data = bytes(read(memmap(), max_pfn() * page_size()))
    flags, type_ = field("struct page", "flags"), field("struct page", "page_type")
    private, buddy = field("struct page", "private"), enum("pagetype")["PGTY_buddy"]
    head, reserved = (1 << enum("pageflags")[f"PG_{name}"] for name in ("head", "reserved"))
    found, pfn, size = [], 0, page_size()
    while pfn < max_pfn():
        base = pfn * size
        if type_.of(data, base) >> 24 == buddy:
            order, use = private.of(data, base), "free"
        elif flags.of(data, base) & reserved:
            order, use = 0, "reserved"
        else:
            order = 0
            if flags.of(data, base) & head:
                order = Folio(Page(pfn)).order
            use = use_of(pfn)
        found.append((pfn, min(order, const("MAX_PAGE_ORDER")), use))
        pfn += 1 << order
    return found


def use_of(pfn: int) -> str:
    """What a page that isn't free is used for."""
    page = Page(pfn)
    if page.is_tail:
        return "kernel"     # a part of a block that is no folio
    folio = Folio(page)
    if folio.kind == "file":
        return "shmem" if folio.has("PG_swapbacked") else "file"
    return "kernel" if folio.kind == "frozen" else folio.kind


class Once(gdb.Breakpoint):
    """A breakpoint for one task."""

    def __init__(self, where: str, task: int, argument: str = "") -> None:
        super().__init__(where, internal=True)
        self.whose, self.argument = task, argument

    def stop(self) -> bool:
        """Called by gdb."""
        who = int(gdb.parse_and_eval(self.argument)) if self.argument else current().address
        return who == self.whose


def record(test: str, path: str) -> None:
    """Run a test; write down memory before, at its end, and once it is gone.

    Raises:
        Error: it never got to one of these.
    """
    moments = {}

    def take(name: str) -> None:
        if not gdb.selected_inferior().pid:
            raise Error(f"the guest has ended before the moment \"{name}\"")
        moments[name] = pages()

    TestStart({test}, None)
    gdb.execute("run", to_string=True)
    take("before")
    task = current().address
    Once("do_exit", task)
    gdb.execute("continue", to_string=True)
    take("at its end")
    Once("release_task", task, "p")
    gdb.execute("continue", to_string=True)
    take("after")
    with open(path, "w") as file:
        json.dump(moments, file)
    gdb.execute("kill", to_string=True)
