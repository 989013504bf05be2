// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_FREE leaves the pages where they are, until reclaim takes those that
 * weren't written again: a table that has lost all of its pages that way goes. Since
 * Linux 7.3 reclaim splits the PMD of a huge page for that, whose table is left empty
 * in its place.
 */
#include "pte_ref.h"

#define NR	4

static void of_huge_pages(void)
{
	char *p = pte_hole(NR);
	long faults;
	int i;

	if (mmap(p, NR * HPAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		ksft_exit_fail_perror("mmap");
	madvise(p, NR * HPAGE_SIZE, MADV_HUGEPAGE);
	pattern_fill(p, 0, NR * HPAGE_SIZE, 1);
	test_eq(pte_tables(), NR, "huge pages: tables deposited");
	madvise(p, NR * HPAGE_SIZE, MADV_FREE);
	memcg_reclaim(NR * HPAGE_SIZE);
	test_tables(0, "huge pages, after reclaim");
	faults = vmstat("thp_fault_alloc");
	for (i = 0; i < NR; i++)
		p[i * HPAGE_SIZE] = 1;
	test_vmstat("thp_fault_alloc", faults, NR);
	munmap(p, NR * HPAGE_SIZE);
}

int main(void)
{
	char *p;

	pte_plan(4 + 3 * thp_available());
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
	if (thp_available())
		of_huge_pages();
	ksft_finished();
}
