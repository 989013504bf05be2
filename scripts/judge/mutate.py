# SPDX-License-Identifier: GPL-2.0
"""Where C can be broken in one place, and source with all of these mutants in it.

libclang parses a file with the flags of its object; what it says is taken only where the
text agrees, so that nothing from the inside of a macro is touched. Each mutant is some text
around a piece of the source (a mutant schema):

    if (a < b)       if ((!!(a < ((b) + UML_IS(8))) != UML_IS(7)))
    put(x);          { if ((!UML_IS(9))) put(x); }

where UML_IS(n) is whether a global variable has this value.

The text stays on its lines, so that what a compiler says of a line is said of its mutants.
Assertions, messages and tracepoints aren't mutated: no test can tell.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import re
import shlex
import subprocess
from ctypes import addressof, byref, c_uint
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.common import Fatal

IS = "UML_IS(@)"            # @ stands for the mutant's number
IS_NOT = "(!UML_IS(@))"
# In front of each file with mutants. What is reached is noted, to know which tests do.
HEAD = """#ifndef __ASSEMBLY__
extern int uml_mutant; extern unsigned char uml_reached[];
#define UML_IS(n) (uml_reached[n] = 1, uml_mutant == (n))
#endif
#line 1
"""
# Calls of which nobody sees whether they are there
SILENT = re.compile(r"_*(VM_|WARN|BUG|BUILD_BUG|DEBUG_|CREATE_|TRACE_|pr_|printk|os_(warn|info)|"
                    r"dev_(warn|dbg)|panic|lockdep_|might_|trace_|dump_|kunit|KUNIT|cond_resched|"
                    r"prefetch|mmap_assert|count_\w*event|kmsan_|kasan_|static_assert|ASSERT|"
                    r"sizeof|typeof|offsetof|container_of|"
                    r"__builtin_(constant|types|choose))")
COUNTS = re.compile(r"(^|_)(get|put|inc|dec|unref|add|sub|grab|drop)(_|$)|(get|put|drop|grab)$")
BARRIER = re.compile(r"(smp_|dma_)?(mb|rmb|wmb)|smp_mb__\w+|barrier(_data)?|smp_store_mb|"
                     r"smp_acquire\w+")
LOCK = re.compile(r"(^|_)(lock|disable|down|save)(_|irq|$)")
UNLOCK = re.compile(r"(^|_)(unlock|enable|up|restore)(_|irq|$)")
# What does nothing on one CPU without preemption
SMP_ONLY = re.compile(r"(raw_)?spin_(un)?lock|rcu_read_(un)?lock|preempt_(dis|en)able|"
                      r"pte_unmap(_unlock)?|" + BARRIER.pattern)
LOCKING = re.compile(r"^\w+ = (p[mu]d_lock|pte_lockptr)\(")     # its result is for the unlock
SIMPLE = re.compile(r"[&*]?[A-Za-z_]\w*(?:(?:->|\.)\w+|\[\w+\])*|\d+\w*")
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
OPENING, CLOSING = "([{", ")]}"


class Wrap(NamedTuple):
    """Text to put around source[start:end], or in its place."""

    start: int
    end: int
    before: str
    after: str
    instead: bool = False


class Mutant(NamedTuple):
    """One way to break a file."""

    file: str           # below the tree
    function: str
    operator: str       # statement, condition, relation, ...
    line: int           # where it is
    lines: tuple[int, int]      # first and last one of what is changed
    around: int         # first line of the statement
    old: str
    new: str
    smp: bool           # makes no difference on one CPU
    wraps: list[Wrap]

    def key(self) -> str:
        """What stays the same when lines are moved."""
        return (f"{self.file} {self.function}() {self.operator}: {self.old} => "
                f"{self.new or 'nothing'}")

    def place(self) -> str:
        """The function that it is in."""
        return f"{self.file} {self.function}"


def masked(text: str) -> str:
    """A C file without its comments and strings, each as many blanks; lines stay."""
    return NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]) if m[0][0] == "/" else
                     m[0][0] + "_" * (len(m[0]) - 2) + m[0][0], text)


def closing(text: str, start: int) -> int:
    """Where the bracket at start is closed; -1 if it isn't."""
    depth = 0
    for m in re.finditer(r"[][(){}]", text[start:]):
        depth += 1 if m[0] in OPENING else -1
        if not depth:
            return start + m.start()
    return -1


def one_line(text: str) -> str:
    """Text with each white space as one blank."""
    return " ".join(text.split())


def cindex() -> Any:
    """libclang.

    Raises:
        Fatal: it isn't installed.
    """
    try:
        from clang import cindex as module
        module.conf.lib.clang_getFileLocation
    except (ImportError, AttributeError, OSError) as why:
        raise Fatal("automatic mutants need libclang for Debian's python: "
                    f"apt-get install python3-clang ({str(why).splitlines()[0]})") from None
    return module


def flags(command: str, here: Path) -> list[str]:
    """The arguments for libclang out of an object's saved command.

    Args:
        here: the build folder, to which its paths are relative.
    """
    words, result = shlex.split(command), []
    for at, word in enumerate(words):
        if word in ("-include", "-isystem", "-idirafter", "-I"):
            result += [word, words[at + 1]]
        elif re.match(r"-(I.|D|U|std=|nostdinc|m64|fshort-wchar|funsigned-char|fms-ext)", word):
            result.append(word)
    builtin = subprocess.run(["gcc", "-print-file-name=include"], capture_output=True, text=True)
    return ["-x", "c", f"-working-directory={here}", *result, "-isystem", builtin.stdout.strip(),
            "-w", "-ferror-limit=0"]


class File:
    """A source file whose functions are looked through."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.text = path.read_bytes().decode("latin-1")     # libclang's offsets are of bytes
        self.code = masked(self.text)
        self.starts = [0, *(m.end() for m in re.finditer("\n", self.text))]
        self.mutants: dict[tuple[Any, ...], Mutant] = {}
        self.function, self.limits = "", (0, 0)
        self.pairs: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def line(self, offset: int) -> int:
        """The number of the line that a place is in."""
        return bisect.bisect(self.starts, offset)

    def add(self, operator: str, around: int, wraps: Sequence[Wrap], new: str,
            shown: tuple[int, int] | None = None, smp: bool = False) -> None:
        """Note a mutant, unless it is known by another expansion of a macro."""
        start, end = shown or (wraps[0].start, wraps[0].end)
        old = one_line(NOISE.sub(lambda m: " " if m[0][0] == "/" else m[0], self.text[start:end]))
        mutant = Mutant(self.name, self.function, operator, self.line(start),
                        (self.line(start), self.line(end - 1)), self.line(around), old,
                        one_line(new), smp, list(wraps))
        self.mutants.setdefault((operator, new, *(w[:2] for w in wraps)), mutant)


class Finder:
    """Walks through the functions of a translation unit."""

    def __init__(self, files: Sequence[File]) -> None:
        self.files = {str(file.path): file for file in files}
        self.ci = cindex()
        self.lib = self.ci.conf.lib
        self.kinds = self.ci.CursorKind
        self.names: dict[int, str] = {}     # of libclang's files
        self.file: File

    # ---- places

    def place(self, location: Any) -> tuple[str, int]:
        """File and offset; of a macro's argument where that is written."""
        name, line, column, offset = self.ci.c_object_p(), c_uint(), c_uint(), c_uint()
        self.lib.clang_getFileLocation(location, byref(name), byref(line), byref(column),
                                       byref(offset))
        if not name:
            return "", 0
        at = addressof(name.contents)
        if at not in self.names:
            self.names[at] = os.path.normpath(self.ci.File(name).name or "")
        return self.names[at], offset.value

    def span(self, node: Any) -> tuple[int, int] | None:
        """Where a node is in the function at hand, if that is where its text is."""
        extent = node.extent
        (one, start), (two, end) = self.place(extent.start), self.place(extent.end)
        low, high = self.file.limits
        here = str(self.file.path)
        return (start, end) if one == two == here and low <= start < end <= high else None

    # ---- walking

    def unit(self, unit: Any) -> None:
        """Take every function of the files."""
        self.names.clear()
        for node in unit.cursor.get_children():
            if node.kind != self.kinds.FUNCTION_DECL or not node.is_definition():
                continue
            name, start = self.place(node.extent.start)
            if name not in self.files:
                continue
            self.file = self.files[name]
            end = self.place(node.extent.end)[1]
            head = self.file.code[start:end].partition("{")[0]
            if node.spelling not in head or "syscall_stub" in head or "__vdso" in head:
                continue
            self.file.function, self.file.limits = node.spelling, (start, end)
            self.file.pairs = {}
            self.truth = node.result_type.get_canonical().spelling == "_Bool"
            for child in node.get_children():
                if child.kind == self.kinds.COMPOUND_STMT:
                    self.last = list(child.get_children())[-1:]
                    self.block(child)
            self.drop_pairs()

    def block(self, node: Any) -> None:
        """The statements of a compound one."""
        children = list(node.get_children())
        for child in children:
            self.statement(child, alone=len(children) == 1)

    def statement(self, node: Any, alone: bool = True) -> None:
        """A node that stands where a statement stands.

        Args:
            alone: nothing else is in its block: without it, it is as if the condition was false.
        """
        k, kind, children = self.kinds, node.kind, list(node.get_children())
        span, code = self.span(node), self.file.code
        start = span[0] if span else 0
        word = re.match(r"\w*", code[start:])[0] if span else ""     # type: ignore[index]
        if kind == k.COMPOUND_STMT:
            return self.block(node)
        if kind == k.DECL_STMT:
            for child in children:
                if child.kind == k.VAR_DECL and child.storage_class != self.ci.StorageClass.STATIC:
                    self.inside(child, start)
            return None
        if kind in (k.IF_STMT, k.WHILE_STMT, k.SWITCH_STMT) and word in ("if", "while", "switch"):
            opening = code.find("(", start)
            if word != "switch":
                self.condition((opening + 1, closing(code, opening)), start, word == "while")
            self.expression(children[0], start)
            for child in children[1:]:
                self.statement(child)
            return None
        if kind == k.FOR_STMT and word == "for":
            opening = code.find("(", start)
            parts = self.parts(opening)
            if len(parts) == 3:
                self.condition(parts[1], start, True)
            for child in children[:-1]:
                self.inside(child, start) if child.kind == k.DECL_STMT else \
                    self.expression(child, start)
            return self.statement(children[-1])
        if kind in (k.FOR_STMT, k.WHILE_STMT) and children:       # a macro's loop
            return self.statement(children[-1])
        if kind == k.DO_STMT and word == "do":
            self.statement(children[0])
            return self.expression(children[-1], start)
        if kind in (k.CASE_STMT, k.DEFAULT_STMT, k.LABEL_STMT):
            return self.statement(children[-1], alone=False) if children else None
        if kind in (k.ASM_STMT, k.NULL_STMT):
            return None
        if not span:
            return None
        whole = self.whole(span)
        if kind in (k.RETURN_STMT, k.GOTO_STMT, k.BREAK_STMT, k.CONTINUE_STMT):
            if whole and not alone and node not in self.last:
                self.file.add("jump", start, [Wrap(*whole, f"{{ if {IS_NOT} ", " }")], "")
            if kind == k.RETURN_STMT and self.truth and children and word == "return" and \
                    not re.fullmatch(r"true|false|[01]", code[start + 6:span[1]].strip()):
                self.negate((start + 6, span[1]), start)
        elif m := re.match(r"(\w+)\s*\(", code[start:span[1]]):
            if SILENT.match(m[1]):
                return None
            if whole and closing(code, start + m.end() - 1) == span[1] - 1:
                self.call(m[1], one_line(code[start + m.end():span[1] - 1]), whole)
        elif whole and kind in (k.BINARY_OPERATOR, k.COMPOUND_ASSIGNMENT_OPERATOR,
                                k.UNARY_OPERATOR):
            self.file.add("statement", start, [Wrap(*whole, f"{{ if {IS_NOT} ", " }")], "",
                          smp=bool(LOCKING.search(code[slice(*whole)])))
        for child in children:
            self.expression(child, start)
        if kind == k.CALL_EXPR:
            self.swap(node, children, start)
        elif kind == k.BINARY_OPERATOR:
            self.binary(node, children, start)
        return None

    def whole(self, span: tuple[int, int]) -> tuple[int, int] | None:
        """A statement with its semicolon."""
        m = re.match(r"\s*;", self.file.code[span[1]:])
        return (span[0], span[1] + m.end()) if m else None

    def parts(self, opening: int) -> list[tuple[int, int]]:
        """The parts of a for's parenthesis."""
        code, at, parts = self.file.code, opening + 1, []
        end = closing(code, opening)
        for m in re.finditer(";", code[opening:end]):
            parts.append((at, opening + m.start()))
            at = opening + m.end()
        return [*parts, (at, end)]

    # ---- operators

    def call(self, name: str, arguments: str, whole: tuple[int, int]) -> None:
        """A call, or a macro, whose result nobody wants."""
        if LOCK.search(name) or UNLOCK.search(name):
            self.file.pairs.setdefault((name, arguments), []).append(whole)
            return
        operator = "barrier" if BARRIER.fullmatch(name) else \
            "count" if COUNTS.search(name) else "statement"
        smp = bool(SMP_ONLY.fullmatch(name))
        self.file.add(operator, whole[0], [Wrap(*whole, f"{{ if {IS_NOT} ", " }")], "", smp=smp)
        if operator == "count":
            text = one_line(self.file.code[slice(*whole)])
            self.file.add(operator, whole[0],
                          [Wrap(*whole, f"{{ for (int uml_i = 1 + {IS}; uml_i--; ) ", " }")],
                          f"{text} {text}")

    def drop_pairs(self) -> None:
        """Mutants without a lock, and all that unlock it in this function."""
        pairs = self.file.pairs
        for (name, arguments), places in pairs.items():
            if not LOCK.search(name):
                continue
            other = re.sub(r"irqsave$|irq_save$", lambda m: m[0].replace("save", "restore"), name)
            other = re.sub(r"(^|_)lock(?=_|$)", r"\1unlock", other, count=1)
            other = re.sub(r"^down_", "up_", re.sub(r"disable$", "enable", other))
            partners = pairs.get((other, arguments), [])
            self.file.add("lock", places[0][0], [
                Wrap(*place, f"{{ if {IS_NOT} ", " }") for place in [*places, *partners]],
                f"without {other}()" if partners else "", smp=bool(SMP_ONLY.fullmatch(name)))

    def condition(self, span: tuple[int, int], around: int, loop: bool) -> None:
        """A condition, negated and fixed; one of a loop isn't made true for ever.

        A fixed one counts as reached only where it makes a difference.
        """
        code = self.file.code[slice(*span)].strip()
        if not code or re.fullmatch(r"\d+|true|false|\w*IS_ENABLED\(\w+\)|IS_BUILTIN\(\w+\)", code):
            return
        shown = f"!({one_line(code)})"
        self.file.add("condition", around, [Wrap(*span, "((", f") && {IS_NOT})")], "false")
        if not loop:
            self.file.add("condition", around, [Wrap(*span, "((", f") || {IS})")], "true")
            self.file.add("condition", around, [Wrap(*span, "(!!(", f") != {IS})")], shown)

    def negate(self, span: tuple[int, int], around: int) -> None:
        """A part of a condition, or a truth that is returned."""
        shown = f"!({one_line(self.file.code[slice(*span)])})"
        self.file.add("condition", around, [Wrap(*span, " (!!(", f") != {IS})")], shown)

    def inside(self, node: Any, around: int) -> None:
        """The expressions below a node."""
        for child in node.get_children():
            self.expression(child, around)

    def expression(self, node: Any, around: int) -> None:
        """An expression and what is in it."""
        k, kind = self.kinds, node.kind
        if kind in (k.CXX_UNARY_EXPR, k.TYPE_REF, k.DECL_REF_EXPR, k.INTEGER_LITERAL,
                    k.STRING_LITERAL, k.GNU_NULL_EXPR):
            return
        if kind == k.StmtExpr:
            return
        children = list(node.get_children())
        if kind == k.CALL_EXPR:
            if SILENT.match(node.spelling):
                return
            self.swap(node, children, around)
        elif kind == k.CONDITIONAL_OPERATOR and len(children) == 3:
            spans = [self.span(child) for child in children]
            if spans[0] and spans[1] and \
                    self.file.code[spans[0][1]:spans[1][0]].strip(" \n\t()") == "?":
                self.negate(spans[0], around)
        elif kind == k.BINARY_OPERATOR:
            self.binary(node, children, around)
        for child in children:
            self.expression(child, around)

    def binary(self, node: Any, children: Sequence[Any], around: int) -> None:
        """An operator between two operands."""
        spans = [self.span(child) for child in children]
        if len(spans) != 2 or not spans[0] or not spans[1]:
            return
        left, right = spans[0], spans[1]
        code, file = self.file.code, self.file
        between = code[left[1]:right[0]]
        operator = between.strip()
        if self.silent(left[0]):
            return
        whole = (left[0], right[1])
        if operator in ("&&", "||"):
            at = left[1] + between.index(operator)
            same, last = ("!=", IS) if operator == "&&" else ("==", f"!{IS}")
            for operand in (left, right):
                if not re.match(r"\s*(IS_ENABLED|IS_BUILTIN)\b", code[operand[0]:]) and \
                        not re.search(r"&&|\|\|", code[slice(*operand)]):
                    self.negate(operand, around)
            other = "||" if operator == "&&" else "&&"
            file.add("logic", around, [
                Wrap(*whole, "((!!(", f") : {last})"),
                Wrap(at, at + 2, f") {same} {IS}) ? !!(", "", True)],
                f"{code[slice(*left)]} {other} {code[slice(*right)]}")
        elif operator in ("<", "<=", ">", ">="):
            less = operator in ("<", ">=")
            target = right if less else left
            other = operator[0] + "=" * (len(operator) == 1)
            file.add("relation", around, [Wrap(*target, "((", f") + {IS})")],
                     f"{code[slice(*left)]} {other} {code[slice(*right)]}", shown=whole)
        elif operator in ("+", "-", "*", "/", "<<", ">>"):
            file.add("arithmetic", around, [Wrap(*whole, "((", f") + {IS})")],
                     f"{code[slice(*whole)]} + 1")
        elif operator == "|":
            for operand in (left, right):
                if "|" not in code[slice(*operand)]:
                    file.add("flag", around, [Wrap(*operand, f"({IS} ? 0 : (", "))")],
                             f"without {code[slice(*operand)]}", shown=whole)

    def silent(self, at: int) -> bool:
        """Whether a place is among the arguments of something that no test sees."""
        code, low = self.file.code, self.file.limits[0]
        depth, start = 0, max(low, at - 2000)
        for i in range(at - 1, start, -1):
            if code[i] in CLOSING:
                depth += 1
            elif code[i] in OPENING:
                depth -= 1
                if depth < 0:
                    if code[i] != "(":
                        return False
                    depth = 0
                    m = re.search(r"(\w+)\s*$", code[max(low, i - 60):i])
                    if m and SILENT.match(m[1]):
                        return True
            elif code[i] == ";" and not depth:
                return False
        return False

    def swap(self, node: Any, children: Sequence[Any], around: int) -> None:
        """Two arguments of the same type, one beside the other."""
        arguments = list(node.get_arguments())
        callee = node.referenced
        declared = [p.type.get_canonical().spelling for p in callee.get_arguments()] if callee \
            else []
        for number, (one, two) in enumerate(zip(arguments, arguments[1:])):
            if len(declared) > number + 1 and declared[number] != declared[number + 1]:
                continue
            if one.type.get_canonical().spelling != two.type.get_canonical().spelling:
                continue
            spans = self.span(one), self.span(two)
            if not spans[0] or not spans[1] or self.silent(spans[0][0]):
                continue
            first, second = (self.file.code[slice(*span)] for span in spans if span)
            if first == second or not SIMPLE.fullmatch(first) or not SIMPLE.fullmatch(second) or \
                    self.file.code[spans[0][1]:spans[1][0]].strip() != ",":
                continue
            self.file.add("arguments", around, [
                Wrap(*spans[0], f"({IS} ? {second} : ", ")"),
                Wrap(*spans[1], f"({IS} ? {first} : ", ")")],
                f"{node.spelling}: {second}, {first}", shown=(spans[0][0], spans[1][1]))


def find(source: Path, arguments: Sequence[str], files: dict[str, Path]) -> dict[str, list[Mutant]]:
    """The mutants of a translation unit's files, in the order of their places.

    Args:
        source: what to parse.
        arguments: of libclang, see flags().
        files: those that are wanted of it, names and paths.

    Raises:
        Fatal: libclang is missing, or can't parse it.
    """
    module = cindex()
    try:
        with contextlib.chdir(os.getcwd()):     # libclang goes to -working-directory=
            unit = module.Index.create().parse(str(source), args=list(arguments))
    except module.TranslationUnitLoadError:
        raise Fatal(f"libclang can't parse {source}") from None
    wanted = [File(name, path) for name, path in files.items()]
    Finder(wanted).unit(unit)
    result = {}
    for file in wanted:
        mutants = sorted(file.mutants.values(), key=lambda m: (m.wraps[0].start, m.operator, m.new))
        seen: dict[str, int] = {}
        named = []
        for mutant in mutants:      # the same change twice in a function has another name
            seen[mutant.key()] = count = seen.get(mutant.key(), 0) + 1
            named.append(mutant if count == 1 else
                         mutant._replace(new=f"{mutant.new} (place {count})".strip()))
        result[file.name] = named
    return result


def write(text: str, mutants: Iterable[tuple[int, Mutant]]) -> str:
    """A file with mutants in it.

    Args:
        text: the file, as find() read it.
        mutants: each with its number.
    """
    pieces: list[tuple[tuple[int, int, int, int], str]] = []
    gone: list[tuple[int, int]] = []
    for order, (number, mutant) in enumerate(mutants):
        for wrap in mutant.wraps:
            before, after = (t.replace("@", str(number)) for t in (wrap.before, wrap.after))
            pieces.append(((wrap.start, 1, -wrap.end, order), before))
            if wrap.instead:
                gone.append((wrap.start, wrap.end))
            elif after:
                pieces.append(((wrap.end, 0, -wrap.start, -order), after))
    result, at = [], 0
    skipped = dict(gone)
    for (place, *_), piece in sorted(pieces):
        result.append(text[at:place])
        at = max(at, place)
        result.append(piece)
        at = skipped.get(place, at)
    result.append(text[at:])
    return HEAD + "".join(result)
