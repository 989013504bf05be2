// SPDX-License-Identifier: GPL-2.0
/*
 * A fork shares a huge page and the huge zero page; nobody writes: nothing is
 * copied or split, and the counts go back when the child ends.
 */
#include "mmtest.h"

static char *a, *z;
static unsigned long pfn, zero_pfn;

static int child(void *arg)
{
	long faults = minor_faults();

	if (pattern_find_bad(a, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	if (pattern_find_bad(z, 0, HPAGE_SIZE, 0) >= 0)
		return 2;
	ksft_print_msg("child: %ld faults to read both\n", minor_faults() - faults);
	if (pfn_of(a) != pfn || pfn_of(z) != zero_pfn)
		return 3;
	if (smaps_kb(a, HPAGE_SIZE, "AnonHugePages") != HPAGE_KB)
		return 4;
	if (count_mapped(a, HPAGE_SIZE, 2) != HPAGE_NR)
		return 5;
	return 0;
}

int main(void)
{
	long split, alloc;

	test_start(8);
	a = huge_pages(1, 1);
	z = huge_area(1);
	force_read_pages(z, 1, PAGE_SIZE);
	pfn = pfn_of(a);
	zero_pfn = pfn_of(z);
	split = vmstat("thp_split_pmd");
	alloc = vmstat("thp_fault_alloc");
	test_eq(in_child(child, NULL), 0, "the child reads the same huge pages, mapped twice");
	test_vmstat("thp_split_pmd", split, 0);
	test_vmstat("thp_fault_alloc", alloc, 0);
	test_eq(count_mapped(a, HPAGE_SIZE, 1), HPAGE_NR, "pages mapped once again");
	test_smaps(a, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(a, 0, HPAGE_SIZE, 1, "the parent's bytes");
	test_data(z, 0, HPAGE_SIZE, 0, "the parent's zeroes");
	test_eq(pfn_of(a), pfn, "the parent's pfn");
	ksft_finished();
}
