# SPDX-License-Identifier: GPL-2.0
"""Turn a kernel tarball into a git tree in one pass.

`git add` of a whole kernel takes 33 s and `git fast-import` 39 s, most of it
spent in git's own SHA-1 and in reading back what tar wrote. Here tar writes
the files while this process writes a pack of the same bytes, deflated as quickly
as zlib can on all CPUs, and an index that knows the files.

A third of a kernel's bytes are descriptions of hardware that no build for ARCH=um or
x86 without these drivers reads: SPARSE. They are in git, but not in the work tree;
`git sparse-checkout disable` brings them there.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

from scripts.common import Fatal, run

BLOCK = 512
MAGIC = {b"\xfd7zXZ\0": ["xz", "-T0", "-dc"], b"\x1f\x8b": ["gzip", "-dc"],
         b"\x28\xb5\x2f\xfd": ["zstd", "-dcq"], b"BZh": ["bzip2", "-dc"]}
# Folders outside of the work tree, as .git/info/sparse-checkout has them
SPARSE = ("/drivers/gpu/drm/amd/include/asic_reg/", "/arch/*/boot/dts/")
HIDDEN = re.compile("|".join(p[1:].replace("*", "[^/]*") for p in SPARSE).encode())
BATCH = 1 << 20     # bytes of the files that a thread deflates at a time
QUEUE = 8           # batches ahead of those that are written
LEVEL = 1           # zlib's quickest: 4 times smaller, at 130 MB/s and CPU
COMMIT, TREE, BLOB = 1, 2, 3
KIND = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob"}
# The same for everyone, so that the base has the same commit id everywhere.
PERSON = b"uml-mm <uml-mm@localhost>"


class Pack:
    """A git pack under construction."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "incoming"
        self.file = self.path.open("w+b", 1 << 20)
        self.file.write(bytes(12))
        self.offset = 12
        self.objects: dict[bytes, tuple[int, int]] = {}     # id: CRC, offset

    def add(self, kind: int, data: bytes) -> bytes:
        """Add an object; its id."""
        return self.write(kind, len(data), *deflate(kind, data))

    def write(self, kind: int, size: int, digest: bytes, stored: bytes) -> bytes:
        """Add what deflate() has made of an object; its id."""
        if digest not in self.objects:
            head = bytearray([kind << 4 | size & 15])
            size >>= 4
            while size:
                head[-1] |= 0x80
                head.append(size & 0x7f)
                size >>= 7
            self.objects[digest] = zlib.crc32(stored, zlib.crc32(head)), self.offset
            self.file.write(head)
            self.file.write(stored)
            self.offset += len(head) + len(stored)
        return digest

    def finish(self) -> None:
        """Write the pack's checksum and its index (gitformat-pack(5))."""
        self.file.seek(0)
        self.file.write(b"PACK" + struct.pack(">II", 2, len(self.objects)))
        self.file.seek(0)
        trailer = hashlib.file_digest(self.file, "sha1").digest()
        self.file.seek(0, os.SEEK_END)
        self.file.write(trailer)
        self.file.close()
        names = sorted(self.objects)
        fanout, count = [], 0
        for first in range(256):
            while count < len(names) and names[count][0] == first:
                count += 1
            fanout.append(count)
        large = [self.objects[n][1] for n in names if self.objects[n][1] >= 1 << 31]
        where = {offset: 1 << 31 | i for i, offset in enumerate(large)}
        index = b"".join((
            b"\377tOc", struct.pack(">I", 2), struct.pack(">256I", *fanout), *names,
            *(struct.pack(">I", self.objects[n][0]) for n in names),
            *(struct.pack(">I", where.get(o := self.objects[n][1], o)) for n in names),
            *(struct.pack(">Q", offset) for offset in large), trailer))
        stem = self.folder / f"pack-{trailer.hex()}"
        stem.with_suffix(".idx").write_bytes(index + hashlib.sha1(index).digest())
        stem.with_suffix(".keep").touch()       # nothing for git gc to chew on
        self.path.rename(stem.with_suffix(".pack"))


def deflate(kind: int, data: bytes) -> tuple[bytes, bytes]:
    """An object's id and how it is stored; other threads run meanwhile."""
    name = hashlib.sha1(b"%s %d\0" % (KIND[kind], len(data)))
    name.update(data)
    return name.digest(), zlib.compress(data, LEVEL)


def deflate_all(blobs: list[bytes]) -> list[tuple[bytes, bytes]]:
    """deflate() for files."""
    return [deflate(BLOB, data) for data in blobs]


class Blob(NamedTuple):
    """A file of the tarball."""

    path: bytes
    mode: int
    data: bytes


class Stream:
    """A tar stream that is passed on as it is read, but for what is HIDDEN."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self.source, self.sink = source, sink
        self.blocks: list[bytes] = []       # of the member that is read

    def read(self, size: int) -> bytes:
        """Exactly size bytes, rounded up to whole blocks and cut again."""
        data = self.source.read((size + BLOCK - 1) // BLOCK * BLOCK)
        self.blocks.append(data)
        if len(data) < size:
            raise Fatal("the tarball is cut off")
        return data[:size]

    def pass_on(self) -> None:
        """Hand what was read to the other side."""
        for data in self.blocks:
            self.sink.write(data)
        self.blocks.clear()

    def members(self) -> Iterator[tuple[bytes, int, int, bytes, bytes]]:
        """Each member's name, mode, time, link target (or empty) and content."""
        long_name = b""
        while (head := self.read(BLOCK))[0]:
            name = head[:100].split(b"\0")[0]
            if head[257:262] == b"ustar" and head[345]:
                name = head[345:500].split(b"\0")[0] + b"/" + name
            size = int(head[124:136].strip(b" \0") or b"0", 8)
            kind = head[156:157]
            data = self.read(size) if size else b""
            if kind == b"L":
                long_name = data.rstrip(b"\0")
                continue
            if kind == b"x":
                fields = dict(f.split(b" ", 1)[1].split(b"=", 1) for f in data.split(b"\n") if f)
                long_name = fields.get(b"path", b"")
                continue
            name, long_name = long_name or name, b""
            if HIDDEN.match(name.partition(b"/")[2]):
                self.blocks.clear()
            self.pass_on()
            if kind in b"\0" b"02":
                mode = int(head[100:108].strip(b" \0"), 8)
                time = int(head[136:148].strip(b" \0"), 8)
                link = head[157:257].split(b"\0")[0] if kind == b"2" else b""
                yield name, mode, time, link, data
            elif kind not in b"5g":
                raise Fatal(f"the tarball has a member of a kind that no kernel has: {name!r}")
        self.pass_on()
        for data in iter(lambda: self.source.read(1 << 16), b""):
            self.sink.write(data)


def own_ignore_rules(data: bytes) -> bytes:
    """A .gitignore without Debian's last lines, which hide every new file."""
    lines = data.splitlines(True)
    if b"/*\n" not in lines:
        return data
    del lines[lines.index(b"/*\n"):]
    while lines and (lines[-1].startswith(b"#") or not lines[-1].strip()):
        lines.pop()
    return b"".join(lines)


def write_trees(pack: Pack, files: dict[bytes, tuple[int, bytes, int]]) -> bytes:
    """Add the trees that hold files; the id of the topmost."""
    folders: dict[bytes, list[tuple[bytes, int, bytes]]] = {b"": []}
    for path, (mode, name, _) in files.items():
        folder, _, leaf = path.rpartition(b"/")
        folders.setdefault(folder, []).append((leaf, mode, name))
        while folder:
            folder = folder.rpartition(b"/")[0]
            folders.setdefault(folder, [])
    for folder in sorted(folders, key=lambda f: (f.count(b"/") + bool(f)), reverse=True):
        entries = sorted(folders[folder],
                         key=lambda e: e[0] + b"/" if e[1] == 0o40000 else e[0])
        tree = pack.add(TREE, b"".join(b"%o %s\0%s" % (mode, leaf, name)
                                       for leaf, mode, name in entries))
        if not folder:
            return tree
        parent, _, leaf = folder.rpartition(b"/")
        folders[parent].append((leaf, 0o40000, tree))
    raise AssertionError("no topmost folder")


def write_index(tree: Path, files: dict[bytes, tuple[int, bytes, int]]) -> None:
    """Write git's index of files that are just as they were packed."""
    parts = [b"DIRC" + struct.pack(">II", 3, len(files))]
    root, low = os.fsencode(tree) + b"/", 0xffffffff
    for path in sorted(files):
        mode, name, size = files[path]
        if HIDDEN.match(path):      # an extended entry, whose flag is skip-worktree
            parts.append(struct.pack(">10I20sHH", 0, 0, 0, 0, 0, 0, mode, 0, 0, 0, name,
                                     min(len(path), 0xfff) | 0x4000, 0x4000))
            parts.append(path + bytes(8 - (64 + len(path)) % 8))
            continue
        st = os.lstat(root + path)
        if st.st_size != size:
            raise Fatal(f"{os.fsdecode(path)}: {st.st_size} bytes on disk, {size} in the tarball")
        parts.append(struct.pack(
            ">10I20sH", st.st_ctime_ns // 10**9 & low, st.st_ctime_ns % 10**9,
            st.st_mtime_ns // 10**9 & low, st.st_mtime_ns % 10**9, st.st_dev & low,
            st.st_ino & low, mode, st.st_uid, st.st_gid, size & low, name,
            min(len(path), 0xfff)))
        parts.append(path + bytes(8 - (62 + len(path)) % 8))
    index = b"".join(parts)
    (tree / ".git/index").write_bytes(index + hashlib.sha1(index).digest())


def import_tarball(tarball: Path, tree: Path, title: str) -> str:
    """Make a git tree with one commit of what a tarball holds; the commit's id.

    Args:
        tree: a folder that doesn't exist.
        title: the commit's message.

    Raises:
        Fatal: the tarball can't be read.
    """
    with tarball.open("rb") as f:
        magic = f.read(6)
    unpack = next((c for m, c in MAGIC.items() if magic.startswith(m)), ["cat"])
    run("git", "init", "-q", "--object-format=sha1", "-b", "uml-mm", tree)
    pack = Pack(tree / ".git/objects/pack")
    files: dict[bytes, tuple[int, bytes, int]] = {}     # path: mode, blob, size
    rewritten: dict[bytes, bytes] = {}
    newest = 0
    try:
        source = subprocess.Popen([*unpack, str(tarball)], stdout=subprocess.PIPE,
                                  bufsize=1 << 20)
        sink = subprocess.Popen(
            ["tar", "-x", "--no-same-owner", "--no-same-permissions", "--strip-components=1",
             "-C", str(tree)], stdin=subprocess.PIPE, bufsize=1 << 20)
    except FileNotFoundError as missing:
        raise Fatal(f"{missing.filename} is not installed: see `make deps`") from None
    assert source.stdout and sink.stdin
    pool = ThreadPoolExecutor(os.cpu_count())
    queue: deque[tuple[list[Blob], Future[list[tuple[bytes, bytes]]]]] = deque()
    batch: list[Blob] = []
    room = BATCH

    def hand_on() -> None:
        queue.append((batch, pool.submit(deflate_all, [blob.data for blob in batch])))

    def write_next() -> None:
        blobs, future = queue.popleft()
        for (path, mode, data), (digest, stored) in zip(blobs, future.result()):
            files[path] = mode, pack.write(BLOB, len(data), digest, stored), len(data)

    try:
        for name, mode, time, link, data in Stream(source.stdout, sink.stdin).members():
            path = name.partition(b"/")[2]
            newest = max(newest, time)
            if path == b".gitignore" and (own := own_ignore_rules(data)) != data:
                rewritten[path] = data = own
            mode = 0o120000 if link else 0o100755 if mode & 0o100 else 0o100644
            batch.append(Blob(path, mode, link or data))
            room -= len(data)
            if room < 0:
                hand_on()
                batch, room = [], BATCH
                if len(queue) > QUEUE:
                    write_next()
        hand_on()
        while queue:
            write_next()
        sink.stdin.close()
        if source.wait() or sink.wait() or not files:
            raise Fatal(f"{tarball} can't be unpacked")
    finally:
        pool.shutdown(cancel_futures=True)
        for process in (source, sink):
            process.kill()
            process.wait()
    for path, data in rewritten.items():
        (tree / os.fsdecode(path)).write_bytes(data)
    top = write_trees(pack, files)
    commit = pack.add(COMMIT, b"tree %s\nauthor %s %d +0000\ncommitter %s %d +0000\n\n%s\n" % (
        top.hex().encode(), PERSON, newest, PERSON, newest, title.encode())).hex()
    pack.finish()
    if any(map(HIDDEN.match, files)):
        (tree / ".git/info/sparse-checkout").write_text(
            "/*\n" + "".join(f"!{folder}\n" for folder in SPARSE))
        run("git", "config", "core.sparseCheckout", "true", cwd=tree)
    write_index(tree, files)
    run("git", "update-ref", "HEAD", commit, cwd=tree)
    return commit
