// SPDX-License-Identifier: GPL-2.0
/*
 * vm.hugetlb_optimize_vmemmap at run time: it decides for the pages that come,
 * those that are there stay as they are, in use or not, and each is freed the
 * way that it was allocated. No struct page is lost or kept.
 */
#include "hugetlb.h"

static long before;

#define test_saved(nr, fmt, ...)					\
	test_eq(before - memmap_pages(), (nr) * HVO_SAVED,		\
		fmt ": pages of struct page saved", ##__VA_ARGS__)

int main(void)
{
	char *p, *q, *r;
	int i;

	hvo_start(25);
	before = memmap_pages();
	hvo_set(true);
	pool_resize(3);
	test_saved(3, "3 optimized");
	p = hugetlb_pages(3, 1);
	hvo_set(false);
	test_saved(3, "those stay, switched off");
	pool_resize(5);
	test_saved(3, "and 2 not optimized");
	q = hugetlb_pages(2, 2);
	hvo_set(true);
	test_saved(3, "those stay, switched on");
	pool_resize(6);
	test_saved(4, "and 1 optimized");
	r = hugetlb_pages(1, 3);
	test_hugetlb(p, 3, "optimized: each is 512 pages of one HugeTLB page");
	test_hugetlb(q, 2, "not optimized: each is 512 pages of one HugeTLB page");
	test_data(p, 0, 3 * HPAGE_SIZE, 1, "bytes of the optimized ones");
	test_data(q, 0, 2 * HPAGE_SIZE, 2, "bytes of the others");

	/* They go back to the pool, and out of it, with either setting. */
	hvo_set(false);
	area_free(p, 3);
	test_pool(6, 3, 0, 0, "munmap() of 3 optimized");
	pool_resize(3);
	test_saved(1, "freed, switched off");
	hvo_set(true);
	area_free(q, 2);
	test_pool(3, 2, 0, 0, "munmap() of 2 not optimized");
	pool_resize(1);
	test_saved(1, "freed, switched on");
	test_data(r, 0, HPAGE_SIZE, 3, "bytes of the last");
	area_free(r, 1);
	pool_resize(0);
	test_saved(0, "the last freed");

	/* Surplus pages are freed by a worker, which can wait for memory. */
	pool_overcommit(2);
	p = hugetlb_pages(2, 4);
	test_saved(2, "2 surplus pages");
	test_pool(2, 0, 0, 2, "in use");
	area_free(p, 2);
	test_pool(0, 0, 0, 0, "munmap()");
	pool_settle();
	test_saved(0, "freed");
	pool_overcommit(0);

	/* Again and again */
	for (i = 0; i < 20; i++) {
		hvo_set(i % 2);
		pool_resize(i % 7 + 3);
		p = hugetlb_map(3, MAP_PRIVATE | MAP_POPULATE);
		munmap(p, 3 * HPAGE_SIZE);
	}
	hvo_set(false);
	pool_resize(0);
	test_saved(0, "20 times with either setting");
	test_pool(0, 0, 0, 0, "an end to the pool");

	/* The memory is as good as before: struct pages that can be written */
	p = huge_pages(4, 5);
	madvise(p + PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	debugfs_split(p, 4 * HPAGE_SIZE, 0);
	test_eq(count_flagged(p, 4 * HPAGE_SIZE, KPF_COMPOUND_TAIL), 0, "tail pages after a split");
	test_data(p, 2 * PAGE_SIZE, 4 * HPAGE_SIZE, 5, "bytes");
	area_free(p, 4);
	test_saved(0, "at last");
	hvo_set(true);
	test_eq(file_number(HVO, NULL), 1, "hugetlb_optimize_vmemmap reads back");
	ksft_finished();
}
