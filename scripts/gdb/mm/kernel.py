# SPDX-License-Identifier: GPL-2.0
"""The stopped kernel: its memory in blocks, its structures by type, its names.

Everything is read anew at each command and nothing in the kernel is called or
changed. Offsets come from the debug info, the values of macros from the
compiler (see constants.py): nothing here knows a layout.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import gdb

class Error(gdb.GdbError):      # type: ignore[misc]
    """What a command can't do, in one line."""


Function = TypeVar("Function", bound=Callable[..., Any])


def remembered(function: Function) -> Function:
    """Call a function only once for each argument, until gdb loads another program."""
    cached: Any = functools.cache(function)
    gdb.events.new_objfile.connect(lambda _: cached.cache_clear())
    gdb.events.clear_objfiles.connect(lambda _: cached.cache_clear())
    return cast(Function, cached)


# ---- memory

def read(address: int, size: int) -> memoryview:
    """A block of the kernel's memory.

    Raises:
        Error: it isn't mapped.
    """
    try:
        return gdb.selected_inferior().read_memory(address, size).cast("B")
    except gdb.MemoryError:
        raise Error(f"nothing is mapped at 0x{address:x} in the kernel") from None


def u64(address: int) -> int:
    """An unsigned long."""
    return int(struct.unpack("<Q", read(address, 8))[0])


def text(address: int, limit: int = 4096) -> str:
    """A string that ends with a 0; an unreadable one is empty."""
    try:
        return str(gdb.Value(address).cast(pointer("char")).string(errors="replace",
                                                                   length=-1))[:limit]
    except gdb.error:
        return ""


# ---- types

@remembered
def type_of(name: str) -> gdb.Type:
    """A type by its name, e.g. "struct page".

    Raises:
        Error: the program has no debug info, or not this type.
    """
    try:
        return gdb.lookup_type(name)
    except gdb.error:
        raise Error(f"no debug info for {name}: is this a kernel built here, and are "
                    f"the .dwo files still in its build folder?") from None


@remembered
def pointer(name: str) -> gdb.Type:
    """The pointer to a type."""
    return type_of(name).pointer()


class Field(NamedTuple):
    """Where a member of a structure is."""

    offset: int         # in bytes
    size: int
    signed: bool
    elements: int       # of an array (of arrays), whose size is one's then

    def of(self, block: memoryview | bytes, base: int = 0) -> int:
        """Its value in a block that holds the structure at an offset."""
        at = base + self.offset
        return int.from_bytes(block[at:at + self.size], "little", signed=self.signed)


def _find(type_: gdb.Type, name: str) -> tuple[int, gdb.Type] | None:
    """A member's place, also inside anonymous members; None if there is none."""
    for member in type_.fields():
        at = member.bitpos // 8
        if member.name == name:
            return at, member.type.strip_typedefs()
        if not member.name and member.type.strip_typedefs().code in (
                gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            if found := _find(member.type.strip_typedefs(), name):
                return at + found[0], found[1]
    return None


@remembered
def field(type_name: str, path: str) -> Field:
    """Where a member is; a path is like "context.id.pid".

    A structure of one member (atomic_t, pte_t) counts as its member.

    Raises:
        Error: there is no such member; has_field() asks.
    """
    type_, offset, count = type_of(type_name).strip_typedefs(), 0, 1
    for name in path.split("."):
        if type_.code == gdb.TYPE_CODE_ARRAY:       # then its first element
            type_ = type_.target().strip_typedefs()
        found = _find(type_, name)
        if not found:
            raise Error(f"{type_name} has no member {path} in this kernel")
        offset, type_ = offset + found[0], found[1]
    while type_.code == gdb.TYPE_CODE_ARRAY:
        count, type_ = count * (type_.range()[1] + 1), type_.target().strip_typedefs()
    size = type_.sizeof
    while type_.code == gdb.TYPE_CODE_STRUCT and len(type_.fields()) == 1:
        type_ = type_.fields()[0].type.strip_typedefs()
    return Field(offset, size, type_.code == gdb.TYPE_CODE_INT and type_.is_signed, count)


def has_field(type_name: str, path: str) -> bool:
    """Whether a structure has a member in this kernel: its options decide."""
    try:
        field(type_name, path)
    except Error:
        return False
    return True


class Struct:
    """A structure in memory, read as one block.

    Args:
        data: its bytes, if they have been read before.
    """

    __slots__ = ("kind", "address", "data")

    def __init__(self, kind: str, address: int, data: memoryview | bytes | None = None) -> None:
        self.kind, self.address = kind, address
        self.data = read(address, type_of(kind).sizeof) if data is None else data

    def __getitem__(self, path: str) -> int:
        return field(self.kind, path).of(self.data)

    def array(self, path: str) -> Sequence[int]:
        """All elements of a member that is an array of numbers."""
        where = field(self.kind, path)
        return [where.of(self.data, i * where.size) for i in range(where.elements)]

    def at(self, path: str) -> int:
        """The address of a member."""
        return self.address + field(self.kind, path).offset

    def string(self, path: str) -> str:
        """A member that is an array of char."""
        where = field(self.kind, path)
        raw = bytes(self.data[where.offset:where.offset + where.elements])
        return raw.partition(b"\0")[0].decode(errors="replace")

    def follow(self, path: str, kind: str) -> Struct | None:
        """What a member points to; None for NULL."""
        return Struct(kind, target) if (target := self[path]) else None


def list_of(head: int, kind: str, member: str) -> Iterator[int]:
    """The addresses of the structures on a list_head list.

    Raises:
        Error: the list isn't closed: it is being changed, or corrupt.
    """
    offset, next_, seen = field(kind, member).offset, u64(head), 0
    while next_ != head:
        yield next_ - offset
        next_, seen = u64(next_), seen + 1
        if not next_ or seen > 1 << 20:
            raise Error(f"the list of {kind} at 0x{head:x} isn't closed: it is being "
                        f"changed just now, or corrupt")


# ---- symbols

def has_symbol(name: str) -> bool:
    """Whether the kernel has a variable or function."""
    return _lookup(name) is not None


@remembered
def _lookup(name: str) -> gdb.Symbol | None:
    return gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)


def symbol(name: str) -> gdb.Value:
    """A variable.

    Raises:
        Error: this kernel has none of that name.
    """
    found = _lookup(name)
    if found is None:
        raise Error(f"this kernel has no {name}")
    return found.value()


@remembered
def _place(name: str) -> tuple[int, Field]:
    """Where a number is, which is asked for more often than anything: gdb takes its time."""
    value = symbol(name)
    type_ = value.type.strip_typedefs()
    while type_.code == gdb.TYPE_CODE_STRUCT:
        type_ = type_.fields()[0].type.strip_typedefs()
    return int(value.address), Field(0, type_.sizeof, type_.code == gdb.TYPE_CODE_INT and
                                     type_.is_signed, 1)


def number(name: str) -> int:
    """The value of a variable that is a number, a pointer or an atomic."""
    address, where = _place(name)
    return where.of(read(address, where.size))


@remembered
def address_of(name: str) -> int:
    """Where a variable is."""
    return int(symbol(name).address)


def function_at(pc: int) -> str:
    """The function that an address is in, by the symbol table; "" for none."""
    said = gdb.execute(f"info symbol {pc}", to_string=True)
    return "" if said.startswith("No symbol") else said.split()[0]


def per_cpu(address: int) -> Iterator[tuple[int, int]]:
    """The copies of a per-CPU variable: (CPU, address)."""
    if not has_symbol("__per_cpu_offset"):
        yield 0, address
        return
    offsets = symbol("__per_cpu_offset")
    for cpu in range(number("nr_cpu_ids")):
        yield cpu, (address + int(offsets[cpu])) & (1 << 64) - 1


# ---- names that the kernel has for its bits and numbers

@remembered
def flag_table(name: str) -> list[tuple[int, str]]:
    """A table of struct trace_print_flags, e.g. pageflag_names: (mask, name)."""
    table = symbol(name)
    entries = (table[i] for i in range(table.type.range()[1] + 1))
    return [(int(e["mask"]), e["name"].string()) for e in entries if int(e["name"])]


def flag_names(table: str, value: int) -> str:
    """Bits by name, as the kernel's own %pG prints them; "none" for none."""
    names = []
    for mask, name in flag_table(table):
        if mask and value & mask == mask:
            names.append(name)
            value &= ~mask
    return "|".join(names + ([f"0x{value:x}"] if value else [])) or "none"


@remembered
def enum(name: str) -> dict[str, int]:
    """The names and values of an enum."""
    return {f.name: f.enumval for f in type_of(f"enum {name}").fields()}


@remembered
def names(table: str) -> list[str]:
    """An array of strings, e.g. migratetype_names."""
    array = symbol(table)
    return [array[i].string() if int(array[i]) else ""
            for i in range(array.type.range()[1] + 1)]


# ---- commands

class Command(gdb.Command):
    """A command whose failures are one line. Its doc string is its help."""

    name: ClassVar[str]
    complete_as: ClassVar[int] = gdb.COMPLETE_SYMBOL
    live: ClassVar[bool] = True     # it needs a kernel that runs

    def __init__(self) -> None:
        super().__init__(self.name, gdb.COMMAND_DATA, self.complete_as)

    def run(self, args: list[str]) -> None:
        """Do it."""
        raise NotImplementedError

    def only(self, args: list[str]) -> str:
        """The one argument, an expression that may have spaces in it.

        Raises:
            Error: there is none.
        """
        if not args:
            raise self.usage()
        return " ".join(args)

    def usage(self) -> Error:
        """What to raise when the arguments make no sense."""
        return Error(f"usage: {(self.__doc__ or '').splitlines()[0].split(': ')[0]}")

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Called by gdb."""
        if self.live and not gdb.selected_inferior().pid:
            raise Error("the kernel isn't running: `run`, or `make gdb T=<test>`")
        try:
            if self.live:
                type_of("struct page")
            self.run(gdb.string_to_argv(argument))
        except (Error, KeyboardInterrupt):
            raise
        except gdb.error as why:
            raise Error(f"{self.name}: {str(why).splitlines()[0]}") from None
        except Exception as why:
            if "full" in gdb.execute("show python print-stack", to_string=True):
                raise
            raise Error(f"{self.name}: can't make sense of what it reads ({why!r}); "
                        f"`set python print-stack full` shows where") from None


def evaluate(expression: str) -> gdb.Value:
    """The value of an argument, as gdb's print would give it.

    Raises:
        Error: it has none, in one line.
    """
    try:
        value = gdb.parse_and_eval(expression)
        value.fetch_lazy()
        gone = value.is_optimized_out
    except gdb.MemoryError:
        raise Error(f"{expression} can't be read") from None
    except gdb.error as why:
        gone = "optimized out" in str(why)
        if not gone:
            raise Error(str(why).splitlines()[0]) from None
    if gone:
        raise Error(f"{expression} is optimized out here: try the caller's frame (`up`)")
    return value


def pointer_or_number(expression: str) -> tuple[str, int]:
    """An argument as (the structure that it points to or "", the number)."""
    value = evaluate(expression)
    type_ = value.type.strip_typedefs()
    if type_.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        if value.address is None:
            raise Error(f"{expression} is a value, not something in memory")
        return str(type_.unqualified()), int(value.address)
    if type_.code == gdb.TYPE_CODE_PTR:
        return str(type_.target().strip_typedefs().unqualified()), int(value) & (1 << 64) - 1
    if type_.code not in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_CHAR,
                          gdb.TYPE_CODE_BOOL):
        raise Error(f"{expression} is neither a number nor a pointer")
    return "", int(value) & (1 << 64) - 1


def say(label: str, what: Any) -> None:
    """One line of output: a label and what is to be said about it."""
    gdb.write(f"{label:9}{what}\n")
