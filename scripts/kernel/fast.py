# SPDX-License-Identifier: GPL-2.0
"""Rebuild the kernel after an edit without Kbuild; status 3: only Kbuild can.

After each Kbuild run, --record notes every file that went into the program.
As long as nothing but C, assembly and headers that only objects of the program
include has changed since, those objects are compiled with Kbuild's own commands
and the program is linked once, by a function of Kbuild's link-vmlinux.sh. What
modpost checks is checked as before. Anything else is Kbuild's: a Makefile, an
option, a new or missing file, a header of a generated one, a changed export.

Kbuild links three times since each link moves the addresses that kallsyms
holds. Here the link takes the kallsyms of the one before: if no symbol came,
went or changed places, only the table of offsets is wrong, and is written anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from scripts.common import LINUX, main

TREE = LINUX.resolve()
KBUILD = 3          # exit status: this is Kbuild's to do
MANY = 50           # objects; more are Kbuild's, which shows progress
STATE = ".fast.json"
# Options whose builds take steps that aren't known here.
UNKNOWN = ("LTO_CLANG", "MODVERSIONS", "DEBUG_INFO_BTF", "BUILDTIME_TABLE_SORT", "RUST",
           "GENERIC_BUILTIN_DTB", "ARCH_WANTS_PRE_LINK_VMLINUX", "VMLINUX_MAP")
NEEDED = ("64BIT", "KALLSYMS")
# ld takes 150 MB by 40,000 page faults; in large pieces, of huge pages, by 4,000.
MALLOC = ("glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864:"
          "glibc.malloc.mmap_threshold=33554432")
JUNK = re.compile(r"[.#]|.*(~|\.orig|\.rej|\.sw.|\.tmp)$|\d+$")     # editors' and git's
LINK = r"""
set -e; . ./.link-env; link=$srctree/scripts/link-vmlinux.sh
LD=ld KBUILD_LDFLAGS= LDFLAGS_vmlinux= VMLINUX=vmlinux.fast strip_debug= generate_map=
eval "$(sed -n '/^is_enabled()/,/^# Use "make V=1"/p' "$link")"
info() { :; }
export CCACHE_DISABLE=1     # no two kallsyms are the same
"""


class Kbuild(Exception):
    """Why Kbuild must do it, and the words of the program that failed."""

    def __init__(self, why: str, words: str = "") -> None:
        super().__init__(why)
        self.words = words


def mtime(path: str) -> int | None:
    """A file's time of change; None if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def names(folder: str) -> list[str]:
    """What is in a folder, without what editors leave there."""
    return sorted(n for n in os.listdir(folder) if not JUNK.match(n))


def shell(script: str, *args: str) -> None:
    """Run a piece of link-vmlinux.sh and show its warnings.

    Raises:
        Kbuild: it failed; Kbuild shows how.
    """
    done = subprocess.run(["bash", "-c", LINK + script, "-", *args], stdin=subprocess.DEVNULL,
                          capture_output=True, env={"GLIBC_TUNABLES": MALLOC, **os.environ})
    if done.returncode:
        raise Kbuild(script, done.stderr.decode(errors="replace"))
    sys.stderr.buffer.write(done.stderr)


def command_of(target: str) -> tuple[str, list[str]]:
    """A target's saved command, as make wrote it, and the files it read."""
    folder, name = os.path.split(target)
    try:
        text = Path(folder, f".{name}.cmd").read_text(errors="surrogateescape")
    except OSError:
        raise Kbuild(f"no command for {target}") from None
    command = text[text.index(":= ") + 3:text.index("\n")]
    return command, re.findall(r"^(?:source_\S+ :=|) +([^\s$]\S*)(?: \\)?$", text, re.M)


def uses(target: str, files: Iterable[str]) -> bool:
    """Whether one of some files is among those that a target read."""
    folder, name = os.path.split(target)
    try:
        text = Path(folder, f".{name}.cmd").read_bytes()
    except OSError:
        raise Kbuild(f"no command for {target}") from None
    return any(b" " + os.fsencode(f) + end in text for f in files for end in (b" \\\n", b"\n"))


def words_of(command: str) -> str:
    """A saved command for the shell."""
    return command.replace("$(pound)", "#").replace("$$", "$")


def is_compilation(command: str) -> bool:
    """Whether a command is the compilation of one object and nothing else."""
    return "-Wp,-MMD," in command and " -c -o " in command and ";" not in command


class Build:
    """A build folder, which is the working directory, and what is known of it."""

    def __init__(self, key: str, verbose: bool) -> None:
        more = {k: v for k, v in os.environ.items()
                if re.fullmatch(r"KBUILD_\w+|K(C|CPP|A)FLAGS|W|C", k)}
        self.key = json.dumps([key, sorted(more.items())])
        self.verbose = verbose
        self.start = time.time_ns()
        self.here = os.getcwd() + "/"
        # Of every file its time: "theirs" Kbuild must see to, "deps" are ours.
        self.deps: dict[str, int | None] = {}
        self.theirs: dict[str, int | None] = {}
        self.folders: dict[str, tuple[int | None, list[str]]] = {}
        self.objects: list[str] = []
        self.failed = False

    def phase(self, name: str) -> None:
        """Tell make bench B=loop that a phase has ended."""
        if self.verbose:
            print(f"# {name} done", flush=True)

    # ---- after Kbuild

    def record(self, began: int) -> None:
        """Note what the build that began at a time has read and made."""
        config = Path("include/config/auto.conf").read_text()
        if any(f"CONFIG_{name}=y" in config for name in UNKNOWN) or \
                not all(f"CONFIG_{name}=y" in config for name in NEEDED):
            return
        members = set(subprocess.run(["ar", "t", "vmlinux.a"], capture_output=True, text=True,
                                     check=True).stdout.split())
        deps, theirs, dirs = set[str](), set[str](), {str(TREE)}
        for folder, subdirs, files in os.walk("."):
            folder = folder.removeprefix(".").removeprefix("/")
            subdirs[:] = [d for d in subdirs if (TREE / folder / d).is_dir()]
            dirs.add(str(TREE / folder))
            for name in files:
                if name.startswith(".") and name.endswith(".cmd"):
                    target = os.path.join(folder, name[1:-4])
                    command, read = command_of(target)
                    ours = target in members and is_compilation(command)
                    (deps if ours else theirs).update(read)
                    if ours:
                        self.objects.append(target)
        # What is relative to the build folder has been made by Kbuild.
        inside = {f for f in deps if not f.startswith("/") or f.startswith(self.here)}
        theirs |= members | inside
        deps -= theirs
        for file in deps | theirs:
            if (file := os.path.normpath(file)).startswith(f"{TREE}/"):
                while (file := os.path.dirname(file)) not in dirs and file != str(TREE):
                    dirs.add(file)
        dirs.update(root for root, _, _ in os.walk(TREE / "scripts"))
        for folder in dirs:
            self.folders[folder] = (mtime(folder), names(folder))
            theirs.update(path for n in self.folders[folder][1]
                          if not n.endswith((".c", ".h", ".S", ".rst"))
                          and os.path.isfile(path := f"{folder}/{n}")
                          and not os.path.islink(path))
        theirs.update(filter(None, map(shutil.which, ("gcc", "ld", "as"))))
        theirs.update([".config", "include/config/auto.conf", "rootfs.cpio", "linux", ".link-env",
                       ".vmlinux.export.o", "init/version-timestamp.o", self.kallsyms()])
        # A file of the tree that changed during the build may have been read before.
        for files, times in ((deps, self.deps), (theirs, self.theirs)):
            for file in files:
                when = mtime(file)
                late = when and when >= began and file.startswith(f"{TREE}/")
                times[file] = 0 if late else when
        with open(".fast.nm", "wb") as out:
            subprocess.run(["nm", "-n", "vmlinux.unstripped"], stdout=out, check=True)
        self.save()

    @staticmethod
    def kallsyms() -> str:
        """The kallsyms object of the last link."""
        return str(max(Path().glob(".tmp_vmlinux[1-9].kallsyms.o"),
                       key=lambda p: p.stat().st_mtime_ns))

    def save(self) -> None:
        """Write down what is known."""
        Path(STATE + ".new").write_text(json.dumps(
            [self.key, self.deps, self.theirs, self.folders, self.objects]))
        os.replace(STATE + ".new", STATE)

    # ---- instead of Kbuild

    def build(self) -> int:
        """Bring the program up to date; the exit status.

        Raises:
            Kbuild: that is needed, and nothing has been done that it minds.
        """
        try:
            key, self.deps, self.theirs, self.folders, self.objects = \
                json.loads(Path(STATE).read_text())
        except (OSError, ValueError):
            raise Kbuild("first build") from None
        if key != self.key:
            raise Kbuild("other variables")
        changed = {f: new for f, old in self.deps.items() if (new := mtime(f)) != old}
        for file, when in self.theirs.items():
            if mtime(file) != when:
                raise Kbuild(f"changed: {file}")
        for folder, (when, content) in self.folders.items():
            if (now := mtime(folder)) != when:
                if now is None or names(folder) != content:
                    raise Kbuild(f"new or missing files: {folder}")
                self.folders[folder] = now, content
        self.phase("check")
        if not changed:
            return 0
        if None in changed.values():
            raise Kbuild("missing files")
        dirty = [o for o in self.objects if uses(o, changed)]
        if len(dirty) > MANY:
            raise Kbuild("many objects")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            failed = [o for o, good in zip(dirty, pool.map(self.compile, dirty)) if not good]
        self.theirs.update((o, mtime(o)) for o in dirty)
        self.phase("compile")
        if failed:      # what has been compiled may not be what comes next
            changed = dict.fromkeys(changed, 0)
        else:
            self.link()
            self.phase("link")
            self.theirs["linux"] = mtime("linux")
        self.deps.update(changed)
        self.save()
        return int(bool(failed))

    def compile(self, target: str) -> bool:
        """Compile an object as Kbuild does, with its words on stderr."""
        if self.failed:
            return False
        command, _ = command_of(target)
        words = words_of(command)
        if self.verbose:
            print(words, flush=True)
        if subprocess.run(words, shell=True, stdin=subprocess.DEVNULL).returncode:
            self.failed = True
            return False
        folder, name = os.path.split(target)
        depfile, saved = f"{folder}/.{name}.d", f"{folder}/.{name}.cmd"
        with open(saved + ".new", "w", errors="surrogateescape") as out:
            subprocess.run(["scripts/basic/fixdep", depfile, target, command], stdout=out,
                           check=True)
        os.replace(saved + ".new", saved)
        os.unlink(depfile)
        for file in command_of(target)[1]:
            if file not in self.deps and file not in self.theirs:
                when = mtime(file)
                self.deps[file] = 0 if when and when >= self.start else when
        return True

    def link(self) -> None:
        """Link the program.

        Raises:
            Kbuild: it doesn't link, or modpost has something to say.
        """
        os.makedirs(".fast", exist_ok=True)
        relocatable = command_of("vmlinux.o")[0].replace(
            "-r -o vmlinux.o", "-S -r -o .fast/vmlinux.o")
        modpost = command_of("vmlinux.symvers")[0].strip()      # ./scripts/...
        with subprocess.Popen(
                ["bash", "-c", f". ./.link-env; {relocatable} &&"
                 f"$srctree/scripts/check-function-names.sh .fast/vmlinux.o && cd .fast && "
                 f"../{modpost} && cmp .vmlinux.export.c ../.vmlinux.export.c"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as check:
            known = Path(".fast.nm").read_bytes()
            kallsyms, nm = link_program("vmlinux.fast", self.kallsyms(), known, ".tmp_vmlinux9", 3)
            if nm != known:
                Path(".fast.nm").write_bytes(nm)
            said = check.communicate()[0].decode(errors="replace")
        if check.returncode or said:
            raise Kbuild(f"modpost: {said}")
        self.theirs.pop(next(f for f in self.theirs if f.endswith(".kallsyms.o")))
        self.theirs[kallsyms] = mtime(kallsyms)
        os.replace("vmlinux.fast", "linux")


def link_program(program: str, kallsyms: str, nm: bytes, new: str,
                 tries: int) -> tuple[str, bytes]:
    """Link a program with a kallsyms object that has its addresses.

    Args:
        kallsyms: the object to begin with.
        nm: what `nm -n` says of the program that it was made of; empty if nobody knows.
        new: how the files of another one begin.
        tries: links at most.

    Returns:
        The object that it has, and what `nm -n` says of the program of that.

    Raises:
        Kbuild: it doesn't link, or the addresses don't settle.
    """
    for _ in range(tries):
        shell(f"kallsymso=$1; vmlinux_link {program}", kallsyms)
        now = subprocess.run(["nm", "-n", program], stdout=subprocess.PIPE, check=True).stdout
        if nm and move_kallsyms(Path(program), nm, now):
            return kallsyms, nm
        nm, kallsyms = now, f"{new}.kallsyms.o"
        shell(f"mksysmap {program} {new}.syms; kallsyms {new}.syms {new}.kallsyms")
    raise Kbuild("kallsyms doesn't settle")


def move_kallsyms(program: Path, old: bytes, new: bytes) -> bool:
    """Move the symbols in a program's kallsyms to where they are now.

    Names, types and their order must not have changed, nor what shares an
    address with what: then nothing but the offsets depends on the addresses. The
    build ID stays the one of what has been linked.

    Args:
        old: what nm -n said when the kallsyms were made.
        new: what it says about the program.
    """
    if old == new:
        return True
    before, after = old.splitlines(), new.splitlines()
    if [line[16:] for line in before] != [line[16:] for line in after]:
        return False
    was, now = ([line[:16] for line in lines] for lines in (before, after))
    if [a == b for a, b in pairwise(was)] != [a == b for a, b in pairwise(now)]:
        return False
    moved = {int(a, 16): int(b, 16) for a, b in zip(was, now) if a.strip()}
    symbols = {line[19:]: int(line[:16], 16) for line in after
               if line.endswith((b" kallsyms_num_syms", b" kallsyms_offsets", b" _text"))}
    text = symbols[b"_text"]
    text_was = next(int(line[:16], 16) for line in before if line.endswith(b" _text"))
    with program.open("r+b") as elf:
        header = elf.read(64)
        phoff, = struct.unpack_from("<Q", header, 32)
        phnum, = struct.unpack_from("<H", header, 56)
        elf.seek(phoff)
        segments = [struct.unpack("<2I6Q", elf.read(56)) for _ in range(phnum)]

        def seek(address: int) -> None:
            elf.seek(next(offset + address - start for kind, _, offset, start, _, size, _, _
                          in segments if kind == 1 and start <= address < start + size))

        seek(symbols[b"kallsyms_num_syms"])
        count, = struct.unpack("<I", elf.read(4))
        table = symbols[b"kallsyms_offsets"]
        seek(table)
        offsets = struct.unpack(f"<{count}i", elf.read(4 * count))
        places = range(table, table + 4 * count, 4)
        seek(table)
        elf.write(struct.pack(f"<{count}i", *(
            moved[offset + place - text + text_was] - place
            for offset, place in zip(offsets, places))))
    return True


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the build folder")
    parser.add_argument("--record", action="store_true", help="after Kbuild")
    parser.add_argument("--key", default="", help="what Kbuild is called with")
    parser.add_argument("--verbose", action="store_true", help="show commands")
    options = parser.parse_args()
    os.chdir(options.out)
    os.environ.setdefault("GLIBC_TUNABLES", MALLOC)
    build = Build(options.key, options.verbose)
    if options.record:
        build.record(os.stat(".fast.began").st_mtime_ns)
        return 0
    try:
        return build.build()
    except Kbuild as why:
        if options.verbose:
            print(f"Kbuild: {why}")
        Path(STATE).unlink(missing_ok=True)
        Path(".fast.began").touch()
        return KBUILD


if __name__ == "__main__":
    main(command)
