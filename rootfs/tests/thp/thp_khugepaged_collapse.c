// SPDX-License-Identifier: GPL-2.0
/*
 * khugepaged makes one huge page of 4 kB pages: all of them, or a few with
 * holes between; bytes stay, holes become zeroes.
 */
#include "mmtest.h"

static void wait_collapse(char *p)
{
	int i;

	for (i = 0; i < 300 && !smaps_kb(p, HPAGE_SIZE, "AnonHugePages"); i++)
		usleep(10000);
}

int main(void)
{
	unsigned long pfn;
	long collapse;
	size_t i, bad;
	char *p;

	test_start(13);
	thp_save_settings();
	khugepaged_settings(10);

	/* All 512 pages, in no order */
	p = small_area(1);
	for (i = 0; i < HPAGE_NR; i++)
		p[i * 199 % HPAGE_NR * PAGE_SIZE] = 1;
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	pfn = pfn_of(p);
	collapse = vmstat("thp_collapse_alloc");
	madvise(p, HPAGE_SIZE, MADV_HUGEPAGE);
	wait_collapse(p);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_vmstat("thp_collapse_alloc", collapse, 1);
	test_true(pfn_of(p) != pfn, "the bytes moved to other memory");
	test_true(pfns_follow(p, HPAGE_SIZE), "pfns follow one another");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "all can be written again");
	area_free(p, 1);

	/* Every 50th page only; every 100th was only read: the zero page */
	p = small_area(1);
	for (i = 0; i < HPAGE_NR; i += 50) {
		if (i % 100)
			force_read_pages(p + i * PAGE_SIZE, 1, PAGE_SIZE);
		else
			pattern_fill(p, i * PAGE_SIZE, (i + 1) * PAGE_SIZE, 3);
	}
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	collapse = vmstat("thp_collapse_alloc");
	madvise(p, HPAGE_SIZE, MADV_HUGEPAGE);
	wait_collapse(p);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_vmstat("thp_collapse_alloc", collapse, 1);
	for (i = 0, bad = 0; i < HPAGE_NR; i++)
		bad += pattern_find_bad(p, i * PAGE_SIZE, (i + 1) * PAGE_SIZE,
					i % 100 ? 0 : 3) >= 0;
	test_eq(bad, 0, "pages with wrong bytes, holes between");
	test_eq(count_mapped(p, HPAGE_SIZE, 1), HPAGE_NR, "pages mapped once");
	pattern_fill(p, 0, HPAGE_SIZE, 4);
	test_data(p, 0, HPAGE_SIZE, 4, "all can be written again");
	ksft_finished();
}
