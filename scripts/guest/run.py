# SPDX-License-Identifier: GPL-2.0
"""Boot linux/linux and judge what it did: the only way that this project boots."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

from scripts.common import json_option, main, say, write_json
from scripts.guest import testlist
from scripts.guest.console import Console
from scripts.guest.debugger import debug
from scripts.guest.machine import TEST_TIMEOUT, Guest, Run, boot, guest_args, guest_options


def shell(kernel: Path, args: Sequence[str]) -> int:
    """An interactive shell in a guest on this terminal; returns its status."""
    tty = termios.tcgetattr(0) if os.isatty(0) else None
    stdin = None if tty or not os.path.samestat(os.fstat(0), os.stat(os.devnull)) \
        else subprocess.PIPE
    signal.signal(signal.SIGINT, lambda *_: None)   # Ctrl-C belongs to the guest
    try:
        with Guest(kernel, [*args, "--", "sh"], stdin=stdin, stdout=None) as guest:
            return guest.proc.wait()
    finally:
        if tty:
            termios.tcsetattr(0, termios.TCSADRAIN, tty)


def report(runs: list[Run], json: Path | None) -> int:
    """Say how guests ended, as JSON too if wanted; the exit status."""
    for run in runs:
        if run.backtrace:
            print(run.backtrace, file=sys.stderr)
        if run.problem:
            say(run.problem)
    status = max(run.status for run in runs)
    write_json(json, status=status, problem="; ".join(run.problem for run in runs if run.problem),
               seconds=max(run.seconds for run in runs),
               tests=[test._asdict() for run in runs for test in run.tests])
    return status


def command() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tests", nargs="*", metavar="TEST",
                        help="names or globs, all for none; or a verb of init's")
    guest_options(parser)
    parser.add_argument("--embedded", action="store_true",
                        help="boot the rootfs inside the kernel instead")
    parser.add_argument("--timeout", type=int, default=TEST_TIMEOUT, metavar="SECS",
                        help="for one test (default %(default)s)")
    parser.add_argument("--verbose", action="store_true",
                        help="show the output of passing tests, even of more than one")
    parser.add_argument("--shell", action="store_true", help="an interactive shell instead")
    parser.add_argument("--gdb", metavar="PLACE", nargs="?", const="",
                        help="under gdb, stopped at a function or file:line")
    parser.add_argument("--attach", metavar="PID",
                        help="gdb on the guest that runs already, 1 for the only one")
    json_option(parser)
    options = parser.parse_args()
    args = options.append.split() if options.embedded else guest_args(options)
    if options.attach:
        return debug(options.kernel, [], [], attach=options.attach)
    if options.shell:
        return shell(options.kernel, args)
    tests: list[str] = options.tests
    if tests == ["changed"]:
        from scripts.guest import changed       # takes its time
        tests = changed.changed_tests(options.rootfs)
        if not tests:
            return 0
    elif tests and tests[0] not in testlist.VERBS and not options.embedded:
        tests = testlist.match(tests, options.rootfs)
    if options.gdb is not None:
        if options.gdb and not tests:
            tests = testlist.names(options.rootfs)
        return debug(options.kernel, args, tests, stop_at=options.gdb)

    if options.embedded and not tests and "ncpus=" not in options.append and \
            len(os.sched_getaffinity(0)) > 1:
        from scripts.guest import abreast
        return report(abreast.run(options.kernel, args, testlist.names(options.rootfs),
                                  options.timeout, options.verbose), options.json)
    console = Console(terse=len(tests) != 1 and not options.verbose)
    try:
        run = boot(options.kernel, args, tests, timeout=options.timeout, sink=console.take)
    finally:
        console.end()
    return report([run], options.json)


if __name__ == "__main__":
    main(command)
