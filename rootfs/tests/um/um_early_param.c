// SPDX-License-Identifier: GPL-2.0
/*
 * movablecore= makes a ZONE_MOVABLE: parameters that decide about the zones are
 * parsed before the zones are set up. (um parsed them later.)
 */
#include "mmtest.h"

int main(void)
{
	char line[4096] = "", *arg;
	unsigned long mb, pages;
	int fd = open("/proc/cmdline", O_RDONLY);

	if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0)
		ksft_exit_fail_perror("/proc/cmdline");
	arg = strstr(line, "movablecore=");
	if (!arg || sscanf(arg, "movablecore=%luM", &mb) != 1 || !mb)
		ksft_exit_skip("no movablecore=<n>M on the command line\n");
	test_plan(1);
	/* The kernel rounds to blocks of the largest free order. */
	pages = mb << (20 - 12);
	test_min(movable_pages(), pages - 2 * HPAGE_NR, "pages in ZONE_MOVABLE");
	ksft_finished();
}
