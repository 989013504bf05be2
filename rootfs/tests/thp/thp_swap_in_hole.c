// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that are swapped out come back as a large folio if their swap slots
 * follow each other. An empty entry before the page in slot 1 isn't slot 0, which
 * has the swap area's header, though in numbers it looks like that.
 */
#include "mmtest.h"

#define NR	16		/* pages of 64 KB */

static int nothing(void *arg)
{
	return 0;
}

int main(void)
{
	long out;
	char *p;

	test_start(4);
	swap_start();
	memcg_enter();

	p = area_64k(1);
	/* As small pages, all but the first, in the order of their slots */
	madvise(p, HPAGE_SIZE, MADV_NOHUGEPAGE);
	pattern_fill(p, PAGE_SIZE, NR * PAGE_SIZE, 1);
	out = vmstat("pswpout");
	if (madvise(p, NR * PAGE_SIZE, MADV_PAGEOUT))
		ksft_exit_fail_perror("MADV_PAGEOUT");
	test_vmstat("pswpout", out, NR - 1);
	test_eq(PAGEMAP_PFN(pagemap(p + PAGE_SIZE)) >> 5, 1, "slot of the second page");

	/* What was shared isn't marked as exclusive any more, as empty entries aren't. */
	in_child(nothing, NULL);
	madvise(p, HPAGE_SIZE, MADV_HUGEPAGE);
	force_read_pages(p + PAGE_SIZE, 1, PAGE_SIZE);
	test_data(p, PAGE_SIZE, NR * PAGE_SIZE, 1, "every byte of these");
	test_data(p, 0, PAGE_SIZE, 0, "and none before");
	ksft_finished();
}
