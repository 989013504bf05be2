# SPDX-License-Identifier: GPL-2.0
"""Values of macros, which debug info doesn't have: the compiler gives them.

A few lines of C are compiled as mm/memory.c was, into assembly with the values
in it, as the kernel does it for asm-offsets.h. That takes half a second, once
for each program: the values are kept next to it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess

import gdb
from mm.kernel import Error, remembered

# A name is given a value if the compiler knows it; a few are expressions.
NAMES = """
PAGE_SHIFT PMD_SHIFT PUD_SHIFT PGDIR_SHIFT PTRS_PER_PTE NR_PAGEFLAGS MAX_PAGE_ORDER
_PAGE_PRESENT _PAGE_NEEDSYNC _PAGE_HUGE _PAGE_PROTNONE _PAGE_RW _PAGE_USER _PAGE_ACCESSED
_PAGE_DIRTY _PAGE_NX _PAGE_SWP_EXCLUSIVE FOLIO_MAPPING_ANON FOLIO_MAPPING_ANON_KSM FOLIO_MAPPING_FLAGS
GUP_PIN_COUNTING_BIAS SWP_HWPOISON SWP_MIGRATION_READ SWP_MIGRATION_WRITE
SWP_MIGRATION_READ_EXCLUSIVE SWP_PTE_MARKER PTE_MARKER_UFFD_WP PTE_MARKER_POISONED
PTE_MARKER_GUARD SWP_PFN_MASK SWP_TYPE_SHIFT SWAPFILE_CLUSTER MMF_HUGE_ZERO_FOLIO PF_KTHREAD
ZONES_PGSHIFT ZONES_MASK PFN_SECTION_SHIFT SECTIONS_PER_ROOT DEPOT_STACK_ALIGN VM_PFNMAP
VM_MIXEDMAP VM_HUGETLB VM_SHARED MAPLE_NODE_MASK MAPLE_NODE_TYPE_MASK MAPLE_NODE_TYPE_SHIFT
MAPLE_RESERVED_RANGE LRU_GEN_PGOFF LRU_GEN_MASK XA_CHUNK_SHIFT SWP_TB_PFN_MARK
SWP_TB_PFN_MARK_MASK SWAP_CACHE_PFN_MARK_BITS SWP_TB_FLAGS_MASK THREAD_SIZE PAGE_ALLOC_COSTLY_ORDER
MAX_NR_GENS ENCODED_PAGE_BITS ENCODED_PAGE_BIT_NR_PAGES_NEXT
"""
EXPRESSIONS = {
    "SWP_TYPE_UNIT": "__swp_entry(1UL, 0UL).val",
    "SWP_OFFSET_UNIT": "__swp_entry(0UL, 1UL).val",
    "HEAD_IS_MASK": "compound_info_has_mask()",
    "PAGE_MAPCOUNT": "IS_ENABLED(CONFIG_PAGE_MAPCOUNT)",
    "SUBPAGE_PINS": "IS_ENABLED(CONFIG_THP_SUBPAGE_PINS)",
    "PAGEBLOCK_ORDER": "pageblock_order",
    "PERCPU_REF_ATOMIC_DEAD": "__PERCPU_REF_ATOMIC_DEAD",
}
# What has no #define to ask for, by the option that it depends on.
OPTIONAL = {
    "VMEMMAP": ("CONFIG_SPARSEMEM_VMEMMAP", "(unsigned long)vmemmap"),
}
HEADERS = """mm.h pagemap.h swap.h swapops.h leafops.h maple_tree.h mmzone.h page_ext.h sched.h
stackdepot.h xarray.h mm_inline.h hugetlb.h percpu-refcount.h"""


def _source() -> str:
    lines = [f"#include <linux/{h}>" for h in HEADERS.split()]
    lines += ['#include "internal.h"', '#include "swap_table.h"']
    lines += ["#define SAY(name, value) \\",
              '\tasm volatile("\\n.ascii \\"->" #name " %0\\"" : : "i" ((unsigned long)(value)))',
              "void mm_constants(void);", "void mm_constants(void)", "{"]
    for name in NAMES.split():
        lines += [f"#ifdef {name}", f"\tSAY({name}, {name});", "#endif"]
    lines += [f"\tSAY({name}, {value});" for name, value in EXPRESSIONS.items()]
    for name, (option, value) in OPTIONAL.items():
        lines += [f"#ifdef {option}", f"\tSAY({name}, {value});", "#endif"]
    return "\n".join([*lines, "}", ""])


def _compile(folder: str) -> dict[str, int]:
    """The values for the kernel of a build folder.

    Raises:
        Error: there is no build folder, or no compiler.
    """
    saved = os.path.join(folder, "mm/.memory.o.cmd")
    try:
        with open(saved, errors="surrogateescape") as file:
            command = re.match(r"savedcmd_\S+ := (.*)", file.read())
    except OSError:
        command = None
    if not command:
        raise Error(f"no build folder at {folder}: the mm- commands need the one in which "
                    f"this kernel was built")
    words = shlex.split(command[1].replace("$(pound)", "#").replace("$$", "$"))
    words = words[words.index("ccache") + 1:] if "ccache" in words else words
    end = words.index("-c")
    words = [w for w in words[:end] if not w.startswith(("-Wp,", "-g", "-fprofile", "-ftest"))]
    try:
        done = subprocess.run([*words, "-w", "-S", "-o", "-", "-x", "c", "-"], cwd=folder,
                              input=_source(), capture_output=True, text=True)
    except FileNotFoundError:
        raise Error(f"{words[0]} is not installed: the values of macros come from it") from None
    values = dict(re.findall(r'\.ascii "->(\w+) \$?(-?\d+)"', done.stdout))
    if done.returncode or not values:
        raise Error(f"{words[0]} can't say the values of macros: "
                    f"{(done.stderr.strip().splitlines() or ['no output'])[0]}")
    return {name: int(value) & (1 << 64) - 1 for name, value in values.items()}


def program() -> str:
    """The kernel's file.

    Raises:
        Error: gdb has none.
    """
    name = gdb.current_progspace().filename
    if not name:
        raise Error("gdb has no program: start it as `gdb linux/linux`")
    return os.path.realpath(name)


@remembered
def _values() -> dict[str, int]:
    path = program()
    kept, key = path + "-gdb.json", [os.stat(path).st_mtime_ns, NAMES, EXPRESSIONS]
    try:
        with open(kept) as file:
            old = json.load(file)
        if old[0] == key:
            return dict(old[1])
    except (OSError, ValueError, LookupError):
        pass
    values = _compile(os.path.dirname(path))
    try:
        with open(f"{kept}.{os.getpid()}", "w") as file:
            json.dump([key, values], file)
        os.replace(file.name, kept)
    except OSError:
        pass            # a folder of someone else: it takes its time again
    return values


def has(name: str) -> bool:
    """Whether this kernel has a macro."""
    return name in _values()


def const(name: str) -> int:
    """The value of a macro.

    Raises:
        Error: this kernel has none of that name.
    """
    try:
        return _values()[name]
    except KeyError:
        raise Error(f"this kernel has no {name}") from None
