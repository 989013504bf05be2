# SPDX-License-Identifier: GPL-2.0
"""make fresh: what it takes along of this machine, what it refuses, what it leaves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.common import Fatal
from scripts.judge import fresh

APT_GET = """#!/bin/sh
echo 'bookworm|mirror://here/debian|/key.gpg'
echo 'bookworm|mirror://here/debian|/key.gpg'
echo 'bookworm-updates|mirror://here/debian|/key.gpg'
echo 'bookworm-security|mirror://here/debian-security|/key.gpg'
"""
APT_CONFIG = """#!/bin/sh
echo 'Acquire::Check-Valid-Until "false";'
echo 'Acquire::http::Proxy "proxy://here";'
echo 'Acquire::IndexTargets::deb::Packages::MetaKey "x";'
"""


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come before the machine's; TMPDIR is next to it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=9 << 30))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for name, text in (("apt-get", APT_GET), ("apt-config", APT_CONFIG)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_apt_of_the_machine(bin: Path) -> None:
    apt = fresh.machine_apt("sid")
    assert apt.sources == ["deb [signed-by=/key.gpg] mirror://here/debian sid main"]
    assert apt.options == ['Acquire::Check-Valid-Until "false";',
                           'Acquire::http::Proxy "proxy://here";']
    (bin / "apt-get").write_text("#!/bin/sh\n")
    with pytest.raises(Fatal, match="no mirror of a Debian suite"):
        fresh.machine_apt("sid")


def test_nothing_is_left(bin: Path, tmp_path: Path) -> None:
    (bin / "mmdebstrap").write_text("#!/bin/sh\necho no such suite; exit 1\n")
    (bin / "mmdebstrap").chmod(0o755)
    with (tmp_path / "log").open("w") as log, \
            pytest.raises(Fatal, match=r"mmdebstrap failed: see .*log"), \
            fresh.bare("nosuch", log, None, True):
        pass
    assert (tmp_path / "log").read_text() == "no such suite\n"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_it_needs(bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fresh.py", "sid"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Fatal, match="only root can do"):
        fresh.command()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(bin))
    with pytest.raises(Fatal, match="needs mmdebstrap: apt-get install"):
        fresh.command()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_mounts_are_gone_with_the_command(tmp_path: Path) -> None:
    mounts = Path("/proc/mounts").read_text()
    for name in ("proc", "sys", "dev", "ccache"):
        (tmp_path / name).mkdir()
    with (tmp_path / "log").open("w") as log:
        chroot = fresh.Chroot(tmp_path, log, tmp_path, True)
        words = chroot.command("true", "root")
        assert "CCACHE_DIR=/ccache" in words
        seen = subprocess.run([*words[:words.index("-c") + 1], fresh.ENTER.replace(
            'exec chroot "$@"', "cat /proc/mounts"), *words[words.index("-"):]],
            capture_output=True, text=True)
    if re.search("not permitted|denied|propagation", seen.stderr):     # in a chroot, for one
        pytest.skip(f"no mounts here: {seen.stderr}")
    there = re.findall(rf"^\S+ {tmp_path}/(\S+) (\S+) ", seen.stdout, re.M)
    assert dict(there).keys() == {"proc", "sys", "dev/shm", "dev/pts", "ccache"}, seen
    assert Path("/proc/mounts").read_text() == mounts


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces")
def test_interrupted_command_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh.Chroot, "command", lambda *_: [
        "unshare", "--pid", "--fork", "--kill-child", "sh", "-c", "echo begun; sleep 1000"])
    monkeypatch.setattr(fresh.Phases, "take", lambda *_: exec("raise SystemExit(143)"))
    with (tmp_path / "log").open("w") as log, pytest.raises(SystemExit):
        fresh.Chroot(tmp_path, log, None, True).run("true")
