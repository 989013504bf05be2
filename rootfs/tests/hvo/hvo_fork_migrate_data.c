// SPDX-License-Identifier: GPL-2.0
/*
 * All that happens to a HugeTLB page happens to an optimized one: it is copied
 * after a fork, migrates, is punched out of a file, and is gone with as many
 * pages of struct page as before.
 */
#include "hugetlb.h"

#define NR	2
#define LEN	(NR * HPAGE_SIZE)

static char *p;

static int child(void *arg)
{
	if (pattern_find_bad(p, 0, LEN, 1) >= 0)
		return 1;
	pattern_fill(p, 0, LEN, 2);
	return pattern_find_bad(p, 0, LEN, 2) >= 0 ? 2 : 0;
}

int main(void)
{
	unsigned long pfn;
	long before, ok;
	int fd;

	hvo_start(16);
	before = memmap_pages();
	hvo_set(true);
	pool_resize(2 * NR);
	test_eq(before - memmap_pages(), 2 * NR * HVO_SAVED, "pages of struct page saved");

	p = hugetlb_pages(NR, 1);
	test_eq(in_child(child, NULL), 0, "a child writes to copies");
	test_data(p, 0, LEN, 1, "the parent's bytes");
	test_pool(4, 2, 0, 0, "free when it has ended");

	/* To free pages of the pool, then to new ones */
	ok = vmstat("pgmigrate_success");
	pfn = pfn_of(p);
	if (movable_pages()) {
		longterm_unpin(longterm_pin(p, LEN));
		test_true(pfn_of(p) != pfn, "a long-term pin moves them");
		test_vmstat("pgmigrate_success", ok, NR * HPAGE_NR);
	} else {
		ksft_test_result_skip("no ZONE_MOVABLE to move them from\n");
		ksft_test_result_skip("no ZONE_MOVABLE to move them from\n");
	}
	test_data(p, 0, LEN, 1, "every byte");
	test_hugetlb(p, NR, "each is 512 pages of one HugeTLB page");
	test_pool(4, 2, 0, 0, "no page more or less");
	pool_settle();
	test_eq(before - memmap_pages(), 2 * NR * HVO_SAVED, "pages of struct page saved");
	area_free(p, NR);

	fd = hugetlb_file(2 * NR);
	p = map_file(fd, 2 * LEN, MAP_SHARED);
	pattern_fill(p, 0, 2 * LEN, 3);
	test_pool(4, 0, 0, 0, "a file has them all");
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      HPAGE_SIZE, LEN))
		ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
	test_pool(4, 2, 0, 0, "a hole in it");
	test_data(p, HPAGE_SIZE, HPAGE_SIZE + LEN, 0, "zeroes in the hole");
	test_data(p, HPAGE_SIZE + LEN, 2 * LEN, 3, "bytes behind it");
	area_free(p, 2 * NR);
	close(fd);
	test_pool(4, 4, 0, 0, "the end of the file");
	pool_resize(0);
	test_eq(before - memmap_pages(), 0, "pages of struct page saved");
	ksft_finished();
}
