// SPDX-License-Identifier: GPL-2.0
/*
 * Two VMAs share a page table, and only one has pages in it: its munmap() leaves
 * a table that is there for nothing.
 */
#include "pte_ref.h"

#define NR	4

int main(void)
{
	char *p;
	size_t i;

	pte_plan(3);
	p = pte_area(NR, -1);
	for (i = 0; i < NR; i++)
		pattern_fill(p, i * HPAGE_SIZE + HPAGE_SIZE / 2,
			     i * HPAGE_SIZE + HPAGE_SIZE / 2 + 64, 1);
	test_eq(pte_tables(), NR, "tables in use");
	for (i = 0; i < NR; i++)
		munmap(p + i * HPAGE_SIZE + HPAGE_SIZE / 2, HPAGE_SIZE / 4);
	test_tables(0, "half unmapped");
	test_data(p, 0, HPAGE_SIZE / 2, 0, "the other half reads as zeroes");
	ksft_finished();
}
