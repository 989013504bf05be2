# SPDX-License-Identifier: GPL-2.0
"""What a changed header makes the compiler do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.judge import check_series
from scripts.kernel import headers

PATCH = """From 0 Mon Sep 17 00:00:00 2001
Subject: [PATCH] x

---
diff --git a/include/a.h b/include/a.h
index 1..2 100644
--- a/include/a.h
+++ b/include/a.h
@@ -1,7 +1,8 @@ static inline int above(void)
 static inline int around(int x)
 {
-	return called(x);
+	return called(x + 1);
 }
+#define NEW_NAME 1
%s
diff --git a/mm/b.c b/mm/b.c
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A git tree of sources that each name one thing."""
    for name in ("above", "around", "called", "NEW_NAME", "other"):
        (tmp_path / f"{name}.c").write_text(f"int f(void) {{ return {name}(1); }}\n")
    (tmp_path / "include").mkdir()
    (tmp_path / "include/a.h").write_text("\n")
    (tmp_path / "Kconfig").write_text("config THERE\n\tbool\n\nmenuconfig ALSO\n\tbool\n")
    subprocess.run("git init -q . && git add -A", shell=True, check=True, cwd=tmp_path)
    return tmp_path


def test_users_of_a_changed_header(tree: Path) -> None:
    users, layout = headers.users_of(PATCH % "", tree)
    assert (sorted(users), layout) == (["NEW_NAME.c", "above.c", "around.c"], False)


@pytest.mark.parametrize("lines, layout", [
    (" struct s {\n \tint a;\n+\tint b;\t/* of it */\n };", True),
    ("@@ -20,3 +21,4 @@ struct s {\n \tint a;\n+\tlong b;\n", True),
    (" static inline int g(void)\n {\n+\tint b;\n }", False),
    (" struct s *g(void)\n {\n-\tint b;\n }", False)])
def test_layout_of_a_struct(tree: Path, lines: str, layout: bool) -> None:
    assert headers.users_of(PATCH % lines, tree)[1] is layout


def test_headers_that_dont_count(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "around.o").touch()
    headers.let_be({"include/a.h", "include/gone.h"}, tree, tmp_path, ["around.c", "Makefile"])
    assert not (tmp_path / "around.o").exists()
    assert (tree / "include/a.h").stat().st_mtime == 0
    headers.let_count({"include/a.h"}, tree)
    assert (tree / "include/a.h").stat().st_mtime > os.stat(tree / "Kconfig").st_mtime - 60


def test_options_that_no_kconfig_defines(tree: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_series, "TREE", tree)
    patch = tmp_path / "p.patch"
    patch.write_text("+\tselect THERE if X\n+\tselect RENAMED\n+#ifdef CONFIG_ALSO\n"
                     "+#if defined(CONFIG_GONE)\n+\tif (IS_ENABLED(CONFIG_MISSPELT))\n"
                     " #ifdef CONFIG_NOT_ADDED\n-\tselect REMOVED\n")
    assert check_series.unknown_symbols(patch) == [
        f"no Kconfig file defines {name}" for name in ("GONE", "MISSPELT", "RENAMED")]
