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
from typing import Any

from scripts.series import fetch
from scripts.series.commits import (AS_US, DoesNotApply, Patch, commit_patches, git, merge_onto, ref,
                     sparse_series, subject_of, under_way)
from scripts.common import BUILD, LINUX, PATCHES, ROOT, Fatal, main, say
from scripts.series.tarball import import_tarball

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


def in_order() -> list[str]:
    """The paths in patches/series."""
    lines = SERIES.read_text().splitlines() if SERIES.exists() else []
    return [path for line in lines if (path := line.partition("#")[0].strip())]


def read_patches(topics: list[str] | None = None) -> list[Patch]:
    """The series on disk.

    Args:
        topics: only the patches of these; all if there are none.

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
    return [patch for patch in result if not topics or topic_of(patch.path) in topics]


def topic_of(path: str) -> str:
    """The topic of a patch: its folder."""
    return path.partition("/")[0]


def read_topics(words: str) -> list[str]:
    """The topics that a user names and those that they need; none for all.

    What a topic needs is said in patches/series: "# topic <name> needs <others>".

    Raises:
        Fatal: there is no such topic.
    """
    needs = {name: others.split() for name, others in
             re.findall(r"^# topic (\S+)(?: needs (.*))?$", SERIES.read_text(), re.M)}
    known = list(dict.fromkeys(topic_of(path) for path in in_order()))
    wanted = words.split()
    if wanted == ["all"]:
        return []
    if unknown := [name for name in wanted if name not in known]:
        raise Fatal(f"TOPICS: no topic '{unknown[0]}'; there are {', '.join(known)}, or all")
    result = list(wanted)
    for name in result:         # grows meanwhile
        for other in needs.get(name, ()):
            if other not in result:
                say(f"topic {name} needs {other}: taking it as well")
                result.append(other)
    return [name for name in known if name in result]


# ---- what was applied: a note in linux/'s own git folder

def note_path(tree: Path) -> Path:
    """Where the note is."""
    return tree / git("rev-parse", "--git-path", "uml-mm.json", tree=tree)


def read_note(tree: Path) -> dict[str, Any]:
    """Which patches linux/ was made from: base, topics (none for all), applied, commits,
    todo; with "merge", they are being merged; with "rebase", patches/ gets another base."""
    path = note_path(tree)
    note = json.loads(path.read_text()) if path.exists() else {}
    note["applied"] = [Patch(*p) for p in note.get("applied", ())]
    note["todo"] = [Patch(*p) for p in note.get("todo", ())]
    note.setdefault("topics", [])
    note.setdefault("commits", [])
    return note


def write_note(tree: Path, **fields: Any) -> None:
    """Change fields of the note; refs come first, so that an interruption errs to caution."""
    path = note_path(tree)
    note = {k: v for k, v in {**read_note(tree), **fields}.items() if v is not None}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(note, indent=1) + "\n")
    new.rename(path)


def is_ours(tree: Path) -> bool:
    """Whether a folder is a tree that this script made."""
    return (tree / ".git").exists() and bool(ref(BASE_REF, tree))


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


# ---- make linux

def own(tree: Path, verb: str) -> Path:
    """A user's git tree of a kernel, as an absolute path.

    Raises:
        Fatal: it is none.
    """
    tree = tree.expanduser().absolute()
    if not (tree / "Kconfig").exists() or not (tree / ".git").exists():
        raise Fatal(f"{verb}={tree}: no git tree of a kernel there")
    return tree


def import_base(new: Path, own_tree: Path | None = None,
                source: fetch.Source | None = None) -> str:
    """Make a tree of a base without the series; the base's commit."""
    discard(new)
    BUILD.mkdir(exist_ok=True)
    if own_tree:
        say(f"making linux/ a worktree of {own_tree} at its HEAD; its own files "
            f"and branches stay as they are")
        git("-c", "checkout.workers=0", "worktree", "add", "--quiet", "--detach", new,
            tree=own_tree)
        base = git("rev-parse", "HEAD", tree=new)
    else:
        assert source
        say(f"making linux/ from {source.tarball.name}")
        base = import_tarball(source.tarball, new, source.title)
    git("update-ref", BASE_REF, base, tree=new)
    git("update-ref", SERIES_REF, base, tree=new)
    return base


def install(new: Path, own_tree: Path | None) -> None:
    """Let a tree that is complete become linux/."""
    if own_tree:
        git("worktree", "move", new, LINUX, tree=own_tree)
    else:
        new.rename(LINUX)


def materialise(own_tree: Path | None, tarball: Path | None) -> None:
    """Make linux/ at its base, complete or not at all."""
    new, exact = BUILD / "linux.new", False
    if own_tree:
        own_tree = own(own_tree, "LINUX")
        import_base(new, own_tree)
        note = f"LINUX={own_tree}"
    else:
        pinned = fetch.read_base()
        source = fetch.given(tarball, pinned) if tarball else fetch.fetch(pinned)
        import_base(new, source=source)
        note = f"LINUX_TARBALL={tarball.absolute()}" if tarball else pinned.tarball_sha256
        exact = fetch.sha256(source.tarball) == pinned.tarball_sha256
    write_note(new, base=note, exact=exact)
    install(new, own_tree)


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
            commit = git(*AS_US, "commit-tree", git("write-tree", tree=tree, env=env), "-p", head,
                         "-m", "Uncommitted changes, saved by make FORCE=1", tree=tree)
    git("update-ref", name, commit, tree=tree)
    return name


def apply(own_tree: Path | None = None, tarball: Path | None = None, topics: str = "",
          force: bool = False, rebase: bool = False) -> None:
    """Bring linux/ to the base and series in patches/.

    Args:
        own_tree: the user's kernel tree to make linux/ a worktree of.
        tarball: a base other than the pinned one.
        topics: the topics to take, "all" for all; as linux/ has it if empty.
        force: drop the user's work in linux/, after saving it.
        rebase: move the user's commits onto the new series.

    Raises:
        Fatal: linux/ has the user's work, or a patch doesn't apply.
    """
    chosen = read_topics(topics) if topics else []
    have_tree(own_tree, tarball, force)
    note = read_note(LINUX)
    if not topics:
        chosen = note["topics"]
    want = read_patches(chosen)
    work = own_work(LINUX)
    if note["applied"] == want and not note["todo"] and not (force and work):
        write_note(LINUX, topics=chosen)
        return
    if work and not force:
        refuse_to_drop(work, rebase)
    old = ref(SERIES_REF)
    if work and force:
        say(f"dropping {work}: saved as {back_up(LINUX)} in linux/")
        abort_under_way(LINUX)
        git("reset", "-q", "--hard")
        git("clean", "-fdq")

    same = next((n for n, pair in enumerate(zip(note["applied"], want)) if pair[0] != pair[1]),
                min(len(note["applied"]), len(want)))
    kept = note["commits"][:same]
    failure: DoesNotApply | None = None
    try:
        commits = kept + commit_patches(LINUX, kept[-1] if kept else ref(BASE_REF), want[same:])
    except DoesNotApply as why:
        failure, commits = why, kept + why.commits
    tip = commits[-1] if commits else ref(BASE_REF)
    if not (work and rebase):
        git("reset", "-q", "--keep", tip)
        git("update-ref", SERIES_REF, tip)
        done = len(commits)
        write_note(LINUX, applied=want[:done], commits=commits, todo=want[done:], topics=chosen,
                   merge=None)
        if failure and (old_series := on_its_base(read_note(LINUX))):
            merge(old_series)
            return
    if failure:
        raise Fatal(
            f"patches/{failure.patch} doesn't apply: "
            f"{'; '.join(re.findall(r'error: (.*)', failure.why)) or failure.why}. "
            f"linux/ stands at the patch before it. Change the patch and run make again, or "
            f"go on with `cd linux && git am -3 "
            f"$(cd .. && python3 -m scripts.series.series todo)` and `make patches`")
    if work and rebase:
        git("update-ref", SERIES_REF, tip)
        write_note(LINUX, applied=want, commits=commits, todo=[], topics=chosen)
        git("-c", "advice.mergeConflict=true", "rebase", "--quiet", "--onto", tip, old)
        say("your commits stand on the new series: `make patches` exports them")
        return
    say(f"linux/ has {the_series(chosen)}: {len(commits)} patches" +
        (f", {len(commits) - same} of them new" if same else ""))


def have_tree(own_tree: Path | None, tarball: Path | None, force: bool) -> None:
    """Make linux/ unless it is there, made by us, from the base that is wanted.

    Raises:
        Fatal: it is something else, or another base would lose the user's work.
    """
    if LINUX.is_symlink() or LINUX.exists() and not is_ours(LINUX):
        raise Fatal("linux/ is there but wasn't made by `make linux`: move it away")
    if LINUX.exists():
        if not force:
            adopt_merged(LINUX)
        check_base(own_tree, tarball, force)
    if not LINUX.exists():
        materialise(own_tree, tarball)


def refuse_to_drop(work: str, rebase: bool) -> None:
    """The user's work is kept, unless it is commits that shall be moved.

    Raises:
        Fatal: it isn't; what the user can do.
    """
    if rebase and "commits of your own" not in work:
        raise Fatal(f"linux/ has {work}: commit it first (git -C linux commit)")
    if not rebase:
        raise Fatal(
            f"linux/ has {work}, and patches/ has changed. To keep your work: commit it, "
            f"`make linux REBASE=1` puts it on the new series, `make patches` exports it. "
            f"To drop it: `make linux FORCE=1`")


def the_series(topics: list[str]) -> str:
    """What linux/ has, in words."""
    return f"the topics {', '.join(topics)}" if topics else "the series"


# ---- what doesn't apply is merged: on another base than its own, without other topics

def on_its_base(note: dict[str, Any]) -> list[str]:
    """The whole series on the pinned base, from which a part can be merged: the base and
    a commit for each patch; empty if there is no such thing."""
    if exact := note.get("exact", not note.get("base", "").startswith("LINUX")):
        if not note["topics"]:
            return []       # a patch of the whole series that doesn't apply is wrong
    try:
        base: str | Path = ref(BASE_REF) if exact else \
            fetch.fetch(fetch.read_base(), exact=True).tarball
        return sparse_series(LINUX, read_patches(), base)
    except Fatal as why:
        say(f"notice: the series can't be merged without its own base: {why}")
    except DoesNotApply:
        pass
    return []


def merge(old_series: list[str]) -> None:
    """Merge the patches of note["todo"], given the whole series on its own base.

    Raises:
        Fatal: some conflict, which is the user's to resolve.
    """
    tip = git("rev-parse", "HEAD")
    commit_of = dict(zip(read_patches(), old_series[1:]))
    write_note(LINUX, merge=tip)
    merge_onto(LINUX, tip, [commit_of[patch] for patch in read_note(LINUX)["todo"]])
    adopt_merged(LINUX)


def adopt_merged(tree: Path) -> None:
    """Take over what git rebase made of the patches that didn't apply.

    Raises:
        Fatal: it isn't finished.
    """
    note = read_note(tree)
    if not (tip := note.get("merge")):
        return
    if under_way(tree):
        subject = git("log", "-1", "--format=%s", "REBASE_HEAD", tree=tree)
        files = git("diff", "--name-only", "--diff-filter=U", tree=tree).split()
        raise Fatal(
            f"\"{subject}\" conflicts with this kernel in {', '.join(files) or 'nothing now'}. "
            f"Resolve it in linux/, `git add` the files and `git rebase --continue`; "
            f"`git rebase --skip` if this kernel has it already. Then run make again")
    made = [row.split(" ", 1) for row in
            git("log", "--reverse", "--format=%H %s", f"{tip}..HEAD", tree=tree).splitlines()]
    commits, last, here = list(note["commits"]), tip, []
    for patch in note["todo"]:
        subject = subject_of(patch.path)
        if made and made[0][1] == subject:
            last = made.pop(0)[0]
        else:
            here.append(patch.path)
        commits.append(last)
    git("update-ref", SERIES_REF, last, tree=tree)
    merged = len(note["todo"]) - len(here)
    write_note(tree, applied=note["applied"] + note["todo"], commits=commits, todo=[], merge=None)
    for path in here:
        say(f"patches/{path}: this kernel has it already")
    say(f"linux/ has {the_series(note['topics'])}: {len(note['applied'])} patches as they are, "
        f"{merged} merged, {len(here)} not needed")


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
    note = read_note(LINUX)
    have = note.get("base", "")
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
    if note.get("rebase") and not force:
        raise Fatal("linux/ has the series on another base than patches/ has: `make rebase` "
                    "finishes that, FORCE=1 drops it")
    if (work := own_work(LINUX)) and not force:
        raise Fatal(f"linux/ is made from another base and has {work}: `make patches` first, "
                    f"or drop it with FORCE=1")
    say("linux/ is made from another base: making it anew")
    discard(LINUX)


# ---- make rebase

def rebase(where: str) -> None:
    """Put the series on another base: patches/ and its BASE follow.

    Args:
        where: a package version, a tarball or a git tree; empty to finish what
            stopped at a conflict.

    Raises:
        Fatal: linux/ has work of the user's, or a patch conflicts.
    """
    if not LINUX.exists() or not is_ours(LINUX):
        raise Fatal("there is no linux/ with the series: `make linux` makes it")
    adopt_merged(LINUX)
    note = read_note(LINUX)
    if not where:
        if not note.get("rebase"):
            raise Fatal("BASE= says where to: a package version, a tarball or a git tree")
        export()
        return
    if note.get("rebase"):
        raise Fatal("linux/ is on its way to another base: `make rebase` finishes that, "
                    "`make linux FORCE=1` drops it")
    patches = read_patches()
    if work := own_work(LINUX):
        raise Fatal(f"linux/ has {work}: `make patches` first")
    if note["applied"] != patches or note["todo"]:
        raise Fatal("linux/ doesn't have all of the series: `make linux TOPICS=all` first")
    new = BUILD / "linux.new"
    own_tree: Path | None = None
    if Path(where).expanduser().is_dir():
        own_tree = own(Path(where), "BASE")
        base = import_base(new, own_tree)
        mark, moved = f"LINUX={own_tree}", fetch.Base(version_of(new), commit=base)
    else:
        source, moved = fetch.find(where)
        base = import_base(new, source=source)
        mark = moved.tarball_sha256
        moved = moved._replace(version=version_of(new))
    old_series = sparse_series(LINUX, patches, ref(BASE_REF))
    git("update-ref", "refs/uml-mm/sparse", old_series[-1])
    git("fetch", "-q", "--no-tags", LINUX, "refs/uml-mm/sparse", tree=new)
    git("update-ref", "-d", "refs/uml-mm/sparse")
    write_note(new, base=mark, exact=False, rebase=moved._asdict(), todo=patches)
    discard(LINUX)
    install(new, own_tree)
    try:
        commits, failed = commit_patches(LINUX, base, patches), ""
    except DoesNotApply as why:
        commits, failed = why.commits, why.patch
    done = len(commits)
    tip = commits[-1] if commits else base
    git("reset", "-q", "--keep", tip)
    git("update-ref", SERIES_REF, tip)
    write_note(LINUX, applied=patches[:done], commits=commits, todo=patches[done:])
    if failed:
        merge(old_series)
    export()


def version_of(tree: Path) -> str:
    """A kernel's version, from its Makefile."""
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)$",
                             (tree / "Makefile").read_text(), re.M))
    return ".".join(fields.get(f, "0") for f in ("VERSION", "PATCHLEVEL", "SUBLEVEL")) + \
        fields.get("EXTRAVERSION", "")


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


def check_export(topic: str) -> tuple[str, str]:
    """The base and the head of what can be exported from linux/.

    Raises:
        Fatal: as export() says.
    """
    if not LINUX.exists() or not is_ours(LINUX):
        raise Fatal("there is no linux/ to export: `make linux` makes it")
    adopt_merged(LINUX)
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
    note = read_note(LINUX)
    if "applied" in note and note["applied"] and \
            note["applied"] + note["todo"] != read_patches(note["topics"]):
        raise Fatal("patches/ has changed since linux/ was made from it, and an export would "
                    "undo that: `make linux REBASE=1` first")
    if topic and not re.fullmatch(r"[\w.-]+", topic):
        raise Fatal(f"TOPIC={topic}: no name for a folder in patches/")
    return base, head


def format_patches(base: str, head: str) -> list[tuple[str, bytes]]:
    """The name without its number, and the text, of each commit's patch."""
    with tempfile.TemporaryDirectory() as name:
        env = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
               "LC_ALL": "C", "TZ": "UTC"}
        git(*FORMAT_PATCH, "-o", name, f"{base}..{head}", env=env)
        return [(path.name[5:], path.read_bytes()) for path in sorted(Path(name).iterdir())]


def place(patches: list[tuple[str, bytes]], old: list[Patch], matches: list[int | None],
          topic: str) -> dict[str, bytes]:
    """The files of patches/, in order.

    Args:
        matches: for each patch, which of the old ones it was.
        topic: the folder of new ones; without it, their neighbour's.
    """
    folder = topic or (Path(old[0].path).parts[0] if old else "um")
    numbers: dict[str, int] = {}
    files: dict[str, bytes] = {}
    for match, (slug, text) in zip(matches, patches):
        before = PATCHES / old[match].path if match is not None else None
        if before:
            folder = str(before.parent.relative_to(PATCHES))
        here = topic if topic and not before else folder
        numbers[here] = numbers.get(here, 0) + 1
        keep = before.read_bytes() if before else b""
        files[f"{here}/{numbers[here]:04d}-{slug}"] = keep if same_patch(keep, text) else text
    return files


def export(topic: str = "") -> None:
    """Write the commits in linux/ to patches/.

    Args:
        topic: the folder for new commits; without it, their neighbour's.

    Raises:
        Fatal: linux/ has uncommitted changes, or patches/ has changed since.
    """
    base, head = check_export(topic)
    note = read_note(LINUX)
    old, left_out = read_patches(note["topics"]), []
    if note["topics"]:
        left_out = [p for p in read_patches() if p not in old]
    if topic in {topic_of(p.path) for p in left_out}:
        raise Fatal(f"TOPIC={topic}: linux/ is without that topic: `make linux TOPICS=all` first")

    commits = git("rev-list", "--reverse", f"{base}..{head}").split()
    subjects = [git("log", "-1", "--format=%s", c) for c in commits]
    old_subjects = [subject_of(p.path) for p in old]
    if missing := [p.path for p in note["todo"]
                   if old_subjects[old.index(p)] not in subjects]:
        raise Fatal(f"these patches weren't applied yet, and an export would drop them: "
                    f"{', '.join(missing)}; apply them (`git -C linux am -3`) or take them "
                    f"out of patches/series")
    matches = match_commits(old_subjects, subjects)
    files = place(format_patches(base, head), old, matches, topic)

    moved = note.get("rebase")
    order = [(path, old[m].path if m is not None else None) for path, m in zip(files, matches)]
    for patch in left_out:      # each topic stays where it was, after the same other one
        earlier = in_order()[:in_order().index(patch.path)]
        at = max((n for n, (path, _) in enumerate(order, 1)
                  if topic_of(path) in map(topic_of, earlier)), default=0)
        order.insert(at, (patch.path, patch.path))
    write_series([path for path, _ in order], [before for _, before in order])
    if moved:
        report_rebase(old, matches, files)
    report_and_write(old, files, quiet=bool(moved))
    git("update-ref", SERIES_REF, head)
    if moved:
        fetch.write_base(fetch.Base(**moved))
        write_note(LINUX, exact=True)
    write_note(LINUX, base=note.get("base") or fetch.read_base().tarball_sha256,
               applied=read_patches(note["topics"]), commits=commits, todo=[], rebase=None)


def lines_of(patch: bytes) -> tuple[list[bytes], list[bytes]]:
    """A patch's diff without what only says where: all lines, and those that change one."""
    _, _, diff = patch.partition(b"\ndiff --git ")
    lines = [re.sub(rb"^@@ .*", b"@@", line) for line in diff.split(b"\n")
             if not line.startswith(b"index ")]
    return lines, [line for line in lines if line[:1] in (b"+", b"-") or line[:4] == b"diff"]


def report_rebase(old: list[Patch], matches: list[int | None], files: dict[str, bytes]) -> None:
    """Say what became of each patch on the new base."""
    became: dict[str, str] = {}
    for match, text in zip(matches, files.values()):
        if match is not None:
            before, after = lines_of((PATCHES / old[match].path).read_bytes()), lines_of(text)
            became[old[match].path] = "as it was" if before[0] == after[0] else \
                "merged" if before[1] == after[1] else "changed"
    count = {"as it was": 0, "merged": 0, "changed": 0, "empty": 0}
    for patch in old:
        what = became.get(patch.path, "empty")
        count[what] += 1
        print(f"  {what:9}  patches/{patch.path}")
    print(f"{len(old)} patches: {count['as it was']} as they were, {count['merged']} merged, "
          f"{count['changed']} changed, {count['empty']} empty (upstream has them)")


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


def report_and_write(old: list[Patch], files: dict[str, bytes], quiet: bool = False) -> None:
    """Write the patch files that differ, delete those that are gone, say which."""
    def show(text: str) -> None:
        if not quiet:
            print(text)

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
        show(f"  {what:8}  patches/{path}" if not origin else f"  renamed   patches/{path}")
        changed += 1
    for path in gone:
        (PATCHES / path).unlink()
        if (PATCHES / path).parent != PATCHES and not any((PATCHES / path).parent.iterdir()):
            (PATCHES / path).parent.rmdir()
        if gone[path] not in files.values():
            show(f"  removed   patches/{path}")
    show(f"{len(files)} patches, {changed} written" if changed or gone
          else f"{len(files)} patches, all as they were")


def command() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("apply", help="bring linux/ to patches/")
    verb.add_argument("--linux", type=Path, metavar="TREE", help="your own git tree")
    verb.add_argument("--tarball", type=Path)
    verb.add_argument("--topics", default="", help="take only these, and what they need")
    verb.add_argument("--force", action="store_true", help="drop your work in linux/, saved first")
    verb.add_argument("--rebase", action="store_true", help="put your commits on the new series")
    verb = verbs.add_parser("export", help="write linux/'s commits to patches/")
    verb.add_argument("--topic", default="", help="the folder of new commits")
    verbs.add_parser("todo", help="the patches that don't apply yet")
    verb = verbs.add_parser("rebase", help="put the series on another base")
    verb.add_argument("base", nargs="?", default="", help="package version, tarball or git tree")
    verb = verbs.add_parser("remove", help="delete linux/")
    verb.add_argument("--force", action="store_true")
    options = parser.parse_args()
    if options.verb == "apply":
        apply(options.linux, options.tarball, options.topics, options.force, options.rebase)
    elif options.verb == "export":
        export(options.topic)
    elif options.verb == "rebase":
        rebase(options.base)
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
