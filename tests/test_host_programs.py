# SPDX-License-Identifier: GPL-2.0
"""Programs of the host with several threads end in the guest with the host's results.

They run on hostfs, with the host's libraries: allocators, a database, and two languages
that collect garbage. What isn't installed is left out.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Boot

PROGRAMS = Path(__file__).parent / "programs"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on the host's disk: the guest has its own /dev."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        yield Path(name)


def need(path: Path | str) -> str:
    """A program or library, or the test is left out."""
    found = shutil.which(path) if isinstance(path, str) else str(path) * path.exists()
    if not found:
        pytest.skip(f"{path} isn't installed")
    return found


def compile_c(folder: Path) -> str:
    subprocess.run([need("gcc"), "-O2", "-pthread", "-o", folder / "alloc",
                    PROGRAMS / "alloc.c"], check=True)
    return f"{folder}/alloc"


def preload(folder: Path, library: str) -> str:
    return f"LD_PRELOAD={need(LIBRARIES / library)} {compile_c(folder)}"


def compile_go(folder: Path) -> str:
    subprocess.run([need("go"), "build", "-o", folder / "collect", PROGRAMS / "collect.go"],
                   check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)})
    return f"{folder}/collect"


def compile_java(folder: Path) -> str:
    subprocess.run([need("javac"), "-d", folder, PROGRAMS / "Collect.java"], check=True)
    return f"java -Xmx128m -cp {folder} Collect"


COMMANDS = {
    "malloc": compile_c,
    "jemalloc": lambda folder: preload(folder, "libjemalloc.so.2"),
    "tcmalloc": lambda folder: preload(folder, "libtcmalloc_minimal.so.4"),
    "sqlite": lambda folder: f"/usr/bin/python3 {PROGRAMS}/database.py",
    "go": compile_go,
    "java": compile_java,
}


def results(output: str) -> list[str]:
    return [line.split("result: ", 1)[1].strip() for line in output.splitlines()
            if "result: " in line]


@pytest.mark.parametrize("name", COMMANDS)
def test_same_result_as_on_the_host(boot: Boot, folder: Path, name: str) -> None:
    script = folder / "run"
    script.write_text(f"#!/bin/sh\nexec env {COMMANDS[name](folder)}\n")
    script.chmod(0o755)
    folder.chmod(0o755)
    with tempfile.TemporaryDirectory() as scratch:
        host = subprocess.run([script], cwd=scratch, capture_output=True, text=True, check=True)
    guest = boot("bench_host", f"HOST_PROGRAM={script}", "mem=1G")
    assert not guest.status, guest.output
    assert results(guest.output) == results(host.stdout) != []
