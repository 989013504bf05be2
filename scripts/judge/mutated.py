# SPDX-License-Identifier: GPL-2.0
"""A kernel with all mutants in it, made from the build folder of one without.

What is mutated is copied to src/ and compiled from there, by the commands that Kbuild left in
`.*.cmd`; a header's mutants are in those objects that are compiled anyway. The rest are
links to the objects as they are, and Kbuild's functions link the program. linux/ and its
build folder aren't written to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts.judge import mutate
from scripts.judge.mutate import Mutant
from scripts.kernel import fast
from scripts.common import LINUX, Fatal, say

# Runs outside of the kernel, or is shared with what does
OUTSIDE = re.compile(r".*/skas/stub|.*/shared/|.*/vdso/|include/trace/|.*\.[^ch]$")
STRIDE = 10000          # numbers for each file
NUMBERS = 1 << 21       # more than any number
# The C library calls constructors with main()'s arguments, before all else.
VARIABLE = f"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int uml_mutant __attribute__((section(".data..read_mostly")));
unsigned char uml_reached[{NUMBERS}] __attribute__((aligned(4096)));

static void __attribute__((constructor)) choose_mutant(int argc, char **argv)
{{
	for (; argc > 0; argc--, argv++) {{
		if (!strncmp(*argv, "mutant=", 7))
			uml_mutant = atoi(*argv + 7);
		if (!strncmp(*argv, "reached=", 8))
			mmap(uml_reached, sizeof(uml_reached), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_FIXED, open(*argv + 8, O_RDWR | O_CLOEXEC), 0);
	}}
}}
"""


def digest(*parts: object) -> str:
    """A short hash."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogateescape")) \
        .hexdigest()[:16]


class Program:
    """A kernel with mutants, made from the build folder of one without."""

    def __init__(self, plain: Path, work: Path) -> None:
        self.plain, self.work = plain, work
        self.src, self.obj, self.farm = work / "src", work / "obj", work / "farm"
        self.kernel = work / "linux"
        self.notes = work / "mutants.json"
        known = json.loads(self.notes.read_text()) if self.notes.exists() else {}
        self.bases: dict[str, int] = known.get("bases", {})
        self.found: dict[str, list[Any]] = known.get("found", {})       # state, mutants
        self.dropped: set[str] = set(known.get("dropped", []))
        self.mutants: dict[int, Mutant] = {}
        self.members = set(subprocess.run(["ar", "t", "vmlinux.a"], cwd=plain, text=True,
                                          capture_output=True).stdout.split())

    def save(self) -> None:
        """Write down what is known."""
        new = self.notes.with_suffix(".new")
        new.write_text(json.dumps({"bases": self.bases, "found": self.found,
                                   "dropped": sorted(self.dropped)}))
        new.rename(self.notes)

    def command(self, name: str) -> tuple[str, set[str]] | None:
        """How an object is compiled, and the files of linux/ that it reads; None if it isn't."""
        target = f"{name[:-2]}.o"
        if target not in self.members:
            return None
        try:
            with contextlib.chdir(self.plain):
                command, read = fast.command_of(target)
        except fast.Kbuild:
            return None
        return fast.words_of(command), {os.path.relpath(f, LINUX) for f in read
                                        if f.startswith(f"{LINUX}/")}

    def find(self, lines: dict[str, dict[int, str]]) -> dict[str, int]:
        """Find the mutants of all lines, and return how many lines of each topic have no code
        in this kernel's objects."""
        commands = {name: of for name in lines if name.endswith(".c") and
                    not OUTSIDE.match(name) and (of := self.command(name))}
        self.commands = {name: command for name, (command, _) in commands.items()}
        units: dict[str, list[str]] = {name: [name] for name in commands}
        for name in lines:
            if name.endswith(".h") and not OUTSIDE.match(name):
                user = next((c for c, (_, read) in commands.items() if name in read), None)
                if user:
                    units[user].append(name)
        jobs = []
        for unit, files in units.items():
            state = digest(*(digest((LINUX / f).read_bytes()) for f in files), self.commands[unit],
                           Path(mutate.__file__).read_bytes())
            if self.found.get(unit, [""])[0] != state:
                jobs.append((unit, state, mutate.flags(self.commands[unit], self.plain), files))
        if jobs:
            say(f"looking for places to break in {len(jobs)} files")
            mutate.cindex()
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for (unit, state, _, _), found in zip(jobs, pool.map(find_in, jobs)):
                self.found[unit] = [state, found]
                self.dropped -= {m.key() for of in found.values() for m in of}
        absent: Counter[str] = Counter()
        seen = {name for files in units.values() for name in files}
        for name in set(lines) - seen:
            absent.update(lines[name].values())
        self.mutants = {}
        for unit in units:
            for name, found in self.found[unit][1].items():
                base = self.bases.setdefault(name, STRIDE * (1 + len(self.bases)))
                for number, fields in enumerate(found, base):
                    mutant = from_json(fields)
                    if mutant.line in lines.get(name, {}):
                        self.mutants[number] = mutant
        self.save()
        return dict(absent)

    def in_file(self, name: str) -> list[tuple[int, Mutant]]:
        """A file's mutants with their numbers, without those that don't compile."""
        return [(n, m) for n, m in self.mutants.items()
                if m.file == name and m.key() not in self.dropped]

    def build(self) -> None:
        """Make the program; mutants that don't compile or link are dropped.

        Raises:
            Fatal: it can't be made.
        """
        names = sorted({m.file for m in self.mutants.values()})
        for tries in range(12):
            self.write_sources(names)
            bad = self.compile(list(self.commands))
            if not bad:
                bad = self.link()
            if not bad:
                return self.save()
            self.dropped |= bad
            say(f"{len(bad)} mutants don't compile or link: left out")
            self.save()
        raise Fatal("the mutated kernel doesn't build after 12 tries; see the compiler's words in "
                    f"{self.work}/words")

    def write_sources(self, names: Iterable[str]) -> None:
        """Have copies of the files with their mutants in src/, and no others."""
        names = set(names)
        self.texts: dict[str, str] = {}
        for name in names:
            text = (LINUX / name).read_bytes().decode("latin-1")
            self.texts[name] = mutate.write(text, self.in_file(name))
        for path in list(self.src.rglob("*.[ch]")):
            if str(path.relative_to(self.src)) not in names:
                path.unlink()
        for name, text in self.texts.items():
            path = self.src / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes().decode("latin-1") != text:
                path.write_bytes(text.encode("latin-1"))

    def compile(self, names: Sequence[str]) -> set[str]:
        """Compile objects anew whose sources are other ones; the keys of mutants that can't be."""
        headers = digest(*(f"{n}{t}" for n, t in sorted(self.texts.items()) if n.endswith(".h")))
        self.objects: dict[str, Path] = {}
        todo = []
        for name in names:
            if name not in self.texts and not headers:
                continue
            out = self.obj / f"{name[:-2]}.o"
            self.objects[f"{name[:-2]}.o"] = out
            state = digest(self.texts.get(name, ""), headers, self.commands[name])
            stamp = out.with_suffix(".state")
            if not out.exists() or not stamp.exists() or stamp.read_text() != state:
                todo.append((name, out, stamp, state))
        if len(todo) > 4:
            say(f"compiling {len(todo)} files with mutants")
        bad: set[str] = set()

        def one(job: tuple[str, Path, Path, str]) -> set[str]:
            name, out, stamp, state = job
            out.parent.mkdir(parents=True, exist_ok=True)
            out.unlink(missing_ok=True)
            done = subprocess.run(self.compilation(name, out), shell=True, cwd=self.plain,
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if not done.returncode:
                stamp.write_text(state)
                return set()
            words = done.stderr.decode(errors="replace")
            with (self.work / "words").open("a") as file:
                file.write(words)
            return self.guilty(words, name)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for keys in pool.map(one, todo):
                bad |= keys
        return bad

    def compilation(self, name: str, out: Path) -> str:
        """The command that compiles a mutated file: Kbuild's, with other paths."""
        words = self.commands[name].removeprefix("ccache ")
        words = re.sub(r" -Wp,-MMD,\S+| -g\S*(?= )| -o \S+", "", words)
        source = self.src / name if name in self.texts else LINUX / name
        words = words.replace(f" {LINUX / name}", f" -o {out} {source}")
        first = [f"-I{self.src}/{folder}" for folder in ("arch/um/include", "include")] \
            if "-nostdinc" in words else []
        # What a copy includes that lies beside the original
        beside = [f"-iquote {(LINUX / n).parent}" for n in
                  [name, *(n for n in self.texts if n.endswith(".h") and "include/" not in n)]]
        return words.replace("gcc ", " ".join(["gcc -w", *first, *dict.fromkeys(beside), ""]), 1)

    def guilty(self, words: str, name: str) -> set[str]:
        """The mutants that a compiler complains about.

        Raises:
            Fatal: about none of them.
        """
        place = re.escape(str(self.src)) + r"/(\S+?):(\d+)"
        for pattern in (f"^{place}:\\d+: error:", place):
            hit = {(file, int(line)) for file, line in re.findall(pattern, words, re.M)}
            for whole in (False, True):       # what is changed; the statement
                keys = {m.key() for _, m in self.live() for file, line in hit
                        if m.file == file and
                        (m.around if whole else m.lines[0]) <= line <= m.lines[1]}
                if keys:
                    return keys
        keys = {m.key() for _, m in self.in_file(name)}
        if not keys:
            raise Fatal(f"{name} doesn't compile: {words.strip().splitlines()[-1]}")
        say(f"notice: {name} with mutants doesn't compile, and the compiler names no line of them")
        return keys

    def live(self) -> list[tuple[int, Mutant]]:
        """The mutants that are in the program."""
        return [(n, m) for n, m in self.mutants.items() if m.key() not in self.dropped]

    def link(self) -> set[str]:
        """Link the program in a folder of hard links; the mutants that need what isn't there."""
        variable = self.obj / "uml_mutant.o"
        state = digest(*(p.stat().st_mtime_ns for p in sorted(self.objects.values())),
                       (self.plain / "linux").stat().st_mtime_ns, VARIABLE)
        stamp = self.work / "link.state"
        if self.kernel.exists() and stamp.exists() and stamp.read_text() == state:
            return set()
        source = variable.with_suffix(".c")
        source.write_text(VARIABLE)
        subprocess.run(["gcc", "-O2", "-mcmodel=large", "-fno-PIE", "-fno-stack-protector", "-c",
                        "-o", variable, source], check=True)
        shutil.rmtree(self.farm, ignore_errors=True)
        subprocess.run(["cp", "-al", self.plain, self.farm], check=True)
        for name, path in {**self.objects, "uml_mutant.o": variable}.items():
            (self.farm / name).unlink(missing_ok=True)
            os.link(path, self.farm / name)
        archive = self.farm / "vmlinux.a"
        content = archive.read_bytes()
        archive.unlink()
        archive.write_bytes(content)
        subprocess.run(["ar", "qDPST", "vmlinux.a", "uml_mutant.o"], cwd=self.farm, check=True)
        with contextlib.chdir(self.farm):
            try:
                fast.link_program("vmlinux.auto", fast.Build.kallsyms(), b"", ".tmp_auto", 5)
            except fast.Kbuild as why:
                if not why.words:
                    raise Fatal(f"the mutated kernel: {why}") from None
                return self.unresolved(why.words)
            os.replace("vmlinux.auto", self.kernel)
        shutil.rmtree(self.farm)
        stamp.write_text(state)
        return set()

    def unresolved(self, words: str) -> set[str]:
        """The mutants of functions that need something that the compiler had left out."""
        (self.work / "words").write_text(words)
        keys: set[str] = set()
        for target, function in re.findall(r"(\S+)\.o: in function [`'](\w+)", words):
            mine = [m for _, m in self.live() if m.file == f"{target}.c"]
            keys |= {m.key() for m in mine if m.function == function} or \
                {m.key() for m in mine if m.operator in ("condition", "logic")}
        if not keys:
            raise Fatal(f"the mutated kernel doesn't link: {words.strip()[-300:]}")
        return keys


def find_in(job: tuple[str, str, list[str], list[str]]) -> dict[str, list[Mutant]]:
    """mutate.find() for a pool."""
    unit, _, arguments, files = job
    return mutate.find(LINUX / unit, arguments, {name: LINUX / name for name in files})


def from_json(fields: Sequence[Any]) -> Mutant:
    """A mutant as json kept it."""
    mutant = Mutant(*fields)
    return mutant._replace(lines=(mutant.lines[0], mutant.lines[1]),
                           wraps=[mutate.Wrap(*w) for w in mutant.wraps])
