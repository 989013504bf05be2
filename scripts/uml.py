#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Boot linux/linux and judge what it did: the only way that this project boots.

A guest ends in a verdict, whatever happens to it: the exit status that its
init wrote, or a panic, or a hang with a backtrace of the kernel. Nothing is
left behind, even when the runner itself is killed.
"""

from __future__ import annotations

import argparse
import ctypes
import difflib
import fnmatch
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from common import BUILD, ROOT, Fatal, main, say

# Kernel messages that no run may print; rootfs/init.c has the same list for
# what happens while a test runs, where a test may announce one.
SPLAT = re.compile(
    r"BUG:|kernel BUG at|WARNING:|Oops|Kernel panic|KASAN:|UBSAN:|Bad page|"
    r"possible circular locking|possible recursive locking|suspicious RCU usage|"
    r"inconsistent lock state|possible irq lock inversion|bad unlock balance|"
    r"held lock freed|blocked for more than|shmem_evict_inode:")
RESULT = re.compile(r"(ok|not ok) \d+ (\S+)(?: # SKIP ?(.*))?$")
PANIC = re.compile(r"Kernel panic - not syncing: (.*)")

TEST_TIMEOUT = 60       # seconds that init gives a test
GRACE = 20              # more seconds of silence until the guest counts as hung
VERBS = ("list", "sh", "panic", "hang")     # init's, besides tests
PANIC_GRACE = 5         # seconds from a panic to the end of the process
MAX_OUTPUT = 64 << 20   # bytes after which a guest counts as babbling

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_PTRACER = 1, 36, 0x59616D61
_libc = ctypes.CDLL(None, use_errno=True)


class Test(NamedTuple):
    """One test's line in the KTAP, with its own output before it."""

    name: str
    outcome: str        # "pass", "fail" or "skip"
    reason: str         # of a skip
    output: str


class Run(NamedTuple):
    """How a guest ended."""

    status: int         # the runner's: 0 good, else the guest's status or 1
    problem: str        # one line; empty when the guest powered off cleanly
    tests: list[Test]
    output: str         # the whole console
    seconds: float      # wall time from start to end
    backtrace: str      # of the hung kernel


def hostfs(root: Path) -> list[str]:
    """The kernel arguments for a root file system that is a host's folder."""
    return ["root=/dev/root", "rootfstype=hostfs", f"rootflags={root.resolve()}",
            "ro", "init=/init"]


def test_names(rootfs: Path) -> list[str]:
    """The tests in a rootfs folder, in the order that init runs them."""
    return sorted(p.name for p in (rootfs / "tests").iterdir())


def match(patterns: Sequence[str], rootfs: Path) -> list[str]:
    """The tests that names or globs mean; all for none.

    Raises:
        Fatal: one of them means no test; the message names the near ones.
    """
    tests = test_names(rootfs)
    bench = sorted(p.name for p in (rootfs / "bench").iterdir())
    chosen: set[str] = set() if patterns else set(tests)
    for pattern in patterns:
        pool = bench if pattern.startswith("bench_") else tests
        hits = fnmatch.filter(pool, pattern)
        if not hits:
            near = [t for t in tests + bench if pattern in t] or \
                difflib.get_close_matches(pattern, tests + bench, 5, 0.5)
            raise Fatal(f"no test '{pattern}'" +
                        (f"; near: {', '.join(near[:8])}" if near else
                         "; `make list` lists them"))
        chosen.update(hits)
    return [t for t in tests + bench if t in chosen]


def match_one(pattern: str, rootfs: Path) -> str:
    """The test that a name or glob means.

    Raises:
        Fatal: it means none, or more than one.
    """
    if not pattern:
        raise Fatal("which test? T=<test>; `make list` lists them")
    tests = match([pattern], rootfs)
    if len(tests) > 1:
        raise Fatal(f"one test at a time: {', '.join(tests)}")
    return tests[0]


def parse(output: str) -> list[Test]:
    """The tests of a console's KTAP."""
    tests, own = [], []
    for line in output.splitlines():
        if m := RESULT.match(line):
            outcome = "fail" if m[1] == "not ok" else "pass" if m[3] is None else "skip"
            tests.append(Test(m[2], outcome, m[3] or "", "\n".join(own)))
            own = []
        else:
            own.append(line)
    return tests


def stray_splat(output: str) -> str:
    """The first splat outside of the tests (init judges those inside)."""
    inside = False
    for line in output.splitlines():
        if line.startswith("1.."):
            inside = True
        elif line.startswith("# totals:"):
            inside = False
        elif not inside and SPLAT.search(line):
            return line.strip()
    return ""


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

        def in_child() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)    # gdb -p
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            if os.getppid() != runner:
                os._exit(1)

        try:
            self.proc = subprocess.Popen(
                [*prefix, str(kernel), f"uml_dir={self.dir}/", *args], stdin=stdin,
                stdout=stdout, stderr=subprocess.STDOUT if stdout else None,
                start_new_session=True, preexec_fn=in_child)
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


def init_words(words: Iterable[str]) -> list[str]:
    """The words for init; the kernel hands on 128 at most, so many names are one."""
    words = list(words)
    return [",".join(words)] if len(words) > 100 and words[0] not in VERBS else words


def boot(kernel: Path, kernel_args: Iterable[str] = (), init_args: Iterable[str] = (), *,
         timeout: int = TEST_TIMEOUT, cpu: int | None = None, prefix: Sequence[str] = (),
         sink: Callable[[bytes], object] = lambda data: None) -> Run:
    """Boot a guest and follow its console to the end.

    Args:
        kernel_args: e.g. hostfs(...), "seccomp=off", "mem=2G".
        init_args: what follows "--": test names, or another of init's verbs.
        timeout: seconds that init gives one test; the guest counts as hung
            when its console is silent for GRACE seconds more.
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
        deadline = start + timeout + GRACE
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
                        deadline = time.monotonic() + timeout + GRACE
                if not panicked and output.find(b"Kernel panic - not", searched) >= 0:
                    panicked, deadline = True, time.monotonic() + PANIC_GRACE
                searched = max(0, len(output) - 18)
                if not data and ended in ready:
                    break
                if not ready or len(output) > MAX_OUTPUT:
                    if not panicked:
                        trace = backtrace(kernel, guest.proc.pid)
                        problem = ("hung: babbling" if ready else
                                   f"hung: silent for {timeout + GRACE} s")
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


def shell(kernel: Path, args: Sequence[str]) -> int:
    """An interactive shell in a guest on this terminal; returns its status."""
    tty = termios.tcgetattr(0) if os.isatty(0) else None
    stdin = None if tty or not os.path.samestat(os.fstat(0), os.stat(os.devnull)) \
        else subprocess.PIPE
    signal.signal(signal.SIGINT, lambda *_: None)   # Ctrl-C belongs to the guest
    try:
        with Guest(kernel, [*args, "--", "sh"], stdin=stdin, stdout=None) as guest:
            return guest.proc.wait()
    finally:
        if tty:
            termios.tcsetattr(0, termios.TCSADRAIN, tty)


def running(kernel: Path) -> list[int]:
    """The guests that run a program, by the pid of their kernel."""
    def exe(pid: str) -> str:
        try:
            return os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return ""

    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and exe(entry.name) == str(kernel.resolve()):
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if exe(parent) != str(kernel.resolve()):     # not a helper of one
                found.append(int(entry.name))
    return sorted(found)


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


def gdb_command(kernel: Path) -> list[str]:
    """gdb with the mm- commands.

    Raises:
        Fatal: there is none, or one without Python.
    """
    try:
        probe = subprocess.run(["gdb", "-nx", "-batch", "-ex", "python print(6 * 7)"],
                               capture_output=True, text=True)
    except FileNotFoundError:
        raise Fatal("gdb is not installed: see `make deps`") from None
    if "42" not in probe.stdout:
        raise Fatal("this gdb has no Python, which the mm- commands need (Debian: gdb, "
                    "not gdb-minimal)")
    return ["gdb", "-q", "-iex", "set debuginfod enabled off",
            *gdb_index(kernel),
            "-iex", "set auto-load python-scripts off",
            "-ex", "set confirm off", "-ex", "set pagination off",
            "-ex", f"source {ROOT}/scripts/gdb/linux-gdb.py"]


def debug(kernel: Path, args: Sequence[str], tests: Sequence[str], *, stop_at: str = "",
          attach: str = "") -> int:
    """gdb on a guest, with the mm- commands; gdb's exit status.

    Args:
        tests: names; it stops where one of them begins. Without any, it doesn't run.
        stop_at: a function or file:line where to stop a test instead.
        attach: the pid of a guest to attach to, or "1" for the only one.

    Raises:
        Fatal: no gdb, one without Python, or no guest to attach to.
    """
    gdb = gdb_command(kernel)
    signal.signal(signal.SIGINT, lambda *_: None)   # Ctrl-C belongs to gdb
    if attach:
        guests = running(kernel)
        if attach != "1":
            guests = [pid for pid in guests if pid == int(attach)] if attach.isdigit() else []
        if len(guests) != 1:
            raise Fatal(f"guests that run {kernel}: {', '.join(map(str, guests))}; "
                        f"ATTACH=<pid> chooses one" if guests else
                        f"no guest runs {kernel}" + (f" as {attach}" if attach != "1" else ""))
        return subprocess.call([*gdb, "-p", str(guests[0]), str(kernel)])
    if stop_at or tests:
        gdb += ["-ex", f"python mm.session.debug({stop_at!r}, {list(tests)!r})"]
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as folder:
        return subprocess.call([*gdb, "--args", str(kernel), f"uml_dir={folder}/", "page_owner=on",
                                *args, "--", "timeout=86400", *init_words(tests)])


class Console:
    """Show a guest's console on stdout as it comes.

    The tests' own lines are indented. When terse, only those of a test that
    fails are shown, or of the one in which the guest ended.
    """

    def __init__(self, terse: bool) -> None:
        self.terse = terse
        self.rest = b""
        self.held: list[bytes] = []

    def take(self, data: bytes) -> None:
        """Show what came."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r") + b"\n"
            if self.terse and line.startswith(b"  "):
                self.held.append(line)
                continue
            if line.startswith(b"ok "):
                self.held.clear()
            elif line.startswith(b"not ok "):
                self.flush()
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def flush(self) -> None:
        """Show what was held back."""
        sys.stdout.buffer.write(b"".join(self.held))
        self.held.clear()

    def end(self) -> None:
        """Show the rest, at the guest's end."""
        self.flush()
        sys.stdout.buffer.write(self.rest)
        sys.stdout.buffer.flush()


def guest_options(parser: argparse.ArgumentParser) -> None:
    """Options of every script that boots a guest; guest_args() takes them."""
    parser.add_argument("--kernel", type=Path, default=BUILD / "default/linux")
    parser.add_argument("--rootfs", type=Path, default=BUILD / "rootfs",
                        help="the guest's root as a folder")
    parser.add_argument("--append", default="", metavar="ARGS", help="more kernel arguments")


def guest_args(options: argparse.Namespace) -> list[str]:
    """The kernel's arguments by guest_options()."""
    return [*hostfs(options.rootfs), *options.append.split()]


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tests", nargs="*", metavar="TEST",
                        help="names or globs, all for none; or a verb of init's")
    guest_options(parser)
    parser.add_argument("--embedded", action="store_true",
                        help="boot the rootfs inside the kernel instead")
    parser.add_argument("--timeout", type=int, default=TEST_TIMEOUT, metavar="SECS",
                        help="for one test (default %(default)s)")
    parser.add_argument("--verbose", action="store_true",
                        help="show the output of passing tests, even of more than one")
    parser.add_argument("--shell", action="store_true", help="an interactive shell instead")
    parser.add_argument("--gdb", metavar="PLACE", nargs="?", const="",
                        help="under gdb, stopped at a function or file:line")
    parser.add_argument("--attach", metavar="PID",
                        help="gdb on the guest that runs already, 1 for the only one")
    options = parser.parse_args()
    args = options.append.split() if options.embedded else guest_args(options)
    if options.attach:
        return debug(options.kernel, [], [], attach=options.attach)
    if options.shell:
        return shell(options.kernel, args)
    tests: list[str] = options.tests
    if tests == ["changed"]:
        import gcov         # takes its time, and imports this
        tests = gcov.changed_tests(options.rootfs)
        if not tests:
            return 0
    elif tests and tests[0] not in VERBS and not options.embedded:
        tests = match(tests, options.rootfs)
    if options.gdb is not None:
        if options.gdb and not tests:
            tests = test_names(options.rootfs)
        return debug(options.kernel, args, tests, stop_at=options.gdb)

    console = Console(terse=len(tests) != 1 and not options.verbose)
    try:
        run = boot(options.kernel, args, tests, timeout=options.timeout, sink=console.take)
    finally:
        console.end()
    if run.backtrace:
        print(run.backtrace, file=sys.stderr)
    if run.problem:
        say(run.problem)
    return run.status


if __name__ == "__main__":
    main(command)
