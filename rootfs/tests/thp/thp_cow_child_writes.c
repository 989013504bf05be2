// SPDX-License-Identifier: GPL-2.0
/*
 * After a fork the child writes to a huge page and to the huge zero page that
 * it shares with its parent: it gets copies, the parent keeps what it had.
 */
#include "mmtest.h"

#define PAGE_A	7
#define PAGE_Z	9

static char *a, *z;

static int child(void *arg)
{
	unsigned long pfn = pfn_of(a + PAGE_A * PAGE_SIZE);
	long split = vmstat("thp_split_pmd");

	pattern_fill(a, PAGE_A * PAGE_SIZE, (PAGE_A + 1) * PAGE_SIZE, 2);
	pattern_fill(z, PAGE_Z * PAGE_SIZE, (PAGE_Z + 1) * PAGE_SIZE, 2);
	ksft_print_msg("child: pfn 0x%lx -> 0x%lx, thp_split_pmd +%ld\n", pfn,
		       pfn_of(a + PAGE_A * PAGE_SIZE),
		       vmstat("thp_split_pmd") - split);
	if (pfn_of(a + PAGE_A * PAGE_SIZE) == pfn)
		return 1;
	if (pattern_find_bad(a, 0, PAGE_A * PAGE_SIZE, 1) >= 0 ||
	    pattern_find_bad(a, PAGE_A * PAGE_SIZE, (PAGE_A + 1) * PAGE_SIZE, 2) >= 0 ||
	    pattern_find_bad(a, (PAGE_A + 1) * PAGE_SIZE, HPAGE_SIZE, 1) >= 0)
		return 2;
	if (pattern_find_bad(z, 0, PAGE_Z * PAGE_SIZE, 0) >= 0 ||
	    pattern_find_bad(z, PAGE_Z * PAGE_SIZE, (PAGE_Z + 1) * PAGE_SIZE, 2) >= 0 ||
	    pattern_find_bad(z, (PAGE_Z + 1) * PAGE_SIZE, HPAGE_SIZE, 0) >= 0)
		return 3;
	return 0;
}

int main(void)
{
	unsigned long pfn, zero_pfn;

	test_start(9);
	a = huge_pages(1, 1);
	z = huge_area(1);
	force_read_pages(z, 1, PAGE_SIZE);
	pfn = pfn_of(a);
	zero_pfn = pfn_of(z);

	test_eq(in_child(child, NULL), 0, "the child sees its own writes and nothing else");
	test_data(a, 0, HPAGE_SIZE, 1, "the parent's huge page is as before");
	test_data(z, 0, HPAGE_SIZE, 0, "the parent's zero page is as before");
	test_smaps(a, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_eq(count_mapped(a, HPAGE_SIZE, 1), HPAGE_NR, "pages mapped once again");
	test_eq(pfn_of(z), zero_pfn, "the zero page is still mapped, pfn");

	/* Alone again, the parent writes without a copy. */
	pattern_fill(a, 0, HPAGE_SIZE, 3);
	test_eq(pfn_of(a), pfn, "the parent writes in place, pfn");
	test_smaps(a, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(a, 0, HPAGE_SIZE, 3, "and sees it");
	ksft_finished();
}
