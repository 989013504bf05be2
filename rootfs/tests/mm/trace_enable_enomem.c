// SPDX-License-Identifier: GPL-2.0
/*
 * Events are enabled, and disabled again, with each of the allocations that this
 * takes failing in turn. The kernel doesn't complain, and the events work.
 */
#include "mmtest.h"

#define EVENT	"/sys/kernel/tracing/events/kmem/mm_page_free/enable"
#define SLAB	"/sys/kernel/debug/failslab/"

static int nth_fd;
static char verbose[16];

static void restore(void)
{
	pwrite(nth_fd, "0", 1, 0);
	file_write(EVENT, "0");
	file_write(SLAB "ignore-gfp-wait", "Y");
	file_write(SLAB "verbose", verbose);
}

/* The @n'th allocation of this process from now on fails; 0: none does. */
static void fail_nth(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(nth_fd, text, len, 0) != len)
		ksft_exit_fail_perror("/proc/self/fail-nth");
}

static bool has_failed(void)
{
	char left[16] = "";

	return pread(nth_fd, left, sizeof(left) - 1, 0) > 0 && atoi(left) == 0;
}

int main(void)
{
	int n, fd, failed = 0, enabled = 0;

	test_plan(3);
	if (access(SLAB, F_OK))
		ksft_exit_skip("no fault injection in this kernel\n");
	fd = open(EVENT, O_RDWR);
	nth_fd = open("/proc/self/fail-nth", O_RDWR);
	if (fd < 0 || nth_fd < 0)
		ksft_exit_fail_perror(EVENT);
	snprintf(verbose, sizeof(verbose), "%ld", file_number(SLAB "verbose", NULL));
	atexit(restore);
	file_write(SLAB "verbose", "0");
	file_write(SLAB "ignore-gfp-wait", "N");
	for (n = 1; n < 100; n++) {
		fail_nth(n);
		enabled += pwrite(fd, "1", 1, 0) == 1;
		failed += has_failed();
		fail_nth(0);
		pwrite(fd, "0", 1, 0);
	}
	test_min(failed, 3, "allocations that failed");
	test_min(enabled, 50, "times that the event was enabled all the same");
	file_write(EVENT, "1");
	test_eq(file_number(EVENT, NULL), 1, "enabled, then");
	ksft_finished();
}
