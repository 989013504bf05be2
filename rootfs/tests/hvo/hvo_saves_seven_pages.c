// SPDX-License-Identifier: GPL-2.0
/*
 * With its vmemmap optimized a HugeTLB page costs 505 pages instead of 512:
 * seven of the eight pages of its struct pages are free, counted to the page.
 * All of them are back when it is freed, and nothing else was kept.
 */
#include "hugetlb.h"

#define NR	20

struct cost {
	long used;	/* pages that the huge pages cost */
	long memmap;	/* pages of struct page, more than before */
	long missing;	/* pages, after freeing them */
};

static struct cost cost_once(void)
{
	long free = free_pages(), memmap = memmap_pages();
	struct cost c;

	pool_resize(NR);
	c.used = free - free_pages();
	c.memmap = memmap_pages() - memmap;
	if (pool("free_hugepages") != NR)
		ksft_exit_fail_msg("%ld of %d huge pages came\n",
				   pool("free_hugepages"), NR);
	pool_resize(0);
	c.missing = free - free_pages();
	return c;
}

/*
 * The same twice in a row: in between the kernel may clean up after a process
 * that has ended, which are pages more.
 */
static struct cost cost(void)
{
	struct cost last, c = cost_once();
	int i;

	for (i = 0; i < 20; i++) {
		last = c;
		c = cost_once();
		if (!memcmp(&c, &last, sizeof(c)))
			break;
		ksft_print_msg("used %ld, then %ld; missing %ld, then %ld\n",
			       last.used, c.used, last.missing, c.missing);
		usleep(10000);
	}
	return c;
}

int main(void)
{
	struct cost c;
	long before;

	hvo_start(7);
	/* The page of tail struct pages that all share is allocated once. */
	hvo_set(true);
	pool_resize(NR);
	pool_resize(0);
	before = memmap_pages();

	hvo_set(false);
	c = cost();
	test_eq(c.used, NR * HPAGE_NR, "pages that %d huge pages cost", NR);
	test_eq(c.memmap, 0, "nr_memmap_pages + nr_memmap_boot_pages by");
	test_eq(c.missing, 0, "pages missing after freeing them");

	hvo_set(true);
	c = cost();
	test_eq(c.used, NR * (HPAGE_NR - HVO_SAVED), "optimized, pages that %d huge pages cost", NR);
	test_eq(c.memmap, -NR * HVO_SAVED, "nr_memmap_pages + nr_memmap_boot_pages by");
	test_eq(c.missing, 0, "pages missing after freeing them");
	test_eq(memmap_pages(), before, "nr_memmap_pages + nr_memmap_boot_pages at last");
	ksft_finished();
}
