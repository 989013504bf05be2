// SPDX-License-Identifier: GPL-2.0
/* A huge zero page that is mapped in part splits into small zero pages. */
#include "mmtest.h"

int main(void)
{
	long split;
	char *p;

	test_start(7);
	p = huge_area(1);
	force_read_pages(p, 1, PAGE_SIZE);
	split = vmstat("thp_split_pmd");
	if (munmap(p + 300 * PAGE_SIZE, PAGE_SIZE))
		ksft_exit_fail_perror("munmap");
	test_vmstat("thp_split_pmd", split, 1);
	test_eq(access_signal(p + 300 * PAGE_SIZE, false), SIGSEGV,
		"signal for the page that is gone");
	test_data(p, 0, 300 * PAGE_SIZE, 0, "zeroes before it");
	test_data(p, 301 * PAGE_SIZE, HPAGE_SIZE, 0, "zeroes behind it");
	pattern_fill(p, 299 * PAGE_SIZE, 300 * PAGE_SIZE, 1);
	test_data(p, 299 * PAGE_SIZE, 300 * PAGE_SIZE, 1, "a written page");
	test_data(p, 0, 299 * PAGE_SIZE, 0, "its neighbours before stay zero");
	test_data(p, 301 * PAGE_SIZE, HPAGE_SIZE, 0, "its neighbours behind stay zero");
	ksft_finished();
}
