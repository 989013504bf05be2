# SPDX-License-Identifier: GPL-2.0
"""The build after an edit, on a kernel of two files with Kbuild's own tools.

What Kbuild would do is done here by the functions of link-vmlinux.sh as well,
but as Kbuild does it: from nothing, with three links.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

TREE = {
    "Makefile": "", "mm/Makefile": "",
    "mm/a.c": '#include "a.h"\nint main(void) { return b(VALUE); }\n',
    "mm/b.c": "int b(int x);\nint b(int x) { return x + 1; }\n",
    "mm/a.h": "int b(int x);\n#define VALUE 1\n",
    "kernel/bounds.c": '#include "bounds.h"\n', "kernel/bounds.h": "",
    "include/asm/bitsperlong.h": "#define BITS_PER_LONG 64\n",
}
REAL = ("link-vmlinux.sh", "mksysmap", "check-function-names.sh")
TOOLS = ("kallsyms", "basic/fixdep", "mod/modpost")
FAST = [sys.executable, "-m", "scripts.kernel.fast"]
MODPOST = "scripts/mod/modpost -M -o vmlinux.symvers vmlinux.o"
RELOCATABLE = "ld -r -o vmlinux.o --whole-archive vmlinux.a"
EXPORT = ('__asm__(".section \\".export_symbol\\",\\"a\\"\\n__export_symbol_b:\\n'
          '.asciz \\"GPL\\"\\n.ascii \\"\\\\0\\"\\n.balign 8\\n.quad b\\n.previous");\n')


class Kernel:
    """A tree, its build folder, and two ways to bring it up to date."""

    def __init__(self, path: Path, tools: Path) -> None:
        self.path, self.tree, self.out = path, path / "linux", path / "build/default"
        for name, text in TREE.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)
        for folder in ("mm", "kernel", "init", "include/config", "scripts/mod", "scripts/basic"):
            (self.out / folder).mkdir(parents=True)
        for folder in (path, self.tree):
            (folder / "scripts").mkdir()
        (path / "scripts/kernel").mkdir()
        for name in ("kernel/fast.py", "common.py"):
            shutil.copy(ROOT / "scripts" / name, path / "scripts" / name)
        for name in REAL:
            shutil.copy(ROOT / "linux/scripts" / name, self.tree / "scripts")
        for name in TOOLS:
            shutil.copy(tools / name, self.out / "scripts" / name)
        (self.out / ".config").write_text("")
        (self.out / "include/config/auto.conf").write_text("CONFIG_KALLSYMS=y\nCONFIG_64BIT=y\n")
        script = subprocess.run(["ld", "-static", "--verbose"], capture_output=True, text=True,
                                check=True).stdout.split("=" * 50)[1]
        (self.out / "um.lds").write_text(script.replace(
            "  .text  ", "  _text = .; _stext = .; _sinittext = .; _einittext = .;\n  .text  "))
        (self.out / ".link-env").write_text(
            f"export CC=gcc NM=nm SRCARCH=um srctree={self.tree} objtree=. KBUILD_LDS=um.lds "
            f"CFLAGS_vmlinux='-static -Wl,-z,noexecstack' LINUXINCLUDE=-I{self.tree}/include\n")
        self.kbuild()

    def sh(self, script: str) -> None:
        """Run commands in the build folder."""
        subprocess.run(["bash", "-ec", script], cwd=self.out, check=True)

    def kbuild(self) -> bytes:
        """Build everything and record it; the program."""
        self.run()      # says that it is Kbuild's turn, as in the Makefile
        for name in ("mm/a", "mm/b", "kernel/bounds", "init/version-timestamp"):
            folder, base = os.path.split(name)
            if folder == "init":
                self.sh(f"echo | gcc -x c -c -o {name}.o -; cp {name}.o .vmlinux.export.o")
                continue
            end = "s" if folder == "kernel" else "o"
            cmd = (f"gcc -Wp,-MMD,{folder}/.{base}.{end}.d -g -c -o {name}.{end} "
                   f"{self.tree}/{name}.c")
            self.sh(f"{cmd}; scripts/basic/fixdep {folder}/.{base}.{end}.d {name}.{end} '{cmd}' "
                    f">{folder}/.{base}.{end}.cmd")
        self.sh(f"""
            rm -f vmlinux.a; ar cDPrST vmlinux.a mm/a.o mm/b.o; {RELOCATABLE}; {MODPOST}
            echo 'savedcmd_vmlinux.o := {RELOCATABLE}' >.vmlinux.o.cmd
            echo 'savedcmd_vmlinux.symvers := {MODPOST}' >.vmlinux.symvers.cmd
            . ./.link-env; kallsymso= strip_debug=1
            eval "$(sed -n '/^is_enabled()/,/^# Use "make V=1"/p' $srctree/scripts/link-vmlinux.sh)"
            info() {{ :; }}
            : >.tmp_vmlinux0.syms; kallsyms .tmp_vmlinux0.syms .tmp_vmlinux0.kallsyms
            vmlinux_link .tmp_vmlinux1; sysmap_and_kallsyms .tmp_vmlinux1
            vmlinux_link .tmp_vmlinux2; sysmap_and_kallsyms .tmp_vmlinux2
            strip_debug=; vmlinux_link vmlinux.unstripped; ln -f vmlinux.unstripped linux
            mksysmap linux System.map; cmp System.map .tmp_vmlinux2.syms""")
        assert self.run("--record").returncode == 0
        return (self.out / "linux").read_bytes()

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run fast.py as the Makefile does."""
        return subprocess.run([*FAST, self.out, *args], cwd=self.path, capture_output=True, text=True)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file of the tree."""
        path = self.tree / name
        assert old in path.read_text()
        time.sleep(0.01)        # the file system's clock is coarse
        path.write_text(path.read_text().replace(old, new))

    def program(self) -> bytes:
        """The program's bytes."""
        return (self.out / "linux").read_bytes()

    def status(self) -> int:
        """What the program returns."""
        return subprocess.run([self.out / "linux"]).returncode


@pytest.fixture(scope="session")
def prototype(tmp_path_factory: pytest.TempPathFactory, kernel: Path) -> Kernel:
    """A kernel that has been built, once for all tests, and a copy of it."""
    built = Kernel(tmp_path_factory.mktemp("fast") / "work", kernel.parent / "scripts")
    assert built.status() == 2
    assert built.run().returncode == 0      # nothing to do
    subprocess.run(["cp", "-a", built.path, built.path.with_name("copy")], check=True)
    return built


@pytest.fixture
def kernel_of_two(prototype: Kernel) -> Kernel:
    """It, as it was."""
    shutil.rmtree(prototype.path)
    subprocess.run(["cp", "-a", prototype.path.with_name("copy"), prototype.path], check=True)
    return prototype


@pytest.mark.parametrize("name, old, new, status", [
    ("mm/b.c", "x + 1", "x + 2", 3),                    # as long as before
    ("mm/b.c", "x + 1", "x * x * x + 3", 4),            # others move
    ("mm/b.c", "int b(int x);", "static int __attribute__((noinline)) c(int x) { return -x; }\n"
     "int b(int x);\nint d(int x);\nint d(int x) { return c(x); }", 2),     # new symbols
    ("mm/a.h", "VALUE 1", "VALUE 5", 6)])               # a header
def test_same_as_from_nothing(name: str, old: str, new: str, status: int,
                              kernel_of_two: Kernel) -> None:
    for step in (lambda: kernel_of_two.edit(name, old, new),
                 lambda: kernel_of_two.edit(name, new, new + "\n\n")):
        step()
        done = kernel_of_two.run()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert kernel_of_two.status() == status
    assert kernel_of_two.run().returncode == 0
    program = kernel_of_two.program()
    assert program == kernel_of_two.kbuild()


def test_new_include(kernel_of_two: Kernel) -> None:
    (kernel_of_two.tree / "kernel/new.txt").write_text("")
    (kernel_of_two.tree / "include/new.h").write_text("#define MORE 1\n")
    assert kernel_of_two.run().returncode == 3      # a new file
    kernel_of_two.kbuild()
    time.sleep(0.01)
    kernel_of_two.edit("mm/b.c", "int b(int x);",
                       f'#include "{kernel_of_two.tree}/include/new.h"\nint b(int x);')
    kernel_of_two.edit("mm/b.c", "x + 1", "x + MORE")
    assert kernel_of_two.run().returncode == 0
    kernel_of_two.edit("include/new.h", "1", "7")
    assert kernel_of_two.run().returncode == 0
    assert kernel_of_two.status() == 8


@pytest.mark.parametrize("what", [
    "Makefile", "mm/Makefile", "kernel/bounds.h", "out:.config", "out:mm/b.o", "out:linux"])
def test_changes_for_kbuild(what: str, kernel_of_two: Kernel) -> None:
    folder = kernel_of_two.out if what.startswith("out:") else kernel_of_two.tree
    time.sleep(0.01)
    (folder / what.removeprefix("out:")).touch()
    assert kernel_of_two.run().returncode == 3
    assert kernel_of_two.run().returncode == 3      # until Kbuild has been


def test_missing_header_and_other_flags(kernel_of_two: Kernel) -> None:
    assert kernel_of_two.run("--key", "CC=other").returncode == 3
    kernel_of_two.kbuild()
    (kernel_of_two.tree / "mm/a.h").unlink()
    assert kernel_of_two.run().returncode == 3


@pytest.mark.parametrize("text", [EXPORT, "int startup(void);\nint startup(void) { return 0; }\n"])
def test_what_modpost_must_see(text: str, kernel_of_two: Kernel) -> None:
    before = kernel_of_two.program()
    kernel_of_two.edit("mm/b.c", "int b(int x);", "int b(int x);\n" + text)
    assert kernel_of_two.run().returncode == 3
    assert kernel_of_two.program() == before


def test_compile_and_link_errors(kernel_of_two: Kernel) -> None:
    before = kernel_of_two.program()
    kernel_of_two.edit("mm/b.c", "x + 1", "x +")
    for _ in range(2):
        done = kernel_of_two.run()
        assert done.returncode == 1 and "b.c:2:" in done.stderr and "error:" in done.stderr
        assert kernel_of_two.program() == before
    kernel_of_two.edit("mm/b.c", "x +", "x + 3")
    assert kernel_of_two.run().returncode == 0 and kernel_of_two.status() == 4
    kernel_of_two.edit("mm/a.c", "b(VALUE)", "b(VALUE) + (int)(long)&main_")
    kernel_of_two.edit("mm/a.c", "int main(", "int main_(void);\nint main(")
    assert kernel_of_two.run().returncode == 3


def test_warning_is_shown(kernel_of_two: Kernel) -> None:
    kernel_of_two.edit("mm/b.c", "int b(int x);", "#warning careful\nint b(int x);")
    done = kernel_of_two.run()
    assert done.returncode == 0 and "careful" in done.stderr


def test_interrupted(kernel_of_two: Kernel) -> None:
    kernel_of_two.edit("mm/b.c", "x + 1", "x + 3")
    shutil.move(kernel_of_two.out / "scripts/mod/modpost", kernel_of_two.out / "modpost")
    (kernel_of_two.out / "scripts/mod/modpost").write_text("#!/bin/sh\nsleep 9\n")
    (kernel_of_two.out / "scripts/mod/modpost").chmod(0o755)
    before = kernel_of_two.program()
    process = subprocess.Popen([*FAST, kernel_of_two.out], cwd=kernel_of_two.path,
                               stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(1)
    os.killpg(process.pid, 2)       # as Ctrl-C does
    assert process.wait(5) and b"Traceback" not in process.communicate()[1]
    assert kernel_of_two.program() == before
    assert kernel_of_two.run().returncode == 3
