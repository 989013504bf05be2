// SPDX-License-Identifier: GPL-2.0
/*
 * Surplus pages: what nr_overcommit_hugepages allows beyond the pool comes when
 * it is asked for and goes when it is not used; a pool that shrinks under its
 * users keeps what they have as surplus until they are done.
 */
#include "hugetlb.h"

int main(void)
{
	char *p, *q;
	long used;

	hugetlb_start(18, 1);
	pool_overcommit(2);
	p = hugetlb_pages(3, 0);
	test_pool(3, 3, 3, 2, "mmap() of 3 with a pool of 1 and 2 to overcommit");
	q = hugetlb_map(1, MAP_PRIVATE);
	test_true(q == MAP_FAILED && errno == ENOMEM, "ENOMEM for one more");
	test_pool(3, 3, 3, 2, "that changes nothing");
	pattern_fill(p, 0, 3 * HPAGE_SIZE, 1);
	test_pool(3, 0, 0, 2, "all written to");
	test_hugetlb(p, 3, "each is 512 pages of one HugeTLB page");
	munmap(p + 2 * HPAGE_SIZE, HPAGE_SIZE);
	test_pool(2, 0, 0, 1, "munmap() of one");
	test_data(p, 0, 2 * HPAGE_SIZE, 1, "the other two's bytes");
	area_free(p, 2);
	test_pool(1, 1, 0, 0, "munmap() of all");

	/* Two that come, and aren't enough */
	p = hugetlb_pages(1, 1);
	used = vmstat("nr_hugetlb");
	q = hugetlb_map(3, MAP_PRIVATE);
	test_true(q == MAP_FAILED && errno == ENOMEM, "ENOMEM for 3 more than the pool has");
	test_vmstat("nr_hugetlb", used, 0);
	area_free(p, 1);

	/* One that is never touched */
	p = hugetlb_pages(2, 0);
	test_pool(2, 2, 2, 1, "mmap() of 2");
	area_free(p, 2);
	test_pool(1, 1, 0, 0, "munmap() of what was never touched");

	/* A fault without a reservation */
	p = hugetlb_map(2, MAP_PRIVATE | MAP_NORESERVE);
	pattern_fill(p, 0, 2 * HPAGE_SIZE, 2);
	test_pool(2, 0, 0, 1, "faults where nothing was reserved");
	area_free(p, 2);
	pool_overcommit(0);

	/* The pool shrinks under its users. */
	pool_resize(4);
	p = hugetlb_pages(2, 0);
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	pool_resize(0);
	test_pool(2, 1, 1, 2, "no more pool, but 1 page in use and 1 reserved");
	test_data(p, 0, HPAGE_SIZE, 3, "its bytes");
	pattern_fill(p, HPAGE_SIZE, 2 * HPAGE_SIZE, 3);
	test_pool(2, 0, 0, 2, "the one reserved was there");
	test_data(p, 0, 2 * HPAGE_SIZE, 3, "both pages' bytes");
	area_free(p, 2);
	test_pool(0, 0, 0, 0, "munmap() of both");
	ksft_finished();
}
