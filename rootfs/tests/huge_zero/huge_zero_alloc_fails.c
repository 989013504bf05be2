// SPDX-License-Identifier: GPL-2.0
/*
 * Without memory for the huge zero page a read maps small zero pages; without
 * memory for a huge page a write to the huge zero page splits its PMD. No
 * reference is left behind.
 */
#include "huge_zero.h"

static void failing(bool on)
{
	if (!file_write("/proc/self/make-it-fail", on ? "1" : "0"))
		ksft_exit_fail_perror("make-it-fail");
}

int main(void)
{
	long failed, fallback, split;
	char *p, *q;

	huge_zero_start(17);
	p = huge_area(1);
	q = huge_area(1);
	fail_page_alloc_start(9, 0);

	failed = vmstat("thp_zero_page_alloc_failed");
	fallback = vmstat("thp_fault_fallback");
	failing(true);
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	failing(false);
	test_vmstat_min("thp_zero_page_alloc_failed", failed, 1);
	test_vmstat_min("thp_fault_fallback", fallback, 1);
	test_eq(huge_zero("count"), 0, "count");
	test_eq(huge_zero("pfn"), -1, "pfn");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_ZERO_PAGE), HPAGE_NR,
		"pages of zeroes");
	test_true(pfn_of(p) == pfn_of(p + PAGE_SIZE), "all the same small page");
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes");
	area_free(p, 1);

	p = huge_zero_area(1);
	force_read_pages(q, 1, PAGE_SIZE);
	test_mapped(2, "reads when there is memory");
	split = vmstat("thp_split_pmd");
	failing(true);
	pattern_fill(p, 9 * PAGE_SIZE, 10 * PAGE_SIZE, 1);
	failing(false);
	test_vmstat("thp_split_pmd", split, 1);
	test_mapped(1, "a write without");
	test_data(p, 9 * PAGE_SIZE, 10 * PAGE_SIZE, 1, "the write is there");
	test_data(p, 0, 9 * PAGE_SIZE, 0, "zeroes before it");
	test_data(p, 10 * PAGE_SIZE, HPAGE_SIZE, 0, "zeroes behind it");
	test_smaps(p, HPAGE_SIZE, "Rss", 4);
	area_free(q, 1);
	test_freed("in the end");
	ksft_finished();
}
