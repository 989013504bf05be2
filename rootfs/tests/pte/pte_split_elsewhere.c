// SPDX-License-Identifier: GPL-2.0
/*
 * A collapse empties a table and keeps it for a split, but the split that takes it
 * may be that of another huge page. It goes from there as any other.
 */
#include "pte_ref.h"

#define NR	4

int main(void)
{
	char *small, *huge;
	int i, round;

	pte_plan(3);
	if (!thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	small = pte_area(2 * NR, -1);
	huge = small + NR * HPAGE_SIZE;
	for (round = 0; round < 3; round++) {
		madvise(huge, NR * HPAGE_SIZE, MADV_HUGEPAGE);
		for (i = 0; i < NR; i++)
			huge[i * HPAGE_SIZE] = 1;
		madvise(small, NR * HPAGE_SIZE, MADV_NOHUGEPAGE);
		pte_touch(small, NR, 20);
		madvise(small, NR * HPAGE_SIZE, MADV_HUGEPAGE);
		if (madvise(small, NR * HPAGE_SIZE, MADV_COLLAPSE))
			ksft_exit_fail_perror("MADV_COLLAPSE");
		/* Split the others at once, and give all of them back, then the rest */
		for (i = 0; i < NR; i++) {
			char *p = huge + i * HPAGE_SIZE;

			madvise(p, HPAGE_SIZE / 2, MADV_DONTNEED);
			madvise(p + HPAGE_SIZE / 2, HPAGE_SIZE / 2, MADV_DONTNEED);
		}
		usleep(20000);
		madvise(small, NR * HPAGE_SIZE, MADV_DONTNEED);
		test_tables(0, "round %d", round);
	}
	ksft_finished();
}
