# SPDX-License-Identifier: GPL-2.0
"""Processes, their address spaces and areas: mm-vma."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import gdb
from mm.constants import const
from mm.kernel import (Error, Struct, address_of, enum, field, flag_table, has_symbol, list_of,
                       number, pointer_or_number, symbol)
from mm.page import file_of


# ---- tasks

def tasks() -> Iterator[Struct]:
    """Every thread, swapper first."""
    init = Struct("struct task_struct", address_of("init_task"))
    yield init
    for leader in list_of(init.at("tasks"), "struct task_struct", "tasks"):
        signal = Struct("struct task_struct", leader)["signal"]
        head = signal + field("struct signal_struct", "thread_head").offset
        for thread in list_of(head, "struct task_struct", "thread_node"):
            yield Struct("struct task_struct", thread)


def current() -> Struct:
    """The task that the stopped CPU runs.

    A condition of a breakpoint asks: were it slower than the guest's timer, whose
    signal comes while gdb steps off the breakpoint, that would never end.
    """
    cpu = 0
    if has_symbol("cpu_threads"):       # by pthread_t, which is where fs points to
        me, threads = int(gdb.parse_and_eval("$fs_base")), symbol("cpu_threads")
        cpu = next((i for i in range(number("nr_cpu_ids")) if int(threads[i]) == me), 0)
    return Struct("struct task_struct", int(symbol("cpu_tasks")[cpu]))


def task_of(pid: int) -> Struct:
    """The task with a pid.

    Raises:
        Error: there is none; the message names those with memory of their own.
    """
    known = []
    for task in tasks():
        if task["pid"] == pid:
            return task
        if task["mm"] and task["pid"] == task["tgid"]:
            known.append(f"{task['pid']} {task.string('comm')}")
    raise Error(f"no process {pid}; processes: {', '.join(known) or 'none'}")


# ---- address spaces

class Mm:
    """An address space."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.raw = Struct("struct mm_struct", address)

    @functools.cached_property
    def owner(self) -> str:
        """Whose it is: "pid 31 (thp_fork)"."""
        for task in tasks():
            if task["mm"] == self.address:
                return f"pid {task['tgid']} ({task.string('comm')})"
        return "init_mm" if self.address == address_of("init_mm") else "a process that exits"

    def vmas(self) -> Iterator[Vma]:
        """Its areas, by address."""
        for address in maple_entries(self.raw["mm_mt.ma_root"]):
            yield Vma(address)

    def vma_at(self, address: int) -> Vma | None:
        """The area that an address is in."""
        return next((v for v in self.vmas() if v.start <= address < v.end), None)

    @property
    def writer(self) -> str:
        """Who holds mmap_lock for writing; "" for nobody."""
        owner = self.raw["mmap_lock.owner"] & ~7
        if not self.raw["mmap_lock.count"] & 1 or not owner:
            return ""
        task = Struct("struct task_struct", owner)
        return f"pid {task['pid']} ({task.string('comm')})"


def mms() -> Iterator[Mm]:
    """Every user address space, also that of a process that exits."""
    for context in list_of(address_of("mm_list"), "struct mm_context", "list"):
        yield Mm(context - field("struct mm_struct", "context").offset)


def mm_of(expression: str) -> Mm:
    """The address space that an argument means: a pid, "current", a task or an mm.

    Raises:
        Error: it means none.
    """
    if expression == "current":
        task = current()
    else:
        kind, value = pointer_or_number(expression)
        if kind == "struct mm_struct":
            return Mm(value)
        if kind == "struct vm_area_struct":
            return Mm(Struct(kind, value)["vm_mm"])
        if kind == "struct task_struct":
            task = Struct(kind, value)
        elif kind:
            raise Error(f"{expression} is a {kind}: neither a process nor an mm")
        elif any(value == mm.address for mm in mms()):
            return Mm(value)
        else:
            task = task_of(value)
    if not task["mm"]:
        raise Error(f"pid {task['pid']} ({task.string('comm')}) has no memory of its own: "
                    f"a kernel thread, or it exits")
    return Mm(task["mm"])


# ---- areas

def maple_entries(root: int) -> Iterator[int]:
    """The entries of a maple tree of pointers, in their order."""
    if root & 3 == 2:
        yield from _maple_node(root, (1 << 64) - 1)
    elif root:
        yield root      # just one, at index 0


def _maple_node(node: int, highest: int) -> Iterator[int]:
    """The entries below a node, which is for indices up to the highest."""
    kind = node >> const("MAPLE_NODE_TYPE_SHIFT") & const("MAPLE_NODE_TYPE_MASK")
    name = next((n for n, value in enum("maple_type").items() if value == kind), f"{kind}")
    struct = {"maple_leaf_64": "struct maple_range_64"}.get(name, f"struct {name}")
    if struct not in ("struct maple_range_64", "struct maple_arange_64"):
        raise Error(f"a maple tree node of type {name}: it is being changed just now, or corrupt")
    raw = Struct(struct, node & ~const("MAPLE_NODE_MASK"))
    pivots = raw.array("pivot")
    if struct == "struct maple_arange_64" or not pivots[-1]:
        last = raw["meta.end"]
    else:
        last = len(pivots) - (pivots[-1] == highest)
    for slot, pivot in zip(raw.array("slot")[:last + 1], [*pivots, highest]):
        if slot and name == "maple_leaf_64":
            yield slot
        elif slot:
            yield from _maple_node(slot, pivot or highest)


class Vma:
    """An area of an address space."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.raw = Struct("struct vm_area_struct", address)
        self.start, self.end = self.raw["vm_start"], self.raw["vm_end"]
        self.flags = self.raw["vm_flags"]

    @functools.cached_property
    def mapping(self) -> int:
        """The address_space of its file; 0 without one."""
        file = self.raw["vm_file"]
        return Struct("struct file", file)["f_mapping"] if file else 0

    def index(self, address: int, anon: bool = False) -> int:
        """The place of an address in the file, or of anonymous memory, in pages.

        Args:
            anon: of an anonymous page, which differs in a private mapping of a file.
        """
        first = self.raw["vm_pgoff"]
        if anon:
            first = self.raw["__vm_anon_pgoff_hi"] << 32 | self.raw["__vm_anon_pgoff_lo"]
        return first + ((address - self.start) >> const("PAGE_SHIFT"))

    @functools.cached_property
    def anon_vmas(self) -> set[int]:
        """The anon_vmas through which rmap reaches this area."""
        return {Struct("struct anon_vma_chain", chain)["anon_vma"] for chain in
                list_of(self.raw.at("anon_vma_chain"), "struct anon_vma_chain", "same_vma")}

    @property
    def name(self) -> str:
        """Its file, or "anon", "heap", "stack"."""
        if mapping := self.mapping:
            return file_of(mapping)
        mm = Struct("struct mm_struct", self.raw["vm_mm"]) if self.raw["vm_mm"] else None
        if mm and self.start <= mm["brk"] and self.end >= mm["start_brk"]:
            return "heap"
        if mm and self.start <= mm["start_stack"] <= self.end:
            return "stack"
        return "anon" if not self.raw["vm_ops"] else "special"

    @property
    def letters(self) -> str:
        """Its rights as in /proc/PID/maps."""
        bits = {name: mask for mask, name in flag_table("vmaflag_names")}
        return "".join(letter if self.flags & bits[name] else "-" for name, letter in
                       (("read", "r"), ("write", "w"), ("exec", "x"))) + \
            ("s" if self.flags & bits["mayshare"] else "p")


def flag_set(mm: Mm, bit: int) -> bool:
    """Whether a bit of mm->flags (MMF_...) is set."""
    where = field("struct mm_struct", "flags")
    value = int.from_bytes(bytes(mm.raw.data[where.offset:where.offset + 8]), "little")
    return bool(value >> bit & 1)
