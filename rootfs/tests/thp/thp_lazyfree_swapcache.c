// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page that MADV_FREE has given up reads as before or as zeroes, and never as what
 * others had in swap, though it was in the swap cache and not written there yet. It gets
 * there when two processes share it and reclaim can't unmap it from the first one, where
 * part of it is locked.
 */
#include "mmtest.h"

#define KPF_SWAPCACHE	KPF_BIT(13)
#define OLD		31	/* huge pages: nearly all of the swap device */

static char *area, *p;

/* What the swap slots have from before */
static void fill_swap(void)
{
	char *q = small_pages(OLD, 7);
	long out = vmstat("pswpout");

	madvise(q, OLD * HPAGE_SIZE, MADV_PAGEOUT);
	test_vmstat("pswpout", out, OLD * HPAGE_NR);
	area_free(q, OLD);
}

/*
 * Has the first half locked, as part of an area that begins before it: for reclaim this
 * process comes first. Read-only, or each page would be copied.
 */
static int locks(void)
{
	size_t len = HPAGE_SIZE + HPAGE_SIZE / 2;

	if (mprotect(area, len, PROT_READ) || mlock(area, len))
		return 1;
	turn_over();
	munmap(area, 2 * HPAGE_SIZE);
	turn_over();
	return 0;
}

int main(void)
{
	size_t at, bad = 0;
	unsigned long pfn;
	pid_t pid;
	int i;

	test_start(7);
	memcg_enter();
	swap_start();
	fill_swap();
	area = huge_area(2);
	p = area + HPAGE_SIZE;
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	pfn = pfn_of(p);
	pid = turns_start(locks);
	mprotect(area, HPAGE_SIZE, PROT_NONE);
	for (i = 0; i < 10 && !(kpageflags(pfn) & KPF_SWAPCACHE); i++)
		memcg_reclaim(8 << 20);
	test_true(kpageflags(pfn) & KPF_SWAPCACHE, "the page is in the swap cache");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	turn_over();
	test_eq(madvise(p, HPAGE_SIZE, MADV_FREE), 0, "MADV_FREE");
	for (i = 0; i < 10 && pagemap(p) >> 63; i++)
		memcg_reclaim(8 << 20);
	test_true(!(pagemap(p) >> 63), "reclaimed");
	for (at = 0; at < HPAGE_SIZE; at += PAGE_SIZE)
		bad += pattern_find_bad_user(p, at, at + PAGE_SIZE, 0) >= 0 &&
		       pattern_find_bad_user(p, at, at + PAGE_SIZE, 1) >= 0;
	turns_end();
	test_eq(child_status(pid), 0, "the other process");
	test_eq(bad, 0, "pages that are neither as before nor zeroes");
	ksft_finished();
}
