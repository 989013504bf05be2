// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() of page tables that have just become empty makes others at the new
 * place, into which nothing is moved. They go, and those at the old place with
 * them; what was moved into others is there.
 */
#include "pte_ref.h"

#define NR	128
#define LEN	(NR * HPAGE_SIZE)

int main(void)
{
	char *p, *to;
	size_t i;

	pte_plan(4);
	p = pte_area(2 * NR, -1);
	to = p + LEN;
	munmap(to, LEN);
	pte_touch(p, NR, 1);
	for (i = 1; i < NR; i++)
		madvise(p + i * HPAGE_SIZE, 8 * PAGE_SIZE, MADV_DONTNEED);
	test_min(pte_tables(), NR, "tables when it is moved");
	if (mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		ksft_exit_fail_perror("mremap");
	test_tables(1, "moved");
	test_data(to, 0, 64, 1, "what was there has moved");
	test_data(to, HPAGE_SIZE, 2 * HPAGE_SIZE, 0, "the rest reads as zeroes");
	ksft_finished();
}
