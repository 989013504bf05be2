# SPDX-License-Identifier: GPL-2.0
"""patches/ to linux/ and back, on a kernel of four files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TREE = {
    "Kconfig": "mainmenu\n", "Makefile": "all:\n",
    "mm/huge_memory.c": "".join(f"line {n}\n" for n in range(40)),
    "mm/memory.c": "".join(f"row {n}\n" for n in range(40)),
    "scripts/run.sh": "#!/bin/sh\n",
    ".gitignore": "*.o\n/linux\n\n#\n# Debian packaging: ignore everything\n#\n/*\n!/debian/\n",
}


class Clone:
    """A clone of this project with a tiny kernel in its cache."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        shutil.copytree(ROOT / "scripts", path / "scripts",
                        ignore=shutil.ignore_patterns("__pycache__"))
        (path / "patches").mkdir()
        self.cache = path.parent / "cache/uml-mm"
        self.cache.mkdir(parents=True, exist_ok=True)
        self.tarball = self.cache / "linux-source-7.2_7.2.13-1.tar.xz"
        self.make_tarball(TREE)
        self.env = {**os.environ, "XDG_CACHE_HOME": str(path.parent / "cache"),
                    "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(path.parent),
                    "GIT_AUTHOR_NAME": "A Hacker", "GIT_AUTHOR_EMAIL": "a@example.org",
                    "GIT_COMMITTER_NAME": "A Hacker", "GIT_COMMITTER_EMAIL": "a@example.org"}

    def make_tarball(self, files: dict[str, str]) -> None:
        """Write the base's tarball and patches/BASE for it."""
        with tarfile.open(self.tarball, "w:xz") as tar:
            for name, text in {**files, "a/long/" + "n" * 120: "deep\n"}.items():
                info = tarfile.TarInfo(f"linux-source-7.2/{name}")
                info.size, info.mtime = len(text), 1_700_000_000
                info.mode = 0o755 if name.endswith(".sh") else 0o644
                tar.addfile(info, BytesIO(text.encode()))
            link = tarfile.TarInfo("linux-source-7.2/mm/link")
            link.type, link.linkname = tarfile.SYMTYPE, "memory.c"
            tar.addfile(link)
        digest = hashlib.sha256(self.tarball.read_bytes()).hexdigest()
        (self.path / "patches/BASE").write_text(
            "version: 7.2.13\npackage: linux-source-7.2\npackage-version: 7.2.13-1\n"
            f"deb-sha256: {'0' * 64}\ntarball-sha256: {digest}\n")

    def series(self, *args: str, status: int = 0) -> str:
        """Run scripts/series/series.py and return what it prints."""
        done = subprocess.run(["/usr/bin/python3", "-m", "scripts.series.series", *args],
                              cwd=self.path, env=self.env, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    def git(self, *args: str, tree: str = "linux") -> str:
        """Run git in the clone's kernel tree."""
        return subprocess.run(["git", *args], cwd=self.path / tree, env=self.env, text=True,
                              check=True, capture_output=True).stdout.strip()

    def edit(self, name: str, old: str, new: str, tree: str = "linux") -> None:
        """Replace a word in a file of the kernel tree."""
        file = self.path / tree / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def commit(self, name: str, old: str, new: str, subject: str) -> None:
        """Commit an edit in linux/."""
        self.edit(name, old, new)
        self.git("commit", "-qam", f"{subject}\n\nWhy it is done.\n\nSigned-off-by: A <a@b.c>")

    def files(self) -> dict[str, bytes]:
        """Everything in patches/."""
        return {str(p.relative_to(self.path / "patches")): p.read_bytes()
                for p in sorted((self.path / "patches").rglob("*")) if p.is_file()}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with linux/ made and no patch."""
    clone = Clone(tmp_path / "clone")
    clone.series("apply")
    return clone


@pytest.fixture
def patched(clone: Clone) -> Clone:
    """A clone with three patches in two topics."""
    clone.commit("mm/memory.c", "row 3\n", "row three\n", "um: count by words")
    clone.commit("mm/memory.c", "row 30\n", "row thirty\n", "um: count further")
    clone.series("export")
    clone.commit("mm/huge_memory.c", "line 5\n", "line five\n", "mm: huge words")
    clone.series("export", "--topic", "huge-zero")
    return clone


def test_import_is_a_sound_git_tree(clone: Clone) -> None:
    assert clone.git("fsck", "--strict") == ""
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("log", "--format=%s") == "Linux 7.2.13 (Debian linux-source-7.2 7.2.13-1)"
    assert (clone.path / "linux/mm/link").readlink() == Path("memory.c")
    assert os.access(clone.path / "linux/scripts/run.sh", os.X_OK)
    clone.git("rm", "-rq", "--cached", ".")
    clone.git("add", "-A")      # git's own idea of the same files
    assert clone.git("diff", "--cached", "--stat") == ""


def test_new_files_show_and_build_products_do_not(clone: Clone) -> None:
    (clone.path / "linux/mm/new.c").touch()
    (clone.path / "linux/mm/new.o").touch()
    (clone.path / "linux/linux").symlink_to("../build/default/linux")
    assert clone.git("status", "--porcelain") == "?? mm/new.c"


def test_corrupt_cache_is_refetched(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    clone.tarball.write_bytes(clone.tarball.read_bytes()[:-100])
    clone.env["PATH"] = str(tmp_path)      # no apt: where the fetch must end up
    output = clone.series("apply", status=2)
    assert "linux-source-7.2_7.2.13-1.tar.xz in the cache is corrupt" in output
    assert not (clone.path / "linux").exists()


def test_cut_off_tarball_leaves_no_tree(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    short = tmp_path / "short.tar.xz"
    short.write_bytes(clone.tarball.read_bytes()[:200])
    output = clone.series("apply", "--tarball", str(short), status=2)
    assert "cut off" in output or "can't be unpacked" in output
    assert not (clone.path / "linux").exists()
    clone.series("apply")
    assert clone.git("status", "--porcelain") == ""


def test_export_is_stable(patched: Clone) -> None:
    before = patched.files()
    assert [p for p in before if p.endswith(".patch")] == [
        "huge-zero/0001-mm-huge-words.patch", "um/0001-um-count-by-words.patch",
        "um/0002-um-count-further.patch"]
    assert b"Subject: [PATCH] mm: huge words\n\nWhy" in before["huge-zero/0001-mm-huge-words.patch"]
    assert "all as they were" in patched.series("export")
    patched.git("config", "diff.noprefix", "true")
    patched.git("config", "format.headers", "X-Mine: yes")
    patched.git("config", "format.signature", "me")
    patched.git("config", "core.abbrev", "7")
    patched.series("export")
    assert patched.files() == before


def test_round_trip_gives_the_same_commits(patched: Clone) -> None:
    before = patched.files()
    patched.series("remove")
    assert not (patched.path / "linux").exists()
    patched.series("apply")
    assert patched.git("status", "--porcelain") == ""
    assert patched.git("log", "-3", "--format=%s").splitlines() == [
        "mm: huge words", "um: count further", "um: count by words"]
    assert "Why it is done." in patched.git("log", "-1", "--format=%b")
    head = patched.git("rev-parse", "HEAD")
    patched.series("export")
    assert patched.files() == before
    patched.series("remove")
    patched.series("apply")
    assert patched.git("rev-parse", "HEAD") == head


def test_fixup_rewrites_only_its_patch(patched: Clone) -> None:
    before = patched.files()
    patched.edit("mm/memory.c", "row three\n", "row 3, in words\n")
    output = patched.series("export", status=2)
    assert "mm/memory.c" in output and "commit" in output
    first = patched.git("rev-list", "HEAD").splitlines()[2]
    patched.git("commit", "-qa", "--fixup", first)
    patched.env["GIT_SEQUENCE_EDITOR"] = "true"
    patched.git("rebase", "-qi", "--autosquash", "refs/worktree/uml-mm/base")
    output = patched.series("export")
    after = patched.files()
    assert {p for p in after if after[p] != before[p]} == {"um/0001-um-count-by-words.patch"}
    assert "changed   patches/um/0001" in output


def test_new_subject_and_new_commit_keep_their_place(patched: Clone) -> None:
    series = patched.path / "patches/series"
    series.write_text("# topic um: needed by all\n" + series.read_text().replace(
        "huge-zero/", "# topic zero\nhuge-zero/"))
    patched.series("export")
    patched.env["GIT_SEQUENCE_EDITOR"] = "sed -i '2s/^pick/reword/'"
    patched.env["GIT_EDITOR"] = "sed -i '1s/further/even further/'"
    patched.git("rebase", "-qi", "refs/worktree/uml-mm/base")
    patched.commit("mm/huge_memory.c", "line 30\n", "line thirty\n", "mm: more words")
    patched.series("export")
    assert series.read_text() == (
        "# topic um: needed by all\n"
        "# The order of the series, one patch a line; quilt can read it.\n"
        "um/0001-um-count-by-words.patch\num/0002-um-count-even-further.patch\n"
        "# topic zero\nhuge-zero/0001-mm-huge-words.patch\nhuge-zero/0002-mm-more-words.patch\n")
    assert not (patched.path / "patches/um/0002-um-count-further.patch").exists()


def test_dropped_commit_drops_its_patch(patched: Clone) -> None:
    patched.git("rebase", "-q", "--onto", "HEAD~3", "HEAD~2")
    assert "removed   patches/um/0001" in patched.series("export")
    assert sorted(p for p in patched.files() if p.endswith(".patch")) == [
        "huge-zero/0001-mm-huge-words.patch", "um/0001-um-count-further.patch"]


def test_changed_patch_updates_only_its_files(patched: Clone) -> None:
    untouched = patched.path / "linux/mm/memory.c"
    os.utime(untouched, ns=(10**18, 10**18))
    patched.git("status")
    patch = patched.path / "patches/huge-zero/0001-mm-huge-words.patch"
    patch.write_text(patch.read_text().replace("+line five", "+line 5.0"))
    patched.series("apply")
    assert "line 5.0" in (patched.path / "linux/mm/huge_memory.c").read_text()
    assert untouched.stat().st_mtime_ns == 10**18
    assert patched.git("status", "--porcelain") == ""


def change_a_patch(clone: Clone) -> None:
    """Change the last patch, as a pull would."""
    patch = clone.path / "patches/huge-zero/0001-mm-huge-words.patch"
    patch.write_text(patch.read_text().replace("+line five", "+line 5.0"))


def test_edits_are_never_overwritten(patched: Clone) -> None:
    patched.edit("mm/memory.c", "row 10\n", "mine\n")
    (patched.path / "linux/mm/mine.c").write_text("mine too\n")
    patched.series("apply")                 # nothing to do, nothing done
    change_a_patch(patched)
    output = patched.series("apply", status=2)
    assert "mm/memory.c" in output and "FORCE=1" in output and "make patches" in output
    assert "mine\n" in (patched.path / "linux/mm/memory.c").read_text()
    assert "mm/memory.c" in patched.series("remove", status=2)
    output = patched.series("apply", "--force")
    backup = re.search(r"refs/uml-mm/backup/\S+", output)
    assert backup
    assert patched.git("status", "--porcelain") == ""
    assert "line 5.0" in (patched.path / "linux/mm/huge_memory.c").read_text()
    assert patched.git("show", f"{backup[0]}:mm/mine.c") == "mine too"
    assert "mine\n" in patched.git("show", f"{backup[0]}:mm/memory.c")


def test_commits_move_onto_a_changed_series(patched: Clone) -> None:
    patched.commit("mm/memory.c", "row 20\n", "row twenty\n", "um: my own")
    change_a_patch(patched)
    assert "1 commits of your own" in patched.series("apply", status=2)
    assert "REBASE=1" in patched.series("export", status=2)
    patched.series("apply", "--rebase")
    assert patched.git("log", "-2", "--format=%s").splitlines() == ["um: my own", "mm: huge words"]
    patched.series("export")
    patched.series("apply")
    assert any("um-my-own" in p for p in patched.files())


def test_patch_that_does_not_apply(patched: Clone) -> None:
    bad = patched.path / "patches/um/0002-um-count-further.patch"
    bad.write_text(bad.read_text().replace("-row 30\n", "-row 33\n"))
    patched.series("remove")
    output = patched.series("apply", status=2)
    assert "patches/um/0002-um-count-further.patch doesn't apply" in output
    assert re.search(r"patch failed: mm/memory.c:\d+", output) and "git am -3" in output
    assert patched.git("log", "-1", "--format=%s") == "um: count by words"
    assert patched.git("status", "--porcelain") == ""
    assert len(patched.series("todo").split()) == 2
    patched.commit("mm/memory.c", "row 30\n", "row thirty\n", "um: count further")
    assert "huge-zero/0001" in patched.series("export", status=2)   # would be lost
    patched.git("am", "-q", str(patched.path / "patches/huge-zero/0001-mm-huge-words.patch"))
    patched.series("export")
    assert len(patched.files()) == 5


def test_bad_series_file(patched: Clone) -> None:
    series = patched.path / "patches/series"
    series.write_text(series.read_text() + "um/0009-none.patch\n")
    assert "um/0009-none.patch, which isn't there" in patched.series("apply", status=2)


def test_hardware_that_is_not_in_the_work_tree(clone: Clone) -> None:
    regs = "drivers/gpu/drm/amd/include/asic_reg/" + "n" * 90 + ".h"
    hidden = {regs: "#define A 1\n", "arch/arm/boot/dts/a.dts": "/ {};\n"}
    clone.make_tarball({**TREE, **hidden, "arch/arm/boot/Makefile": "all:\n"})
    clone.series("apply")
    there = clone.path / "linux"
    assert not any((there / name).exists() for name in hidden)
    assert (there / "arch/arm/boot/Makefile").exists()
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("show", f"HEAD:{regs}") == hidden[regs].strip()
    clone.edit("mm/memory.c", "row 3\n", "mine\n")
    clone.git("commit", "-qam", "mine")
    clone.git("reset", "-q", "--hard", "HEAD~1")
    assert not any((there / name).exists() for name in hidden)
    clone.git("fsck", "--strict")
    other = clone.path / "other"            # as make mutants has one
    clone.git("worktree", "add", "-q", "--detach", str(other))
    assert (other / "mm/memory.c").exists() and clone.git("status", "--porcelain",
                                                          tree=str(other)) == ""
    clone.git("sparse-checkout", "disable")
    assert all((there / name).read_text() == text for name, text in hidden.items())
    assert clone.git("status", "--porcelain") == ""


def tree_of_theirs(clone: Clone) -> str:
    """A git tree of the user's with the base's files in it."""
    theirs = clone.path.parent / "theirs"
    theirs.mkdir()
    subprocess.run(["tar", "-x", "-C", theirs, "-f", clone.tarball], check=True)
    (theirs / "linux-source-7.2").rename(theirs / "src")
    tree = str(theirs / "src")
    clone.edit(".gitignore", "/*", "", tree=tree)
    clone.git("init", "-qb", "main", tree=tree)
    clone.git("add", "-Af", tree=tree)
    clone.git("commit", "-qm", "theirs", tree=tree)
    return tree


def test_own_tree_stays_untouched(patched: Clone) -> None:
    tree = tree_of_theirs(patched)
    patched.edit("mm/memory.c", "row 39", "their edit", tree=tree)
    before = patched.git("for-each-ref", tree=tree), patched.git("status", "--porcelain", tree=tree)
    patched.series("remove")
    patched.series("apply", "--linux", tree)
    assert patched.git("log", "--format=%s").splitlines()[-1] == "theirs"
    assert patched.git("status", "--porcelain") == ""
    assert "their edit" not in (patched.path / "linux/mm/memory.c").read_text()
    files = patched.files()
    patched.series("export")
    assert patched.files() == files
    patched.commit("mm/memory.c", "row 20\n", "row twenty\n", "um: my own")
    patched.series("export")
    patched.series("apply")
    assert (patched.git("for-each-ref", tree=tree),
            patched.git("status", "--porcelain", tree=tree)) == before
    patched.series("remove")
    assert patched.git("worktree", "list", tree=tree).count("\n") == 0
    assert (patched.git("for-each-ref", tree=tree),
            patched.git("status", "--porcelain", tree=tree)) == before


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    (clone.path / "linux").mkdir()
    assert "move it away" in clone.series("apply", status=2)


def subjects(clone: Clone) -> list[str]:
    """The commits on the base in linux/, the oldest first."""
    return clone.git("log", "--reverse", "--format=%s", "refs/worktree/uml-mm/base..").splitlines()


def test_topics_are_taken_with_what_they_need(patched: Clone) -> None:
    series = patched.path / "patches/series"
    series.write_text("# topic um\num/0001-um-count-by-words.patch\n"
                      "um/0002-um-count-further.patch\n# topic huge-zero needs um\n"
                      "huge-zero/0001-mm-huge-words.patch\n")
    assert "no topic 'team'; there are um, huge-zero, or all" in \
        patched.series("apply", "--topics", "um team", status=2)
    assert "the topics um: 2 patches" in patched.series("apply", "--topics", "um")
    assert subjects(patched) == ["um: count by words", "um: count further"]
    patched.series("apply")                     # it stays so
    assert len(subjects(patched)) == 2
    before = patched.files()
    patched.commit("mm/memory.c", "row 20\n", "row twenty\n", "um: count on")
    assert "TOPICS=all" in patched.series("export", "--topic", "huge-zero", status=2)
    patched.series("export")
    after = patched.files()
    assert set(after) - set(before) == {"um/0003-um-count-on.patch"}
    assert series.read_text().splitlines()[-3:] == [
        "um/0003-um-count-on.patch", "# topic huge-zero needs um",
        "huge-zero/0001-mm-huge-words.patch"]
    assert "huge-zero needs um" in patched.series("apply", "--topics", "huge-zero")
    assert subjects(patched)[-2:] == ["um: count on", "mm: huge words"]
    patched.series("apply", "--topics", "all")
    patched.series("export")
    assert patched.files() == after


def test_topic_is_merged_without_another_that_it_is_next_to(patched: Clone) -> None:
    patched.commit("mm/memory.c", "row 33\n", "row 3 and 30\n", "mm: close by")
    patched.series("export", "--topic", "team")
    assert "1 merged" in patched.series("apply", "--topics", "team")
    assert subjects(patched) == ["mm: close by"]
    assert "row 30\n" in (patched.path / "linux/mm/memory.c").read_text()


def test_series_is_merged_into_a_tree_near_its_base(patched: Clone) -> None:
    tree = tree_of_theirs(patched)
    patched.edit("mm/memory.c", "row 5\n", "row V\n", tree=tree)
    patched.edit("mm/memory.c", "row 30\n", "row thirty\n", tree=tree)
    patched.git("commit", "-qam", "theirs, as ours", tree=tree)
    patched.series("remove")
    output = patched.series("apply", "--linux", tree)
    assert "um/0002-um-count-further.patch: this kernel has it already" in output
    assert "0 patches as they are, 2 merged, 1 not needed" in output
    assert subjects(patched) == ["um: count by words", "mm: huge words"]
    text = (patched.path / "linux/mm/memory.c").read_text()
    assert "row three\n" in text and "row V\n" in text
    patched.series("apply")
    assert patched.git("status", "--porcelain", tree=tree) == ""


def test_conflict_in_a_tree_near_the_base_is_the_users(patched: Clone) -> None:
    tree = tree_of_theirs(patched)
    patched.edit("mm/memory.c", "row 3\n", "row III\n", tree=tree)
    patched.git("commit", "-qam", "theirs", tree=tree)
    patched.series("remove")
    for _ in range(2):
        output = patched.series("apply", "--linux", tree, status=2)
        assert '"um: count by words" conflicts with this kernel in mm/memory.c' in output
    (patched.path / "linux/mm/memory.c").write_text(TREE["mm/memory.c"].replace(
        "row 3\n", "row three or III\n"))
    patched.git("commit", "-qa", "-C", "REBASE_HEAD")
    patched.env["GIT_EDITOR"] = "true"
    patched.git("rebase", "--continue")
    assert "0 patches as they are, 3 merged" in patched.series("apply", "--linux", tree)
    assert len(subjects(patched)) == 3


def test_conflict_is_dropped_with_its_topic(patched: Clone) -> None:
    tree = tree_of_theirs(patched)
    patched.edit("mm/memory.c", "row 3\n", "row III\n", tree=tree)
    patched.git("commit", "-qam", "theirs", tree=tree)
    patched.series("remove")
    patched.series("apply", "--linux", tree, status=2)
    patched.series("apply", "--linux", tree, "--topics", "huge-zero", "--force")
    for _ in range(2):
        patched.series("apply")
        assert subjects(patched) == ["mm: huge words"]
    patched.edit("mm/memory.c", "row 9\n", "mine\n")
    patched.git("commit", "-qam", "mm: mine")
    assert "1 commits of your own" in patched.series("remove", status=2)


def test_rebase_to_another_kernel(patched: Clone) -> None:
    old, before = patched.tarball.read_bytes(), patched.files()
    there = patched.path.parent / "linux-7.3.4.tar.xz"
    patched.make_tarball({**TREE, "Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n",
                          "mm/memory.c": TREE["mm/memory.c"].replace("row 30\n", "row thirty\n")
                          .replace("row 5\n", "row V\n"),
                          "mm/huge_memory.c": TREE["mm/huge_memory.c"].replace(
                              "line 5\n", "line V\n")})
    patched.tarball.rename(there)
    patched.tarball.write_bytes(old)
    (patched.path / "patches/BASE").write_bytes(before["BASE"])
    assert "no file or folder, nor a version" in patched.series("rebase", "nonsense", status=2)
    assert "BASE= says where to" in patched.series("rebase", status=2)
    patched.edit("mm/memory.c", "row 10\n", "mine\n")
    assert "`make patches` first" in patched.series("rebase", str(there), status=2)
    patched.git("checkout", "-q", ".")
    output = patched.series("rebase", str(there), status=2)
    assert '"mm: huge words" conflicts with this kernel in mm/huge_memory.c' in output
    assert patched.files() == before
    assert "conflicts" in patched.series("rebase", str(there), status=2)
    assert "conflicts" in patched.series("export", status=2)
    patched.series("apply", status=2)
    file = patched.path / "linux/mm/huge_memory.c"
    file.write_text(TREE["mm/huge_memory.c"].replace("line 5\n", "line five or V\n"))
    patched.git("add", "mm")
    patched.env["GIT_EDITOR"] = "true"
    patched.git("rebase", "--continue")
    output = patched.series("rebase")
    assert [line.split()[:2] for line in output.splitlines() if line[:2] == "  "] == [
        ["merged", "patches/um/0001-um-count-by-words.patch"],
        ["empty", "patches/um/0002-um-count-further.patch"],
        ["changed", "patches/huge-zero/0001-mm-huge-words.patch"]]
    assert "3 patches: 0 as they were, 1 merged, 1 changed, 1 empty" in output
    digest = hashlib.sha256(there.read_bytes()).hexdigest()
    assert (patched.path / "patches/BASE").read_text() == \
        f"version: 7.3.4\ntarball-sha256: {digest}\n"
    after = patched.files()
    assert "all as they were" in patched.series("export")
    patched.series("apply")
    patched.series("remove")
    assert "LINUX_TARBALL=" in patched.series("apply", status=2)
    patched.series("apply", "--tarball", str(there))
    patched.series("export")
    assert patched.files() == after


def test_rebase_to_a_git_tree(patched: Clone) -> None:
    tree = tree_of_theirs(patched)
    output = patched.series("rebase", tree)
    assert "3 patches: 3 as they were" in output
    head = patched.git("rev-parse", "HEAD", tree=tree)
    assert f"commit: {head}" in (patched.path / "patches/BASE").read_text()
    assert patched.git("status", "--porcelain", tree=tree) == ""
