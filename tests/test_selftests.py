# SPDX-License-Identifier: GPL-2.0
"""What scripts/selftests*.py make of a guest's console and of the record."""

from __future__ import annotations

from pathlib import Path

import conftest  # noqa: F401     # puts the project on the path
import pytest

from scripts.judge import selftests
from scripts.judge import expected as judge
from scripts.common import Fatal
from scripts.judge.expected import Category, Done, Entry, Known, Program, Result

RULE = "# " + "-" * 20 + "\n"
CONSOLE = f"""TAP version 13
{RULE}# running ./cow
{RULE}# TAP version 13
# 1..4
# # [RUN] Basic
# ok 1 Basic ... at 0x7f0012345678
# ok 2 # SKIP no swap
# # pin failed: Bad address (14)
# not ok 3 Pinned
# ok 4 - global.other # SKIP needs NUMA
# # Totals: pass:1 fail:1 xfail:0 xpass:0 skip:2 error:0
# [FAIL]
not ok 1 cow # exit=1
{RULE}# running bash ./test_x.sh smoke
{RULE}# You need x
# [SKIP]
ok 2 test_x.sh smoke # SKIP
{RULE}# running ./thuge-gen
{RULE}# [PASS]
ok 3 thuge-gen
# SUMMARY: PASS=1 SKIP=1 FAIL=1
1..3
"""
RECORD = """# Kept.

cow:
  cow 1
    fail Pinned # a pool too small
    skip * # not here
hmm: never # no ZONE_DEVICE
thp:
  thuge-gen 1
  test_x.sh smoke 0
    skip (all) # no x
"""


def one(inner: str, end: str) -> Program:
    """The only program of a console, from its own lines and its verdict."""
    lines = "".join(f"# {line}\n" for line in inner.splitlines())
    [program] = judge.parse(f"# running ./p\n{lines}{end}\n", "kernel panic: oh")
    return program


def done(*programs: Program, category: str = "cow", problem: str = "") -> Done:
    """A run of these programs."""
    return Done(category, list(programs), problem, 1.0, "")


def program(name: str, passed: int, *others: Result) -> Program:
    """A program with so many passes, and other results."""
    return Program(name, [Result("pass", f"r{i}", "") for i in range(passed)] + list(others))


# ---- what programs print

def test_nested_results() -> None:
    cow, script, plain = judge.parse(CONSOLE)
    assert (cow.name, script.name, plain.name) == ("cow", "test_x.sh smoke", "thuge-gen")
    assert cow.results == [
        Result("pass", "Basic ... at 0xN", ""), Result("skip", "no swap", ""),
        Result("fail", "Pinned", "pin failed: Bad address (14)"),
        Result("skip", "global.other", "needs NUMA")]
    assert script.results == [Result("skip", "(all)", "You need x")]
    assert plain.results == [Result("pass", "(all)", "")]


@pytest.mark.parametrize("inner, end, name, cause", [
    ("1..3\nok 1 a\nok 2 b", "ok 1 p", "(plan)", "2 of 3 results"),
    ("1..1\nok 1 a", "not ok 1 p # exit=139", "(end)", "died of SIGSEGV"),
    ("ok 1 a", "not ok 1 p # exit=124", "(end)", "killed, its time was up"),
    ("oh no", "not ok 1 p # exit=1", "(all)", "exit status 1: oh no"),
    ("1..2\nok 1 a", "", "(end)", "kernel panic: oh"),
])
def test_bad_ends(inner: str, end: str, name: str, cause: str) -> None:
    fails = [r for r in one(inner, end).results if r.outcome == "fail"]
    assert [(r.name, r.cause.startswith(cause)) for r in fails] == [(name, True)]


def test_skip_in_the_middle_of_a_plan() -> None:
    results = one("1..5\nok 1 # SKIP no keys", "ok 1 p # SKIP").results
    assert [(r.outcome, r.name) for r in results] == [("skip", "no keys"), ("skip", "(plan)")]


def test_expected_failure_is_no_pass() -> None:
    assert one("1..1\nok 1 # XFAIL overlap", "ok 1 p").results == [Result("skip", "overlap", "")]


def test_crash_keeps_what_came_before() -> None:
    cut = CONSOLE[:CONSOLE.index("# # pin failed")] + \
        "[    1.000000] Kernel panic - not syncing: x\n"
    [cow] = judge.parse(cut, "kernel panic: x")
    assert [r.outcome for r in cow.results] == ["pass", "skip", "fail"]
    assert cow.results[-1] == Result("fail", "(end)", "kernel panic: x")
    assert cow.splats == ["[    1.000000] Kernel panic - not syncing: x"]


def test_only_the_kernel_splats() -> None:
    assert one("WARNING: 3 skipped\n1..1\nok 1 a", "ok 1 p").splats == []


# ---- the record

def test_record_round_trip() -> None:
    head, known = judge.read_record(RECORD)
    assert judge.write_record(head, known) == RECORD
    assert known["hmm"].never == "no ZONE_DEVICE"
    assert known["cow"].programs["cow"].entries[0] == Entry("fail", "Pinned", "a pool too small")


def test_record_with_a_wrong_line() -> None:
    with pytest.raises(Fatal, match=r"selftests.txt:2: not understood: +broken"):
        judge.read_record("cow:\n    broken\n")


def test_as_recorded_is_green() -> None:
    known = judge.read_record(RECORD)[1]["cow"]
    [cow, *_] = judge.parse(CONSOLE)
    assert judge.compare(known, done(cow)) == ([], [])


@pytest.mark.parametrize("ran, red", [
    ([program("p", 2)], "p: 2 passed, 3 recorded"),
    ([program("p", 3, Result("fail", "new", "why"))], "p: fail new: why"),
    ([program("p", 3, Result("skip", "new", "why"))], "p: skip new: why"),
    ([program("p", 3, Result("fail", "known skip", ""))], "p: fail known skip"),
    ([program("p", 3), program("q", 1)], "q: not in the record"),
    ([], "p: vanished"),
    ([Program("p", program("p", 3).results, ["[1.0] BUG: x"])], "p: [1.0] BUG: x"),
])
def test_regression_is_red(ran: list[Program], red: str) -> None:
    known = Category(programs={"p": Known(3, [Entry("skip", "known skip", "cause")])})
    bad, _ = judge.compare(known, done(*ran))
    assert len(bad) == 1 and bad[0].startswith(red)


def test_panic_is_red() -> None:
    bad, _ = judge.compare(Category(), done(category="thp", problem="kernel panic: x"))
    assert bad == ["thp: kernel panic: x"]


def test_unknown_cause_is_red() -> None:
    known = Category(programs={"p": Known(1, [Entry("skip", "s", "? maybe")])})
    bad, _ = judge.compare(known, done(program("p", 1, Result("skip", "s", ""))))
    assert bad == ["p: skip s: has no cause in the record"]


def test_better_is_told_and_green() -> None:
    known = Category(programs={"p": Known(1, [Entry("fail", "f", "cause")])})
    bad, good = judge.compare(known, done(program("p", 2)))
    assert (bad, good) == ([], ["p: no more fail: f", "p: 2 passed, 1 recorded"])


def test_only_some_programs() -> None:
    known = Category(programs={"p a": Known(1), "q": Known(1)})
    assert judge.compare(known, done(program("p a", 1)), ["p"]) == ([], [])
    assert judge.compare(known, done(), ["q"])[0] == ["q: vanished"]


def test_learn_keeps_causes() -> None:
    old = Known(9, [Entry("skip", "s*", "cause"), Entry("fail", "gone", "old")])
    known = Category(programs={"p": old, "vanished": Known(1)})
    ran = program("p", 2, Result("skip", "s1", ""), Result("skip", "s2", ""),
                  Result("fail", "f", "says"))
    judge.learn(known, done(ran), [])
    assert known.programs == {
        "p": Known(2, [Entry("skip", "s*", "cause"), Entry("fail", "f", "? says")])}


# ---- what is run

def test_choose() -> None:
    found = {"cow": ["cow"], "gup_test": ["gup_test", "gup_longterm"], "ksm": ["ksm_tests"],
             "ksm_numa": ["ksm_tests"]}
    assert selftests.choose([], found) == {c: [] for c in found}
    assert selftests.choose(["gup_longterm"], found) == {"gup_test": ["gup_longterm"]}
    assert selftests.choose(["gup_longterm", "gup_test"], found) == {"gup_test": []}
    assert selftests.choose(["ksm_tests"], found) == {c: ["ksm_tests"] for c in ("ksm", "ksm_numa")}
    with pytest.raises(Fatal, match="no category or program 'longterm'; near: gup_longterm"):
        selftests.choose(["longterm"], found)


def test_catalogue() -> None:
    script = ('CATEGORY="hugetlb" run_test ./hugetlb-mmap\n'
              '\tCATEGORY="mlock" run_test sudo -u nobody sh -c ./on-fault-limit\n'
              'CATEGORY="userfaultfd" run_test ${uffd_stress_bin} anon 20 16\n')
    assert selftests.catalogue(script, ["mseal_test", "write_to_hugetlbfs"]) == {
        "hugetlb": ["hugetlb-mmap"], "mlock": ["on-fault-limit"],
        "userfaultfd": ["uffd-stress"], "unlisted": ["mseal_test"]}


def test_changed_run_vmtests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/run_vmtests.sh").write_text("echo something else\n")
    monkeypatch.setattr(selftests, "SOURCE", tmp_path / "mm")
    with pytest.raises(Fatal, match="run_vmtests.sh of this kernel has no single"):
        selftests.stage(tmp_path)
