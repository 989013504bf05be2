# SPDX-License-Identifier: GPL-2.0
"""make mutants AUTO=: what is broken, that each mutant behaves, and the judgement on them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scripts.guest import machine
from scripts.judge import automutants, mutate, mutated
from scripts.judge.mutate import Mutant, Wrap
from scripts.common import Fatal

SOURCE = r"""
#include <stdio.h>
#define ASSIGN(x, y) do { x = y; } while (0)
#define likely(x) __builtin_expect(!!(x), 1)
#define VM_BUG_ON(x) ((void)(x))
enum { A = 1, B = 2, C = 4 };
static int refs, locked, order;

static void ref_get(int *r) { *r += 1; }
static void spin_lock(int *l) { locked += *l + 1; }
static void spin_unlock(int *l) { locked -= *l + 1; }
static void smp_mb(void) { order++; }
static int minus(int a, int b) { return a - b; }
static _Bool both(int a, int b) { return a && b; }

int tested(int a, int b)		/* if (a) nothing(); */
{
	static int lock;
	int flags = A | B | C, r = 0;

	VM_BUG_ON(a > 100);
	if (a < b) r = 1;
	else
		r = 2;
	if (likely(a && b))
		r += 10;
	if (a == 7) {
		r += 100;
		return r;
	}
	for (int i = 0; i < 3; i++)
		r += 1000;
	ref_get(&refs);
	spin_lock(&lock);
	smp_mb();
	r += 1;
	spin_unlock(&lock);
	ASSIGN(r, r + 1);
	r += minus(a, b) ? both(a, b) ? 5 : 6 : 7;
	switch (r) {
	case A | B:
		r--;
		break;
	}
	return r * 10 + flags;
}
"""
MAIN = r"""
#include <stdlib.h>
int uml_mutant;
unsigned char uml_reached[1000];
int main(int argc, char **argv)
{
	(void)argc;
	uml_mutant = atoi(argv[1]);
	for (int a = 0; a < 8; a++)
		for (int b = 0; b < 3; b++)
			printf("%d ", tested(a, b));
	printf("%d %d %d\n", refs, locked, order);
}
"""



@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Mutant]]:
    """A file and its mutants."""
    pytest.importorskip("clang.cindex")
    path = tmp_path_factory.mktemp("c") / "x.c"
    path.write_text(SOURCE)
    arguments = mutate.flags("gcc -std=gnu11 -c -o x.o x.c", path.parent)
    return path, mutate.find(path, arguments, {"x.c": path})["x.c"]


def of(mutants: list[Mutant], operator: str, function: str = "tested") -> set[tuple[str, str]]:
    """What an operator changes in a function, and to what."""
    return {(m.old, m.new) for m in mutants if (m.operator, m.function) == (operator, function)}


def test_operators(found: tuple[Path, list[Mutant]]) -> None:
    _, mutants = found
    assert of(mutants, "relation") == {("a < b", "a <= b"), ("i < 3", "i <= 3")}
    assert of(mutants, "logic") == {("a && b", "a || b")}
    assert {new for _, new in of(mutants, "flag")} == {"without A", "without B", "without C"}
    assert of(mutants, "count") == {("ref_get(&refs);", ""),
                                    ("ref_get(&refs);", "ref_get(&refs); ref_get(&refs);")}
    assert of(mutants, "lock") == {("spin_lock(&lock);", "without spin_unlock()")}
    assert of(mutants, "barrier") == {("smp_mb();", "")}
    assert ("minus(a, b)", "minus: b, a") in {
        (f"minus({old})", new) for old, new in of(mutants, "arguments")}
    assert of(mutants, "jump") == {("return r;", ""), ("break;", "")}
    assert ("ASSIGN(r, r + 1);", "") in of(mutants, "statement")
    assert ("r = 2;", "") in of(mutants, "statement")
    assert {("a < b", "true"), ("a < b", "false"), ("a < b", "!(a < b)"), ("i < 3", "false"),
            ("both(a, b)", "!(both(a, b))")} <= of(mutants, "condition")
    assert of(mutants, "logic", "both") == {("a && b", "a || b")}


def test_what_is_left_alone(found: tuple[Path, list[Mutant]]) -> None:
    path, mutants = found
    lines = SOURCE.splitlines()
    assert not [m for m in mutants if "VM_BUG_ON" in lines[m.line - 1]]
    assert not [m for m in mutants if "case A" in lines[m.line - 1]]
    assert not [m for m in mutants if "#define" in lines[m.line - 1]]
    assert ("i < 3", "true") not in of(mutants, "condition")      # a loop without an end
    assert {m.smp for m in mutants if m.operator in ("barrier", "lock")} == {True}


def test_keys_are_unique_and_survive_moves(found: tuple[Path, list[Mutant]]) -> None:
    path, mutants = found
    keys = [m.key() for m in mutants]
    assert len(set(keys)) == len(keys)
    moved = path.with_name("moved.c")
    moved.write_text("\n\n" + SOURCE)
    arguments = mutate.flags("gcc -std=gnu11 -c -o x.o x.c", path.parent)
    assert [m.key() for m in mutate.find(moved, arguments, {"x.c": moved})["x.c"]] == keys


def test_all_mutants_in_one_program(found: tuple[Path, list[Mutant]]) -> None:
    path, mutants = found
    text = mutate.write(path.read_text(), list(enumerate(mutants, 1)))
    head = len(mutate.HEAD.splitlines())
    assert len(text.splitlines()) == len(SOURCE.splitlines()) + head       # lines stay
    source, program = path.with_name("all.c"), path.with_name("all")
    source.write_text(text + MAIN)
    subprocess.run(["gcc", "-std=gnu11", "-Wno-unused", "-o", program, source], check=True)

    def run(number: int) -> str:
        return subprocess.run([program, str(number)], capture_output=True, text=True,
                              check=True).stdout

    plain = run(0)
    plain_source = path.with_name("plain.c")
    plain_source.write_text(SOURCE + MAIN)
    subprocess.run(["gcc", "-std=gnu11", "-o", path.with_name("plain"), plain_source], check=True)
    assert plain == subprocess.run([path.with_name("plain"), "0"], capture_output=True,
                                   text=True, check=True).stdout
    same = [m.key() for number, m in enumerate(mutants, 1) if run(number) == plain]
    assert all(any(word in key for word in ("r--", "break", "lock", "arguments: a, b"))
               for key in same), same

    for number, mutant in enumerate(mutants, 1):        # one that can be told exactly
        if (mutant.function, mutant.operator, mutant.new) == ("tested", "logic", "a || b"):
            other = path.with_name("other.c")
            other.write_text(SOURCE.replace("likely(a && b)", "likely(a || b)") + MAIN)
            subprocess.run(["gcc", "-std=gnu11", "-o", path.with_name("o"), other], check=True)
            assert run(number) == subprocess.run(
                [path.with_name("o"), "0"], capture_output=True, text=True, check=True).stdout


def test_masked_keeps_places() -> None:
    text = 'a("x;{", \'}\'); /* if (b)\n */ c(); // d {\n'
    code = mutate.masked(text)
    assert len(code) == len(text) and code.count("\n") == text.count("\n")
    assert "{" not in code and "}" not in code and "c();" in code and "if" not in code


def test_nested_wraps() -> None:
    def mutant(*wraps: Wrap) -> Mutant:
        return Mutant("x.c", "f", "o", 1, (1, 1), 1, "", "", False, list(wraps))
    text = mutate.write("a&&b", [(1, mutant(Wrap(0, 4, "<@", ">"))),
                                 (2, mutant(Wrap(0, 1, "(@", ")"))),
                                 (3, mutant(Wrap(0, 4, "[@", "]"), Wrap(1, 3, "?", "", True)))])
    assert text.splitlines()[-1] == "<1[3(2a)?b]>"


def test_flags() -> None:
    words = mutate.flags("gcc -Wp,-MMD,x -nostdinc -I./a -I b -include c.h -DX='\"y\"' -mno-sse "
                         "-std=gnu11 -O2 -Wall -c -o x.o x.c", Path("/here"))
    assert [w for w in ("-nostdinc", "-I./a", "-I", "b", "-include", "c.h", '-DX="y"',
                        "-std=gnu11", "-working-directory=/here") if w not in words] == []
    assert not [w for w in words if w in ("-O2", "-Wall", "-mno-sse", "-c", "x.c")]


def test_without_libclang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "clang", None)
    with pytest.raises(Fatal, match="apt-get install python3-clang"):
        mutate.cindex()


@pytest.mark.parametrize("good, count, low, high", [
    (0, 0, 0.0, 1.0), (9, 10, 0.596, 0.982), (90, 100, 0.826, 0.945), (100, 100, 0.963, 1.0),
    (0, 10, 0.0, 0.278)])
def test_wilson(good: int, count: int, low: float, high: float) -> None:
    assert automutants.wilson(good, count) == pytest.approx((low, high), abs=0.001)


MUTANT = Mutant("mm/x.c", "f", "statement", 12, (12, 13), 11, "a;", "", False, [])


def reached(tmp_path: Path, state: str = "s") -> automutants.Reach:
    """What was measured of three tests."""
    path = tmp_path / "reach.json"
    one = {"seconds": 1.0, "failed": "", "reached": [7], "places": [MUTANT.place()]}
    path.write_text(json.dumps({"state": "s", "old": {}, "tests": {
        "t1": one, "t2": {**one, "reached": [], "places": []}, "t3": {**one, "failed": "t3"}}}))
    return automutants.Reach(path, state)


def test_reaching(tmp_path: Path) -> None:
    assert reached(tmp_path).reaching() == {7: {"t1"}}      # one that fails proves nothing


def test_an_earlier_program_says_where_to_look(tmp_path: Path) -> None:
    reach = reached(tmp_path, "another")
    assert reach.reaching() == {}
    assert reach.candidates({MUTANT.place()}, ["t1", "t2", "t3", "new"]) == ["t1", "t3", "new"]
    assert reach.candidates({"mm/x.c unknown"}, ["t1", "t2", "t3"]) == ["t1", "t3"]
    assert reach.candidates({"mm/y.c unknown"}, ["t1", "t2"]) == ["t1", "t2"]


def test_measures_what_a_test_reaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(jobs: dict[str, automutants.Job]) -> list[tuple[str, automutants.Outcome]]:
        for job in jobs.values():
            with open(job.args[-1].removeprefix("reached="), "r+b") as file:
                file.seek(8)
                file.write(b"\1")
        return [(t, automutants.Outcome("", {t: 0.5}, 1.0)) for t in jobs]

    monkeypatch.setattr(automutants, "run_jobs", run)
    reach = automutants.Reach(tmp_path / "reach.json", "s")
    reach.measure(["t1"], Path("linux"), [], {7: MUTANT, 8: MUTANT})
    again = automutants.Reach(tmp_path / "reach.json", "s")
    assert again.reaching() == {8: {"t1"}} and again.times == {"t1": 0.5}


def test_shortest_first() -> None:
    times = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 9.0}
    assert automutants.choose({*times}, times, 6) == ["b", "c", "a"]
    assert automutants.choose({"d"}, times, 6) == ["d"]         # one at least
    assert automutants.limit(["a", "b"], times) == 17
    times = {"pte_a": 3.0, "b": 1.0}
    assert automutants.choose({*times}, times, 6, "pte-ref") == ["pte_a", "b"]
    assert automutants.choose({*times}, times, 6, "hvo", {"pte_a": 1}) == ["pte_a", "b"]


def test_tests_that_caught_others(tmp_path: Path) -> None:
    path = tmp_path / "results"
    path.write_text("".join(json.dumps({"file": file, "by": by, "tests": ["t", "u"]}) + "\n"
                            for file, by in (("a.c", "t"), ("a.c", "t"), ("a.c", ""),
                                             ("a.c", "panic"), ("b.c", "u"))) + '{"fi')
    assert automutants.kills_by_file(path) == {"a.c": {"t": 2}, "b.c": {"u": 1}}


def test_listener_ends_at_the_first_failure() -> None:
    listener = automutants.Listener()
    listener(b"KTAP version 1\n1..3\nok 1 t1\n  not ok 1 within\no")
    listener(b"k 2 t2 # SKIP no\r\n")
    assert set(listener.times) == {"t1", "t2"}
    with pytest.raises(automutants.Failed, match="t3"):
        listener(b"not ok 3 t3\n")


@pytest.mark.parametrize("end, by", [
    (machine.Run(0, "", [], "", 1.0, ""), ""),
    (machine.Run(1, "hung: silent for 5 s", [], "", 1.0, ""), "hung: silent for 5 s"),
    (machine.Run(1, "kernel panic: x", [], "", 1.0, ""), "kernel panic: x")])
def test_caught_by(end: machine.Run, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "boot", lambda *args, **options: end)
    assert automutants.run_job(automutants.Job(Path("x"), [], ["t"], 5)).by == by


def test_equivalent_ones(tmp_path: Path) -> None:
    path = tmp_path / "equivalent"
    assert automutants.equivalents(path) == {}
    path.write_text(f"# why\n\n{MUTANT.key()}\n    the next line\n    does it again\n")
    assert automutants.equivalents(path) == {MUTANT.key(): "the next line does it again"}


@pytest.mark.parametrize("text, why", [
    ("a: b\nc: d\n    x\n", "no reason below: a: b"), ("a: b\n", "no reason below"),
    ("    x\n", "without a mutant")])
def test_bad_equivalents(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "equivalent"
    path.write_text(text)
    with pytest.raises(Fatal, match=why):
        automutants.equivalents(path)


def test_projects_equivalents_have_reasons() -> None:
    automutants.equivalents()


def test_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert automutants.read_results(path, "s") == {}
    lines = [{"state": "s", "key": "a", "by": "t"}, {"state": "old", "key": "b", "by": ""}]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"state": "s", "ke')
    assert automutants.read_results(path, "s") == {"a": lines[0]}


def test_report(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"topic": "um", "file": "mm/x.c", "line": 3, "number": 7, "key": "k1", "by": "t1",
              "tests": ["t1"]}
    automutants.report([record, {**record, "key": "k2", "by": ""},
                        {**record, "key": "k3", "by": "", "tests": []}], {"um": 2},
                       {"um": "not tried: 1 matter on SMP only"})
    assert capsys.readouterr().out.splitlines() == [
        "um: survived: linux/mm/x.c:3 (mutant=7)", "  k2", "  1 tests ran: t1",
        "um: survived: linux/mm/x.c:3 (mutant=7)", "  k3", "  no test reaches it",
        "# um: 1 of 3 caught, 33.3 % (6.1 to 79.2), 1 survived, 1 not reached, 2 equivalent; "
        "not tried: 1 matter on SMP only"]


@pytest.mark.parametrize("what, why", [
    ("nonsense", "neither a file below linux/ nor 'changed' nor a topic: team, um")])
def test_bad_words(what: str, why: str) -> None:
    with pytest.raises(Fatal, match=why):
        automutants.wanted_lines(what, {"mm/x.c": {1: "um", 2: "team"}})


def test_a_topics_lines() -> None:
    lines = {"mm/x.c": {1: "um", 2: "team"}, "mm/y.c": {1: "team"}}
    assert automutants.wanted_lines("um", lines) == {"mm/x.c": {1: "um"}}
    assert automutants.wanted_lines("", lines) == lines
    assert set(automutants.wanted_lines("mm/gup.c", lines)) == {"mm/gup.c"}


def test_compilers_words_name_mutants(tmp_path: Path) -> None:
    program = mutated.Program.__new__(mutated.Program)
    program.src, program.dropped = tmp_path, set()
    other = MUTANT._replace(line=20, lines=(20, 20), around=20)
    program.mutants = {1: MUTANT, 2: other}
    words = f"{tmp_path}/mm/x.c: In function 'f':\n{tmp_path}/mm/x.c:20:3: error: no\n"
    assert program.guilty(words, "mm/x.c") == {other.key()}
    assert program.guilty("error: who knows", "mm/x.c") == {MUTANT.key(), other.key()}
    with pytest.raises(Fatal, match="mm/y.c doesn't compile: why"):
        program.guilty("why", "mm/y.c")
