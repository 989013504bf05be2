# SPDX-License-Identifier: GPL-2.0
"""make watch, with a make of our own that takes its time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, in_session

from scripts.guest import watch

# "Builds" linux/a.c, slowly, into a program, and runs that: it says what is in
# the source. A source with an error doesn't build. Like make it compares times.
MAKE = """
if [ ! -e program ] || [ linux/a.c -nt program ]; then
	text=$(cat linux/a.c); sleep 0.4
	case $text in *error*) echo "linux/a.c:1:1: error: bad"; exit 2;; esac
	echo "$text" >program
fi
echo "KTAP version 1"; sleep 0.2
echo "# totals: $(cat program)"
"""


class Session:
    """A watch in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "scripts/guest").mkdir(parents=True)
        for name in ("guest/watch.py", "common.py"):
            shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
        for name in ("linux", "rootfs"):
            (folder / name).mkdir()
        self.source = folder / "linux/a.c"
        self.source.write_text("one\n")
        (folder / "fakemake").write_text(MAKE)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.guest.watch", "sh", "fakemake"], text=True, cwd=folder,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)

    def verdict(self) -> str:
        """The next line of its output."""
        assert self.process.stdout
        return self.process.stdout.readline()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A watch that is killed in the end."""
    if not shutil.which("inotifywait"):
        pytest.skip("inotifywait is not installed (inotify-tools)")
    session = Session(tmp_path)
    yield session
    session.process.kill()
    session.process.wait()
    assert session.process.stdout
    session.process.stdout.close()


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def test_save_builds_and_runs_again(session: Session) -> None:
    assert session.verdict().startswith("totals: one  (")
    session.source.write_text("two\n")
    assert session.verdict().startswith("totals: two  (")
    new = session.source.with_name("new")       # as editors and git save
    new.write_text("three\n")
    new.rename(session.source)
    assert session.verdict().startswith("totals: three  (")


def test_failed_build_runs_nothing(session: Session) -> None:
    session.verdict()
    session.source.write_text("error\n")
    assert session.verdict() == "nothing was run\n"
    assert session.verdict().startswith("  linux/a.c:1:1: error: bad  (")
    session.source.write_text("two\n")
    assert session.verdict().startswith("totals: two  (")


@pytest.mark.parametrize("delay", [0.1, 0.5, 0.8])      # in the build, in the run
def test_save_during_build_and_run(session: Session, delay: float) -> None:
    session.verdict()
    session.source.write_text("two\n")
    time.sleep(watch.SETTLE + delay)
    session.source.write_text("three\n")
    verdicts = [session.verdict()]
    if "two" in verdicts[0]:        # it had just ended
        verdicts.append(session.verdict())
    assert verdicts[-1].startswith("totals: three  (")


def test_old_file_moved_here_counts_as_new(session: Session) -> None:
    session.verdict()
    old = session.source.with_name("a.c~")
    old.write_text("two\n")
    os.utime(old, (1, 1))
    old.rename(session.source)
    assert session.verdict().startswith("totals: two  (")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("busy", [True, False])
def test_leaves_nothing(session: Session, end: signal.Signals, busy: bool) -> None:
    session.verdict()
    if busy:
        session.source.write_text("two\n")
        time.sleep(watch.SETTLE + 0.2)
    started = children(session.process.pid)
    assert len(started) == 1 + busy
    session.process.send_signal(end)
    assert session.process.wait(30) == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(end, -end)
    deadline = time.monotonic() + 3
    while any(map(in_session, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [in_session(pid) for pid in started] == [[]] * len(started)


@pytest.mark.parametrize("output, status, words", [
    ("KTAP version 1\nok 1 a\n# totals: 1 passed, 0 failed, 0 skipped\n", 0,
     ["totals: 1 passed, 0 failed, 0 skipped"]),
    ("  CC mm/a.o\nmm/a.c: In function 'f':\nmm/a.c:7:2: error: no\nmm/a.c:9:2: error: more\n"
     "make: *** [x] Error 1\n", 2, ["nothing was run", "  mm/a.c:7:2: error: no"]),
    ("uml-mm: error: no test 'x'\nmake: *** [run] Error 2\n", 2,
     ["nothing was run", "  uml-mm: error: no test 'x'"]),
    ("KTAP version 1\n1..1\n  TAP version 13\n  ok 1 a\n  not ok 2 b # 0, want 1\nnot ok 1 t\n"
     "# totals: 0 passed, 1 failed, 0 skipped\n", 1,
     ["totals: 0 passed, 1 failed, 0 skipped", "not ok 1 t", "  not ok 2 b # 0, want 1"]),
    ("KTAP version 1\n1..1\nKernel panic - not syncing: x\numl-mm: kernel panic: x\n", 1,
     ["the guest didn't come to its end", "  uml-mm: kernel panic: x"])])
def test_summary(output: str, status: int, words: list[str]) -> None:
    assert watch.summary(output, status).splitlines() == words
