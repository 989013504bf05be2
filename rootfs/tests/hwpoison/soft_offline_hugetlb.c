// SPDX-License-Identifier: GPL-2.0
/*
 * A page in a HugeTLB page is about to fail: the huge page's bytes move to
 * another, from the pool or, if it has none, a new one, and 4 KB of the old one
 * are out of use. Nobody notices, private or shared, with the vmemmap optimized
 * or not.
 */
#include "hugetlb.h"

#define BAD	(100 * PAGE_SIZE)

static char *p;

static int child(void *pfn)
{
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	return pfn_of(p) == (uintptr_t)pfn;
}

static void offline(bool hvo, bool shared, long spare)
{
	long kb = meminfo("HardwareCorrupted:"), map, left = 1;
	unsigned long pfn;

	if (!access(HVO, F_OK))
		hvo_set(hvo);
	map = memmap_pages();
	pool_resize(1 + spare);
	ksft_print_msg("hugetlb_optimize_vmemmap = %d, %s, %ld free in the pool\n",
		       hvo, shared ? "shared" : "private", spare);
	p = hugetlb_map(1, shared ? MAP_SHARED : MAP_PRIVATE);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	pfn = pfn_of(p);
	test_eq(poison(p + BAD, PAGE_SIZE, MADV_SOFT_OFFLINE), 0, "signal at once");
	test_eq(access_signal(p + BAD, true), 0, "signal for a write");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	test_true(pfn_of(p) != pfn, "it is another huge page");
	test_hugetlb(p, 1, "of 512 pages");
	test_eq(in_child(child, (void *)pfn), 0, "a child has the good one and every byte");
	test_pool(left, 0, 0, 0, "the pool");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_eq(count_pfns(pfn, HPAGE_NR, KPF_HWPOISON), 1, "pages that are marked");
	test_true(kpageflags(pfn + BAD / PAGE_SIZE) & KPF_HWPOISON, "this one");
	test_eq(count_pfns(pfn, HPAGE_NR, KPF_HUGE), 0, "pages that still look huge");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "all can be written again");
	area_free(p, 1);
	test_pool(1, 1, 0, 0, "munmap()");
	test_eq(unpoison_memory(pfn + BAD / PAGE_SIZE), 0, "the bad page can be declared good");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	pool_resize(0);
	test_eq(memmap_pages(), map, "pages of struct page");
}

int main(void)
{
	if (access(POOL, F_OK))
		ksft_exit_skip("no HugeTLB pages in this kernel\n");
	poison_start(4 * 16, false);
	pool_resize(0);
	offline(false, false, 1);
	offline(false, true, 0);
	/*
	 * Not with an empty pool: a worker frees the old one then, and it is a
	 * matter of luck whether the kernel finds it free (EBUSY if not).
	 */
	offline(true, true, 1);
	offline(true, false, 1);
	ksft_finished();
}
