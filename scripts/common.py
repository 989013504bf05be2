# SPDX-License-Identifier: GPL-2.0
"""What the scripts share: where things are, how to speak and how to fail."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINUX = ROOT / "linux"
PATCHES = ROOT / "patches"
BUILD = ROOT / "build"


class Fatal(Exception):
    """A failure that the user can act on: one clear line, exit status 2."""


def say(text: str) -> None:
    """Print one line of progress on stderr; stdout is for results."""
    print(f"uml-mm: {text}", file=sys.stderr, flush=True)


def run(*argv: str | os.PathLike[str], cwd: Path | None = None,
        env: dict[str, str] | None = None, stdin: bytes | None = None) -> str:
    """Run a command that is expected to succeed and return its stdout.

    Bytes that are not UTF-8 survive as surrogates, as in file names.

    Raises:
        Fatal: it failed; the message carries its own.
    """
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, input=stdin, capture_output=True)
    except FileNotFoundError:
        raise Fatal(f"{argv[0]} is not installed: see `make deps`") from None
    if done.returncode:
        why = os.fsdecode(done.stderr).strip() or f"exit status {done.returncode}"
        raise Fatal(f"{' '.join(map(str, argv[:3]))}: {why}")
    return done.stdout.decode(errors="surrogateescape")


def json_option(parser: argparse.ArgumentParser) -> None:
    """The option of every script that judges; write_json() takes it."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")


def write_json(path: Path | None, **fields: object) -> None:
    """Write results for other programs, if the user has asked for them.

    Raises:
        Fatal: the file can't be written.
    """
    if path:
        try:
            path.write_text(json.dumps(fields, indent=1) + "\n")
        except OSError as why:
            raise Fatal(f"JSON={path}: {why.strerror}") from None


def main(command: Callable[[], int | None]) -> None:
    """Run a script's command and exit with its status.

    A Fatal is one line and status 2; Ctrl-C is 130, SIGTERM is 143, both
    raised as exceptions so that everything on the way cleans up.
    """
    def terminate(signum: int, _frame: object) -> None:
        raise SystemExit(128 + signum)

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    try:
        status = command()
    except Fatal as why:
        print(f"uml-mm: error: {why}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("uml-mm: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 141
    sys.exit(status or 0)
