# SPDX-License-Identifier: GPL-2.0
"""How guests end, and what the runner makes of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path

import pytest
from conftest import ROOTFS, Boot, in_session, session_with_stub

from scripts.guest import abreast, ktap, machine, testlist
from scripts.guest.console import Console

RUNNER = ["/usr/bin/python3", "-m", "scripts.guest.run"]
needs_busybox = pytest.mark.skipif(not (ROOTFS / "bin/busybox").exists(),
                                   reason="no busybox-static on this machine")


def plain(kernel: Path, *args: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    """Run the program alone, as a user would."""
    with tempfile.TemporaryDirectory() as home:     # UML leaves a .uml in it
        return subprocess.run([kernel, *args], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env={"PATH": os.defpath, "HOME": home})


# ---- the program alone

def test_alone_begins_with_everything(kernel: Path) -> None:
    names, lines = testlist.names(ROOTFS), list[str]()
    with machine.Guest(kernel, []) as guest:    # test_guest.py has an item for each
        assert guest.proc.stdout
        for line in guest.proc.stdout:
            lines += [line.decode().strip()] * (not line.startswith(b" "))
            if len(lines) == 4:
                break
    assert lines == ["KTAP version 1", f"1..{len(names)}", f"ok 1 {names[0]}", f"ok 2 {names[1]}"]


def test_alone_runs_some(kernel: Path) -> None:
    done = plain(kernel, "--", "um_kunit*", "thp_zero_*")
    tests = ktap.parse(done.stdout)
    assert [t.name for t in tests if t.outcome == "pass"] == \
        [t.name for t in tests] == \
        [name for name in testlist.names(ROOTFS) if name.startswith(("thp_zero_", "um_kunit"))]
    assert done.returncode == 0 and done.stdout.startswith(f"KTAP version 1\n1..{len(tests)}\n")
    assert done.stdout.endswith(f"# totals: {len(tests)} passed, 0 failed, 0 skipped\n")


def test_alone_runs_one(kernel: Path) -> None:
    done = plain(kernel, "--", "boot_hello")
    assert (done.returncode, done.stdout.count("ok 1 boot_hello")) == (0, 1)


def test_alone_does_not_know_a_test(kernel: Path) -> None:
    done = plain(kernel, "--", "boot_helo")
    assert done.returncode == 2 and "boot_hello" in done.stdout + done.stderr


def test_alone_lists(kernel: Path) -> None:
    assert set(testlist.names(ROOTFS)) <= set(plain(kernel, "--", "list").stdout.split())


def test_program_is_small_and_static(kernel: Path) -> None:
    assert (ROOTFS.parent / "rootfs.cpio").stat().st_size < 10 << 20
    assert "INTERP" not in subprocess.run(["readelf", "-lW", kernel], capture_output=True,
                                          text=True, check=True).stdout


@pytest.mark.parametrize("environment", [[], ["LAST=" + "x" * 100_000]])
def test_alone_without_an_environment(kernel: Path, environment: list[str]) -> None:
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(["env", "-i", *environment, kernel, "--", "boot_hello"],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=60, cwd=home)
    assert done.returncode == 0 and "ok 1 boot_hello" in done.stdout


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_alone_with_standard_files_closed(kernel: Path, closed: list[int]) -> None:
    redirections = " ".join(f"{fd}>&-" for fd in closed)
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(["sh", "-c", f'exec "$0" -- boot_hello {redirections}', kernel],
                              capture_output=True, text=True, timeout=60,
                              env={"PATH": os.defpath, "HOME": home})
    assert done.returncode == 0 and ("ok 1 boot_hello" in done.stdout) == (1 not in closed)


def test_output_to_a_file_and_stdin_from_one(kernel: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("w") as f, open("/dev/null") as null:
        subprocess.run([kernel, "--", "boot_hello"], stdin=null, stdout=f, check=True, timeout=60)
    assert "ok 1 boot_hello" in out.read_text()


@needs_busybox
@pytest.mark.parametrize("alone", [True, False])
def test_shell_on_a_terminal(alone: bool, kernel: Path, nothing_left: list[int]) -> None:
    try:
        ours, theirs = pty.openpty()
    except OSError as why:
        pytest.skip(f"no pseudo-terminals: {why}")
    command = [str(kernel), "--", "sh"] if alone else [*RUNNER, "--kernel", str(kernel), "--shell"]
    home = tempfile.TemporaryDirectory(dir="/tmp")
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=True, env={**os.environ, "HOME": home.name})
    nothing_left.append(process.pid)
    os.close(theirs)
    output = b""

    def expect(what: bytes) -> None:
        nonlocal output
        end = time.monotonic() + 20
        while what not in output:
            assert time.monotonic() < end, output
            if select.select([ours], [], [], 1)[0]:
                try:
                    output += os.read(ours, 4096)
                except OSError:         # the other end is closed
                    break
        assert what in output
        output = output.partition(what)[2]

    try:
        expect(b"# ")
        os.write(ours, b"grep MemTotal /proc/meminfo; ls /sys/kernel/debug | wc -l\n")
        expect(b" kB")
        os.write(ours, b"sleep 100\n")
        expect(b"sleep 100")
        time.sleep(0.3)
        os.write(ours, b"\x03")         # Ctrl-C ends the command, not the guest
        expect(b"# ")
        os.write(ours, b"echo still $((40 + 2)) here; exit 3\n")
        expect(b"still 42 here")
        assert process.wait(20) == 3
    finally:
        process.kill()
        os.close(ours)
        home.cleanup()


@needs_busybox
def test_own_root_takes_precedence(kernel: Path, tmp_path: Path) -> None:
    for name in ("bin", "proc", "sys", "dev"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOTFS / "bin/busybox", tmp_path / "bin/busybox")
    program = tmp_path / "bin/start"
    program.write_text("#!/bin/busybox sh\n/bin/busybox mount -t proc proc /proc\n"
                       "echo my own root, $(/bin/busybox ls / | /bin/busybox wc -l) folders\n"
                       "echo 7 >/proc/exitcode\n/bin/busybox poweroff -f\n")
    program.chmod(0o755)
    done = plain(kernel, "root=/dev/root", "rootfstype=hostfs", f"rootflags={tmp_path}", "rw",
                 "init=/bin/start", timeout=60)
    assert (done.returncode, "my own root, 4 folders" in done.stdout) == (7, True), done.stdout


# ---- endings

def test_good_ending(boot: Boot, nothing_left: list[int]) -> None:
    run = boot("boot_hello")
    assert (run.status, run.problem, [t.outcome for t in run.tests]) == (0, "", ["pass"])


@pytest.mark.parametrize("mode", ["on", "off"])
def test_panic(mode: str, boot: Boot, nothing_left: list[int]) -> None:
    run = boot("panic", f"seccomp={mode}")
    assert run.status == 1 and run.problem.startswith("kernel panic: "), run
    assert run.seconds < 10


@pytest.mark.parametrize("mode", ["on", "off"])
def test_hang(mode: str, boot: Boot, nothing_left: list[int],
              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "GRACE", 2)
    run = boot("hang", f"seccomp={mode}", timeout=1)
    assert run.status == 1 and run.problem == "hung: silent for 3 s", run
    if shutil.which("gdb"):
        assert re.search(r"^#\d+ .* in \w+", run.backtrace, re.M), run.backtrace


@needs_busybox
@pytest.mark.parametrize("mode", ["on", "off"])
def test_status_of_the_guest(mode: str, boot: Boot, nothing_left: list[int]) -> None:
    assert boot("sh -c exit 5", f"seccomp={mode}").status == 5


def umids(home: Path) -> list[Path]:
    """The folders of guests in a user's home."""
    return sorted((home / ".uml").glob("*"))


@pytest.mark.parametrize("mode", ["on", "off"])
def test_alone_panic(mode: str, kernel: Path, nothing_left: list[int], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [kernel, f"seccomp={mode}", "ncpus=1", "--", "panic"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, text=True,
        env={"PATH": os.defpath, "HOME": str(tmp_path)})
    nothing_left.append(process.pid)
    output, _ = process.communicate(timeout=60)
    assert "Kernel panic" in output
    assert process.returncode == -signal.SIGABRT and umids(tmp_path) == []


@pytest.mark.parametrize("sent, status", [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("mode", ["on", "off"])
def test_alone_is_ended(sent: signal.Signals, status: int, mode: str, kernel: Path,
                        nothing_left: list[int], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [kernel, f"seccomp={mode}", "ncpus=1", "--", "hang"], stdin=subprocess.DEVNULL,
        start_new_session=True, env={"PATH": os.defpath, "HOME": str(tmp_path)})
    nothing_left.append(process.pid)
    session_with_stub(process.pid)
    process.send_signal(sent)
    assert process.wait(30) == status and umids(tmp_path) == []


def test_nohup(kernel: Path, nothing_left: list[int], tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["nohup", kernel, "--", "hang"], stdin=subprocess.DEVNULL, start_new_session=True,
        env={"PATH": os.defpath, "HOME": str(tmp_path)})
    nothing_left.append(process.pid)
    session_with_stub(process.pid)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143


def test_folder_of_a_killed_one(kernel: Path, nothing_left: list[int], tmp_path: Path) -> None:
    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([kernel, "--", "hang"], stdin=subprocess.DEVNULL,
                                   start_new_session=True,
                                   env={"PATH": os.defpath, "HOME": str(tmp_path)})
        nothing_left.append(process.pid)
        deadline = time.monotonic() + 30
        while not any(path.read_text().strip() == str(process.pid)
                      for path in tmp_path.glob(".uml/*/pid")) and time.monotonic() < deadline:
            time.sleep(0.02)
        return process

    killed = start()
    killed.kill()
    killed.wait()
    assert len(umids(tmp_path)) == 1
    running = start()
    [folder] = umids(tmp_path)
    done = subprocess.run([kernel, "--", "boot_hello"], stdin=subprocess.DEVNULL,
                          env={"PATH": os.defpath, "HOME": str(tmp_path)}, timeout=60)
    assert done.returncode == 0 and umids(tmp_path) == [folder]
    running.terminate()
    assert running.wait(30) == 143 and umids(tmp_path) == []


@needs_busybox
@pytest.mark.parametrize("controlling", [True, False])
def test_terminal_goes_away(controlling: bool, kernel: Path, nothing_left: list[int],
                            tmp_path: Path) -> None:
    ours, theirs = pty.openpty()

    def in_child() -> None:
        if controlling:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [kernel, "--", "sh"], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=in_child,
        env={"PATH": os.defpath, "HOME": str(tmp_path)})
    nothing_left.append(process.pid)
    os.close(theirs)
    output = b""
    while b"# " not in output:
        assert select.select([ours], [], [], 20)[0], output
        output += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(20) == 129 and umids(tmp_path) == []


def test_babbling_guest(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_OUTPUT", 10)
    run = boot("boot_hello")
    assert run.status == 1 and "babbling" in run.problem


@pytest.mark.parametrize("sent, status", [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)])
@pytest.mark.parametrize("mode", ["on", "off"])
def test_runner_is_ended(sent: signal.Signals, status: int, mode: str, kernel: Path,
                         nothing_left: list[int], tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": ""}
    runner = subprocess.Popen(
        [*RUNNER, "--kernel", kernel, "--append", f"seccomp={mode}", "hang"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    try:
        guest = wait_for_guest(runner.pid, kernel)
        folder = next(Path(a.removeprefix("uml_dir=")) for a in cmdline(guest)
                      if a.startswith("uml_dir="))
        assert folder.exists()
        nothing_left.append(guest)
        session_with_stub(guest)
        runner.send_signal(sent)
        assert runner.wait(30) == status
    finally:
        runner.kill()
    for _ in range(50):
        if not folder.exists() and not in_session(guest):
            break
        time.sleep(0.1)
    assert not folder.exists()


def cmdline(pid: int) -> list[str]:
    """A process's arguments."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def wait_for_guest(runner: int, kernel: Path) -> int:
    """The kernel's pid, a child of the runner, once it has been executed."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            children = Path(f"/proc/{runner}/task/{runner}/children").read_text().split()
        except OSError:
            children = []
        for child in map(int, children):
            if cmdline(child)[:1] == [str(kernel)]:
                return child
        time.sleep(0.02)
    raise AssertionError("the runner started no guest")


# ---- placement

@needs_busybox
@pytest.mark.parametrize("pin", [True, False])
def test_pin(pin: bool, kernel: Path, nothing_left: list[int]) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this host gives us one CPU")
    args = [*machine.hostfs(ROOTFS), *([] if pin else ["pin=off"]), "--", "hang"]
    with machine.Guest(kernel, args) as guest:
        nothing_left.append(guest.proc.pid)
        masks = None
        while masks is None:    # a program's first stub goes when it calls exec()
            with contextlib.suppress(ProcessLookupError):
                masks = {frozenset(os.sched_getaffinity(pid))
                         for pid in session_with_stub(guest.proc.pid)}
    assert len(masks) == 1
    [mask] = masks
    assert len(mask) == 1 if pin else mask == os.sched_getaffinity(0)


# ---- what a host forbids

def filtered(deny: list[int]) -> list[str]:
    """A command prefix that refuses system calls (EPERM), under no_new_privs."""
    program = [struct.pack("HBBI", 0x20, 0, 0, 0)]                          # load the number
    for number in deny:
        program += [struct.pack("HBBI", 0x15, 0, 1, number),                # that one?
                    struct.pack("HBBI", 0x06, 0, 0, 0x00050001)]            # EPERM
    program += [struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000)]                # allow
    code = b"".join(program)
    return ["/usr/bin/python3", "-c", f"""
import ctypes, os, sys
libc = ctypes.CDLL(None)
code = ctypes.create_string_buffer({code!r})
class Prog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(Prog({len(program)}, ctypes.addressof(code)))) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""]


PTRACE, SECCOMP = 101, 317      # x86-64


def test_no_ptrace(boot: Boot) -> None:
    assert boot("boot_hello thp_write_fault", prefix=filtered([PTRACE])).status == 0


def test_no_seccomp(boot: Boot) -> None:
    run = boot("boot_hello thp_write_fault", "ncpus=1", prefix=filtered([SECCOMP]))
    assert run.status == 0, run.output


def test_neither(boot: Boot) -> None:
    run = boot("boot_hello", "ncpus=1", prefix=filtered([PTRACE, SECCOMP]))
    assert run.status == 1 and "refuses both seccomp filters and ptrace" in run.problem, run


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_copied_elsewhere_as_nobody(home: str, kernel: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root to become nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        shutil.copy(kernel, f"{folder}/linux")
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
             f"{folder}/linux", "--", "boot_hello", "thp_write_fault"], cwd="/",
            env={"PATH": os.defpath, "HOME": home or folder}, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def with_shm(options: str, *args: str, tmpdir: str = "") -> subprocess.CompletedProcess[str]:
    """Run the runner where /dev/shm is a tmpfs of another kind."""
    enter = ["unshare", "-rm", "--propagation=private"]
    if subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    script = f'mount -t tmpfs -o {options} tmpfs /dev/shm && exec "$@"'
    return subprocess.run([*enter, "sh", "-c", script, "-", *RUNNER, *args],
                          capture_output=True, text=True,
                          env={**os.environ, "TMPDIR": tmpdir})


def test_shm_noexec(kernel: Path) -> None:
    done = with_shm("noexec", "--kernel", str(kernel), "boot_hello", tmpdir="/dev/shm")
    assert done.returncode == 1 and "/dev/shm is mounted noexec" in done.stderr, done


def test_shm_full(kernel: Path) -> None:
    done = with_shm("size=12M", "--kernel", str(kernel), "boot_hello", "thp_write_fault",
                    tmpdir="/dev/shm")
    assert done.returncode == 1 and "/dev/shm is full" in done.stderr, done
    assert re.search(r"/dev/shm has room for \d+ MB, and the memory of 1024 MB", done.stdout), done


@pytest.mark.parametrize("options", ["noexec", "size=12M", "size=64M"])
def test_memory_without_shm(options: str, kernel: Path) -> None:
    done = with_shm(options, "--kernel", str(kernel), "boot_hello", "thp_write_fault")
    assert done.returncode == 0 and "has room" not in done.stdout, done


@pytest.mark.parametrize("limit, said", [
    ("-f 1000", "The memory is a file of 102[45] MB, which ulimit -f does not allow"),
    ("-n 12", "ulimit -n allows 12 open files, and at least 64 are needed")])
def test_limit_is_named(limit: str, said: str, kernel: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f'ulimit {limit} && exec "$0" -- boot_hello', kernel],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env={"PATH": os.defpath, "HOME": str(tmp_path)})
    assert done.returncode == 1 and re.search(said, done.stderr), done
    assert (done.stdout + done.stderr).count("\n") == 1, done


def test_few_files_are_enough(kernel: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", 'ulimit -n 64 && exec "$0" -- boot_hello thp_cow_child_writes', kernel],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env={"PATH": os.defpath, "HOME": str(tmp_path)})
    assert done.returncode == 0, done


def test_too_many_mappings_are_explained() -> None:
    text = "UML ran out of memory on the host side! This can happen due to a memory limitation"
    assert "vm.max_map_count=" in machine.explain(text, 0)


# ---- the command line

def test_ignored_options_are_named(kernel: Path) -> None:
    done = plain(kernel, "numa=off", "RACE_SECS=1", "memmap=1G", "--", "boot_hello", timeout=60)
    assert done.returncode == 0
    lines = (done.stdout + done.stderr).splitlines()
    assert [line.strip() for line in lines if "ignores" in line] == [
        "uml-mm: this kernel ignores numa=off", "uml-mm: this kernel ignores memmap=1G"]


def cli(kernel: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The runner's command line."""
    return subprocess.run([*RUNNER, "--kernel", kernel, *args], capture_output=True, text=True)


def test_more_names_than_the_kernel_has_words(boot: Boot, nothing_left: list[int]) -> None:
    run = boot(" ".join(["boot_hello"] * 200 + ["um_exitcode"]))
    assert (run.status, [t.name for t in run.tests]) == (0, ["boot_hello", "um_exitcode"]), run


def test_unknown_test(kernel: Path) -> None:
    done = cli(kernel, "thp_write_falt")
    assert done.returncode == 2 and "near: thp_write_fault" in done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_globs(kernel: Path) -> None:
    done = cli(kernel, "boot_*", "thp_zero_r*")
    assert done.returncode == 0, done
    assert [t.name for t in ktap.parse(done.stdout)] == ["boot_hello", "thp_zero_read_fault"]


@pytest.mark.parametrize("mem", [192, 256, 272, 288, 384])
def test_too_little_memory(kernel: Path, mem: int) -> None:
    done = cli(kernel, "--append", f"mem={mem}M", "thp_write_fault")
    assert done.returncode == 2 and "mem=" in done.stdout and "512 MB" in done.stdout, done


def test_next_to_no_memory_for_the_kernel(kernel: Path) -> None:
    ends = set()
    for mem in range(252, 292, 4):      # it depends on the program's size which ones fail
        done = plain(kernel, f"mem={mem}M", "movablecore=256M", "--", "boot_hello")
        good = done.returncode == 0 and "ok 1 boot_hello" in done.stdout
        assert good or "Kernel panic - not syncing: " in done.stdout, (mem, done)
        ends.add(good)
    assert ends == {True, False}


def test_without_pseudo_terminals(kernel: Path) -> None:
    hide = ["unshare", "--map-root-user", "--mount", "sh", "-c",
            'mount -t tmpfs none /dev/pts && exec "$@"', "-"]
    if subprocess.run([*hide, "true"], capture_output=True).returncode:
        pytest.skip("no namespace to hide the pseudo-terminals in")
    done = subprocess.run([*hide, kernel, "--", "boot_hello"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("KTAP version 1\n"), done.stdout


def test_no_kernel(tmp_path: Path) -> None:
    done = cli(tmp_path / "linux", "boot_hello")
    assert done.returncode == 2 and "make kernel" in done.stderr


def test_gdb(kernel: Path) -> None:
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    done = subprocess.run(
        [*RUNNER, "--kernel", kernel, "--gdb", "do_huge_pmd_anonymous_page", "thp_write_fault"],
        input="bt 2\nfinish\ndelete\ncontinue\nquit\n", capture_output=True, text=True, timeout=60)
    assert re.search(r"Breakpoint 1.* do_huge_pmd_anonymous_page", done.stdout), done.stdout
    assert re.search(r"exited normally", done.stdout), done.stdout


# ---- reading a console

@pytest.mark.parametrize("terse", [True, False])
def test_terse_console(terse: bool, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text = b"1..3\n  # a\nok 1 a\n  # b\r\nnot ok 2 b\n[ 1.0] message\n  # c\npanic"
    console = Console(terse)
    for at in range(len(text)):
        console.take(text[at:at + 1])
    console.end()
    whole = text.replace(b"\r", b"")
    assert capfdbinary.readouterr().out == (whole.replace(b"  # a\n", b"") if terse else whole)


@pytest.mark.parametrize("terse", [True, False])
def test_consoles_side_by_side(terse: bool, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    results = abreast.Results(4, terse)
    one, two = abreast.Part(results), abreast.Part(results)
    one.take(b"KTAP version 1\n1..2\n  # a\nok 1 a\n  # c")
    two.take(b"KTAP version 1\n1..2\n[ 1.0] message\n  # b\r\nnot ok 1 b # why\n  # d\n")
    one.take(b"\nok 2 c # SKIP no\n# totals: 1 passed, 0 failed, 1 skipped\n")
    two.take(b"panic")
    one.end()
    two.end()
    whole = (b"KTAP version 1\n1..4\n  # a\nok 1 a\n[ 1.0] message\n  # b\nnot ok 2 b # why\n"
             b"  # c\nok 3 c # SKIP no\n  # d\npanic")
    for own in (b"  # a\n", b"  # c\n") if terse else ():
        whole = whole.replace(own, b"")
    assert capfdbinary.readouterr().out == whole


def test_all_side_by_side(kernel: Path, tmp_path: Path, cpu: int,
                          capfd: pytest.CaptureFixture[str]) -> None:
    names = ["boot_hello", "thp_write_fault", "um_exitcode", "nonesuch", "thp_zero_read_fault"]
    args = machine.hostfs(ROOTFS)
    runs = abreast.run(kernel, args, names, 60, False)
    assert max(run.status for run in runs) == 2      # of the guest that doesn't know
    capfd.readouterr()
    names.remove("nonesuch")
    assert max(run.status for run in abreast.run(kernel, args, names, 60, False)) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == ["KTAP version 1", "1..4"]
    assert lines[-1] == "# totals: 4 passed, 0 failed, 0 skipped"
    assert [line.split()[:2] for line in lines[2:-1]] == [["ok", str(n)] for n in range(1, 5)]
    assert sorted(line.split()[2] for line in lines[2:-1]) == sorted(names)


def test_parse() -> None:
    tests = ktap.parse("KTAP version 1\n1..3\n  # hi\nok 1 a\nnot ok 2 b\nok 3 c # SKIP no swap\n")
    assert [(t.name, t.outcome, t.reason) for t in tests] == [
        ("a", "pass", ""), ("b", "fail", ""), ("c", "skip", "no swap")]
    assert "# hi" in tests[0].output


@pytest.mark.parametrize("line", [
    "[ 1.0] WARNING: CPU: 0 PID: 1 at mm/x.c:1", "BUG: Bad page map",
    "BUG: KASAN: slab-use-after-free", "WARNING: suspicious RCU usage"])
def test_splat_outside_of_tests(line: str) -> None:
    assert ktap.stray_splat(f"{line}\nKTAP version 1\n1..1\nok 1 a\n# totals: 1 passed\n") == line
    assert ktap.stray_splat(f"1..1\n{line}\nok 1 a\n# totals: 1 passed\n") == ""




def test_results_as_json(kernel: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    done = cli(kernel, "--json", str(path), "boot_hello")
    assert done.returncode == 0
    results = json.loads(path.read_text())
    assert results["status"] == 0 and [t["name"] for t in results["tests"]] == ["boot_hello"]
    assert results["tests"][0]["outcome"] == "pass" and "ok 1" in results["tests"][0]["output"]
    done = cli(kernel, "--json", str(tmp_path / "none/results.json"), "boot_hello")
    assert done.returncode == 2 and "results.json: No such file" in done.stderr
