# SPDX-License-Identifier: GPL-2.0
"""The guest's init fails a test during which the kernel complains."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOTFS

from scripts.guest import machine

# The kernel logs the name of a program that crashes. What a program itself
# writes to the log doesn't count.
PLANT = """
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	puts("%s");
	if (!fork()) {
		prctl(PR_SET_NAME, "WARNING:");
		*(volatile int *)0 = 0;
	}
	wait(NULL);
	return 0;
}
"""


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """The guest's files, with two tests that plant a complaint in the log."""
    tree = tmp_path / "rootfs"
    shutil.copytree(ROOTFS, tree, symlinks=True)
    for name, words in (("planted", "hello"), ("announced", "# expects-splat: segfault")):
        subprocess.run(["gcc", "-static", "-w", "-xc", "-", "-o", tree / "tests" / name],
                       input=PLANT % words, text=True, check=True)
    return tree


def test_complaint_fails_the_test_that_met_it(kernel: Path, cpu: int, rootfs: Path) -> None:
    run = machine.boot(kernel, machine.hostfs(rootfs), ["planted", "boot_hello"], cpu=cpu, timeout=60)
    outcomes = {t.name: t.outcome for t in run.tests}
    assert outcomes == {"planted": "fail", "boot_hello": "pass"}, run.output
    assert run.status == 1 and "# kernel: WARNING:" in run.output


def test_complaint_that_was_announced(kernel: Path, cpu: int, rootfs: Path) -> None:
    run = machine.boot(kernel, machine.hostfs(rootfs), ["announced"], cpu=cpu, timeout=60)
    assert [t.outcome for t in run.tests] == ["pass"], run.output
