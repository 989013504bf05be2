# SPDX-License-Identifier: GPL-2.0
"""Patches become commits: git, without a work tree, and merges where a patch needs one."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from scripts.common import LINUX, PATCHES, ROOT, Fatal, run

# The committer where none is configured.
AS_US = ("-c", "user.name=uml-mm", "-c", "user.email=uml-mm@localhost")


class Patch(NamedTuple):
    """A patch file, by its path below patches/ and its content's SHA-256."""

    path: str
    digest: str


class DoesNotApply(Exception):
    """A patch that doesn't apply: how far the series came, and git's words."""

    def __init__(self, commits: list[str], patch: str, why: str) -> None:
        super().__init__(patch)
        self.commits, self.patch, self.why = commits, patch, why


def git(*args: str | Path, tree: Path | None = None, env: dict[str, str] | None = None,
        stdin: bytes | None = None) -> str:
    """Run git in linux/ (or another tree); its stdout without the last newline."""
    return run("git", *args, cwd=tree or LINUX, stdin=stdin,
               env={**os.environ, **env} if env else None).removesuffix("\n")


def ref(name: str, tree: Path | None = None) -> str:
    """The commit that a ref names; empty if there is no such ref."""
    return git("for-each-ref", "--format=%(objectname)", name, tree=tree)


def mail(text: bytes, folder: Path, tree: Path) -> tuple[dict[str, str], str, Path]:
    """Split a patch file as git am does: headers, message and diff."""
    message, diff = folder / "message", folder / "diff"
    info = git("mailinfo", "--no-scissors", "--encoding=UTF-8", message, diff,
               tree=tree, stdin=text)
    fields = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    body = message.read_text(errors="surrogateescape").strip("\n")
    subject = fields.get("Subject", "")
    return fields, f"{subject}\n\n{body}".rstrip() + "\n", diff


def subject_of(path: str) -> str:
    """The subject of a patch file."""
    with tempfile.TemporaryDirectory() as folder:
        return mail((PATCHES / path).read_bytes(), Path(folder), ROOT)[0].get("Subject", "")


def in_patch(text: str) -> list[str]:
    """The files that a patch changes, creates or deletes."""
    return sorted({path for pair in re.findall(r"^diff --git a/(\S+) b/(\S+)$", text, re.M)
                   for path in pair})


def touched(patches: Iterable[Patch]) -> list[str]:
    """The files that patches change, create or delete; never an empty list."""
    found = {path for patch in patches
             for path in in_patch(os.fsdecode((PATCHES / patch.path).read_bytes()))}
    return sorted(found) or ["Makefile"]


def commit_patches(tree: Path, start: str, patches: list[Patch]) -> list[str]:
    """Commit patches on top of a commit without a work tree; the new commits.

    `git apply --cached` works on an index of just the files that the patches
    name, `git fast-import` makes the commits: the work tree is updated once,
    at the end, and only where the series' result differs. Author and date are
    the committer's too, so that everyone's commits have the same ids.

    Raises:
        DoesNotApply: one of them doesn't.
    """
    if not patches:
        return []
    texts = [(PATCHES / p.path).read_bytes() for p in patches]
    stream: list[bytes] = []
    failed: tuple[str, str] | None = None
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as name:
        folder = Path(name)
        env = {"GIT_INDEX_FILE": str(folder / "index"), "LC_ALL": "C"}
        listed = git("ls-tree", "-z", "-r", start, "--", *touched(patches), tree=tree)
        git("update-index", "-z", "--index-info", tree=tree, env=env,
            stdin=os.fsencode(listed))
        files = index_files(tree, env)
        for count, (patch, text) in enumerate(zip(patches, texts), 1):
            fields, message, diff = mail(text, folder, tree)
            try:
                if not all(fields.get(f) for f in ("Author", "Email", "Date", "Subject")):
                    raise Fatal("it isn't in git's format: no From:, Date: or Subject:")
                git("apply", "--cached", "--whitespace=nowarn", diff, tree=tree, env=env)
            except Fatal as why:
                failed = patch.path, str(why)
                break
            before, files = files, index_files(tree, env)
            person = f"{fields['Author']} <{fields['Email']}> {fields['Date']}"
            body = message.encode(errors="surrogateescape")
            stream.append(
                f"commit refs/worktree/uml-mm/next\nmark :{count}\nauthor {person}\n"
                f"committer {person}\ndata {len(body)}\n".encode() + body +
                (f"from {start}\n".encode() if count == 1 else b""))
            for path in sorted(before.keys() | files.keys()):
                if path not in files:
                    stream.append(f"D {path}\n".encode(errors="surrogateescape"))
                elif before.get(path) != files[path]:
                    stream.append(f"M {files[path]} {path}\n".encode(errors="surrogateescape"))
        commits = []
        if stream:
            marks = folder / "marks"
            git("fast-import", "--quiet", "--force", "--date-format=rfc2822",
                f"--export-marks={marks}", tree=tree, stdin=b"".join(stream))
            git("update-ref", "-d", "refs/worktree/uml-mm/next", tree=tree)
            by_mark = dict(line.split() for line in marks.read_text().splitlines())
            commits = [by_mark[f":{n}"] for n in range(1, len(by_mark) + 1)]
    if failed:
        raise DoesNotApply(commits, *failed)
    return commits


def index_files(tree: Path, env: dict[str, str]) -> dict[str, str]:
    """The files of an index: path to "mode id"."""
    rows = git("ls-files", "-s", "-z", tree=tree, env=env).split("\0")
    return {path: " ".join(meta.split()[:2])
            for meta, _, path in (row.partition("\t") for row in rows) if path}


# ---- merges: a patch that fails on another base than its own is cherry-picked there

def sparse_base(tree: Path, listed: str) -> str:
    """A commit of just some files, without a parent.

    Args:
        listed: the files, as git ls-tree -z prints them.
    """
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as folder:
        env = {"GIT_INDEX_FILE": f"{folder}/index"}
        git("update-index", "-z", "--index-info", tree=tree, env=env, stdin=os.fsencode(listed))
        return git(*AS_US, "commit-tree", git("write-tree", tree=tree, env=env),
                   "-m", "The files that the series touches, on its own base", tree=tree)


def sparse_series(tree: Path, patches: list[Patch], base: str | Path) -> list[str]:
    """The series on its own base, as commits of only the files that it touches.

    A merge needs no more of the old kernel, and a user's git tree isn't
    filled with the rest.

    Args:
        base: a commit in the tree, or a tarball.

    Returns:
        The base and a commit for each patch.

    Raises:
        DoesNotApply: the series doesn't fit its own base.
    """
    files = touched(patches)
    if isinstance(base, str):
        listed = git("ls-tree", "-z", "-r", base, "--", *files, tree=tree)
    else:
        with tempfile.TemporaryDirectory(prefix="uml-mm-") as folder:
            # New files aren't in there, about which tar complains.
            subprocess.run(["tar", "-x", "--strip-components=1", "--no-same-owner",
                            "--wildcards", "--no-wildcards-match-slash", "-C", folder, "-f", base,
                            *(f"*/{name}" for name in files)], capture_output=True)
            there = [name for name in files if (Path(folder) / name).is_file()]
            ids = git("hash-object", "-w", "--no-filters", "--stdin-paths", tree=tree,
                      stdin="".join(f"{folder}/{name}\n" for name in there).encode()).split()
            listed = "".join(
                f"{'100755' if os.access(f'{folder}/{name}', os.X_OK) else '100644'} blob {id}"
                f"\t{name}\0" for name, id in zip(there, ids))
    start = sparse_base(tree, listed)
    return [start, *commit_patches(tree, start, patches)]


def merge_onto(tree: Path, tip: str, picks: list[str]) -> None:
    """Put commits onto another, by three-way merges; where one conflicts it stops.

    It is git rebase, with what it leaves and how one goes on. What the tip has
    already is left out.

    Raises:
        Fatal: git can't do it at all.
    """
    with tempfile.NamedTemporaryFile("w", prefix="uml-mm-") as todo:
        todo.write("".join(git("log", "-1", "--format=pick %h %s%n", commit, tree=tree)
                           for commit in picks))
        todo.flush()
        done = subprocess.run(
            ["git", *AS_US, "-c", "merge.directoryRenames=false", "-c", "core.hooksPath=/dev/null",
             "-c", "commit.gpgSign=false", "-c", "rebase.autoSquash=false",
             "-c", "rebase.updateRefs=false", "rebase", "--interactive", "--quiet",
             "--empty=drop", tip], cwd=tree, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, env={**os.environ, "GIT_SEQUENCE_EDITOR": f"cp {todo.name}"})
    if done.returncode and not under_way(tree):
        raise Fatal(f"git rebase: {done.stderr.strip() or done.stdout.strip()}")


def under_way(tree: Path) -> str:
    """The git operation that waits for the user in a tree, if any."""
    for path, what in (("rebase-apply/applying", "am"), ("rebase-apply", "rebase"),
                       ("rebase-merge", "rebase"), ("CHERRY_PICK_HEAD", "cherry-pick"),
                       ("MERGE_HEAD", "merge")):
        if (tree / git("rev-parse", "--git-path", path, tree=tree)).exists():
            return what
    return ""
