# SPDX-License-Identifier: GPL-2.0
"""Prove README's two commands on a bare Debian: `make` and `make test` in a new clone.

mmdebstrap makes a chroot of a suite, from the mirror and with the options that this
machine's apt has, with nothing in it but git and make. The clone is of what is committed
here. As root the packages are installed by `make` itself; as a user `make` has to
name the command that installs them, which is then run as root. What is printed goes to
a log, with the program that was built beside it, and the time of each phase into a
table. Nothing is left behind: the chroot's mounts are those of a namespace of its own,
and the folder is deleted.

It needs root, mmdebstrap, the network of apt, and 8 GB in TMPDIR (/var/tmp).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from scripts.common import BUILD, ROOT, Fatal, main, run, say
from scripts.judge.phases import Phases

SUITES = ("bookworm", "trixie", "sid")
HOME = "/home/sandbox"
CLONE = f"{HOME}/uml-mm"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What mounts can be seen there goes with the last process of the namespace.
ENTER = r"""
set -e; dir=$1; ccache=$2; pts=$3; shift 3
mount --make-rprivate /
mount -t proc proc "$dir/proc"
mount -t sysfs -o ro sysfs "$dir/sys"
mkdir -p "$dir/dev/shm"; mount -t tmpfs -o mode=1777 shm "$dir/dev/shm"
if [ "$pts" = 1 ]; then
	mkdir -p "$dir/dev/pts"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 pts "$dir/dev/pts"
	ln -sfn pts/ptmx "$dir/dev/ptmx"
fi
if [ -n "$ccache" ]; then mount --bind "$ccache" "$dir/ccache"; fi
exec chroot "$@"
"""


class Apt(NamedTuple):
    """What this machine's apt knows: sources of a suite, and how to reach them."""

    sources: list[str]
    options: list[str]


def machine_apt(suite: str) -> Apt:
    """The mirrors of this machine for another suite of Debian.

    Raises:
        Fatal: this machine's apt has no mirror of a whole suite.
    """
    rows = run("apt-get", "indextargets", "--format", "$(RELEASE)|$(REPO_URI)|$(SIGNED_BY)")
    found = {}
    for row in rows.splitlines():
        release, uri, key = row.split("|")
        if "-" not in release and "/" not in release:
            found[uri] = f"[signed-by={key}] " if key.startswith("/") and " " not in key else ""
    if not found:
        raise Fatal("this machine's apt has no mirror of a Debian suite")
    dump = run("apt-config", "dump", "--no-empty", "--format", "%F \"%v\";%n", "Acquire")
    options = [line for line in dump.splitlines()
               if not re.match(r"Acquire::(IndexTargets|CompressionTypes|Changelogs|cdrom)", line)]
    return Apt([f"deb {key}{uri} {suite} main" for uri, key in found.items()], options)


class Chroot:
    """A bare Debian in a folder."""

    def __init__(self, folder: Path, log: TextIO, ccache: Path | None, pts: bool) -> None:
        self.folder, self.log, self.ccache, self.pts = folder, log, ccache, pts

    def command(self, words: str, user: str) -> list[str]:
        """The command line that runs shell words in there, in namespaces of their own."""
        # root and the user fill the same one.
        more = ["CCACHE_DIR=/ccache", "CCACHE_UMASK=000"] if self.ccache else []
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "-",
                str(self.folder), str(self.ccache or ""), str(int(self.pts)),
                f"--userspec={user}:{user}", str(self.folder), "env", "-i", f"HOME={HOME}",
                f"PATH={PATH}", "LANG=C.UTF-8", *more, "sh", "-c", words]

    def run(self, words: str, user: str = "root") -> tuple[int, Phases]:
        """Run shell words with their output in the log: status and phases."""
        phases = Phases()
        self.log.write(f"$ {words}\n")
        with subprocess.Popen(self.command(words, user), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
                              errors="replace", cwd="/") as process:
            assert process.stdout
            try:
                for line in process.stdout:
                    phases.take(line)
                    self.log.write(f"{phases.seconds():7.1f} {line}")
                    self.log.flush()
            except BaseException:       # SIGTERM: all in there goes with unshare
                process.kill()
                raise
        phases.end()
        self.log.write(f"{phases.seconds():7.1f} exit status {process.returncode}\n")
        return process.returncode, phases


@contextmanager
def bare(suite: str, log: TextIO, ccache: Path | None, pts: bool) -> Iterator[Chroot]:
    """A chroot with a clone in it, which is deleted at the end.

    Raises:
        Fatal: it can't be made.
    """
    apt = machine_apt(suite)
    base = os.environ.get("TMPDIR", "/var/tmp")
    if shutil.disk_usage(base).free < 8 << 30:
        raise Fatal(f"{base} has no 8 GB of room; TMPDIR=<folder> chooses another")
    folder = Path(tempfile.mkdtemp(prefix=f"uml-mm-{suite}-", dir=base))
    try:
        folder.chmod(0o755)
        say(f"making a bare {suite} in {folder}")
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--include=git,make",
             *(f"--aptopt={option}" for option in apt.options), suite, str(folder),
             *apt.sources], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if made.returncode:
            raise Fatal(f"mmdebstrap failed: see {log.name}")
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", folder / "etc" / name)
        run("chroot", str(folder), "useradd", "--create-home", "--home-dir", HOME, "sandbox")
        run("git", "clone", "--quiet", "--no-hardlinks", "--single-branch", str(ROOT),
            str(folder) + CLONE)
        if ccache:
            ccache.mkdir(exist_ok=True)
            ccache.chmod(0o777)
            (folder / "ccache").mkdir()
        yield Chroot(folder, log, ccache, pts)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)


def prove(suite: str, user: str, log: TextIO, ccache: Path | None, pts: bool) -> bool:
    """The two commands in a bare chroot, with a table of their phases; whether they passed."""
    with bare(suite, log, ccache, pts) as chroot:
        run("chroot", str(chroot.folder), "chown", "-R", f"{user}:{user}", HOME)
        good = True
        for words in ("make", "make test"):
            status, phases = chroot.run(f"cd {CLONE} && {words}", user)
            line = re.search(r"as root: (apt-get install .*)", phases.text)
            if status and user != "root" and words == "make" and line:
                install = line[1].replace("install", "install -y", 1)
                status, packages = chroot.run(
                    f"DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; "
                    f"apt-get -q update && {install}")
                print(packages.table(f"{suite}, as root: {line[1][:15]}..."))
                status, phases = chroot.run(f"cd {CLONE} && {words}", user)
            print(phases.table(f"{suite}, {user}: {words}"), flush=True)
            if said := re.findall(r"^.*\bwarning: .*", phases.text, re.M):
                print("".join(f"    {line}\n" for line in said[:8]), end="")
            if status:
                good = False
                print("".join(f"    {row}\n" for row in phases.text.splitlines()[-12:]), end="")
        size = run("du", "-sm", "--total", str(chroot.folder) + f"{CLONE}/linux",
                   str(chroot.folder) + f"{CLONE}/linux/.git",
                   str(chroot.folder) + f"{CLONE}/build")
        log.write(size)
        program = chroot.folder / CLONE.lstrip("/") / "build/default/linux"
        if program.exists():
            shutil.copy(program, Path(log.name).with_suffix(".linux"))
    print(f"{suite}, {user}: {'passed' if good else 'FAILED'}, log in {log.name}", flush=True)
    return good


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", default=SUITES, help="default: %(default)s")
    parser.add_argument("--user", choices=("root", "sandbox", "both"), default="both",
                        help="who runs the commands (default: %(default)s, each in its own chroot)")
    parser.add_argument("--ccache", type=Path, metavar="DIR",
                        help="a compiler cache for the chroot, which makes another run quicker")
    parser.add_argument("--no-pts", action="store_true", help="no devpts, as in some containers")
    options = parser.parse_args()
    if os.geteuid():
        raise Fatal("make fresh makes a chroot, which only root can do")
    if not shutil.which("mmdebstrap"):
        raise Fatal("make fresh needs mmdebstrap: "
                    "apt-get install --no-install-recommends mmdebstrap")
    if run("git", "status", "--porcelain", "--untracked-files=no", cwd=ROOT):
        say("notice: the clone has what is committed, not your other changes here")
    failed = 0
    (BUILD / "fresh").mkdir(parents=True, exist_ok=True)
    for suite in options.suite or SUITES:
        for user in ("root", "sandbox"):
            if options.user not in (user, "both"):
                continue
            path = BUILD / "fresh" / f"{suite}-{user}.log"
            with path.open("w") as log:
                log.write(time.strftime("%F %T") + f", {os.cpu_count()} CPUs, "
                          f"{os.uname().release}, {' '.join(sys.argv[1:])}\n")
                failed += not prove(suite, user, log,
                                    options.ccache and options.ccache.absolute(),
                                    not options.no_pts)
    return 1 if failed else 0


if __name__ == "__main__":
    main(command)
