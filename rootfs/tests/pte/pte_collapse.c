// SPDX-License-Identifier: GPL-2.0
/*
 * A collapse empties a table and keeps it for the split: it counts as used until
 * then, and is used again. What is given back after the split is freed.
 */
#include "pte_ref.h"

int main(void)
{
	char *p;
	int i;

	pte_plan(9);
	if (!thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	p = pte_area(2, -1);
	madvise(p, 2 * HPAGE_SIZE, MADV_HUGEPAGE);
	for (i = 0; i < 2; i++) {
		/* Small pages first */
		madvise(p, HPAGE_SIZE, MADV_NOHUGEPAGE);
		pattern_fill(p, 0, HPAGE_SIZE, 1);
		madvise(p, HPAGE_SIZE, MADV_HUGEPAGE);
		if (madvise(p, HPAGE_SIZE, MADV_COLLAPSE))
			ksft_exit_fail_perror("MADV_COLLAPSE");
		usleep(300000);
		test_eq(pte_tables(), 1, "tables of a huge page");
		/* Split it, and give back what was split off */
		madvise(p + 17 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
		test_data(p, 18 * PAGE_SIZE, HPAGE_SIZE, 1, "the rest is kept");
		madvise(p, HPAGE_SIZE / 2, MADV_DONTNEED);
		madvise(p + HPAGE_SIZE / 2, HPAGE_SIZE / 2, MADV_DONTNEED);
		test_tables(0, "given back in halves");
		test_data(p, 0, HPAGE_SIZE, 0, "it reads as zeroes");
		madvise(p, HPAGE_SIZE, MADV_DONTNEED);
	}
	test_tables(0, "in the end");
	ksft_finished();
}
