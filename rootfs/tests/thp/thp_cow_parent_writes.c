// SPDX-License-Identifier: GPL-2.0
/*
 * After a fork the parent writes to a huge page and to the huge zero page that
 * it shares with a child: the child, asked later, has what was there before.
 */
#include "mmtest.h"

static char *a, *z;

/* 0 as soon as the parent says so and all is as it was at the fork */
static int child(int go)
{
	char c;

	if (read(go, &c, 1) != 1)
		return 1;
	if (pattern_find_bad(a, 0, HPAGE_SIZE, 1) >= 0)
		return 2;
	if (pattern_find_bad(z, 0, HPAGE_SIZE, 0) >= 0)
		return 3;
	if (smaps_kb(a, HPAGE_SIZE, "AnonHugePages") != HPAGE_KB)
		return 4;
	return 0;
}

int main(void)
{
	unsigned long pfn, zero_pfn;
	int go[2];
	long split;
	pid_t pid;

	test_start(10);
	a = huge_pages(1, 1);
	z = huge_area(1);
	force_read_pages(z, 1, PAGE_SIZE);
	pfn = pfn_of(a + 100 * PAGE_SIZE);
	zero_pfn = pfn_of(z);
	if (pipe(go))
		ksft_exit_fail_perror("pipe");
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(child(go[0]));

	test_eq(count_mapped(a, HPAGE_SIZE, 2), HPAGE_NR, "pages mapped twice");
	split = vmstat("thp_split_pmd");
	pattern_fill(a, 100 * PAGE_SIZE, 101 * PAGE_SIZE, 2);
	pattern_fill(z, 0, HPAGE_SIZE, 3);
	test_true(pfn_of(a + 100 * PAGE_SIZE) != pfn, "the written page was copied");
	test_vmstat("thp_split_pmd", split, 1);
	test_smaps(a, HPAGE_SIZE, "AnonHugePages", 0);
	test_data(a, 0, 100 * PAGE_SIZE, 1, "the parent's bytes before it");
	test_data(a, 100 * PAGE_SIZE, 101 * PAGE_SIZE, 2, "the parent's write");
	test_data(a, 101 * PAGE_SIZE, HPAGE_SIZE, 1, "the parent's bytes behind it");
	test_true(pfn_of(z) != zero_pfn, "the zero page was replaced");
	test_data(z, 0, HPAGE_SIZE, 3, "by what the parent wrote");
	if (write(go[1], "", 1) != 1)
		ksft_exit_fail_perror("write");
	test_eq(child_status(pid), 0, "the child has the old bytes, still huge");
	ksft_finished();
}
