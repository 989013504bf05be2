// SPDX-License-Identifier: GPL-2.0
/*
 * The folio itself splits (debugfs split_huge_pages), to single pages and to
 * 64 kB folios: same page frames, same bytes, mapped by PTEs.
 */
#include "mmtest.h"

static void split(int order)
{
	unsigned long pfn;
	long pmd, page;
	char *p;

	ksft_print_msg("to order %d\n", order);
	p = huge_pages(1, order + 1);
	pfn = pfn_of(p);
	pmd = vmstat("thp_split_pmd");
	page = vmstat("thp_split_page");
	debugfs_split(p, HPAGE_SIZE, order);
	test_vmstat("thp_split_pmd", pmd, 1);
	test_vmstat("thp_split_page", page, 1);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_COMPOUND_HEAD),
		order ? HPAGE_NR >> order : 0, "head pages");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_COMPOUND_TAIL),
		HPAGE_NR - (HPAGE_NR >> order), "tail pages");
	test_true(pfn_of(p) == pfn && pfns_follow(p, HPAGE_SIZE), "the same pages");
	test_eq(count_mapped(p, HPAGE_SIZE, 1), HPAGE_NR, "pages mapped once");
	test_data(p, 0, HPAGE_SIZE, order + 1, "every byte");
	pattern_fill(p, 0, HPAGE_SIZE, 9);
	test_data(p, 0, HPAGE_SIZE, 9, "all can be written again");
	area_free(p, 1);
}

int main(void)
{
	test_start(2 * 9);
	split(0);
	split(4);
	ksft_finished();
}
