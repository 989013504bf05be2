// SPDX-License-Identifier: GPL-2.0
/*
 * To free an optimized HugeTLB page takes memory, for its struct pages. When
 * there is none (injected failure) the page stays in the pool, as surplus, as
 * good as before, and is freed when it can be. To optimize one takes a page,
 * too, unless its tails come to its head's frame: without it the huge page is a
 * normal one.
 */
#include "hugetlb.h"

static long before;

#define test_saved(nr, fmt, ...)					\
	test_eq(before - memmap_pages(), (nr) * HVO_SAVED,		\
		fmt ": pages of struct page saved", ##__VA_ARGS__)

int main(void)
{
	bool fake;
	char *p;

	hvo_frames_start(27);
	hvo_set(true);
	pool_resize(3);
	pool_resize(0);
	before = memmap_pages();

	/* Nothing to be had */
	pool_resize(3);
	test_saved(3, "3 optimized");
	fake = hvo_fake_heads();
	pool_resize_failing("0", 0);
	test_pool(3, 3, 0, 3, "an end to the pool, without memory");
	test_eq(file_number("/proc/sys/vm/nr_hugepages", NULL), 0, "what nr_hugepages asks for");
	test_saved(3, "they are still optimized");
	p = hugetlb_pages(3, 1);
	test_pool(3, 0, 0, 3, "they can be used");
	test_data(p, 0, 3 * HPAGE_SIZE, 1, "every byte");
	test_hugetlb(p, 3, "each is 512 pages of one HugeTLB page");
	area_free(p, 3);
	test_pool(0, 0, 0, 0, "munmap() frees them, with memory");
	pool_settle();
	test_saved(0, "freed");

	/* Back into the pool, and freed from there */
	pool_resize(3);
	pool_resize_failing("1", 0);
	test_pool(3, 3, 0, 2, "a pool of 1 instead of 3, without memory");
	pool_resize(3);
	test_pool(3, 3, 0, 0, "a pool of 3 again");
	pool_resize(0);
	test_pool(0, 0, 0, 0, "an end to it, with memory");
	test_saved(0, "freed");

	/* Enough for the first */
	pool_resize(3);
	pool_resize_failing("0", HVO_SAVED);
	test_pool(2, 2, 0, 2, "an end to a pool of 3, with memory for one");
	test_saved(2, "2 are still optimized");
	pool_resize(2);
	pool_resize(0);
	test_saved(0, "freed");

	/* Not quite enough for the first */
	pool_resize(2);
	pool_resize_failing("0", HVO_SAVED - 1);
	test_pool(2, 2, 0, 2, "an end to a pool of 2, with memory for less than one");
	test_saved(2, "they are still optimized");
	pool_resize(2);
	pool_resize(0);
	test_saved(0, "freed");

	/* Memory for two huge pages, none to optimize them */
	pool_resize_failing("2", 2 * HPAGE_NR);
	test_pool(2, 2, 0, 0, "a pool of 2, with memory for just that");
	test_saved(fake ? 2 : 0, "%soptimized", fake ? "" : "not ");
	p = hugetlb_pages(2, 2);
	test_data(p, 0, 2 * HPAGE_SIZE, 2, "every byte");
	area_free(p, 2);
	pool_resize(0);
	test_pool(0, 0, 0, 0, "an end to it");

	/* A pool of both kinds, plain pages and optimized ones */
	hvo_set(true);
	pool_resize(3);
	hvo_set(false);
	pool_resize(6);
	pool_resize_failing("0", 0);
	test_pool(3, 3, 0, 3, "an end to a pool of 6, of which 3 need memory");
	test_saved(3, "those 3 are still optimized");
	pool_resize(3);
	pool_resize(0);
	test_pool(0, 0, 0, 0, "an end to it, with memory");
	test_saved(0, "freed");
	ksft_finished();
}
