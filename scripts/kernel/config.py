# SPDX-License-Identifier: GPL-2.0
"""Make a kernel configuration from fragments and prove that it kept every line.

Kconfig drops without a word what it can't satisfy. Here a dropped line is an
error that names the fragment's line and the dependency that isn't met.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.series import series
from scripts.series.commits import Patch
from scripts.common import LINUX, PATCHES, ROOT, Fatal, main, say

SETTING = re.compile(r"CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set")
TOKEN = re.compile(r'''"[^"]*"|'[^']*'|\$\((?:[^()]|\([^()]*\))*\)|&&|\|\||[!<>]=|'''
                   r"[!()=<>]|[^\s!()=<>&|]+")
TYPES = ("bool", "tristate", "int", "hex", "string")
RANK = {"n": 0, "m": 1, "y": 2}


class Line(NamedTuple):
    """A fragment's line: the value that a symbol shall have."""

    symbol: str
    value: str      # "n" for "is not set"
    where: str      # file:line


class Definition(NamedTuple):
    """One `config` entry in a Kconfig file."""

    depends: list[str]      # of the entry, its menus and its ifs
    prompt: str | None      # the condition of its prompt; None: no prompt


class Kconfig:
    """What Kconfig files say about symbols, as far as a message needs it."""

    def __init__(self, tree: Path, variables: dict[str, str]) -> None:
        self.tree = tree
        self.variables = variables
        self.symbols: dict[str, list[Definition]] = {}
        self.selects: dict[str, list[tuple[str, str]]] = {}     # symbol: (by, if)
        self._read("Kconfig", [])

    def _read(self, name: str, outer: list[str]) -> None:
        path = self.tree / re.sub(
            r"\$\((\w+)\)", lambda m: self.variables.get(m[1], ""), name)
        if path.is_file():
            _File(self, outer).read(path.read_text(errors="replace"))


def _without_help(text: str) -> Iterator[str]:
    """The lines of a Kconfig file without comments and help texts."""
    help_indent: int | None = None      # of the help text that the line is in; -1: of its next line
    for line in text.replace("\\\n", " ").splitlines():
        indent = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if help_indent is not None:
            if not line.strip():
                continue
            if help_indent < 0 and indent > 0:
                help_indent = indent
            if indent >= help_indent > 0:
                continue
            help_indent = None
        line = re.sub(r'("[^"]*")|#.*', lambda m: m[1] or "", line).strip()
        if line in ("help", "---help---"):
            help_indent = -1
        elif line:
            yield line


class _File:
    """A Kconfig file that is being read, line by line."""

    def __init__(self, kconfig: Kconfig, outer: list[str]) -> None:
        self.kconfig = kconfig
        self.outer = outer                      # conditions of the files around
        self.blocks: list[list[str]] = []       # of open menus, ifs, choices
        self.entry: str | None = None           # symbol; "" for a menu or choice
        self.depends: list[str] = []
        self.prompt: str | None = None

    def read(self, text: str) -> None:
        """Take all of it."""
        for line in _without_help(text):
            word = line.split(maxsplit=1)[0]
            rest = line[len(word):].strip()
            if word in ("config", "menuconfig", "menu", "choice", "comment", "if", "endmenu",
                        "endchoice", "endif", "source"):
                self.close()
                self.structure(word, rest)
            else:
                self.attribute(word, rest)
        self.close()

    def conditions(self) -> list[str]:
        """Those of all that is around the line."""
        return [*self.outer, *(c for block in self.blocks for c in block)]

    def close(self) -> None:
        """End the entry."""
        if self.entry:
            self.kconfig.symbols.setdefault(self.entry, []).append(
                Definition([*self.conditions(), *self.depends], self.prompt))
        elif self.entry == "" and self.blocks:
            self.blocks[-1].extend(self.depends)
        self.entry = None

    def structure(self, word: str, rest: str) -> None:
        """Take a line that begins or ends an entry, a block or a file."""
        if word in ("config", "menuconfig", "menu", "choice", "comment"):
            self.depends, self.prompt = [], None
        if word in ("config", "menuconfig"):
            self.entry = rest
        elif word in ("menu", "choice"):
            self.blocks.append([])
            self.entry = ""
        elif word == "if":
            self.blocks.append([rest])
        elif word == "source":
            self.kconfig._read(rest.strip('"'), self.conditions())
        elif word != "comment" and self.blocks:
            self.blocks.pop()

    def attribute(self, word: str, rest: str) -> None:
        """Take a line of an entry."""
        if word == "depends":
            self.depends.append(rest.removeprefix("on").strip())
        elif word in (*TYPES, "prompt") and rest[:1] in ('"', "'"):
            self.prompt = rest[rest.index(rest[0], 1) + 1:].strip().removeprefix("if").strip()
        elif word == "select" and self.entry:
            target, _, condition = rest.partition(" if ")
            self.kconfig.selects.setdefault(target.strip(), []).append((self.entry, condition))


class Evaluator:
    """Kconfig expressions under one .config."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def value(self, atom: str) -> str:
        """A symbol's or literal's value."""
        if atom[:1] in "\"'":
            return atom[1:-1]
        if atom in RANK or re.fullmatch(r"-?(0x)?[0-9]\w*", atom):
            return atom
        return self.values.get(atom, "n").strip('"')

    def rank(self, text: str) -> int:
        """An expression's truth: 0 for n, 1 for m, 2 for y. $(...) counts as y."""
        self.tokens, self.at = TOKEN.findall(text), 0
        return self._or()

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def _or(self) -> int:
        result = self._and()
        while self._peek() == "||":
            self._next()
            result = max(result, self._and())
        return result

    def _and(self) -> int:
        result = self._not()
        while self._peek() == "&&":
            self._next()
            result = min(result, self._not())
        return result

    def _not(self) -> int:
        token = self._next()
        if token == "!":
            return 2 - self._not()
        if token == "(":
            result = self._or()
            self._next()
            return result
        left = self.value(token)
        if self._peek() in ("=", "!=", "<", ">", "<=", ">="):
            operator, right = self._next(), self.value(self._next())
            if operator in ("=", "!="):
                return 2 * ((left == right) == (operator == "="))
            try:
                a, b = int(left, 0), int(right, 0)
            except ValueError:
                return 0
            return 2 * {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[operator]
        return 2 if token.startswith("$(") else RANK.get(left, 0)


def terms(expression: str) -> list[str]:
    """The parts of an expression that its outermost && joins."""
    parts, depth, current = [], 0, []
    for token in TOKEN.findall(expression):
        depth += (token == "(") - (token == ")")
        if token == "&&" and not depth:
            parts.append(current)
            current = []
        else:
            current.append(token)
    parts.append(current)
    result = []
    for part in parts:
        text = "".join(f" {t} " if t in ("&&", "||", "=", "!=", "<", ">") else t for t in part)
        if part[:1] == ["("] and part[-1:] == [")"] and _closes_last(part):
            result += terms(text[1:-1])
        else:
            result.append(text)
    return result


def _closes_last(tokens: list[str]) -> bool:
    """Whether the first parenthesis is the last one's partner."""
    depth = 0
    for i, token in enumerate(tokens):
        depth += (token == "(") - (token == ")")
        if not depth:
            return i == len(tokens) - 1
    return False


def read_fragment(path: Path) -> list[Line]:
    """A fragment's lines.

    Raises:
        Fatal: a line is neither a setting nor a comment.
    """
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if m := SETTING.fullmatch(text.strip()):
            lines.append(Line(m[1] or m[3], m[2] if m[1] else "n", f"{name}:{number}"))
        elif text.strip() and (not text.startswith("#") or text.startswith("# CONFIG_")):
            raise Fatal(f"{name}:{number}: not a setting: {text}")
    return lines


def read_config(path: Path) -> dict[str, str]:
    """The symbols of a .config and their values."""
    settings = map(SETTING.fullmatch, path.read_text().splitlines())
    return {m[1] or m[3]: m[2] if m[1] else "n" for m in settings if m}


def why_dropped(line: Line, kconfig: Kconfig, values: dict[str, str]) -> str:
    """Why a symbol hasn't the value that a line asks for."""
    if line.symbol not in kconfig.symbols:
        return "no Kconfig file defines it"
    evaluator = Evaluator(values)
    reasons = []
    for definition in kconfig.symbols[line.symbol]:
        unmet = [f"{term} (is {'nm'[evaluator.rank(term)]})"
                 for expression in definition.depends for term in terms(expression)
                 if evaluator.rank(term) < RANK.get(line.value, 2)]
        if unmet:
            reasons.append("needs " + ", ".join(dict.fromkeys(unmet)))
        elif definition.prompt is None:
            reasons.append("not for users to set: only select or a default sets it")
        elif definition.prompt and not evaluator.rank(definition.prompt):
            reasons.append(f"settable only if {definition.prompt}")
    by = [s for s, condition in kconfig.selects.get(line.symbol, ())
          if evaluator.rank(s) and (not condition or evaluator.rank(condition))]
    if line.value == "n" and by:
        return f"selected by {', '.join(by)}"
    return "; or ".join(dict.fromkeys(reasons)) or \
        f"it is {values.get(line.symbol, 'n')} (another choice or line wins)"


def check(lines: list[Line], config: Path, tree: Path) -> list[str]:
    """One message for each fragment line that a .config doesn't have."""
    values = read_config(config)
    last = {line.symbol: line for line in lines}    # a later fragment wins
    dropped = [line for line in last.values()
               if values.get(line.symbol, "n") != line.value]
    unknown_off = [line for line in last.values()
                   if line.value == "n" and line.symbol not in values]
    if not dropped and not unknown_off:
        return []
    kconfig = Kconfig(tree, {"SRCARCH": "um", "HEADER_ARCH": "x86", "ARCH": "um"})
    dropped += [line for line in unknown_off if line.symbol not in kconfig.symbols]
    messages = []
    for line in dropped:
        setting = f"CONFIG_{line.symbol}={line.value}" if line.value != "n" else \
            f"# CONFIG_{line.symbol} is not set"
        messages.append(f"{line.where}: {setting}: {why_dropped(line, kconfig, values)}")
    return messages


def read_fragments(variant: str, initramfs: Path | None = None,
                   debug_info: bool = True) -> list[Line]:
    """All lines of a variant.

    Args:
        initramfs: the cpio to embed.
        debug_info: without it a kernel links in half the time.
    """
    lines = [line for path in fragments(variant) for line in read_fragment(path)]
    if initramfs:
        lines.append(Line("INITRAMFS_SOURCE", f'"{initramfs.resolve()}"', "--initramfs"))
    if not debug_info:
        lines = [line for line in lines if not line.symbol.startswith("DEBUG_INFO_")]
        lines.append(Line("DEBUG_INFO_NONE", "y", "no debug info"))
    return lines


def left_out(lines: list[Line]) -> list[Line]:
    """The lines whose option only topics have that linux/ was made without."""
    taken = series.read_note(LINUX)["topics"]
    if not taken:
        return []
    without = added_options(series.read_patches()) - added_options(series.read_patches(taken))
    return [line for line in lines if line.symbol in without]


def added_options(patches: list[Patch]) -> set[str]:
    """The options that patches define."""
    return {name for patch in patches for name in
            re.findall(r"^\+config (\w+)$", (PATCHES / patch.path).read_text(), re.M)}


def fragments(variant: str) -> list[Path]:
    """The files that make a variant, e.g. "smp+kasan".

    Raises:
        Fatal: there is no such variant.
    """
    paths = [ROOT / ".config.uml"]
    for name in variant.split("+") if variant != "default" else ():
        path = ROOT / f"scripts/variants/{name}.config"
        if not path.exists():
            known = sorted(p.stem for p in path.parent.glob("*.config"))
            raise Fatal(f"no variant '{name}'; there are {', '.join(known)}")
        paths.append(path)
    return paths


def configure(tree: Path, out: Path, lines: list[Line]) -> None:
    """Write out/.config from settings on top of allnoconfig."""
    out.mkdir(parents=True, exist_ok=True)
    merged = out / ".config.fragments"
    merged.write_text("".join(
        f"CONFIG_{s}={v}\n" if v != "n" else f"# CONFIG_{s} is not set\n"
        for s, v in {line.symbol: line.value for line in lines}.items()))
    done = subprocess.run(
        ["make", "-s", "-C", str(tree), "ARCH=um", f"O={out}",
         f"KCONFIG_ALLCONFIG={merged}", "allnoconfig"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=clean_env())
    if done.returncode:
        raise Fatal(f"allnoconfig failed: {done.stderr.strip() or done.stdout.strip()}")


# Of the compiler, not objcopy's about UML's linker script
WARNING = re.compile(r"^(?!objcopy).*warning:")


def make_kernel(tree: Path, out: Path, targets: list[str] | None = None,
                strict: bool = False) -> str:
    """Build a configured kernel; the compiler's or linker's words if it fails.

    Args:
        targets: not all of it but these.
        strict: a warning is a failure.
    """
    process = subprocess.Popen(
        ["make", "-s", "-C", str(ROOT), "_kbuild", f"tree={tree}", f"out={out}",
         f"targets={' '.join(targets or ['linux'])}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=clean_env(), start_new_session=True)
    try:
        words = process.communicate()[1].decode(errors="replace").strip()
    except BaseException:       # every make below it too, and none with half an object
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if process.returncode:
        return words or "make failed"
    return "\n".join(line for line in words.splitlines() if WARNING.search(line)) if strict else ""


def clean_env() -> dict[str, str]:
    """The environment without what an outer make says to inner ones."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the kernel's build folder")
    parser.add_argument("--variant", default="default")
    parser.add_argument("--tree", type=Path, default=LINUX)
    parser.add_argument("--initramfs", type=Path, help="a cpio for the kernel to embed")
    options = parser.parse_args()
    lines = read_fragments(options.variant, options.initramfs)
    without = left_out(lines)
    lines = [line for line in lines if line not in without]
    configure(options.tree, options.out.resolve(), lines)
    messages = check(lines, options.out / ".config", options.tree)
    for message in messages:
        say(message)
    if without:
        say(f"notice: {len(without)} options are of topics that linux/ is without: "
            f"{', '.join(line.symbol for line in without)}")
    if messages:
        (options.out / ".config").unlink()
        raise Fatal(f"{len(messages)} configuration lines didn't survive")
    return 0


if __name__ == "__main__":
    main(command)
