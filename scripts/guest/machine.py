# SPDX-License-Identifier: GPL-2.0
"""A guest: how it is booted, how it ends, and that nothing of it stays.

A guest ends in a verdict, whatever happens to it: the exit status that its
init wrote, or a panic, or a hang with a backtrace of the kernel. Nothing is
left behind, even when the runner itself is killed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import queue
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from scripts.common import BUILD, Fatal
from scripts.guest.ktap import PANIC, Test, parse, stray_splat
from scripts.guest.testlist import init_words

TEST_TIMEOUT = 60       # seconds that init gives a test
GRACE = 20              # more seconds of silence until the guest counts as hung
PANIC_GRACE = 5         # seconds from a panic to the end of the process
MAX_OUTPUT = 64 << 20   # bytes after which a guest counts as babbling
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_PTRACER = 1, 36, 0x59616D61
_libc = ctypes.CDLL(None, use_errno=True)


class Run(NamedTuple):
    """How a guest ended."""

    status: int         # the runner's: 0 good, else the guest's status or 1
    problem: str        # one line; empty when the guest powered off cleanly
    tests: list[Test]
    output: str         # the whole console
    seconds: float      # wall time from start to end
    backtrace: str      # of the hung kernel


class Cpus:
    """The host's CPUs, for guests that run side by side, each on one of its own."""

    def __init__(self) -> None:
        self._free: queue.Queue[int] = queue.Queue()
        for cpu in sorted(os.sched_getaffinity(0)):
            self._free.put(cpu)
        self.count = self._free.qsize()

    @contextmanager
    def one(self) -> Iterator[int]:
        """A CPU that nobody else has meanwhile."""
        cpu = self._free.get()
        try:
            yield cpu
        finally:
            self._free.put(cpu)


def padded(path: Path | str, length: int) -> str:
    """A path that is as long wherever it is: the guest allocates memory for it."""
    return f"{path}".rjust(length, "/")


def hostfs(root: Path) -> list[str]:
    """The kernel arguments for a root file system that is a host's folder."""
    return ["root=/dev/root", "rootfstype=hostfs", f"rootflags={root.resolve()}",
            "ro", "init=/init"]


def from_anywhere(args: Sequence[str]) -> tuple[list[str], str | None]:
    """Arguments that are the same wherever this project is, if they are for a seed's run.

    The kernel's random numbers begin with its command line. So the folder that is the
    guest's root becomes the kernel's current one; it is returned, too.
    """
    flags = next((arg for arg in args if arg.startswith("rootflags=")), "")
    if not flags or not any(arg.startswith("explore=") for arg in args):
        return list(args), None
    root = flags.partition("=")[2]
    return ["rootflags=/proc/self/cwd" if arg == flags else arg for arg in args], root


def explain(output: str, returncode: int) -> str:
    """What on the host made a guest fail, if it shows; else nothing."""
    tmp = os.environ.get("TMPDIR") or "/dev/shm"
    if "must be not mounted noexec" in output:
        return (f"{tmp} is mounted noexec, and the guest's memory is a file there: "
                f"`mount -o remount,exec {tmp}`, or set TMPDIR to another tmpfs")
    if returncode == -signal.SIGBUS or "likely just ran out of space" in output or \
            "No space left on device" in output:
        fs = os.statvfs(tmp)
        return (f"{tmp} is full ({fs.f_bavail * fs.f_frsize >> 20} MB free), and the "
                f"guest's memory is a file there: free some, or set TMPDIR to another tmpfs")
    if re.search(r"ptrace\w* ?: .*(failed|expected)|(seccomp|ptrace).*not permitted|"
                 r"Could not initialize ptrace", output):
        return ("this host refuses both seccomp filters and ptrace, and UML needs one "
                "of them: look at the container's seccomp profile and capabilities")
    if "ran out of memory on the host side" in output:
        limit = Path("/proc/sys/vm/max_map_count").read_text().strip()
        return (f"a guest process needed more mappings than the host's "
                f"vm.max_map_count={limit} allows: `sysctl vm.max_map_count=1048576`")
    return ""


def gdb_index(kernel: Path) -> list[str]:
    """Options by which gdb keeps its index of the symbols next to the kernel.

    It takes most of the time of gdb's start to make one.
    """
    folder = kernel.resolve().parent / "gdb-index"
    try:        # those of programs that are gone
        for old in sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime)[:-2]:
            old.unlink()
    except FileNotFoundError:
        pass    # another one did
    return ["-iex", f"set index-cache directory {folder}", "-iex", "set index-cache enabled on"]


def backtrace(kernel: Path, pid: int) -> str:
    """The stack of a running kernel as gdb sees it, or why there is none."""
    try:
        done = subprocess.run(
            ["gdb", "-q", "-nx", "-batch", "-iex", "set debuginfod enabled off",
             *gdb_index(kernel), "-ex", "set width 0", "-ex", "bt", "-p", str(pid), str(kernel)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return "(no backtrace: gdb is not installed)"
    except subprocess.TimeoutExpired:
        return "(no backtrace: gdb took more than 60 s)"
    frames = [line for line in done.stdout.splitlines() if line.startswith("#")]
    return "\n".join(frames) or f"(no backtrace: {done.stderr.strip()[-300:]})"


class Guest:
    """A guest process and its private folder; leaving the context ends both.

    The folder goes even if the runner is killed: a shell that waits for the
    end of its stdin removes it. The kernel dies with the runner then, and its
    stubs with the kernel (PR_SET_PDEATHSIG).
    """

    def __init__(self, kernel: Path, args: Sequence[str], *, cpu: int | None = None,
                 stdin: int | None = subprocess.PIPE, stdout: int | None = subprocess.PIPE,
                 prefix: Sequence[str] = ()) -> None:
        if not os.access(kernel, os.X_OK):
            raise Fatal(f"no kernel at {kernel}: `make kernel` builds it")
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)     # stubs of a dead kernel
        # The path of a socket in there has room for 107 bytes.
        short = len(tempfile.gettempdir()) < 60
        self.dir = tempfile.mkdtemp(prefix="uml-mm-", dir=None if short else "/tmp")
        self.keeper = subprocess.Popen(
            ["sh", "-c", 'read -r _; exec rm -rf -- "$1"', "-", self.dir],
            stdin=subprocess.PIPE, start_new_session=True)
        runner = os.getpid()
        args, folder = from_anywhere(args)

        def in_child() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)    # gdb -p
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            if os.getppid() != runner:
                os._exit(1)

        try:
            self.proc = subprocess.Popen(
                [*prefix, str(kernel.resolve()), f"uml_dir={padded(self.dir, 76)}/", *args],
                stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT if stdout else None,
                cwd=folder, start_new_session=True, preexec_fn=in_child)
        except BaseException:
            self._drop_folder()
            raise

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_exc: object) -> None:
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.proc.wait()
        for pipe in (self.proc.stdin, self.proc.stdout):
            if pipe:
                pipe.close()
        try:
            while True:
                os.waitpid(-self.proc.pid, 0)
        except ChildProcessError:
            pass
        self._drop_folder()

    def _drop_folder(self) -> None:
        assert self.keeper.stdin
        self.keeper.stdin.close()
        self.keeper.wait()


def boot(kernel: Path, kernel_args: Iterable[str] = (), init_args: Iterable[str] = (), *,
         timeout: int = TEST_TIMEOUT, grace: float | None = None, stack: bool = True,
         cpu: int | None = None, prefix: Sequence[str] = (),
         sink: Callable[[bytes], object] = lambda data: None) -> Run:
    """Boot a guest and follow its console to the end.

    Args:
        kernel_args: e.g. hostfs(...), "seccomp=off", "mem=2G".
        init_args: what follows "--": test names, or another of init's verbs.
        timeout: seconds that init gives one test; the guest counts as hung
            when its console is silent for grace seconds more; None: GRACE.
        stack: look at a hung kernel with gdb.
        cpu: the host CPU to run on; None leaves the choice to the kernel.
        prefix: a command that runs the kernel, e.g. setpriv.
        sink: takes the console's bytes as they come.

    Raises:
        Fatal: the kernel can't be started.
    """
    args = [*kernel_args, "--", f"timeout={timeout}", *init_words(init_args)]
    start = time.monotonic()
    output, problem, trace = bytearray(), "", ""
    with Guest(kernel, args, cpu=cpu, prefix=prefix) as guest:
        assert guest.proc.stdout
        console, ended = guest.proc.stdout.fileno(), os.pidfd_open(guest.proc.pid)
        os.set_blocking(console, False)
        grace = GRACE if grace is None else grace
        deadline = start + timeout + grace
        searched, panicked = 0, False
        try:
            while True:
                wait = max(0.0, deadline - time.monotonic())
                ready, _, _ = select.select([console, ended], [], [], wait)
                data = b""
                if console in ready:
                    data = os.read(console, 1 << 16)
                    sink(data)
                    output += data
                    if not panicked:
                        deadline = time.monotonic() + timeout + grace
                if not panicked and output.find(b"Kernel panic - not", searched) >= 0:
                    panicked, deadline = True, time.monotonic() + PANIC_GRACE
                searched = max(0, len(output) - 18)
                if not data and ended in ready:
                    break
                if not ready or len(output) > MAX_OUTPUT:
                    if not panicked:
                        trace = backtrace(kernel, guest.proc.pid) if stack else ""
                        problem = ("hung: babbling" if ready else
                                   f"hung: silent for {timeout + grace} s")
                    break
                if not data and console in ready:       # closed, not yet ended
                    if not select.select([ended], [], [], PANIC_GRACE)[0]:
                        problem = "hung: closed its console but didn't end"
                    break
        finally:
            os.close(ended)
        returncode = guest.proc.poll()
    text = output.decode(errors="replace").replace("\r\n", "\n")
    if m := PANIC.search(text):
        problem = f"kernel panic: {m[1]}"
    elif not problem and (returncode is None or returncode < 0):
        problem = f"killed by {signal.Signals(-(returncode or -9)).name}"
    elif not problem and (splat := stray_splat(text)):
        problem = f"kernel complaint: {splat}"
    if (problem or returncode) and (cause := explain(text, returncode or 0)):
        problem = cause
    status = 1 if problem else returncode or 0
    return Run(status, problem, parse(text), text, time.monotonic() - start, trace)


def guest_options(parser: argparse.ArgumentParser) -> None:
    """Options of every script that boots a guest; guest_args() takes them."""
    parser.add_argument("--kernel", type=Path, default=BUILD / "default/linux")
    parser.add_argument("--rootfs", type=Path, default=BUILD / "rootfs",
                        help="the guest's root as a folder")
    parser.add_argument("--append", default="", metavar="ARGS", help="more kernel arguments")


def guest_args(options: argparse.Namespace) -> list[str]:
    """The kernel's arguments by guest_options()."""
    return [*hostfs(options.rootfs), *options.append.split()]
