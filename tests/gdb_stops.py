# SPDX-License-Identifier: GPL-2.0
"""For test_gdb.py, inside gdb: what the commands say where bench_gdb_pages stops."""

import time

import gdb
from mm import about, kernel, mms, page, refs, snapshot, tables

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
    "owner": lambda: patch(about, "owner_of", lambda pfn: about.Owner(True, 0, 0, "me", 1, [], [])),
    "cgroup": lambda: patch(about, "cgroup_of", lambda folio: "/ (inode 1)"),
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
    pgoff = vma.raw.at("__vm_anon_pgoff_lo")
    gdb.execute(f"set var *(int *){pgoff} += 1")
    stage("wrong index")
    ask(f"mm-refs {pfn}")
    gdb.execute(f"set var *(int *){pgoff} -= 1")
    mm = mms.Mm(mms.current()["mm"])
    small = tables.walk(mm, mm.raw["start_stack"])[-1]
    gdb.execute(f"set var *(long *){small.where} = 0")
    stage("lost small entry")
    ask("mm-ptes current")
    gdb.execute(f"set var *(long *){small.where} = {small.value}")
    print("\n--- end", flush=True)


def team() -> None:
    """A page of a team that is mapped by PMD, and then with a wrong usage count."""
    head = int(gdb.parse_and_eval("pmd->pmd")) >> 12
    usage = page.Page(head).address + kernel.field("struct page", "private").offset
    for label, by in (("right", 0), ("wrong", 1)):
        gdb.execute(f"set var *(long *){usage} += {by}")
        stage_named(label)
        ask(f"mm-refs {head + 5}")
        gdb.execute(f"set var *(long *){usage} -= {by}")
    print("\n--- end", flush=True)


def stage_named(label: str) -> None:
    """As stage(), where there is no address."""
    print(f"\n=== 0 {label}", flush=True)


def every_folio() -> None:
    """Account for each folio of the guest that is mapped or could be, and page tables."""
    found: dict[int, list[refs.Mapping]] = {}
    for mm in mms.mms():
        for level, base, _, _, values in tables.all_tables(mm):
            for index, value in enumerate(values if level in ("pmd", "pte") else ()):
                entry = tables.Entry(level, base + (index << tables.shift_of(level)), 0, value)
                if entry.kind == "page" and entry.pfn is not None:
                    found.setdefault(page.Page(entry.pfn).head, []).append(
                        refs.Mapping(mm, level, entry.address, entry.pfn, "page"))
    patch(refs, "mappings", lambda folio: found.get(folio.pfn, []))
    good = 0
    for pfn, _, use in snapshot.pages():
        if use in ("free", "reserved", "kernel", "slab") and pfn not in found:
            continue
        ledger = refs.Ledger(page.Folio(page.Page(pfn)))
        if ledger.unattributed or ledger.unreachable or ledger.mapcount != ledger.folio.mapcount:
            print(f"wrong: {ledger.folio}: {ledger.rows}, {ledger.unreachable}")
        else:
            good += 1
    mend()
    print(f"good: {good}", flush=True)


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


def gathered(bits: int) -> None:
    """Who holds what a mmu_gather is about to free.

    Args:
        bits: that its first entry shall have: 0, or 2 for several pages of a folio.
    """
    gdb.execute("delete")
    # Its parameter isn't known to gdb at its first instruction: a register is.
    where = gdb.Breakpoint("*free_pages_and_swap_cache")
    where.condition = f"(*(long *)$rdi & 2) == {bits}"
    gdb.execute("continue")
    ask("mm-refs (struct page *)(*(long *)$rdi & -4)")


def count(pfn: str, watch: bool = True) -> None:
    """Say who changes the count of a page five times, then let the program go on.

    Args:
        watch: False to do without the CPU's watchpoints.
    """
    value = int(gdb.parse_and_eval(pfn))
    if not watch:
        refs.cpu_watches = lambda: False
    gdb.execute("delete")
    ask(f"mm-break-refs {value}")
    for _ in range(5):
        gdb.execute("continue")
    gdb.execute("delete")
    gdb.execute("continue")
