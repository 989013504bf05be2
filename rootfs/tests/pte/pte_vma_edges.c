// SPDX-License-Identifier: GPL-2.0
/*
 * VMAs that are smaller than what a page table maps, or that end within it: a
 * MADV_DONTNEED of the whole VMA is not one of the whole table.
 */
#include "pte_ref.h"

#define NR	4

int main(void)
{
	size_t i, len = NR * HPAGE_SIZE;
	char *p;

	pte_plan(6);
	/* Small VMAs, one in each 2 MB */
	p = pte_hole(2 * NR);
	for (i = 0; i < NR; i++) {
		pte_map(p + i * HPAGE_SIZE + 100 * PAGE_SIZE, 3 * PAGE_SIZE, -1);
		pattern_fill(p, i * HPAGE_SIZE + 100 * PAGE_SIZE,
			     i * HPAGE_SIZE + 103 * PAGE_SIZE, 1);
	}
	test_eq(pte_tables(), NR, "small VMAs: tables in use");
	for (i = 0; i < NR; i++)
		madvise(p + i * HPAGE_SIZE + 100 * PAGE_SIZE, 3 * PAGE_SIZE, MADV_DONTNEED);
	test_tables(0, "small VMAs");
	for (i = 0; i < NR; i++)
		munmap(p + i * HPAGE_SIZE + 100 * PAGE_SIZE, 3 * PAGE_SIZE);

	/* One that ends within a table at both ends */
	p = pte_map(p + HPAGE_SIZE / 2, len, -1);
	pte_touch(p, NR, 70);
	test_eq(pte_tables(), NR + 1, "edges: tables in use");
	madvise(p, len, MADV_DONTNEED);
	test_tables(0, "edges");

	/* Two that share a table, of which one is in use */
	if (mprotect(p + len / 2 - HPAGE_SIZE / 2 + 5 * PAGE_SIZE, PAGE_SIZE, PROT_READ))
		ksft_exit_fail_perror("mprotect");
	pte_touch(p, 1, 1);
	pte_touch(p + len / 2 - HPAGE_SIZE / 2, 1, 1);
	madvise(p, HPAGE_SIZE / 2, MADV_DONTNEED);
	test_tables(1, "the neighbour's table stays");
	test_data(p + len / 2 - HPAGE_SIZE / 2, 0, 64, 1, "and what it has");
	ksft_finished();
}
