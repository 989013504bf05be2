# SPDX-License-Identifier: GPL-2.0
"""Fetching the base from a mirror that may have it, or not, or badly."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

import fetch

# A mirror in a folder: <suite>/<version>.deb. It stands in for apt's tools,
# for a download that goes on where it stopped, and for what goes wrong.
APT = r'''#!/bin/bash
for arg; do case $arg in
-oDir::Etc::sourcelist=*) suite=$(awk '{print $4}' "${arg#*=}");;
*=[0-9]*.*) version=${arg#*=};;
esac; done
case " $* " in
*" indextargets "*) echo 'mirror://here/|$(SIGNED_BY)';;
*" update "*) [ -z "$OFFLINE" ] || { echo "W: Could not resolve 'here'"; exit 100; };;
*" madison "*) cd $MIRROR/$suite 2>/dev/null && for f in $(ls -r *.deb); do
	echo " pkg | ${f%.deb} | mirror $suite"; done; exit 0;;
*" --print-uris "*) f=$(echo $MIRROR/*/$version.deb)
	echo "'$f' pkg_$version.deb $(stat -c %s $f) SHA256:$(sha256sum $f | cut -d' ' -f1)";;
*" download-file "*) shift $(($# - 3)); have=$(stat -c %s $2 2>/dev/null || echo 0)
	echo "from $have" >>$MIRROR/log
	[ -z "$FAIL" ] || { head -c 5 $1 >$2; echo "E: Connection reset"; exit 100; }
	tail -c +$((have + 1)) $1 >>$2
	[ SHA256:$(sha256sum $2 | cut -d' ' -f1) = $3 ] || { echo "E: Hash Sum mismatch"; exit 100; };;
esac
'''


class Mirror:
    """A mirror and the pinned base on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log"

    def add(self, suite: str, version: str) -> fetch.Base:
        """Put a package on the mirror; the base that pins it."""
        root = self.path / f"root-{version}"
        (root / "usr/src").mkdir(parents=True)
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(
            f"Package: pkg\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: a <a@b.c>\nDescription: x\n")
        tarball = root / "usr/src/pkg.tar.xz"
        tarball.write_bytes(f"tarball {version}\n".encode() * 1000)
        deb = self.path / suite / f"{version}.deb"
        deb.parent.mkdir(exist_ok=True)
        subprocess.run(["dpkg-deb", "-b", "--root-owner-group", root, deb], check=True,
                       capture_output=True)
        return fetch.Base(version.split("-")[0], "pkg", version, fetch.sha256(deb),
                          fetch.sha256(tarball))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """An empty mirror, and apt's tools that know only it."""
    bin = tmp_path / "bin"
    bin.mkdir()
    monkeypatch.setattr(fetch, "HELPER", "apt-helper")
    for tool in ("apt-get", "apt-cache", "apt-helper"):
        (bin / tool).write_text(APT)
        (bin / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}:{os.environ['PATH']}")
    monkeypatch.setenv("MIRROR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Mirror(tmp_path)


PINNED = fetch.Base("7.2.13", "pkg", "7.2.13-1", "0" * 64, "0" * 64)


def test_pinned_version(mirror: Mirror) -> None:
    mirror.add("sid", "7.2.14-1")
    base = mirror.add("forky", "7.2.13-1")
    source = fetch.fetch(base)
    assert fetch.sha256(source.tarball) == base.tarball_sha256
    assert source.title == "Linux 7.2.13 (Debian pkg 7.2.13-1)"
    assert source.tarball.is_relative_to(mirror.path / "cache/uml-mm")
    assert list((mirror.path / "cache/uml-mm/partial").iterdir()) == []
    fetch.fetch(base)
    assert mirror.log.read_text() == "from 0\n"     # once


def test_newest_where_the_pin_is_gone(mirror: Mirror, capfd: pytest.CaptureFixture[str]) -> None:
    mirror.add("sid", "7.2.15-1")
    mirror.add("trixie-backports", "7.2.16-1~bpo13+1")
    source = fetch.fetch(PINNED)
    assert source.title == "Linux 7.2.16 (Debian pkg 7.2.16-1~bpo13+1)"
    assert "no suite has 7.2.13-1 any more; taking 7.2.16-1~bpo13+1" in capfd.readouterr().err


def test_interrupted_download_goes_on(mirror: Mirror, monkeypatch: pytest.MonkeyPatch,
                                      capfd: pytest.CaptureFixture[str]) -> None:
    base = mirror.add("sid", "7.2.13-1")
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(fetch.Fatal, match="Connection reset.*LINUX_TARBALL="):
        fetch.fetch(base)
    monkeypatch.delenv("FAIL")
    fetch.fetch(base)
    assert mirror.log.read_text() == "from 0\nfrom 5\n"
    assert "going on with pkg_7.2.13-1.deb" in capfd.readouterr().err


def test_damaged_partial_file_is_fetched_again(mirror: Mirror,
                                               capfd: pytest.CaptureFixture[str]) -> None:
    base = mirror.add("sid", "7.2.13-1")
    partial = fetch.cache_dir() / "partial/pkg_7.2.13-1.deb"
    partial.write_bytes(bytes(10_000))
    assert fetch.sha256(fetch.fetch(base).tarball) == base.tarball_sha256
    assert "is corrupt: fetching it again" in capfd.readouterr().err


def test_damaged_start_is_fetched_again(mirror: Mirror,
                                        capfd: pytest.CaptureFixture[str]) -> None:
    base = mirror.add("sid", "7.2.13-1")
    (fetch.cache_dir() / "partial/pkg_7.2.13-1.deb").write_bytes(bytes(100))
    assert fetch.sha256(fetch.fetch(base).tarball) == base.tarball_sha256
    assert "was corrupt: fetching it again" in capfd.readouterr().err
    assert mirror.log.read_text() == "from 100\nfrom 0\n"


def test_damaged_tarball_is_fetched_again(mirror: Mirror) -> None:
    base = mirror.add("sid", "7.2.13-1")
    tarball = fetch.fetch(base).tarball
    tarball.write_bytes(tarball.read_bytes()[:-1] + b"?")
    assert fetch.sha256(fetch.fetch(base).tarball) == base.tarball_sha256


def test_wrong_checksum(mirror: Mirror) -> None:
    base = mirror.add("sid", "7.2.13-1")
    with pytest.raises(fetch.Fatal, match="checksum mismatch: pkg_7.2.13-1.deb has SHA-256"):
        fetch.fetch(base._replace(deb_sha256="0" * 64))
    with pytest.raises(fetch.Fatal, match="checksum mismatch: the tarball in pkg_7.2.13-1.deb"):
        fetch.fetch(base._replace(tarball_sha256="0" * 64))


def test_no_network(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE", "1")
    with pytest.raises(fetch.Fatal, match="no network: .*LINUX_TARBALL=<file>.*LINUX=<folder>"):
        fetch.fetch(PINNED)


def test_nowhere(mirror: Mirror) -> None:
    with pytest.raises(fetch.Fatal, match="no pkg in trixie-backports, sid, forky"):
        fetch.fetch(PINNED)


def test_no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(fetch.Fatal, match="no apt-get here"):
        fetch.fetch(PINNED)


def test_given_tarball(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tarball = tmp_path / "linux-7.2.20.tar.gz"
    with pytest.raises(fetch.Fatal, match="no such file"):
        fetch.given(tarball, PINNED)
    tarball.write_bytes(b"x")
    assert fetch.given(tarball, PINNED).title == "Linux (linux-7.2.20.tar.gz)"
    assert "isn't the base of the series" in capfd.readouterr().err
    pinned = PINNED._replace(tarball_sha256=hashlib.sha256(b"x").hexdigest())
    assert fetch.given(tarball, pinned).title == "Linux 7.2.13 (Debian pkg 7.2.13-1)"


def test_the_base_is_complete() -> None:
    base = fetch.read_base()
    assert base.package_version.startswith(base.version)
    assert len(base.deb_sha256) == len(base.tarball_sha256) == 64
