# SPDX-License-Identifier: GPL-2.0
"""Get the kernel that patches/BASE names and print the path of its tarball.

It comes from the machine's own Debian mirror, from whichever suite has it,
with a private apt state: no root, no change to the machine. Where there is no
such package, it is the kernel's own release, from the address in patches/BASE.
What is in the cache (${XDG_CACHE_HOME:-~/.cache}/uml-mm) isn't fetched again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from scripts.common import PATCHES, Fatal, main, say

SUITES = ("trixie-backports", "sid", "forky")
MORE_SUITES = ("experimental",)     # only for a version that somebody asks for
HELPER = "/usr/lib/apt/apt-helper"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NO_SUITE = re.compile(r"a Release file|^404 |Some index files failed")
NO_NETWORK = re.compile(r"resolve|connect|Network|timed out|timeout")
ELSE = ("give a tarball (make LINUX_TARBALL=<file>) or a git tree of your own "
        "(make LINUX=<folder>)")


class Base(NamedTuple):
    """patches/BASE: a Debian package, a tarball (by its SHA-256), or a commit."""

    version: str
    package: str = ""
    package_version: str = ""
    deb_sha256: str = ""
    tarball_sha256: str = ""
    release: str = ""           # the address of the kernel's own release
    release_sha256: str = ""    # of that file; else sha256sums.asc beside it,
    release_key: str = ""       # signed by who has this fingerprint
    commit: str = ""


class Source(NamedTuple):
    """A kernel tarball and what to call the kernel in it."""

    tarball: Path
    title: str


def read_base(path: Path = PATCHES / "BASE") -> Base:
    """Parse patches/BASE.

    Raises:
        Fatal: a field is missing.
    """
    fields = {name.replace("-", "_"): value for name, value in
              re.findall(r"^([\w-]+): *(\S+)$", path.read_text(), re.M)}
    if unknown := [name for name in fields if name not in Base._fields]:
        raise Fatal(f"{path}: unknown line '{unknown[0].replace('_', '-')}: ...'")
    base = Base(**{"version": "", **fields})
    need = ["version"]
    if base.package:
        need += ["package_version", "deb_sha256", "tarball_sha256"]
    elif not base.commit:
        need += ["tarball_sha256"]
    if missing := [name for name in need if not getattr(base, name)]:
        raise Fatal(f"{path}: no line '{missing[0].replace('_', '-')}: ...'")
    return base


def write_base(base: Base, path: Path = PATCHES / "BASE") -> None:
    """Write patches/BASE; its comments stay."""
    comments = re.findall(r"^#.*\n", path.read_text(), re.M) if path.exists() else []
    path.write_text("".join(comments) + "".join(
        f"{name.replace('_', '-')}: {value}\n" for name, value in base._asdict().items() if value))


def sha256(path: Path) -> str:
    """A file's SHA-256 in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def cache_dir() -> Path:
    """The folder of finished tarballs; partial/ in it has unfinished files."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(home) / "uml-mm"
    (path / "partial").mkdir(parents=True, exist_ok=True)
    return path


class Apt:
    """apt-get with its state in a folder of its own."""

    def __init__(self, state: Path, suite: str, mirrors: list[tuple[str, str]]) -> None:
        self.state = state
        for part in ("lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        (state / "list").write_text("".join(
            f"deb [signed-by={key}] {uri} {suite} main\n" for uri, key in mirrors))
        self.options = [
            f"-oDir::State={state}", f"-oDir::State::status={state}/status",
            f"-oDir::State::lists={state}/lists", f"-oDir::Cache={state}/cache",
            f"-oDir::Etc::sourcelist={state}/list", "-oDir::Etc::sourceparts=-",
            "-oAPT::Sandbox::User=", "-oAcquire::Languages=none",
            "-oAcquire::Retries=2", "-oAcquire::http::Timeout=20",
            "-oAPT::Update::Error-Mode=any"]

    def run(self, tool: str, *args: str) -> tuple[int, str]:
        """Run one of apt's tools: its exit status and output."""
        done = subprocess.run([tool, *self.options, "-q", *args], text=True, cwd=self.state,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def update(self) -> str:
        """Get the suite's lists; why there are none, or empty.

        That one of several mirrors doesn't have the suite is no reason.
        """
        status, output = self.run("apt-get", "update")
        if not status or any((self.state / "lists").glob("*Packages*")):
            return ""
        reasons = re.findall(r"^[EW]: (?:Failed to fetch \S+ +)?(.*)", output, re.M) or \
            [output.strip()[-200:] or f"apt-get update: exit status {status}"]
        return next((why for why in reasons if not NO_SUITE.search(why)), reasons[0])

    def versions(self, package: str) -> list[str]:
        """The versions on offer, the newest first."""
        _, output = self.run("apt-cache", "madison", package)
        return [row.split("|")[1].strip() for row in output.splitlines() if row.count("|") == 2]


def mirrors() -> list[tuple[str, str]]:
    """The machine's package mirrors, each with its keyring.

    Raises:
        Fatal: this machine has no apt, or apt has no sources.
    """
    try:
        output = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(SIGNED_BY)"],
            capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Fatal(f"no apt-get here to fetch the kernel with: {ELSE}") from None
    found = {}
    for row in output.splitlines():
        uri, _, key = row.partition("|")
        found.setdefault(uri, key if key.startswith("/") and " " not in key else str(KEYRING))
    if not found:
        raise Fatal(f"apt has no sources to fetch the kernel from: {ELSE}")
    return list(found.items())


def watch(process: subprocess.Popen[str], file: Path, size: int, what: str) -> str:
    """Show a download's progress until its process has ended; its output.

    On a terminal one line that changes, elsewhere a line each quarter.
    """
    shown = -1
    tty = sys.stderr.isatty()
    while process.poll() is None:
        time.sleep(0.1)
        done = file.stat().st_size if file.exists() else 0
        percent = 100 * done // max(size, 1)
        if tty and percent != shown:
            print(f"\r  {what}: {percent} % of {size >> 20} MB", end="", file=sys.stderr,
                  flush=True)
            shown = percent
        elif not tty and percent // 25 > shown // 25:
            say(f"{what}: {percent} % of {size >> 20} MB")
            shown = percent
    if tty:
        print(f"\r  {what}: {size >> 20} MB{' ' * 20}", file=sys.stderr)
    assert process.stdout
    return process.stdout.read()


def download(apt: Apt, package: str, version: str, folder: Path, want: str | None) -> Path:
    """Download a .deb, going on where an earlier attempt stopped.

    Args:
        want: the SHA-256 that the file must have; None: apt's word is enough.

    Raises:
        Fatal: it can't be had, or isn't the file that it should be.
    """
    status, output = apt.run("apt-get", "download", "--print-uris", f"{package}={version}")
    row = re.search(r"^'(\S+)' (\S+) (\d+) (\S*)$", output, re.M)
    if status or not row:
        raise Fatal(f"apt-get download {package}={version}: {output.strip()[-300:]}")
    uri, file, size, apts_hash = row[1], folder / row[2], int(row[3]), row[4]
    for attempt in (1, 2):
        if file.exists() and file.stat().st_size >= size:
            if f"SHA256:{sha256(file)}" == apts_hash:
                break
            say(f"{file.name} in the cache is corrupt: fetching it again")
            file.unlink()
        elif file.exists():
            say(f"going on with {file.name} after {file.stat().st_size >> 20} MB")
        process = subprocess.Popen(     # apt-get would start from nothing
            [HELPER, *apt.options, "download-file", uri, str(file), apts_hash], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output = watch(process, file, size, f"{package} {version}")
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            break
        if attempt == 2 or "Hash Sum mismatch" not in output:
            why = re.findall(r"^[EW]: (.*)", output, re.M)
            raise Fatal(f"download of {file.name} failed: {(why or [output])[0].strip()}; "
                        f"run it again to go on, or {ELSE}")
        say(f"{file.name} was corrupt: fetching it again")
        for damaged in (file, file.with_name(f"{file.name}.FAILED")):
            damaged.unlink(missing_ok=True)
    if want and (got := sha256(file)) != want:
        file.unlink()
        raise Fatal(f"checksum mismatch: {file.name} has SHA-256 {got}, patches/BASE "
                    f"wants {want}; removed it")
    return file


def unpack(deb: Path, package: str, tarball: Path, want: str | None) -> None:
    """Take the source tarball out of a .deb.

    Raises:
        Fatal: there is none, or it isn't the one that it should be.
    """
    part = deb.with_suffix(".tar")
    deb_side = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    with part.open("wb") as out:
        tar = subprocess.run(["tar", "-xO", f"./usr/src/{package}.tar.xz"],
                             stdin=deb_side.stdout, stdout=out)
    assert deb_side.stdout
    deb_side.stdout.close()
    deb_side.wait()
    if tar.returncode:
        raise Fatal(f"{deb.name} has no usr/src/{package}.tar.xz")
    got = sha256(part)
    if want and got != want:
        part.unlink()
        raise Fatal(f"checksum mismatch: the tarball in {deb.name} has SHA-256 {got}, "
                    f"patches/BASE wants {want}")
    tarball.with_suffix(".sha256").write_text(got + "\n")
    part.rename(tarball)
    deb.unlink()


def cached(tarball: Path, want: str | None) -> bool:
    """Whether the cache has a tarball, whole; a damaged one is removed."""
    if not tarball.exists():
        return False
    note = tarball.with_suffix(".sha256")
    want = want or (note.read_text().strip() if note.exists() else "")
    if sha256(tarball) == want:
        return True
    say(f"{tarball.name} in the cache is corrupt: fetching it again")
    tarball.unlink()
    return False


def cached_package(package: str, version: str) -> Source:
    """Where the cache has a package's tarball, or is to have it."""
    return Source(cache_dir() / f"{package}_{version}.tar.xz",
                  f"Linux {version.split('-')[0]} (Debian {package} {version})")


def fetch(base: Base, exact: bool = False) -> Source:
    """The base's tarball, or else the newest of its series that there is.

    Args:
        exact: take no other than the pinned one.

    Raises:
        Fatal: none can be had; the message says what to do.
    """
    if not base.package and not base.release:
        what = f"commit {base.commit[:12]}" if base.commit else \
            f"the tarball with SHA-256 {base.tarball_sha256}"
        raise Fatal(f"patches/BASE names Linux {base.version}, {what}: {ELSE}")
    pinned = cached_package(base.package, base.package_version)
    if base.package and cached(pinned.tarball, base.tarball_sha256):
        return pinned
    why = None
    if base.package:
        try:
            if shutil.which("apt-get") and not shutil.which("dpkg-deb"):
                raise Fatal(f"no dpkg-deb here to open the package with: {ELSE}")
            return from_mirror(base, exact)
        except Fatal as reason:
            if not base.release or exact:
                raise
            why = reason
    if why:
        say(f"notice: {str(why).partition(': give')[0]}")
    return from_release(base)


def from_mirror(base: Base, exact: bool) -> Source:
    """The base's tarball from the machine's Debian mirror, or another of its series."""
    places = mirrors()
    say(f"looking for {base.package} {base.package_version} on this machine's mirror")
    newest: tuple[str, str] | None = None
    unread: dict[str, str] = {}     # suite: why
    with tempfile.TemporaryDirectory(prefix="uml-mm-apt-") as state:
        for suite in SUITES:
            apt = Apt(Path(state) / suite, suite, places)
            if why := apt.update():
                unread[suite] = why
            versions = apt.versions(base.package)
            if base.package_version in versions:
                return take(apt, base.package, base.package_version, base.deb_sha256,
                            base.tarball_sha256)
            for version in versions[:1]:
                if newest is None or not subprocess.call(
                        ["dpkg", "--compare-versions", version, "gt", newest[1]]):
                    newest = suite, version
        if newest and not exact:
            suite, version = newest
            for name, why in unread.items():
                say(f"notice: {name} couldn't be read: {why}")
            say(f"notice: no suite {'that can be read ' if unread else ''}has "
                f"{base.package_version}{'' if unread else ' any more'}; "
                f"taking {version} from {suite}")
            return take(Apt(Path(state) / suite, suite, places), base.package, version)
    if len(unread) == len(SUITES) and all(map(NO_NETWORK.search, unread.values())):
        raise Fatal(f"no network: can't reach this machine's package mirror "
                    f"({unread[SUITES[0]]}); {ELSE}")
    raise Fatal(f"no {base.package} {base.package_version if exact else ''}".rstrip() +
                f" in {', '.join(s for s in SUITES if s not in unread) or 'any suite'} on this "
                f"machine's mirror{not_read(unread)}: {ELSE}")


def not_read(unread: dict[str, str]) -> str:
    """Which suites couldn't be read and why, for the end of a message."""
    return "".join(f"; {suite} couldn't be read ({why})" for suite, why in unread.items())


def take(apt: Apt, package: str, version: str, deb_sha256: str | None = None,
         tarball_sha256: str | None = None) -> Source:
    """A package's tarball, from the cache or the mirror."""
    source = cached_package(package, version)
    if not cached(source.tarball, tarball_sha256):
        deb = download(apt, package, version, cache_dir() / "partial", deb_sha256)
        unpack(deb, package, source.tarball, tarball_sha256)
    return source


def find(where: str) -> tuple[Source, Base]:
    """Another base that a user names: a tarball's path or a package's version.

    Returns:
        The source, and the base without the kernel's own version.

    Raises:
        Fatal: there is no such file or package; the message says which there are.
    """
    path = Path(where).expanduser()
    if path.is_file():
        digest = sha256(path)
        return Source(path, f"Linux ({path.name})"), Base("", tarball_sha256=digest)
    numbers = re.match(r"(\d+\.\d+)[.~-]", where)
    if not numbers:
        raise Fatal(f"BASE={where}: no file or folder, nor a version such as 7.3.4-1")
    package, places, there = f"linux-source-{numbers[1]}", mirrors(), list[str]()
    unread: dict[str, str] = {}
    say(f"looking for {package} {where} on this machine's mirror")
    with tempfile.TemporaryDirectory(prefix="uml-mm-apt-") as state:
        for suite in (*SUITES, *MORE_SUITES):
            apt = Apt(Path(state) / suite, suite, places)
            if why := apt.update():
                unread[suite] = why
            versions = apt.versions(package)
            there += [f"{version} ({suite})" for version in versions]
            if where in versions:
                _, output = apt.run("apt-get", "download", "--print-uris", f"{package}={where}")
                deb = re.search(r" SHA256:([0-9a-f]{64})$", output, re.M)
                source = take(apt, package, where)
                return source, Base("", package, where, deb[1] if deb else "",
                                    sha256(source.tarball))
    raise Fatal(f"BASE={where}: this machine's mirror has no such {package}, "
                + (f"but {', '.join(there)}" if there else "nor another") + not_read(unread))


# ---- the kernel's own release

def from_release(base: Base) -> Source:
    """The release's tarball: downloaded, and checked against a hash or a signature.

    Raises:
        Fatal: it can't be had, or isn't what was released.
    """
    name = base.release.rpartition("/")[2]
    source = Source(cache_dir() / name, f"Linux {base.version} ({name})")
    if cached(source.tarball, base.release_sha256 or None):
        return source
    want = base.release_sha256 or signed_hash(base, name)
    part = cache_dir() / "partial" / name
    say(f"fetching {base.release}")
    for attempt in (1, 2):
        download_url(base.release, part)
        if (got := sha256(part)) == want:
            break
        part.unlink()
        if attempt == 2:
            raise Fatal(f"checksum mismatch: {name} has SHA-256 {got}, the release {want}; "
                        f"removed it")
        say(f"{name} was corrupt: fetching it again")
    source.tarball.with_suffix(".sha256").write_text(want + "\n")
    part.rename(source.tarball)
    return source


def download_url(url: str, file: Path) -> None:
    """Download a file, going on where an earlier attempt stopped.

    Raises:
        Fatal: it can't be had.
    """
    have = file.stat().st_size if file.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer, \
                file.open("ab" if answer.status == 206 else "wb") as out:
            size = int(answer.headers.get("Content-Length") or 0) + out.tell()
            shown = 0
            while data := answer.read(1 << 20):
                out.write(data)
                if size > 1 << 20 and 4 * out.tell() // size > shown:
                    shown = 4 * out.tell() // size
                    say(f"{file.name}: {25 * shown} % of {size >> 20} MB")
            if size and out.tell() < size:
                raise Fatal(f"download of {url} stopped; run it again to go on, or {ELSE}")
    except urllib.error.HTTPError as why:
        if why.code == 416:         # there is no more of it
            return
        raise Fatal(f"{url}: {why.code} {why.reason}; {ELSE}") from None
    except (OSError, ValueError) as why:
        raise Fatal(f"{url}: {getattr(why, 'reason', why)}; {ELSE}") from None


def signed_hash(base: Base, name: str) -> str:
    """What the release's sha256sums.asc says of a file, if the signature is right.

    Raises:
        Fatal: it isn't signed by the key in patches/BASE, or gpg doesn't have that.
    """
    url = base.release.rpartition("/")[0] + "/sha256sums.asc"
    if not shutil.which("gpg"):
        raise Fatal(f"no gpg here to check {url} with: install gnupg, or {ELSE}")
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as folder:
        sums, plain = Path(folder) / "sha256sums.asc", Path(folder) / "sha256sums"
        download_url(url, sums)
        done = subprocess.run(["gpg", "--batch", "--status-fd", "1", "-o", plain, "-d", sums],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        signers = re.findall(r"^\[GNUPG:\] VALIDSIG (\w+).* (\w+)$", done.stdout, re.M)
        if "NO_PUBKEY" in done.stdout:
            raise Fatal(f"{url} can't be checked without the key that signs kernel releases: "
                        f"gpg --locate-keys autosigner@kernel.org; or {ELSE}")
        if done.returncode or not any(base.release_key in pair for pair in signers):
            raise Fatal(f"{url} isn't signed by {base.release_key or 'the key in patches/BASE'}; "
                        f"{ELSE}")
        found = re.search(rf"^([0-9a-f]{{64}}) [ *]{re.escape(name)}$", plain.read_text(), re.M)
    if not found:
        raise Fatal(f"{url} doesn't name {name}; {ELSE}")
    return found[1]


def given(tarball: Path, base: Base) -> Source:
    """A tarball that the user gives.

    Raises:
        Fatal: there is no such file.
    """
    if not tarball.is_file():
        raise Fatal(f"LINUX_TARBALL={tarball}: no such file")
    digest = sha256(tarball)
    if digest in (base.tarball_sha256, base.release_sha256):
        kind = f"Debian {base.package} {base.package_version}" if base.package and \
            digest == base.tarball_sha256 else tarball.name
        return Source(tarball, f"Linux {base.version} ({kind})")
    say(f"notice: {tarball.name} isn't the base of the series (Linux {base.version}); "
        f"what doesn't apply is merged")
    return Source(tarball, f"Linux ({tarball.name})")


def command() -> None:
    """The command line: no arguments."""
    print(fetch(read_base()).tarball)


if __name__ == "__main__":
    main(command)
