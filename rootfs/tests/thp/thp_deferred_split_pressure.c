// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of which one small page is still mapped wait on the deferred
 * split list; reclaim splits them, frees the rest and keeps that page.
 */
#include "mmtest.h"

#define NR	8
#define KEPT(i)	((i) * 61 % HPAGE_NR)	/* a different page of each */

int main(void)
{
	long deferred, split, before, after;
	size_t i, kept, bad = 0, huge = 0;
	char *p, *h;

	test_start(6);
	memcg_enter();
	p = huge_pages(NR, 1);
	deferred = vmstat("thp_deferred_split_page");
	split = vmstat("thp_split_page");
	for (i = 0; i < NR; i++) {
		h = p + i * HPAGE_SIZE;
		kept = KEPT(i) * PAGE_SIZE;
		if (kept)
			madvise(h, kept, MADV_DONTNEED);
		madvise(h + kept + PAGE_SIZE, HPAGE_SIZE - kept - PAGE_SIZE,
			MADV_DONTNEED);
	}
	test_vmstat("thp_deferred_split_page", deferred, NR);
	test_smaps(p, NR * HPAGE_SIZE, "Rss", NR * 4);
	before = file_number(MEMCG "memory.current", NULL) / 1024;
	memcg_reclaim(NR * HPAGE_SIZE);
	after = file_number(MEMCG "memory.current", NULL) / 1024;
	test_vmstat("thp_split_page", split, NR);
	ksft_print_msg("memory.current %ld -> %ld kB\n", before, after);
	test_min(before - after, (long)NR * (HPAGE_KB - 4) * 9 / 10, "kB freed");
	for (i = 0; i < NR; i++) {
		kept = i * HPAGE_SIZE + KEPT(i) * PAGE_SIZE;
		bad += pattern_find_bad(p, kept, kept + PAGE_SIZE, 1) >= 0;
		huge += !!(kpageflags(pfn_of(p + kept)) & KPF_THP);
	}
	test_eq(bad, 0, "kept pages that lost their bytes");
	test_eq(huge, 0, "kept pages still in a huge page");
	ksft_finished();
}
