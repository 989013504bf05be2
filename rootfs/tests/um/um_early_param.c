// SPDX-License-Identifier: GPL-2.0
/*
 * movablecore= makes a ZONE_MOVABLE: parameters that decide about the zones are
 * parsed before the zones are set up. (um parsed them later.)
 */
#include "mmtest.h"

int main(void)
{
	char line[4096] = "", *arg, *next, unit;
	unsigned long n, pages;
	int fd = open("/proc/cmdline", O_RDONLY);

	if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0)
		ksft_exit_fail_perror("/proc/cmdline");
	/* The last one counts. */
	for (arg = NULL, next = line; (next = strstr(next, "movablecore=")); arg = next++)
		;
	if (!arg || sscanf(arg, "movablecore=%lu%c", &n, &unit) != 2 || !n ||
	    (unit != 'M' && unit != '%'))
		ksft_exit_skip("no movablecore=<n>M or <n>%% on the command line\n");
	test_plan(1);
	/* The kernel rounds to blocks of the largest free order. */
	pages = unit == 'M' ? n << (20 - 12) : sysconf(_SC_PHYS_PAGES) * n / 100;
	test_min(movable_pages(), pages - 2 * HPAGE_NR, "pages in ZONE_MOVABLE");
	ksft_finished();
}
