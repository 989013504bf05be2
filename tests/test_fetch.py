# SPDX-License-Identifier: GPL-2.0
"""Fetching the base from a mirror that may have it, or not, or badly."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.series import fetch

# A mirror in a folder: <suite>/<version>.deb. It stands in for apt's tools,
# for a download that goes on where it stopped, and for what goes wrong.
APT = r'''#!/bin/bash
for arg; do case $arg in
-oDir::Etc::sourcelist=*) suite=$(awk '{print $4}' "${arg#*=}");;
*=[0-9]*.*) version=${arg#*=};;
esac; done
case " $* " in
*" indextargets "*) echo 'mirror://here/|$(SIGNED_BY)';;
*" update "*) [ -z "$OFFLINE" ] || { echo "W: Could not resolve 'here'"; exit 100; }
	[ "$EXPIRED" != $suite ] || {
		echo "E: The repository 'mirror://there $suite Release' does not have a Release file."
		echo "E: Release file for mirror://here/$suite is expired (invalid since 7d)."; exit 100; };;
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


def test_suite_that_cannot_be_read(mirror: Mirror, monkeypatch: pytest.MonkeyPatch,
                                  capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EXPIRED", "sid")
    why = r"sid couldn't be read( \(|: )Release file for mirror://here/sid is expired \(.*7d\)\."
    with pytest.raises(fetch.Fatal, match=rf"in trixie-backports, forky on .*; {why}"):
        fetch.fetch(PINNED)
    with pytest.raises(fetch.Fatal, match=f"nor another; {why}"):
        fetch.find("7.2.13-1")
    mirror.add("forky", "7.2.16-1")
    fetch.fetch(PINNED)
    said = capfd.readouterr().err
    assert re.search(f"notice: {why}", said)
    assert "no suite that can be read has 7.2.13-1; taking 7.2.16-1 from forky" in said
    base = mirror.add("forky", "7.2.13-1")      # read it or not: another one has it
    assert fetch.sha256(fetch.fetch(base).tarball) == base.tarball_sha256
    assert capfd.readouterr().err.count("couldn't be read") == 0


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


def test_versions_to_choose_from(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.add("sid", "7.4.2-1")
    newer = mirror.add("experimental", "7.4~rc7-1~exp1")
    with pytest.raises(fetch.Fatal, match=r"but 7.4.2-1 \(sid\), 7.4~rc7-1~exp1 \(experimental"):
        fetch.find("7.4.9-1")
    with pytest.raises(fetch.Fatal, match="no file or folder, nor a version"):
        fetch.find("newest")
    monkeypatch.setattr(fetch, "unpack", lambda deb, package, tarball, want: deb.rename(tarball))
    source, base = fetch.find("7.4~rc7-1~exp1")
    assert (base.package, base.package_version) == ("linux-source-7.4", "7.4~rc7-1~exp1")
    assert base.deb_sha256 == newer.deb_sha256 == fetch.sha256(source.tarball)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, fetch.Base]]:
    """A server of kernel releases on this machine, and a base that names a file there."""
    folder = tmp_path / "v7.x"
    folder.mkdir()
    tarball = folder / "linux-7.3.4.tar.xz"
    tarball.write_bytes(b"the kernel\n" * 300_000)
    served = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    yield folder, fetch.Base(
        "7.3.4", "linux-source-7.3", "7.3.4-1", "0" * 64, "0" * 64,
        release=f"http://127.0.0.1:{server.server_port}/{tarball.name}",
        release_sha256=fetch.sha256(tarball))
    server.shutdown()
    server.server_close()


def test_release_where_there_is_no_apt(release: tuple[Path, fetch.Base], tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch,
                                       capfd: pytest.CaptureFixture[str]) -> None:
    folder, base = release
    monkeypatch.setenv("PATH", "/nonexistent")
    source = fetch.fetch(base)
    assert source.title == "Linux 7.3.4 (linux-7.3.4.tar.xz)"
    assert fetch.sha256(source.tarball) == base.release_sha256
    assert "no apt-get here" in capfd.readouterr().err
    (folder / "linux-7.3.4.tar.xz").unlink()
    assert fetch.fetch(base) == source              # from the cache
    assert fetch.given(source.tarball, base).title == source.title
    source.tarball.write_bytes(b"damaged")
    with pytest.raises(fetch.Fatal, match="404 .*LINUX_TARBALL="):
        fetch.fetch(base)


def test_release_where_the_mirror_has_no_such_package(
        mirror: Mirror, release: tuple[Path, fetch.Base]) -> None:
    folder, base = release
    assert fetch.sha256(fetch.fetch(base).tarball) == base.release_sha256


def test_interrupted_or_wrong_release(release: tuple[Path, fetch.Base],
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    folder, base = release
    monkeypatch.setenv("PATH", "/nonexistent")
    part = fetch.cache_dir() / "partial/linux-7.3.4.tar.xz"
    part.write_bytes(b"the ker")                    # this server always sends all of it
    fetch.fetch(base).tarball.unlink()
    with pytest.raises(fetch.Fatal, match="checksum mismatch: .*removed it"):
        fetch.fetch(base._replace(release_sha256="1" * 64))
    assert not part.exists()
    with pytest.raises(fetch.Fatal, match="LINUX_TARBALL="):
        fetch.fetch(base._replace(release="http://127.0.0.1:1/linux-7.3.4.tar.xz"))


@pytest.mark.skipif(not shutil.which("gpg"), reason="no gpg")
def test_signed_release(release: tuple[Path, fetch.Base], tmp_path: Path,
                        monkeypatch: pytest.MonkeyPatch) -> None:
    folder, base = release
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))

    def gpg(*args: str, stdin: str = "") -> str:
        return subprocess.run(["gpg", "--batch", "--passphrase", "", *args], input=stdin,
                              text=True, check=True, capture_output=True).stdout

    try:
        gpg("--quick-generate-key", "signer@example.org", "ed25519", "sign")
        key = gpg("--list-keys", "--with-colons").split("fpr:::::::::")[1].split(":")[0]
        sums = gpg("--clearsign", stdin=f"{base.release_sha256}  linux-7.3.4.tar.xz\n")
        (folder / "sha256sums.asc").write_text(sums)
        signed = base._replace(package="", release_sha256="", release_key=key)
        tarball = fetch.fetch(signed).tarball
        assert fetch.sha256(tarball) == base.release_sha256
        tarball.unlink()
        with pytest.raises(fetch.Fatal, match="isn't signed by 0123"):
            fetch.fetch(signed._replace(release_key="0123" * 10))
        (folder / "sha256sums.asc").write_text(sums.replace(base.release_sha256, "1" * 64))
        with pytest.raises(fetch.Fatal, match="isn't signed by"):
            fetch.fetch(signed)
        (folder / "sha256sums.asc").write_text(sums)
        monkeypatch.setenv("GNUPGHOME", str(tmp_path))
        with pytest.raises(fetch.Fatal, match="without the key that signs"):
            fetch.fetch(signed)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"])


@pytest.mark.parametrize("text, problem", [
    ("package: p\n", "no line 'version: ...'"),
    ("version: 7.3.4\npackage: p\n", "no line 'package-version: ...'"),
    ("version: 7.3.4\n", "no line 'tarball-sha256: ...'"),
    ("version: 7.3.4\ntarbal: x\n", "unknown line 'tarbal: ...'")])
def test_bad_base(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "BASE").write_text(text)
    with pytest.raises(fetch.Fatal, match=problem):
        fetch.read_base(tmp_path / "BASE")


def test_the_base_is_complete() -> None:
    base = fetch.read_base()
    assert base.package_version.startswith(base.version)
    assert len(base.deb_sha256) == len(base.tarball_sha256) == 64
