#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The patch series and linux/: one is made from the other, both ways.

linux/ is a git tree (or a worktree of the user's): a base, then one commit a
patch. Two refs of its own say what came from patches/:

    refs/worktree/uml-mm/base       the kernel without the series
    refs/worktree/uml-mm/series     the series as it was applied or exported

HEAD elsewhere, or anything uncommitted, is the user's work; nothing here
overwrites it without FORCE, and FORCE saves it first.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import fetch
from common import BUILD, LINUX, PATCHES, ROOT, Fatal, main, run, say
from tarball import import_tarball

BASE_REF = "refs/worktree/uml-mm/base"
SERIES_REF = "refs/worktree/uml-mm/series"
SERIES = PATCHES / "series"
PATCH_NAME = re.compile(r"(\d{4})-.*\.patch")

# A patch's text shall not depend on the exporter's configuration.
FORMAT_PATCH = [
    "-c", "core.abbrev=12", "-c", "diff.algorithm=myers", "-c", "diff.noprefix=false",
    "-c", "diff.mnemonicPrefix=false", "-c", "diff.context=3", "-c", "diff.interHunkContext=0",
    "-c", "format.attach=", "-c", "format.thread=false",
    "-c", "format.encodeEmailHeaders=true", "-c", "format.mboxrd=false",
    "format-patch", "--quiet", "--zero-commit", "--no-signature", "--no-numbered",
    "--full-index", "--no-base", "--no-cover-letter", "--no-to", "--no-cc", "--no-from",
    "--no-add-header", "--no-attach", "--no-thread", "--no-notes", "--no-ext-diff", "--no-color",
    "--find-renames", "--src-prefix=a/", "--dst-prefix=b/", "--suffix=.patch",
    "--filename-max-length=64", "--subject-prefix=PATCH"]


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


def in_order() -> list[str]:
    """The paths in patches/series."""
    lines = SERIES.read_text().splitlines() if SERIES.exists() else []
    return [path for line in lines if (path := line.partition("#")[0].strip())]


def read_patches() -> list[Patch]:
    """The series on disk.

    Raises:
        Fatal: patches/series names a file that isn't there, or one twice.
    """
    paths, result = in_order(), []
    for path in paths:
        if paths.count(path) > 1:
            raise Fatal(f"patches/series names {path} twice")
        try:
            result.append(Patch(path, hashlib.sha256((PATCHES / path).read_bytes()).hexdigest()))
        except FileNotFoundError:
            raise Fatal(f"patches/series names {path}, which isn't there") from None
    return result


# ---- what was applied: a note in linux/'s own git folder

def note_path(tree: Path) -> Path:
    """Where the note is."""
    return tree / git("rev-parse", "--git-path", "uml-mm.json", tree=tree)


def read_note(tree: Path) -> dict[str, Any]:
    """Which patches linux/ was made from: base, applied, commits, todo."""
    path = note_path(tree)
    note = json.loads(path.read_text()) if path.exists() else {}
    note["applied"] = [Patch(*p) for p in note.get("applied", ())]
    note["todo"] = [Patch(*p) for p in note.get("todo", ())]
    return note


def write_note(tree: Path, base: str, applied: list[Patch], commits: list[str],
               todo: list[Patch]) -> None:
    """Write the note; refs come first, so that an interruption errs to caution."""
    path = note_path(tree)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"base": base, "applied": applied, "commits": commits,
                               "todo": todo}, indent=1) + "\n")
    new.rename(path)


def is_ours(tree: Path) -> bool:
    """Whether a folder is a tree that this script made."""
    return (tree / ".git").exists() and bool(ref(BASE_REF, tree))


def under_way(tree: Path) -> str:
    """The git operation that waits for the user in a tree, if any."""
    for path, what in (("rebase-apply/applying", "am"), ("rebase-apply", "rebase"),
                       ("rebase-merge", "rebase"), ("CHERRY_PICK_HEAD", "cherry-pick"),
                       ("MERGE_HEAD", "merge")):
        if (tree / git("rev-parse", "--git-path", path, tree=tree)).exists():
            return what
    return ""


def own_work(tree: Path) -> str:
    """What in a tree isn't in patches/, in a few words; empty if nothing."""
    if what := under_way(tree):
        return f"a git {what} that isn't finished"
    dirty = [line[3:] for line in git("status", "--porcelain", tree=tree).splitlines()]
    if dirty:
        more = f" and {len(dirty) - 3} more" if len(dirty) > 3 else ""
        return f"uncommitted changes ({', '.join(dirty[:3])}{more})"
    head, series = git("rev-parse", "HEAD", tree=tree), ref(SERIES_REF, tree)
    if head != series:
        count = git("rev-list", "--count", f"{series or ref(BASE_REF, tree)}..{head}", tree=tree)
        return f"{count} commits of your own" if count != "0" else "another HEAD"
    return ""


# ---- patches to commits

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
    touched = {os.fsdecode(path) for text in texts
               for pair in re.findall(rb"^diff --git a/(\S+) b/(\S+)$", text, re.M)
               for path in pair}
    stream: list[bytes] = []
    failed: tuple[str, str] | None = None
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as name:
        folder = Path(name)
        env = {"GIT_INDEX_FILE": str(folder / "index"), "LC_ALL": "C"}
        listed = git("ls-tree", "-z", "-r", start, "--", *sorted(touched), tree=tree) \
            if touched else ""
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


# ---- make linux

def materialise(own_tree: Path | None, tarball: Path | None) -> None:
    """Make linux/ at its base, complete or not at all."""
    new = BUILD / "linux.new"
    discard(new)
    BUILD.mkdir(exist_ok=True)
    if own_tree:
        own_tree = own_tree.expanduser().absolute()
        if not (own_tree / "Kconfig").exists() or not (own_tree / ".git").exists():
            raise Fatal(f"LINUX={own_tree}: no git tree of a kernel there")
        say(f"making linux/ a worktree of {own_tree} at its HEAD; its own files "
            f"and branches stay as they are")
        git("-c", "checkout.workers=0", "worktree", "add", "--quiet", "--detach", new,
            tree=own_tree)
        base = git("rev-parse", "HEAD", tree=new)
        note = f"LINUX={own_tree}"
    else:
        pinned = fetch.read_base()
        source = fetch.given(tarball, pinned) if tarball else fetch.fetch(pinned)
        say(f"making linux/ from {source.tarball.name}")
        base = import_tarball(source.tarball, new, source.title)
        note = f"LINUX_TARBALL={tarball.absolute()}" if tarball else pinned.tarball_sha256
    git("update-ref", BASE_REF, base, tree=new)
    git("update-ref", SERIES_REF, base, tree=new)
    write_note(new, note, [], [], [])
    if own_tree:
        git("worktree", "move", new, LINUX, tree=own_tree)
    else:
        new.rename(LINUX)


def discard(tree: Path) -> None:
    """Delete a tree that materialise() made; a worktree is unregistered too."""
    if (tree / ".git").is_file():
        owner = git("rev-parse", "--path-format=absolute", "--git-common-dir", tree=tree)
        git("--git-dir", owner, "worktree", "remove", "--force", tree, tree=ROOT)
    elif tree.exists():
        shutil.rmtree(tree)


def back_up(tree: Path) -> str:
    """Save HEAD and everything uncommitted under a ref; the ref's name."""
    name = f"refs/uml-mm/backup/{time.strftime('%Y%m%d-%H%M%S')}"
    head = commit = git("rev-parse", "HEAD", tree=tree)
    if git("status", "--porcelain", tree=tree):
        with tempfile.TemporaryDirectory() as folder:
            env = {"GIT_INDEX_FILE": f"{folder}/index"}
            shutil.copy(tree / git("rev-parse", "--git-path", "index", tree=tree),
                        env["GIT_INDEX_FILE"])
            git("add", "-A", tree=tree, env=env)
            commit = git("-c", "user.name=uml-mm", "-c", "user.email=uml-mm@localhost",
                         "commit-tree", git("write-tree", tree=tree, env=env), "-p", head,
                         "-m", "Uncommitted changes, saved by make FORCE=1", tree=tree)
    git("update-ref", name, commit, tree=tree)
    return name


def apply(own_tree: Path | None = None, tarball: Path | None = None,
          force: bool = False, rebase: bool = False) -> None:
    """Bring linux/ to the base and series in patches/.

    Args:
        own_tree: the user's kernel tree to make linux/ a worktree of.
        tarball: a base other than the pinned one.
        force: drop the user's work in linux/, after saving it.
        rebase: move the user's commits onto the new series.

    Raises:
        Fatal: linux/ has the user's work, or a patch doesn't apply.
    """
    want = read_patches()
    if LINUX.is_symlink() or LINUX.exists() and not is_ours(LINUX):
        raise Fatal("linux/ is there but wasn't made by `make linux`: move it away")
    if LINUX.exists():
        check_base(own_tree, tarball, force)
    if not LINUX.exists():
        materialise(own_tree, tarball)
    note = read_note(LINUX)
    work = own_work(LINUX)
    if note["applied"] == want and not note["todo"] and not (force and work):
        return
    if work and rebase and "commits of your own" not in work:
        raise Fatal(f"linux/ has {work}: commit it first (git -C linux commit)")
    if work and not force and not rebase:
        raise Fatal(
            f"linux/ has {work}, and patches/ has changed. To keep your work: commit it, "
            f"`make linux REBASE=1` puts it on the new series, `make patches` exports it. "
            f"To drop it: `make linux FORCE=1`")
    old = ref(SERIES_REF)
    if work and force:
        say(f"dropping {work}: saved as {back_up(LINUX)} in linux/")
        abort_under_way(LINUX)
        git("reset", "-q", "--hard")
        git("clean", "-fdq")

    same = 0
    for mine, theirs in zip(note["applied"], want):
        if mine != theirs:
            break
        same += 1
    kept = note.get("commits", [])[:same]
    start = kept[-1] if kept else ref(BASE_REF)
    failure: DoesNotApply | None = None
    try:
        commits = kept + commit_patches(LINUX, start, want[same:])
    except DoesNotApply as why:
        failure, commits = why, kept + why.commits
    tip = commits[-1] if commits else ref(BASE_REF)
    if work and rebase:
        if failure is None:
            git("update-ref", SERIES_REF, tip)
            write_note(LINUX, note["base"], want, commits, [])
            git("-c", "advice.mergeConflict=true", "rebase", "--quiet", "--onto", tip, old)
            say("your commits stand on the new series: `make patches` exports them")
            return
    else:
        git("reset", "-q", "--keep", tip)
        git("update-ref", SERIES_REF, tip)
        done = len(commits)
        write_note(LINUX, note["base"], want[:done], commits, want[done:])
    if failure:
        raise Fatal(
            f"patches/{failure.patch} doesn't apply: "
            f"{'; '.join(re.findall(r'error: (.*)', failure.why)) or failure.why}. "
            f"linux/ stands at the patch before it. Change the patch and run make again, or "
            f"go on with `cd linux && git am -3 $(../scripts/series.py todo)` and "
            f"`make patches`")
    say(f"linux/ has the series: {len(commits)} patches, {len(commits) - same} of them new"
        if same else f"linux/ has the series: {len(commits)} patches")


def abort_under_way(tree: Path) -> None:
    """Forget an unfinished am, rebase, merge or cherry-pick, keeping HEAD."""
    what = under_way(tree)
    if what:
        git(what, "--quit", tree=tree)


def check_base(own_tree: Path | None, tarball: Path | None, force: bool) -> None:
    """Delete linux/ if its base isn't the wanted one and it holds no work.

    Raises:
        Fatal: it holds work.
    """
    have = read_note(LINUX).get("base", "")
    pinned = fetch.read_base().tarball_sha256
    if own_tree:
        want = f"LINUX={own_tree.expanduser().absolute()}"
    elif tarball:
        want = f"LINUX_TARBALL={tarball.absolute()}"
    elif have.startswith("LINUX"):
        return
    else:
        want = pinned
    if not have or have == want:
        return
    if (work := own_work(LINUX)) and not force:
        raise Fatal(f"linux/ is made from another base and has {work}: `make patches` first, "
                    f"or drop it with FORCE=1")
    say("linux/ is made from another base: making it anew")
    discard(LINUX)


# ---- make patches

def same_patch(old: bytes, new: bytes) -> bool:
    """Whether two patch files differ at most in blob ids.

    Those of a patch change with every earlier patch to the same file; that is
    no reason to rewrite it.
    """
    def essence(text: bytes) -> bytes:
        return re.sub(rb"^(index [0-9a-f]+\.\.[0-9a-f]+|From [0-9a-f]{40} .*)", b"",
                      text, flags=re.M)
    return essence(old) == essence(new)


def match_commits(old: list[str], new: list[str]) -> list[int | None]:
    """For each new subject the old patch that it continues.

    The same subject is the same patch; where subjects changed, equal numbers
    of old and new ones in one place are paired by position.
    """
    result: list[int | None] = [None] * len(new)
    free = set(range(len(old)))
    for j, subject in enumerate(new):
        hits = [i for i in sorted(free) if old[i] == subject]
        if hits:
            result[j] = hits[0]
            free.discard(hits[0])
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "replace":
            unpaired = [i for i in range(a, b) if i in free]
            for j, i in zip([j for j in range(c, d) if result[j] is None], unpaired):
                result[j] = i
                free.discard(i)
    return result


def comment_blocks(text: str) -> tuple[dict[str, list[str]], list[str]]:
    """The comment and blank lines before each path in patches/series, and the last."""
    blocks: dict[str, list[str]] = {}
    block: list[str] = []
    for line in text.splitlines():
        if path := line.partition("#")[0].strip():
            blocks[path], block = block, []
        else:
            block.append(line)
    return blocks, block


def export(topic: str = "") -> None:
    """Write the commits in linux/ to patches/.

    Args:
        topic: the folder for new commits; without it, their neighbour's.

    Raises:
        Fatal: linux/ has uncommitted changes, or patches/ has changed since.
    """
    if not LINUX.exists() or not is_ours(LINUX):
        raise Fatal("there is no linux/ to export: `make linux` makes it")
    work = own_work(LINUX)
    if work and "commits of your own" not in work and work != "another HEAD":
        raise Fatal(
            f"linux/ has {work}. Commit first: `git -C linux commit -as`, or "
            f"`git -C linux commit -a --fixup=<commit>` and `git -C linux rebase -i "
            f"--autosquash {BASE_REF}`; then `make patches`")
    base, head = ref(BASE_REF), git("rev-parse", "HEAD")
    if git("rev-list", "--merges", f"{base}..{head}"):
        raise Fatal("linux/ has merges: a series is one line of commits; rebase it")
    if git("merge-base", base, head) != base:
        raise Fatal(f"linux/'s HEAD isn't built on its base, {BASE_REF}")
    note, old = read_note(LINUX), read_patches()
    if "applied" in note and note["applied"] + note["todo"] != old and note["applied"]:
        raise Fatal("patches/ has changed since linux/ was made from it, and an export would "
                    "undo that: `make linux REBASE=1` first")
    if topic and not re.fullmatch(r"[\w.-]+", topic):
        raise Fatal(f"TOPIC={topic}: no name for a folder in patches/")

    commits = git("rev-list", "--reverse", f"{base}..{head}").split()
    subjects = [git("log", "-1", "--format=%s", c) for c in commits]
    old_subjects = [subject_of(p.path) for p in old]
    if missing := [p.path for p in note["todo"]
                   if old_subjects[old.index(p)] not in subjects]:
        raise Fatal(f"these patches weren't applied yet, and an export would drop them: "
                    f"{', '.join(missing)}; apply them (`git -C linux am -3`) or take them "
                    f"out of patches/series")
    matches = match_commits(old_subjects, subjects)
    with tempfile.TemporaryDirectory() as name:
        env = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
               "LC_ALL": "C", "TZ": "UTC"}
        git(*FORMAT_PATCH, "-o", name, f"{base}..{head}", env=env)
        made = sorted(Path(name).iterdir())
        texts = [path.read_bytes() for path in made]
        slugs = [path.name[5:] for path in made]

    folder = topic or (Path(old[0].path).parts[0] if old else "um")
    numbers: dict[str, int] = {}
    files: dict[str, bytes] = {}
    for match, slug, text in zip(matches, slugs, texts):
        before = PATCHES / old[match].path if match is not None else None
        if before:
            folder = str(before.parent.relative_to(PATCHES))
        here = topic if topic and not before else folder
        numbers[here] = numbers.get(here, 0) + 1
        keep = before.read_bytes() if before else b""
        files[f"{here}/{numbers[here]:04d}-{slug}"] = keep if same_patch(keep, text) else text

    write_series(list(files), [old[m].path if m is not None else None for m in matches])
    report_and_write(old, files)
    git("update-ref", SERIES_REF, head)
    base_note = note.get("base") or fetch.read_base().tarball_sha256
    write_note(LINUX, base_note, read_patches(), commits, [])


def write_series(paths: list[str], before: list[str | None]) -> None:
    """Write patches/series anew, each comment before the patch it was before."""
    text = SERIES.read_text() if SERIES.exists() else \
        "# The order of the series, one patch a line; quilt can read it.\n"
    blocks, last = comment_blocks(text)
    order = list(blocks)
    lines: list[str] = []
    for path, old in zip(paths, before):
        if old:     # with the comments of patches that are gone from just before it
            at = order.index(old)
            gone = at
            while gone and order[gone - 1] not in before:
                gone -= 1
            for name in order[gone:at + 1]:
                lines += blocks.pop(name, [])
        elif not order and not lines:
            lines, last = last, []
        lines.append(path)
    new = "\n".join([*lines, *last]) + "\n"
    if not SERIES.exists() or new != text:
        SERIES.write_text(new)


def report_and_write(old: list[Patch], files: dict[str, bytes]) -> None:
    """Write the patch files that differ, delete those that are gone, say which."""
    gone = {p.path: (PATCHES / p.path).read_bytes() for p in old if p.path not in files}
    changed = 0
    for path, text in files.items():
        target = PATCHES / path
        if target.exists() and target.read_bytes() == text:
            continue
        origin = next((g for g, content in gone.items() if content == text), None)
        what = "changed" if target.exists() else f"was {origin}" if origin else "new"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
        print(f"  {what:8}  patches/{path}" if not origin else f"  renamed   patches/{path}")
        changed += 1
    for path in gone:
        (PATCHES / path).unlink()
        if (PATCHES / path).parent != PATCHES and not any((PATCHES / path).parent.iterdir()):
            (PATCHES / path).parent.rmdir()
        if gone[path] not in files.values():
            print(f"  removed   patches/{path}")
    print(f"{len(files)} patches, {changed} written" if changed or gone
          else f"{len(files)} patches, all as they were")


def command() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("apply", help="bring linux/ to patches/")
    verb.add_argument("--linux", type=Path, metavar="TREE", help="your own git tree")
    verb.add_argument("--tarball", type=Path)
    verb.add_argument("--force", action="store_true", help="drop your work in linux/, saved first")
    verb.add_argument("--rebase", action="store_true", help="put your commits on the new series")
    verb = verbs.add_parser("export", help="write linux/'s commits to patches/")
    verb.add_argument("--topic", default="", help="the folder of new commits")
    verbs.add_parser("todo", help="the patches that don't apply yet")
    verb = verbs.add_parser("remove", help="delete linux/")
    verb.add_argument("--force", action="store_true")
    options = parser.parse_args()
    if options.verb == "apply":
        apply(options.linux, options.tarball, options.force, options.rebase)
    elif options.verb == "export":
        export(options.topic)
    elif options.verb == "todo":
        print("\n".join(str(PATCHES / p.path) for p in read_note(LINUX)["todo"]))
    elif LINUX.exists():
        if not options.force and (not is_ours(LINUX) or own_work(LINUX)):
            raise Fatal(f"linux/ has {own_work(LINUX) if is_ours(LINUX) else 'no series in it'}: "
                        f"`make patches` keeps it, FORCE=1 drops it")
        for tree in (BUILD / "mutants/linux", BUILD / "series/linux", LINUX):
            discard(tree)


if __name__ == "__main__":
    main(command)
