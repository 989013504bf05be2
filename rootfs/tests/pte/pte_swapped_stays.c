// SPDX-License-Identifier: GPL-2.0
/*
 * A table whose pages are all swapped out is not empty: it says where they are.
 */
#include "pte_ref.h"

#define NR	2
#define PAGES	30

int main(void)
{
	long freed, out;
	char *p;
	size_t i;

	pte_plan(6);
	swap_start();
	memcg_enter();
	p = pte_area(NR, -1);
	pattern_fill(p, 0, PAGES * PAGE_SIZE, 1);
	pattern_fill(p, HPAGE_SIZE, HPAGE_SIZE + PAGES * PAGE_SIZE, 1);
	freed = vmstat("pte_table_freed");
	for (i = 0; i < 20 && smaps_kb(p, NR * HPAGE_SIZE, "Rss"); i++)
		memcg_reclaim(4 * NR * PAGES * PAGE_SIZE);
	out = smaps_kb(p, NR * HPAGE_SIZE, "Swap");
	test_eq(out, NR * PAGES * PAGE_SIZE / 1024, "kB swapped out");
	usleep(400000);
	test_eq(pte_tables(), NR, "tables");
	test_vmstat("pte_table_freed", freed, 0);
	test_data(p, 0, PAGES * PAGE_SIZE, 1, "they come back");
	test_data(p, HPAGE_SIZE, HPAGE_SIZE + PAGES * PAGE_SIZE, 1, "from both tables");
	madvise(p, PAGES * PAGE_SIZE, MADV_DONTNEED);
	madvise(p + HPAGE_SIZE, PAGES * PAGE_SIZE, MADV_DONTNEED);
	test_tables(0, "given back");
	ksft_finished();
}
