// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_DONTNEED of one page splits the mapping, not the page: that page reads
 * as zero, every byte of the other 511 keeps its value.
 */
#include "mmtest.h"

static const size_t at[] = { 0, 1, 255, 510, 511 };

int main(void)
{
	unsigned long pfn;
	long split, page, deferred;
	size_t i, hole;
	bool exact;
	char *p;

	test_start(ARRAY_SIZE(at) * 11);
	exact = kpagecount_exact();
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		hole = at[i] * PAGE_SIZE;
		p = huge_pages(1, i + 1);
		pfn = pfn_of(p);
		split = vmstat("thp_split_pmd");
		page = vmstat("thp_split_page");
		deferred = vmstat("thp_deferred_split_page");
		if (madvise(p + hole, PAGE_SIZE, MADV_DONTNEED))
			ksft_exit_fail_perror("MADV_DONTNEED");
		ksft_print_msg("page %zu\n", at[i]);
		test_vmstat("thp_split_pmd", split, 1);
		test_vmstat("thp_split_page", page, 0);
		test_vmstat("thp_deferred_split_page", deferred, 1);
		test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
		test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB - 4);
		test_eq(kpagecount(pfn + at[i]), exact ? 0 : 1,
			"%s, times", exact ? "the page is mapped" : "average page mapped");
		test_eq(count_flagged(p, HPAGE_SIZE, KPF_THP), HPAGE_NR - 1,
			"the others are still of the huge page");
		test_data(p, 0, hole, i + 1, "bytes before it");
		test_data(p, hole + PAGE_SIZE, HPAGE_SIZE, i + 1, "bytes behind it");
		test_data(p, hole, hole + PAGE_SIZE, 0, "zeroes in it");
		pattern_fill(p, 0, HPAGE_SIZE, 9);
		test_data(p, 0, HPAGE_SIZE, 9, "all can be written again");
		area_free(p, 1);
	}
	ksft_finished();
}
