# SPDX-License-Identifier: GPL-2.0
"""From a diff to tests, and from a measured to what no test executes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scripts.series import commits
from scripts.guest import changed
from scripts.judge import coverage
from scripts.series import series
from scripts.guest.changed import Hunk, Measured

DIFF = """\
diff --git mm/a.c mm/a.c
index 1..2 100644
--- mm/a.c
+++ mm/a.c
@@ -3 +3,2 @@ int f(void)
--- x;
+++ x;
+y;
@@ -10,0 +12,3 @@
@@ -20,2 +24,0 @@
diff --git mm/gone.c mm/gone.c
deleted file mode 100644
--- mm/gone.c
+++ /dev/null
@@ -1,2 +0,0 @@
diff --git mm/new.c mm/new.c
new file mode 100644
--- /dev/null
+++ mm/new.c
@@ -0,0 +1,5 @@
"""

HUNKS = [Hunk((3, 4), (3, 5)), Hunk((11, 11), (12, 15)), Hunk((20, 22), (25, 25))]

# f() in 1 to 9, g() in 11 to 19, h() in 21 to 29, which nobody calls
MEASURED = Measured(
    "", {"mm/a.c": [1, 3, 5, 9, 11, 13, 19, 21, 25]}, {"mm/a.c": [(1, 9), (11, 19), (21, 29)]},
    {"(boot)": {"mm/a.c": [11, 13, 19]}, "t_f": {"mm/a.c": [1, 3, 9]},
     "t_f_deep": {"mm/a.c": [1, 5, 9]}, "t_none": {}})


def test_hunks() -> None:
    assert changed.hunks(DIFF) == {"mm/a.c": HUNKS, "mm/gone.c": [Hunk((1, 3), (1, 1))],
                                "mm/new.c": [Hunk((1, 1), (1, 6))]}


@pytest.mark.parametrize("new, old", [
    ((3, 5), {3}),              # a change
    ((12, 15), {10, 11}),       # lines that were added: between these
    ((25, 25), {20, 21}),       # lines that were removed
    ((7, 8), {6}),              # a line that only moved
    ((30, 31), {28}),
    ((4, 8), {3, 4, 5, 6})])
def test_carry(new: tuple[int, int], old: set[int]) -> None:
    assert changed.carry(new, HUNKS) == old


def test_carry_unchanged_since_the_record() -> None:
    assert changed.carry((7, 9), []) == {7, 8}


@pytest.mark.parametrize("lines, tests, words", [
    ({3}, {"t_f"}, ""),
    ({5}, {"t_f_deep"}, ""),
    ({9}, {"t_f", "t_f_deep"}, ""),
    ({7}, {"t_f", "t_f_deep"}, ""),             # no code: the function around
    ({13}, {"t_f", "t_f_deep", "t_none"}, "mm/a.c:13 is executed at boot only: all tests"),
    ({20}, {"t_f", "t_f_deep", "t_none"}, "mm/a.c:20 is outside of functions: all tests"),
    ({25}, set(), "mm/a.c:25: no test executes this function")])
def test_choose(lines: set[int], tests: set[str], words: str) -> None:
    assert changed.choose(MEASURED, {"mm/a.c": [lines]}) == (tests, [words] if words else [])


def test_choose_file_without_record() -> None:
    tests, words = changed.choose(MEASURED, {"mm/a.c": [{3}], "Kconfig": [{1}]})
    assert tests == {"t_f", "t_f_deep", "t_none"}
    assert words == ["Kconfig was never measured: all tests"]


SOURCE = """\
int f(int a)
{
	if (a)
		return g(a,
			 a);
	return 0;
}

#ifdef CONFIG_SMP
void h(void)
{
	k();
}
#endif
static inline bool no(void) { return false; }
"""


def test_judge(capsys: pytest.CaptureFixture[str]) -> None:
    measured = Measured("", {"mm/b.c": [1, 3, 4, 6]}, {"mm/b.c": [(1, 7)]},
                    {"t": {"mm/b.c": [1, 3, 6]}})
    lines = {"mm/b.c": {**dict.fromkeys(range(1, 16), "um"), 6: "hvo"}}
    topics = coverage.judge(measured, lines, {"mm/b.c": SOURCE})
    b = "mm/b.c"
    assert topics == {"um": coverage.Topic([(b, 1), (b, 3)], [(b, 4)], [(b, 12), (b, 15)]),
                      "hvo": coverage.Topic([(b, 6)], [], [])}
    assert coverage.report(topics, {b: SOURCE}) == 1
    assert capsys.readouterr().out == """\
um: no test executes
linux/mm/b.c:4: return g(a,
um: not measurable: not compiled, or without gcov
linux/mm/b.c:12: k();
linux/mm/b.c:15: static inline bool no(void) { return false; }
# um: 2 of 3 lines executed, 66.7 %, 2 not measurable; below 90 %
# hvo: 1 of 1 lines executed, 100.0 %, 0 not measurable
"""
    assert coverage.report({"hvo": topics["hvo"]}, {b: SOURCE}) == 0


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A linux/ with two versions of a file, and tests."""
    linux = tmp_path / "linux"
    (linux / "mm").mkdir(parents=True)
    git = ["git", "-C", linux, "-c", "user.name=x", "-c", "user.email=x"]
    subprocess.run(["git", "init", "-q", linux], check=True)
    (linux / "mm/a.c").write_text("".join(f"{n}\n" for n in range(1, 30)))
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    subprocess.run([*git, "update-ref", series.SERIES_REF, "HEAD"], check=True)
    (tmp_path / "rootfs/tests").mkdir(parents=True)
    for name in ("t_f", "t_f_deep", "t_none"):
        (tmp_path / "rootfs/tests" / name).touch()
    monkeypatch.setattr(commits, "LINUX", linux)
    monkeypatch.setattr(changed, "MEASURED", tmp_path / "coverage.json")
    return tmp_path


def test_changed_tests(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, rootfs = tree / "linux/mm/a.c", tree / "rootfs"
    assert changed.changed_tests(rootfs) == []
    assert "nothing in linux/ changed" in capsys.readouterr().err

    source.write_text(source.read_text().replace("\n5\n", "\nadded\nalso\nfive\n"))
    assert changed.changed_tests(rootfs) == ["t_f", "t_f_deep", "t_none"]
    assert "`make coverage`" in capsys.readouterr().err

    changed.MEASURED.write_text(json.dumps(MEASURED._replace(tree="HEAD")._asdict()))
    assert changed.changed_tests(rootfs) == ["t_f_deep"]
    assert "1 of 3 tests execute what changed in mm/a.c" in capsys.readouterr().err

    (rootfs / "tests/t_new").touch()        # nothing is known of it
    assert changed.changed_tests(rootfs) == ["t_f_deep", "t_new"]
