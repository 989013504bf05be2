// SPDX-License-Identifier: GPL-2.0
/*
 * A page in a HugeTLB page fails: all 2 MB of it are lost to the process, the
 * signal says so, and the pool has one page less. But only the bad 4 KB are
 * out of use, whether the huge page's vmemmap is optimized or not. A page that
 * is free in the pool leaves it without a signal.
 */
#include "hugetlb.h"

#define BAD	(77 * PAGE_SIZE)

static char *p;

static int child(void *arg)
{
	if (access_signal(p, false) != SIGBUS)
		return 1;
	if (access_siginfo.si_code != BUS_MCEERR_AR ||
	    access_siginfo.si_addr_lsb != 21)
		return 2;
	return pattern_find_bad(p, HPAGE_SIZE, 2 * HPAGE_SIZE, 1) >= 0 ? 3 : 0;
}

static void fail_in_use(bool hvo)
{
	unsigned long pfn;
	long kb = meminfo("HardwareCorrupted:"), map;

	if (!access(HVO, F_OK))
		hvo_set(hvo);
	ksft_print_msg("hugetlb_optimize_vmemmap = %d\n", hvo);
	map = memmap_pages();
	pool_resize(3);
	p = hugetlb_pages(2, 1);
	pfn = pfn_of(p);
	test_eq(poison(p + BAD, PAGE_SIZE, MADV_HWPOISON), SIGBUS, "signal at once");
	test_true(poison_siginfo.si_code == BUS_MCEERR_AR &&
		  poison_siginfo.si_addr == p + BAD &&
		  poison_siginfo.si_addr_lsb == 21, "it names the page, and 2 MB");
	test_lost(p + BAD + 5, false, 21, "a read");
	test_lost(p + 300 * PAGE_SIZE, true, 21, "a write, elsewhere in the huge page");
	test_data(p, HPAGE_SIZE, 2 * HPAGE_SIZE, 1, "bytes of the next");
	test_eq(in_child(child, NULL), 0, "a child has lost it, too");
	test_pool(2, 1, 0, 0, "the pool has one less");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_eq(count_pfns(pfn, HPAGE_NR, KPF_HWPOISON), 1, "pages that are marked");
	test_true(kpageflags(pfn + BAD / PAGE_SIZE) & KPF_HWPOISON, "this one");
	test_eq(count_pfns(pfn, HPAGE_NR, KPF_HUGE), 0, "pages that still look huge");
	test_true(!(kpageflags(pfn + BAD / PAGE_SIZE) & KPF_BUDDY), "the bad one isn't free");
	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "dropped, it is another huge page");
	test_pool(2, 0, 0, 0, "from the pool");
	area_free(p, 2);
	test_pool(2, 2, 0, 0, "munmap()");
	test_eq(unpoison_memory(pfn + BAD / PAGE_SIZE), 0, "the bad page can be declared good");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	pool_resize(0);
	test_eq(memmap_pages(), map, "pages of struct page");
}

/* One that nobody uses */
static void fail_free(bool hvo)
{
	unsigned long pfn;
	long kb = meminfo("HardwareCorrupted:"), map;

	if (!access(HVO, F_OK))
		hvo_set(hvo);
	map = memmap_pages();
	pool_resize(1);
	p = hugetlb_pages(1, 1);
	pfn = pfn_of(p) + 511;
	area_free(p, 1);
	poison_note(pfn);
	test_true(number_write("/sys/kernel/debug/hwpoison/corrupt-pfn", pfn),
		  "a page of a free huge page fails");
	test_pool(0, 0, 0, 0, "the pool has one less");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_eq(count_pfns(pfn - 511, HPAGE_NR, KPF_HWPOISON), 1, "pages that are marked");
	test_true(kpageflags(pfn) & KPF_HWPOISON, "this one");
	test_eq(unpoison_memory(pfn), 0, "it can be declared good");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	test_eq(memmap_pages(), map, "pages of struct page");
}

int main(void)
{
	if (access(POOL, F_OK))
		ksft_exit_skip("no HugeTLB pages in this kernel\n");
	poison_start(2 * (18 + 8), false);
	pool_resize(0);
	fail_in_use(false);
	fail_in_use(true);
	fail_free(false);
	fail_free(true);
	ksft_finished();
}
