# SPDX-License-Identifier: GPL-2.0
"""What can't be trusted where the kernel has stopped, and who is at work there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import gdb
from mm.constants import const
from mm.kernel import Struct, function_at, has_field, has_symbol, number, read, say, symbol, u64
from mm.mms import Mm, current, tasks
from mm.page import Folio, memmap, page_size

# In the midst of these, counts, flags, page table entries and lists of the folio
# or the range that they work on don't agree with each other.
CHANGING = re.compile(
    r"(__)?split_huge_|__folio_split|__folio_freeze_and_split|folio_split|unmap_folio$|"
    r"remap_page$|remove_migration_p|try_to_migrate|try_to_unmap|zap_(pte|pmd|huge|present)|"
    r"copy_(huge_pmd|pte_range|present|nonpresent)|collapse_|__collapse|move_(huge_pmd|ptes|pages)|"
    r"change_(huge_pmd|pte|pmd)|do_huge_(pmd|zero)|do_(wp_page|anonymous_page|swap_page|set_pmd)|"
    r"wp_page_copy|set_huge_pmd|__folio_(add|remove)_|folio_(add|remove)_(new_)?(anon_|file_)?rmap|"
    r"set_pte_range|finish_fault|migrate_(folio|pages|huge)|folio_migrate_|__folio_migrate|"
    r"hugetlb_(fault|wp|no_page)|copy_hugetlb|__unmap_hugepage|move_hugetlb|"
    r"(__)?swap_cache_(add|del|replace)|shrink_folio_list|__remove_mapping|"
    r"__filemap_(add|remove)|filemap_(add|remove|unaccount)|page_cache_delete|truncate_|"
    r"prep_compound|__free_frozen|free_frozen|__free_one_page|rmqueue|lru_(add|gen)|lruvec_|"
    r"isolate_|move_folios_to_lru|folio_batch_move|um_tlb_sync|update_p[tm]|handle_pte_fault")


class At(NamedTuple):
    """A frame of the stack."""

    level: int
    function: str
    frame: gdb.Frame

    def __str__(self) -> str:
        line = self.frame.find_sal()
        where = f" {line.symtab.filename.rpartition('/')[2]}:{line.line}" if line.symtab else ""
        return f"#{self.level} {self.function}{where}"


def frames(limit: int = 40) -> list[At]:
    """The stopped CPU's stack from the inside out."""
    found: list[At] = []
    try:
        frame = gdb.newest_frame()
        while frame is not None and len(found) < limit:
            found.append(At(len(found), frame.name() or "?", frame))
            frame = frame.older()
    except gdb.error:
        pass        # it ends where gdb can't go on
    return found


def each_cpu() -> Iterator[str]:
    """Select the thread of one CPU after the other; "" or " on another CPU"."""
    chosen = gdb.selected_thread()
    yield ""
    if chosen is None or not has_symbol("cpu_threads"):
        return
    handles = symbol("cpu_threads")
    cpus = {int(handles[i]) for i in range(number("nr_cpu_ids"))}
    try:
        for thread in gdb.selected_inferior().threads():
            if thread.num != chosen.num:
                thread.switch()
                if int(gdb.parse_and_eval("$fs_base")) in cpus:
                    yield " on another CPU"
    finally:
        chosen.switch()


def stopped_inside() -> Iterator[str]:
    """The innermost frame of each CPU that is changing what the commands read."""
    for where in each_cpu():
        if at := next((at for at in frames() if CHANGING.match(at.function)), None):
            yield f"{at}{where}"


def variables(at: At) -> list[tuple[str, gdb.Value]]:
    """The arguments and local variables of a frame that have a value."""
    found: dict[str, gdb.Value] = {}
    try:
        block = at.frame.block()
    except RuntimeError:
        return []
    while block is not None:
        for symbol in block:
            if (symbol.is_argument or symbol.is_variable) and symbol.name not in found:
                try:
                    value = symbol.value(at.frame)
                    if not value.is_optimized_out:
                        found[symbol.name] = value
                except (gdb.error, TypeError):
                    pass
        if block.function is not None:
            break
        block = block.superblock
    return list(found.items())


def points_to(value: gdb.Value, folio: Folio) -> bool:
    """Whether a variable is a pointer to a folio or to one of its pages."""
    type_ = value.type.strip_typedefs()
    if type_.code != gdb.TYPE_CODE_PTR:
        return False
    if str(type_.target().strip_typedefs().unqualified()) not in ("struct page", "struct folio"):
        return False
    try:
        offset = int(value) - memmap()
    except gdb.error:
        return False
    return offset // page_size() in folio.pfns


def doubts(folio: Folio | None = None, mm: Mm | None = None) -> list[str]:
    """What of the folio and the address space can't be trusted at this stop."""
    found = []
    if folio and not folio.type:
        if folio.refs == 0 and (folio.mapcount > 0 or folio.mapping):
            found.append("its count is frozen at 0: whoever did that will set it again")
        if folio.has("PG_locked"):
            found.append("it is locked: the holder of the lock may be changing it")
        if folio.has("PG_writeback"):
            found.append("it is being written back")
    if mm:
        if writer := mm.writer:
            found.append(f"mmap_lock is held for writing by {writer}: areas may be changing")
        if mm.raw["context.sync_tlb_range_to"]:
            found.append(f"the host is behind the page tables in "
                         f"{mm.raw['context.sync_tlb_range_from']:x}-"
                         f"{mm.raw['context.sync_tlb_range_to']:x}")
    found += [f"stopped in the middle of {at}: counts and entries that it works on may not "
              f"agree yet" for at in stopped_inside()]
    return found


def say_doubts(folio: Folio | None = None, mm: Mm | None = None) -> None:
    """Print the doubts, a line each."""
    for doubt in doubts(folio, mm):
        say("caution", doubt)


# What every change of a count goes through.
HELPERS = re.compile(r"((raw_|arch_)*atomic|(__)?page_ref|folio_ref|set_page_(count|refcounted)|"
                     r"explore_stopped|step$|__sanitizer_cov_trace_pc|"
                     r"put_page_testzero|folio_put_testzero|init_page_count|instrument_)")


def one_line(limit: int = 6) -> str:
    """The stack in one line, from the inside out, without what just counts."""
    functions = [at.function for at in frames(limit + 8)]
    while len(functions) > 1 and HELPERS.match(functions[0]):
        functions.pop(0)
    return " < ".join(functions[:limit])


def sleepers(folio: Folio) -> Iterator[str]:
    """Tasks that don't run and have the folio or a page of it on their stack."""
    wanted = {folio.address + i * page_size() for i in range(folio.nr)}
    for task in tasks():
        if task.address == current().address or not task["stack"] or (
                has_field("struct task_struct", "on_cpu") and task["on_cpu"]):
            continue
        top = task["stack"] + const("THREAD_SIZE")
        at = task["thread.switch_buf.__rsp"]
        if not task["stack"] <= at < top:
            continue
        words = memoryview(bytes(read(at, (top - at) & -8))).cast("Q")
        if wanted.intersection(words):
            functions = [f for f in map(function_at, return_addresses(task)) if f]
            yield f"pid {task['pid']} ({task.string('comm')}) in {' < '.join(functions[:6])}"


def return_addresses(task: Struct) -> Iterator[int]:
    """Where the functions of a task that doesn't run will return to, innermost first."""
    yield task["thread.switch_buf.__rip"]
    frame, top = task["thread.switch_buf.__rbp"], task["stack"] + const("THREAD_SIZE")
    while task["stack"] <= frame < top - 16:
        up, back = u64(frame), u64(frame + 8)
        yield back
        if up <= frame:
            break
        frame = up
