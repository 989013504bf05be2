# SPDX-License-Identifier: GPL-2.0
"""A host that refuses or kills the processes behind a guest's costs only those."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
from conftest import ROOTFS, Boot

from scripts.guest import machine

MODES = ["on", "off"]
REFUSED = "The host doesn't start a process for UML"
KILLED = "is killed: the host has killed the process that ran it"


# ---- limits

def test_few_files(boot: Boot) -> None:
    run = boot("um_many_processes", "seccomp=on", prefix=["prlimit", "--nofile=100:100"])
    assert run.status == 0, run.output[-6000:]
    assert f"{REFUSED}, as UML has too many open files (ulimit -n)" in run.output
    # Each refused fork has a line, but for a flood of them.
    assert run.output.count(REFUSED) < 20, run.output[-6000:]


def test_few_files_by_the_soft_limit(boot: Boot) -> None:
    run = boot("um_many_processes", "seccomp=on", prefix=["prlimit", "--nofile=100:4096"])
    assert run.status == 0 and REFUSED not in run.output, run.output[-6000:]


@pytest.mark.parametrize("mode", MODES)
def test_few_processes(mode: str, kernel: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root to become a user without any other process")
    with tempfile.TemporaryDirectory() as name:     # others may not look into this clone
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(ROOTFS, folder / "rootfs", symlinks=True)
        shutil.copy(kernel, folder / "linux")
        run = machine.boot(folder / "linux",
                           [*machine.hostfs(folder / "rootfs"), f"seccomp={mode}"],
                           ["um_many_processes"], timeout=180,
                           prefix=["setpriv", "--reuid=54321", "--regid=54321",
                                   "--clear-groups", "prlimit", "--nproc=100"])
    assert run.status == 0, run.output[-6000:]
    assert f"{REFUSED}, as there are too many (ulimit -u, pids.max)" in run.output


# ---- kills

def stubs(kernel: int) -> list[int]:
    """The processes behind the guest's, in the order in which they were started."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{kernel}/task").iterdir():
            for pid in map(int, (task / "children").read_text().split()):
                with contextlib.suppress(OSError):
                    before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
                    if before.endswith("(uml-userspace") and after.split()[0] != "Z":
                        found.append((int(after.split()[19]), pid))
    return [pid for _, pid in sorted(found)]


def kill_stubs(kernel: Path, args: list[str], cpu: int | None) -> tuple[int, int, str]:
    """Boot a guest with bench_stubs, kill what it starts: kills, status, console."""
    kills, output = 0, bytearray()
    with machine.Guest(kernel, [*machine.hostfs(ROOTFS), *args, "--", "timeout=60", "bench_stubs"],
                   cpu=cpu) as guest:
        assert guest.proc.stdout
        console = guest.proc.stdout.fileno()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([console], [], [], 0.005)[0]:
                data = os.read(console, 1 << 16)
                if not data:
                    break
                output += data
            # Those of init and of bench_stubs itself are the oldest ones.
            elif b"# ready" in output and (victims := stubs(guest.proc.pid)[2:]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(random.choice(victims), signal.SIGKILL)
                    kills += 1
        else:
            pytest.fail(f"hung after {kills} kills\n{machine.backtrace(kernel, guest.proc.pid)}\n"
                        f"{output[-4000:].decode(errors='replace')}")
        status = guest.proc.wait(10)
    return kills, status, output.decode(errors="replace")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["sync", "run", "threads", "share", "fork", "exec", "sleep"])
def test_killed(what: str, mode: str, kernel: Path, cpu: int, nothing_left: list[int]) -> None:
    smp = "smp" in kernel.parent.name and mode == "on"
    kills, status, output = kill_stubs(
        kernel, [f"STUBS={what}", "STUBS_DEATHS=40", f"seccomp={mode}",
                 *(["ncpus=2"] if smp else [])], None if smp else cpu)
    assert status == 0, f"{kills} kills\n{output[-6000:]}"
    # One line each, and no other.
    assert 1 <= output.count(KILLED) <= kills, output[-6000:]
    assert [line for line in output.splitlines()
            if line.startswith("[") and KILLED not in line and REFUSED not in line] == []
