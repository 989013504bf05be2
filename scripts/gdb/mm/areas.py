# SPDX-License-Identifier: GPL-2.0
"""The areas of a process: mm-vma."""

from __future__ import annotations

import gdb
from mm.kernel import Command, Error, evaluate, flag_names, say
from mm.mms import mm_of
from mm.stop import say_doubts
from mm.tables import Usage


class MmVma(Command):
    """mm-vma PID [ADDRESS]: the areas of a process, or all about one of them.

PID may be "current", or an expression: a task, an mm, an area. Of each area: its
range, rights and name, how many kB are mapped, and how (4K, by PMD, swap ...).
With an address also the flags by name and what rmap reaches it through."""

    name = "mm-vma"

    def run(self, args: list[str]) -> None:
        if not args:
            raise self.usage()
        mm = mm_of(args[0])
        if len(args) == 1:
            for area in mm.vmas():
                gdb.write(f"{area.start:x}-{area.end:x} {area.letters} {area.name:32} "
                          f"{Usage(mm, area)}\n")
            say_doubts(mm=mm)
            return
        address = int(evaluate(self.only(args[1:])))
        vma = mm.vma_at(address)
        if not vma:
            after = next((v for v in mm.vmas() if v.start > address), None)
            raise Error(f"nothing is mapped at 0x{address:x} in {mm.owner}" +
                        (f": the next area begins at 0x{after.start:x}" if after else ""))
        say("area", f"{vma.start:x}-{vma.end:x} {vma.letters} {vma.name}, vm_area_struct "
                    f"0x{vma.address:x}, of {mm.owner}")
        say("flags", flag_names("vmaflag_names", vma.flags))
        say("offset", f"0x{vma.raw['vm_pgoff']:x} pages; this address is page "
                      f"0x{vma.index(address):x}")
        say("rmap", ", ".join([f"anon_vma 0x{a:x}" for a in sorted(vma.anon_vmas)] +
                              ([f"i_mmap of address_space 0x{vma.mapping:x}"] if vma.mapping
                               else [])) or "no page has been faulted in")
        say("mapped", Usage(mm, vma))
        say_doubts(mm=mm)
