# SPDX-License-Identifier: GPL-2.0
"""gdb on a guest, with the mm- commands."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.common import ROOT, Fatal
from scripts.guest.machine import TEST_TIMEOUT, from_anywhere, gdb_index, padded
from scripts.guest.testlist import init_words


def running(kernel: Path) -> list[int]:
    """The guests that run a program, by the pid of their kernel."""
    def exe(pid: str) -> str:
        try:
            return os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return ""

    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and exe(entry.name) == str(kernel.resolve()):
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if exe(parent) != str(kernel.resolve()):     # not a helper of one
                found.append(int(entry.name))
    return sorted(found)


def gdb_command(kernel: Path) -> list[str]:
    """gdb with the mm- commands.

    Raises:
        Fatal: there is none, or one without Python.
    """
    try:
        probe = subprocess.run(["gdb", "-nx", "-batch", "-ex", "python print(6 * 7)"],
                               capture_output=True, text=True)
    except FileNotFoundError:
        raise Fatal("gdb is not installed: see `make deps`") from None
    if "42" not in probe.stdout:
        raise Fatal("this gdb has no Python, which the mm- commands need (Debian: gdb, "
                    "not gdb-minimal)")
    return ["gdb", "-q", "-iex", "set debuginfod enabled off",
            *gdb_index(kernel),
            "-iex", "set auto-load python-scripts off",
            "-ex", "set confirm off", "-ex", "set pagination off",
            "-ex", f"source {ROOT}/scripts/gdb/linux-gdb.py"]


def debug(kernel: Path, args: Sequence[str], tests: Sequence[str], *, stop_at: str = "",
          attach: str = "") -> int:
    """gdb on a guest, with the mm- commands; gdb's exit status.

    Args:
        tests: names; it stops where one of them begins. Without any, it doesn't run.
        stop_at: a function or file:line where to stop a test instead.
        attach: the pid of a guest to attach to, or "1" for the only one.

    Raises:
        Fatal: no gdb, one without Python, or no guest to attach to.
    """
    gdb = gdb_command(kernel)
    signal.signal(signal.SIGINT, lambda *_: None)   # Ctrl-C belongs to gdb
    if attach:
        guests = running(kernel)
        if attach != "1":
            guests = [pid for pid in guests if pid == int(attach)] if attach.isdigit() else []
        if len(guests) != 1:
            raise Fatal(f"guests that run {kernel}: {', '.join(map(str, guests))}; "
                        f"ATTACH=<pid> chooses one" if guests else
                        f"no guest runs {kernel}" + (f" as {attach}" if attach != "1" else ""))
        return subprocess.call([*gdb, "-p", str(guests[0]), str(kernel)])
    # A seed's run is the same only with what it was found with.
    seeded = any(arg.startswith("explore=") for arg in args)
    args, root = from_anywhere(args)
    if root:
        gdb += ["-ex", f"set cwd {root}"]
    if stop_at or tests:
        gdb += ["-ex", f"python mm.session.debug({stop_at!r}, {list(tests)!r})"]
    with tempfile.TemporaryDirectory(prefix="uml-mm-") as folder:
        return subprocess.call([*gdb, "--args", str(kernel), f"uml_dir={padded(folder, 76)}/",
                                *([] if seeded else ["page_owner=on"]), *args, "--",
                                f"timeout={TEST_TIMEOUT if seeded else 86400}",
                                *init_words(tests)])
