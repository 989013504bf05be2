# SPDX-License-Identifier: GPL-2.0
"""What the tests share: the kernel under test, and a CPU for each worker."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from scripts.guest import machine, testlist  # noqa: E402

ROOTFS = ROOT / "build/rootfs"

# Ignored in a shell's background job and all that it starts; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same under nohup, which is kept for this process, but not for what it starts.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """--kernel: the program under test."""
    parser.addoption("--kernel", type=Path, default=ROOT / "build/default/linux")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item for each C test."""
    if "c_test" in metafunc.fixturenames:
        names = testlist.names(ROOTFS) if ROOTFS.exists() else []
        metafunc.parametrize("c_test", names)


@pytest.fixture(scope="session")
def kernel(pytestconfig: pytest.Config) -> Path:
    """The program under test."""
    path: Path = pytestconfig.getoption("--kernel").resolve()
    assert path.exists() and ROOTFS.exists(), "`make kernel` first; `make test` does"
    return path


@pytest.fixture(scope="session")
def cpu() -> int:
    """The host CPU of this worker's guests, so that they don't share one."""
    cpus = sorted(os.sched_getaffinity(0))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return cpus[int(worker.removeprefix("gw")) % len(cpus)]


Boot = Callable[..., machine.Run]


@pytest.fixture
def boot(kernel: Path, cpu: int) -> Boot:
    """Boot the kernel on hostfs: boot(init arguments, *kernel arguments)."""
    base = machine.hostfs(ROOTFS)

    def boot(init_args: str, *kernel_args: str, **options: object) -> machine.Run:
        # UML has more than one CPU with seccomp only.
        smp = "smp" in kernel.parent.name and "seccomp=off" not in kernel_args
        # Time for a virtual machine where switches between processes are slow
        options = {"cpu": None if smp else cpu, "timeout": 180, **options}
        return machine.boot(kernel, [*base, *(["ncpus=2"] if smp else []), *kernel_args],
                        init_args.split(), **options)   # type: ignore[arg-type]
    return boot


def in_session(leader: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def session_with_stub(leader: int) -> list[int]:
    """The processes of a guest: the kernel and a stub at least, once that has begun."""
    end = time.monotonic() + 20
    while len(found := in_session(leader)) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(found) >= 2
    return found


@pytest.fixture
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Fails if a file stays, or a process of the sessions put in the list."""
    shm = Path("/dev/shm")
    before = set(shm.iterdir())
    sessions: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        monkeypatch.setenv("HOME", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield sessions
        monkeypatch.undo()
        assert list(folder.iterdir()) == []
        assert set(shm.iterdir()) == before
    end = time.monotonic() + 5      # the killed ones of a loaded machine take a while
    while any(map(in_session, sessions)) and time.monotonic() < end:
        time.sleep(0.05)
    for session in sessions:
        assert in_session(session) == []
