// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() takes the pages out of the tables of a VMA that stays, with
 * MREMAP_DONTUNMAP, and is not disturbed by tables that are about to go.
 */
#include "pte_ref.h"

#define NR	4
#define LEN	(NR * HPAGE_SIZE)

int main(void)
{
	char *p, *to, *got;
	int i;

	pte_plan(6);
	p = pte_area(2 * NR, -1);
	to = p + LEN;
	munmap(to, LEN);
	pte_touch(p, NR, 20);
	test_eq(pte_tables(), NR, "tables in use");
	got = mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
	if (got != to)
		ksft_exit_fail_perror("mremap");
	test_tables(NR, "moved, the source stays mapped");
	test_data(to, 0, 64, 1, "the data has moved");
	test_data(p, 0, 64, 0, "the source reads as zeroes");
	munmap(p, LEN);

	/* There and back, as tables come and go */
	for (i = 0; i < 200; i++) {
		madvise(to + HPAGE_SIZE, PAGE_SIZE * 200, MADV_DONTNEED);
		if (mremap(to, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p ||
		    mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			ksft_exit_fail_perror("mremap");
		*(volatile char *)(to + HPAGE_SIZE) = 1;
		if (i % 20 == 0)
			usleep(60000);
	}
	test_data(to, 0, 64, 1, "still there after 400 moves");
	madvise(to, LEN, MADV_DONTNEED);
	test_tables(0, "given back");
	ksft_finished();
}
