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


# A message that a test provokes: it sets the console's level (unless 0), and dies.
PROVOKE = """
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>

int main(void)
{
	puts("# quiet-console");
	fflush(stdout);
	FILE *f = fopen("/proc/sys/kernel/printk", "r+");
	if (f && %d)
		fprintf(f, "%d"), fclose(f);
	mount("none", "/tmp", "tmpfs", 0, "huge=wrong");
	raise(SIGKILL);
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


def test_provoked_message_is_a_line_of_the_test(kernel: Path, cpu: int, rootfs: Path) -> None:
    for name, level in (("a_loud", 5), ("b_quiet", 1), ("c_after", 0)):
        subprocess.run(["gcc", "-static", "-w", "-xc", "-", "-o", rootfs / "tests" / name],
                       input=PROVOKE % (level, level), text=True, check=True)
    run = machine.boot(kernel, machine.hostfs(rootfs), ["a_loud", "b_quiet", "c_after"], cpu=cpu,
                   timeout=60)
    lines = [line.rpartition("] ")[2] for line in run.output.splitlines() if "Bad value" in line]
    assert lines == ["tmpfs: Bad value for 'huge'", "  # kernel: tmpfs: Bad value for 'huge'",
                     "  # kernel: tmpfs: Bad value for 'huge'", "tmpfs: Bad value for 'huge'",
                     "  # kernel: tmpfs: Bad value for 'huge'"], run.output


def test_complaint_fails_the_test_that_met_it(kernel: Path, cpu: int, rootfs: Path) -> None:
    run = machine.boot(kernel, machine.hostfs(rootfs), ["planted", "boot_hello"], cpu=cpu, timeout=60)
    outcomes = {t.name: t.outcome for t in run.tests}
    assert outcomes == {"planted": "fail", "boot_hello": "pass"}, run.output
    assert run.status == 1 and "# kernel: WARNING:" in run.output


def test_complaint_that_was_announced(kernel: Path, cpu: int, rootfs: Path) -> None:
    run = machine.boot(kernel, machine.hostfs(rootfs), ["announced"], cpu=cpu, timeout=60)
    assert [t.outcome for t in run.tests] == ["pass"], run.output
