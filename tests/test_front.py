# SPDX-License-Identifier: GPL-2.0
"""The Makefile: what it refuses, and what it passes on."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT
from test_series import Clone


def clean_env(**more: str) -> dict[str, str]:
    """The environment without the outer make's."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith(("MAKE", "MFLAGS")) and k not in ("T", "V", "M", "LINUX")} | more


def make(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    return subprocess.run(["make", *args], cwd=folder, capture_output=True, text=True,
                          env=clean_env(**env), stdin=subprocess.DEVNULL)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with the Makefile and a tiny kernel in the cache."""
    clone = Clone(tmp_path / "clone")
    shutil.copy(ROOT / "Makefile", clone.path)
    return clone


def test_help() -> None:
    verbs = set(re.findall(r"^  ([a-z-]+) ", make(ROOT, "help").stdout, re.M))
    assert {"run", "test", "linux", "kernel", "patches", "check-series", "shell", "gdb",
            "mutants", "bench", "watch", "coverage", "stress", "clean", "distclean",
            "deps", "trace", "pagemap"} <= verbs


def test_path_with_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    done = make(folder)
    assert done.returncode == 2 and "a space in its path" in done.stderr
    assert done.stderr.count("\n") == 1


def test_linux_and_distclean(clone: Clone) -> None:
    assert make(clone.path, "linux", **clone.env).returncode == 0
    assert (clone.path / "linux/mm/memory.c").exists()
    clone.edit("mm/memory.c", "row 3\n", "mine\n")
    done = make(clone.path, "distclean", **clone.env)
    assert done.returncode == 2 and "uncommitted changes (mm/memory.c)" in done.stderr
    assert (clone.path / "linux/mm/memory.c").exists()
    assert make(clone.path, "distclean", "FORCE=1", **clone.env).returncode == 0
    assert not (clone.path / "linux").exists() and not (clone.path / "build").exists()


def test_two_at_once(clone: Clone) -> None:
    (clone.path / "build").mkdir()
    with (clone.path / "build/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(["make", "linux"], cwd=clone.path, stderr=subprocess.PIPE,
                                   text=True, env=clean_env(**clone.env))
        assert waiting.stderr
        assert "waiting for another make in this clone" in waiting.stderr.readline()
        assert waiting.poll() is None
    assert waiting.wait(30) == 0
    waiting.stderr.close()
    assert (clone.path / "linux/Kconfig").exists()


def test_interrupted_while_making_linux(clone: Clone) -> None:
    slow = clone.path.parent / "bin"
    slow.mkdir()
    (slow / "xz").write_text("#!/bin/sh\nsleep 20\n")
    (slow / "xz").chmod(0o755)
    env = clean_env(**{**clone.env, "PATH": f"{slow}:{clone.env['PATH']}"})
    process = subprocess.Popen(["make", "linux"], cwd=clone.path, stderr=subprocess.PIPE,
                               text=True, env=env, start_new_session=True)
    assert process.stderr
    while "making linux/" not in process.stderr.readline():
        pass
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)       # as Ctrl-C does
    assert process.wait(10) != 0
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not (clone.path / "linux").exists()
    assert make(clone.path, "linux", **clone.env).returncode == 0
    assert sorted(p.name for p in (clone.path / "build").iterdir()) == [
        ".deps", ".deps.d", ".lock", ".series"]


def test_compiler_of_a_build_folder(clone: Clone, tmp_path: Path) -> None:
    bin = tmp_path / "tools"
    bin.mkdir()
    for tool in ("bash", "sh", "make", "grep", "python3", "nproc", "cp", "cat", "expr", "mkdir"):
        (bin / tool).symlink_to(shutil.which(tool) or "/nonexistent")
    cc, noted = tmp_path / "ccache", clone.path / "build/default/.cc"
    cc.write_text("#!/bin/sh\n")
    cc.chmod(0o755)
    noted.parent.mkdir(parents=True)

    def compiler() -> str:
        """What a recipe takes, and what it hands to Kbuild."""
        done = make(clone.path, "-s", "--eval", "ask: ; @echo '$(cc)'; echo '$(kernel_cc)'", "ask",
                    PATH=str(bin))
        chosen, for_kbuild = done.stdout.splitlines()
        assert ("ccache" in chosen) == ("ccache" in for_kbuild) and not done.stderr
        return chosen

    assert compiler() == "gcc"
    noted.write_text("gcc\n")
    install = f"get: ; @cp {cc} {bin}"
    assert compiler() == "gcc"
    (bin / "ccache").symlink_to(cc)
    assert compiler() == "gcc"              # ccache has come since
    noted.unlink()
    assert compiler() == "ccache gcc"
    noted.write_text("ccache gcc\n")
    assert compiler() == "ccache gcc"
    (bin / "ccache").unlink()
    assert compiler() == "gcc"              # it has gone
    noted.unlink()
    done = make(clone.path, "-s", "--eval", install, "--eval", "ask: get; @echo '$(cc)'", "ask",
                PATH=str(bin))
    assert done.stdout == "ccache gcc\n"    # what comes before it in make's order installs it


def deps(bin: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/deps with nothing else in PATH than what a folder has."""
    return subprocess.run([ROOT / "scripts/deps", *args], env={"PATH": str(bin), **env},
                          capture_output=True, text=True)


# An apt-get that puts into PATH what a package is there for, of those that exist
APT = r"""#!/bin/sh
case " $* " in *" update "*) exit;; esac
echo "$*" >>$BIN/log
for package; do case $package in
$ABSENT) echo "E: Unable to locate package $package"; exit 100;;
gcc|make|flex|bison|bc|git|tar|perl|python3|gdb|ccache) tools=$package;;
binutils) tools=ld;; xz-utils) tools=xz;; util-linux) tools=flock;;
libc6-dev) tools=libc.a;; inotify-tools) tools=inotifywait;; busybox-static) tools=busybox;;
*) tools=;; esac
for tool in $tools; do
	printf '#!/bin/sh\n[ "$1" != -print-file-name=libc.a ] || ls %s/libc.a\n' $BIN >$BIN/$tool
	/bin/chmod 755 $BIN/$tool
done; done
"""


def test_bare_machine_gets_all_at_once(tmp_path: Path) -> None:
    bin, note = tmp_path / "bin", tmp_path / ".deps.d"
    bin.mkdir()
    for tool in ("sh", "echo", "sed", "cut", "sort", "tr", "grep", "mktemp", "rm", "tail", "ls"):
        (bin / tool).symlink_to(shutil.which(tool) or "/nonexistent")
    for name, text in (("apt-get", APT), ("id", "#!/bin/sh\necho 0\n"),
                       ("ldd", "#!/bin/sh\nexit 1\n"), ("dpkg-deb", "#!/bin/sh\n")):
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    done = deps(bin, "", str(note), BIN=str(bin), ABSENT="gdb")
    first, second = (bin / "log").read_text().splitlines()
    needed = {"gcc", "binutils", "libc6-dev", "make", "flex", "bison", "bc", "xz-utils", "git",
              "tar", "perl", "python3"}
    assert needed | {"ccache", "gdb"} <= set(first.split())
    assert needed <= set(second.split()) and "gdb" not in second    # the optional ones failed
    assert done.returncode == 0 and "more works with:" in done.stderr and "gdb" in done.stderr
    assert done.stderr.count("installing") == 1
    target, rules = note.read_text().splitlines()
    assert target.startswith(f"{tmp_path}/.deps: ") and f" {bin}/ld " in target
    assert rules == target.partition(": ")[2] + ":"
    (bin / "log").unlink()
    (bin / "ld").unlink()                   # it went later: asked again
    assert deps(bin, "", str(note), BIN=str(bin), ABSENT="gdb").returncode == 0
    assert "binutils" in (bin / "log").read_text()


def test_deps_are_asked_for_again_when_one_is_gone(clone: Clone) -> None:
    assert make(clone.path, "linux", **clone.env).returncode == 0
    stamp = clone.path / "build/.deps"
    before = stamp.stat().st_mtime_ns
    assert make(clone.path, "linux", **clone.env).returncode == 0
    assert stamp.stat().st_mtime_ns == before
    with (clone.path / "build/.deps.d").open("a") as note:
        note.write("build/.deps: /nonexistent/gcc\n/nonexistent/gcc:\n")
    assert make(clone.path, "linux", **clone.env).returncode == 0
    assert stamp.stat().st_mtime_ns > before


@pytest.mark.parametrize("manager, line", [
    ("apt-get", r"apt-get install --no-install-recommends .*\bflex bison bc\b.*\bxz-utils\b"),
    ("dnf", r"dnf install bc bison flex git perl .*\bxz$"),
    ("pacman", r"pacman -S --needed bc bison flex git perl .*\bxz$")])
def test_missing_tool_is_named(tmp_path: Path, manager: str, line: str) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    for tool in ("sh", "gcc", "ld", "make", "python3", "ldd", "echo", "sed", "cut", "sort", "tr",
                 "grep"):
        found = shutil.which(tool)
        assert found
        (bin / tool).symlink_to(found)
    for tool, text in ((manager, "exit 1"), ("id", "echo 1000")):
        (bin / tool).write_text(f"#!/bin/sh\n{text}\n")
        (bin / tool).chmod(0o755)
    done = subprocess.run([ROOT / "scripts/deps"], env={"PATH": str(bin)}, capture_output=True,
                          text=True)
    assert done.returncode == 1
    assert re.search(line, done.stderr.strip())


def test_unknown_variant() -> None:
    done = make(ROOT, "kernel", "VARIANT=smp+nope", "-n")
    assert done.returncode == 2 and "nope" in done.stderr
