# SPDX-License-Identifier: GPL-2.0
"""The mutants are fit to be run; `make mutants` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.judge import mutants
from scripts.guest import ktap, machine
from scripts.series.commits import git

PATCHES = sorted(mutants.MUTANTS.glob("*/*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_names_tests_and_applies(patch: Path) -> None:
    assert mutants.names_of(patch)
    git("apply", "--cached", "--check", patch)


def test_each_topic_has_six() -> None:
    # mm/ is about what isn't the series' own.
    topics = {patch.parent for patch in PATCHES} - {mutants.MUTANTS / "mm"}
    assert topics and all(len(list(t.glob("*.patch"))) >= 6 for t in topics)


@pytest.mark.parametrize("head, why", [
    ("Subject: x\n", "no line 'Tests: NAME ...'"), ("Tests: thp_nonsense\n", "no test")])
def test_bad_header(head: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    patch = tmp_path / "01-x.patch"
    patch.write_text(f"{head}\ndiff --git a/f b/f\nTests: boot_hello\n")
    with pytest.raises(mutants.Fatal, match=why):
        mutants.names_of(patch)


@pytest.mark.parametrize("status, problem, outcomes, words", [
    (0, "", "pp", ""), (1, "", "pf", "t1"), (1, "kernel panic: x", "p", "kernel panic: x"),
    (1, "", "ffffff", "t0, t1, t2, t3 and 2 more"), (2, "", "", "status 2")])
def test_blame(status: int, problem: str, outcomes: str, words: str) -> None:
    tests = [ktap.Test(f"t{n}", {"p": "pass", "f": "fail"}[o], "", "")
             for n, o in enumerate(outcomes)]
    assert mutants.blame(machine.Run(status, problem, tests, "", 1.0, "")) == words
