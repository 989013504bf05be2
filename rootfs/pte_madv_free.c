// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_FREE leaves the pages where they are, until reclaim takes those that
 * weren't written again: a table that has lost all of its pages that way goes.
 */
#include "pte_ref.h"

#define NR	4

int main(void)
{
	char *p;

	pte_plan(4);
	swap_start();	/* anonymous memory is not reclaimed without */
	memcg_enter();
	p = pte_area(NR, -1);
	pte_touch(p, NR, 50);
	madvise(p, NR * HPAGE_SIZE, MADV_FREE);
	usleep(300000);
	test_eq(pte_tables(), NR, "tables until reclaim");
	pattern_fill(p, HPAGE_SIZE, HPAGE_SIZE + 64, 2);
	memcg_reclaim(4 * NR * 50 * PAGE_SIZE);
	test_tables(1, "after reclaim");
	test_data(p, HPAGE_SIZE, HPAGE_SIZE + 64, 2, "what was written again is kept");
	test_data(p, 2 * HPAGE_SIZE, 2 * HPAGE_SIZE + 64, 0, "the rest reads as zeroes");
	ksft_finished();
}
