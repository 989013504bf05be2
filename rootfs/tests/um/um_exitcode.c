// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's exit status is the number that was written to /proc/exitcode, and
 * nothing that was left in the kernel's memory by an earlier one.
 */
#include "mmtest.h"

#define EXITCODE	"/proc/exitcode"

int main(void)
{
	long before;
	int fd;

	test_plan(4);
	before = file_number(EXITCODE, NULL);
	fd = open(EXITCODE, O_WRONLY);
	/* Nothing between them, so that the stack still has the first */
	test_true(write(fd, "1111111", 7) == 7, "a long number is taken");
	test_true(write(fd, "2", 1) == 1, "a short one after it");
	close(fd);
	test_eq(file_number(EXITCODE, NULL), 2, "the exit status then");
	test_true(!file_write(EXITCODE, "no"), "no number is refused");
	file_write(EXITCODE, before ? "1" : "0");
	ksft_finished();
}
