# SPDX-License-Identifier: GPL-2.0
"""The configuration checker: every dropped line is named, with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.kernel import config

KCONFIG = {
    "Kconfig": '''
mainmenu "test"
config 64BIT
	def_bool y
menu "Memory"
	depends on MMU
config MMU
	bool
	default y
config THP
	bool "huge pages" \\
		if 64BIT
	depends on HAVE_THP && !(SLOW || UP)
	select COMPACTION
	help
	  config NOT_A_SYMBOL is only text here,

	  in two paragraphs.
source "mm/Kconfig"
if SMP
config NUMA
	bool "nodes"
endif
endmenu
choice
	prompt "debug info"
config NONE
	bool "none"
config DWARF
	bool "some" # a comment
endchoice
''',
    "mm/Kconfig": '''
config COMPACTION
	bool "compact"
config HAVE_THP
	bool
config ORDER
	int "order" if THP
	range 1 10
config UP
	bool "one CPU"
''',
}


@pytest.fixture
def kconfig(tmp_path: Path) -> config.Kconfig:
    """The symbols of KCONFIG."""
    for name, text in KCONFIG.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return config.Kconfig(tmp_path, {"SRCARCH": "um"})


def why(kconfig: config.Kconfig, symbol: str, value: str, **values: str) -> str:
    return config.why_dropped(config.Line(symbol, value, "f:1"), kconfig, values)


@pytest.mark.parametrize("symbol, value, values, reason", [
    ("NOT_A_SYMBOL", "y", {}, "no Kconfig file defines it"),
    ("THP", "y", {"MMU": "y", "64BIT": "y"}, "needs HAVE_THP (is n)"),
    ("THP", "y", {"64BIT": "y", "HAVE_THP": "y", "UP": "y", "MMU": "y"},
     "needs !(SLOW || UP) (is n)"),
    ("THP", "y", {"HAVE_THP": "y", "MMU": "y"}, "settable only if 64BIT"),
    ("NUMA", "y", {"MMU": "y"}, "needs SMP (is n)"),
    ("COMPACTION", "y", {}, "needs MMU (is n)"),
    ("COMPACTION", "n", {"THP": "y", "MMU": "y", "COMPACTION": "y"}, "selected by THP"),
    ("HAVE_THP", "y", {"MMU": "y"}, "not for users to set: only select or a default sets it"),
    ("DWARF", "y", {"NONE": "y"}, "it is n (another choice or line wins)"),
    ("ORDER", "11", {"MMU": "y", "THP": "y", "ORDER": "10"},
     "it is 10 (another choice or line wins)"),
])
def test_reason(kconfig: config.Kconfig, symbol: str, value: str, values: dict[str, str],
                reason: str) -> None:
    assert why(kconfig, symbol, value, **values) == reason


@pytest.mark.parametrize("text, rank", [
    ("A && B", 2), ("A && C", 0), ("A || C", 2), ("!C", 2), ("!(A && B)", 0), ("M", 1),
    ("!M", 1), ("A = y", 2), ("A != y", 0), ('NAME = "x"', 2), ("N >= 3 && N < 10", 2),
    ("$(cc-option,-fno(x))", 2), ("", 0)])
def test_expressions(text: str, rank: int) -> None:
    values = {"A": "y", "B": "y", "C": "n", "M": "m", "NAME": '"x"', "N": "5"}
    assert config.Evaluator(values).rank(text) == rank


def test_check_names_the_line(tmp_path: Path, kconfig: config.Kconfig) -> None:
    fragment = tmp_path / "fragment"
    fragment.write_text("# comment\nCONFIG_NUMA=y\n# CONFIG_COMPACTION is not set\nCONFIG_MMU=y\n")
    dotconfig = tmp_path / ".config"
    dotconfig.write_text("CONFIG_MMU=y\n")
    [message] = config.check(config.read_fragment(fragment), dotconfig, kconfig.tree)
    assert message == f"{fragment}:2: CONFIG_NUMA=y: needs SMP (is n)"


def test_unknown_symbol_that_is_off(tmp_path: Path, kconfig: config.Kconfig) -> None:
    fragment = tmp_path / "fragment"
    fragment.write_text("# CONFIG_TYPO is not set\n")
    (tmp_path / ".config").write_text("")
    [message] = config.check(config.read_fragment(fragment), tmp_path / ".config", kconfig.tree)
    assert message.endswith("# CONFIG_TYPO is not set: no Kconfig file defines it")


def test_bad_line(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("CONFIG_A=y\nCONFIG_B y\n")
    with pytest.raises(config.Fatal, match=":2: not a setting: CONFIG_B y"):
        config.read_fragment(tmp_path / "f")


def test_unknown_variant() -> None:
    with pytest.raises(config.Fatal, match="no variant 'kasam'; there are baseline, .*kasan"):
        config.fragments("smp+kasam")


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One build folder, since making Kconfig's own program takes a while."""
    return tmp_path_factory.mktemp("out")


# What else there is and combines is checked when it is built.
@pytest.mark.parametrize("variant", ["baseline", "smp+kasan+debug"])
def test_real_variants_survive(variant: str, out: Path) -> None:
    lines = config.read_fragments(variant)
    config.configure(config.LINUX, out, lines)
    assert config.check(lines, out / ".config", config.LINUX) == []
