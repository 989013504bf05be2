// SPDX-License-Identifier: GPL-2.0
/*
 * UFFDIO_MOVE takes pages out of one table, one after the other, and into
 * another: the source's goes with the last one.
 */
#include "pte_ref.h"

#define NR	2
#define PAGES	20

int main(void)
{
	int uffd = uffd_open(UFFD_FEATURE_MOVE), moved = 0, i;
	char *src, *dst;

	pte_plan(6);
	src = pte_area(2 * NR, -1);
	dst = src + NR * HPAGE_SIZE;
	if (uffd_register(uffd, dst, NR * HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	pattern_fill(src, 0, PAGES * PAGE_SIZE, 1);
	test_eq(pte_tables(), 1, "tables in use");
	for (i = 0; i < PAGES; i++) {
		moved += uffd_move(uffd, dst + i * PAGE_SIZE, src + i * PAGE_SIZE,
				   PAGE_SIZE) == PAGE_SIZE;
		if (i == PAGES / 2)
			test_eq(pte_tables(), 2, "tables in between");
	}
	test_eq(moved, PAGES, "pages moved");
	test_tables(1, "after the last one");
	test_data(dst, 0, PAGES * PAGE_SIZE, 1, "every byte came along");
	test_data(src, 0, HPAGE_SIZE, 0, "the source is empty");
	ksft_finished();
}
