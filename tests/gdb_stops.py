# SPDX-License-Identifier: GPL-2.0
"""For test_gdb.py, inside gdb: what the commands say where bench_gdb_pages stops."""

import time

import gdb
from mm import kernel, mms, page, refs, tables

# Ways in which a command could lie, each of which a test has to notice.
LIES = {
    "mapcount": lambda: patch(page.Folio, "mapcount", property(lambda folio: 1)),
    "head": lambda: patch(page.Page, "head", property(lambda self: self.pfn - 1)),
    "flags": lambda: patch(page.Folio, "flags", property(lambda folio: "locked|lru")),
    "order": lambda: patch(page.Folio, "nr", property(lambda folio: 1)),
    "holder": lambda: patch(refs, "mappings",
                            lambda folio, old=refs.mappings: list(old(folio))[1:]),
    "entry": lambda: patch(tables, "pfn_in", lambda level, value: (value >> 12) + 1),
    "usage": lambda: patch(tables, "kind_of", lambda level, value, old=tables.kind_of:
                           "swap" if old(level, value) == "page" else old(level, value)),
    "owner": lambda: patch(page, "owner_of", lambda pfn: page.Owner(True, 0, 0, "me", 1, [], [])),
    "cgroup": lambda: patch(page, "cgroup_of", lambda folio: "/ (inode 1)"),
    "tables": lambda: patch(tables, "deposits", lambda mm: 0),
    "host": lambda: patch(tables, "va", lambda physical: 0x60000000),
}
undo = []


def patch(where: object, name: str, value: object) -> None:
    """Replace something until mend()."""
    undo.append((where, name, getattr(where, name)))
    setattr(where, name, value)


def mend() -> None:
    """Put back what was replaced."""
    while undo:
        setattr(*undo.pop())


def ask(command: str) -> None:
    """Run a command and print what it says, and how long it took in seconds."""
    start = time.monotonic()
    try:
        said = gdb.execute(command, to_string=True)
    except gdb.error as why:
        said = f"error: {why}\n"
    print(f"\n--- {command.split()[0]} {time.monotonic() - start:.3f}\n{said}", end="", flush=True)


def ask_all() -> None:
    """Everything about the address and the page that the program has just looked at."""
    address, pfn = (int(gdb.parse_and_eval(name)) for name in ("start", "vec"))
    for command in (f"mm-walk current {address}", f"mm-vma current {address}", "mm-ptes current",
                    "mm-huge-zero", "mm-lru", "mm-buddy",
                    *(f"{name} {pfn}" for name in ("mm-page", "mm-refs", "mm-lru") if pfn)):
        ask(command)


def stage(label: str = "") -> None:
    """Begin a section of the output."""
    print(f"\n=== {int(gdb.parse_and_eval('start')):x} {label}", flush=True)


def follow() -> None:
    """Ask at each stop until the guest ends."""
    while gdb.selected_inferior().pid:
        stage()
        ask_all()
        print("\n--- end", flush=True)
        gdb.execute("continue")


def lie() -> None:
    """Ask at one stop, with each lie."""
    for name, begin in LIES.items():
        begin()
        stage(name)
        ask_all()
        mend()
    print("\n--- end", flush=True)


def plant() -> None:
    """Make a folio's state wrong by hand, in ways that a bug would."""
    address, pfn = (int(gdb.parse_and_eval(name)) for name in ("start", "vec"))
    folio = page.Folio(page.Page(pfn))
    count = f"((struct folio *){folio.address})->_refcount.counter"
    for label, by in (("stray get", "+= 1"), ("put", "-= 1"), ("lost get", "-= 1"),
                      ("got", "+= 1")):
        gdb.execute(f"set var {count} {by}")
        stage(label)
        ask(f"mm-refs {pfn}")
    entry = tables.walk(mms.Mm(mms.current()["mm"]), address)[-1]
    gdb.execute(f"set var *(long *){entry.where} = 0")
    stage("lost entry")
    ask(f"mm-refs {pfn}")
    ask(f"mm-walk current {address}")
    gdb.execute(f"set var *(long *){entry.where} = {entry.value + (1 << 21)}")
    stage("wrong entry")
    ask(f"mm-refs {pfn}")
    ask(f"mm-walk current {address}")
    gdb.execute(f"set var *(long *){entry.where} = {entry.value}")
    vma = mms.Mm(mms.current()["mm"]).vma_at(address)
    assert vma
    pgoff = vma.raw.at("vm_pgoff")
    gdb.execute(f"set var *(long *){pgoff} += 1")
    stage("wrong index")
    ask(f"mm-refs {pfn}")
    gdb.execute(f"set var *(long *){pgoff} -= 1")
    mm = mms.Mm(mms.current()["mm"])
    small = tables.walk(mm, mm.raw["start_stack"])[-1]
    gdb.execute(f"set var *(long *){small.where} = 0")
    stage("lost small entry")
    ask("mm-ptes current")
    gdb.execute(f"set var *(long *){small.where} = {small.value}")
    print("\n--- end", flush=True)


def optimized_out() -> str:
    """A variable of some frame that has no value there, after selecting the frame."""
    frame = gdb.newest_frame()
    while frame:
        try:
            block = frame.block()
        except RuntimeError:
            block = None
        for symbol in block or ():
            if symbol.is_argument and symbol.value(frame).is_optimized_out:
                frame.select()
                return str(symbol.name)
        frame = frame.older()
    raise AssertionError("no variable is optimized out")


def bad() -> None:
    """What can't be done."""
    address = int(gdb.parse_and_eval("start"))
    free = next(pfn for pfn in range(page.max_pfn() - 1, 0, -1) if page.Page(pfn).type == "buddy")
    for command in ("mm-page", "mm-page 1 2", "mm-page nothing", "mm-page 99999999",
                    "mm-page 0x123456789abc", "mm-page ((struct page *)8)", f"mm-refs {free}",
                    "mm-refs", "mm-refs -1", "mm-walk 4711 0", f"mm-walk current {address} 1",
                    "mm-walk 2 0", "mm-vma current 0", "mm-vma 4711", "mm-ptes (1", "mm-ptes 2",
                    "mm-huge-zero 1", "mm-buddy x", f"mm-lru {free}", "mm-break-refs -log",
                    f"mm-break-refs {free}", "mm-break-test - ", "mm-break-test nowhere x",
                    "mm-walk current *(char **)1"):
        ask(command)
        print(f"({command})")
    ask(f"mm-page {optimized_out()}")
    print("(optimized out)\n\n--- end", flush=True)


def gathered(several: bool) -> None:
    """Who holds what a mmu_gather is about to free, at the first that has a page.

    Args:
        several: whether it shall have several pages of one folio in one entry.
    """
    for _ in range(200):
        local = int(gdb.parse_and_eval("(long)&tlb->local"))
        batch = kernel.Struct("struct mmu_gather_batch", local)
        if batch["nr"]:
            first = kernel.u64(local + kernel.field("struct mmu_gather_batch",
                                                    "encoded_pages").offset)
            if bool(first & 2) == several:
                ask(f"mm-refs (struct page *){first & -4}")
                return
        gdb.execute("continue")


def count(pfn: str) -> None:
    """Let the program go on, and say who changes the count of a page."""
    value = int(gdb.parse_and_eval(pfn))
    gdb.execute("delete")
    ask(f"mm-break-refs -log {value}")
    gdb.execute("continue")
