// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages go out to swap, whole or split as the kernel can, and every byte
 * comes back: after MADV_PAGEOUT, and after reclaim of a cgroup.
 */
#include "mmtest.h"

#define NR	4
#define LEN	(NR * HPAGE_SIZE)

static size_t count_swapped(char *p)
{
	uint64_t entry[LEN / PAGE_SIZE];
	size_t i, n = 0;

	pagemap_read(p, entry, ARRAY_SIZE(entry));
	for (i = 0; i < ARRAY_SIZE(entry); i++)
		n += !!(entry[i] & PM_SWAP);
	return n;
}

int main(void)
{
	long out, in, whole, split;
	char *p;

	test_start(11);
	swap_start();
	memcg_enter();
	p = huge_pages(NR, 1);
	out = vmstat("pswpout");
	in = vmstat("pswpin");
	whole = vmstat("thp_swpout");
	split = vmstat("thp_swpout_fallback");
	if (madvise(p, LEN, MADV_PAGEOUT))
		ksft_exit_fail_perror("MADV_PAGEOUT");
	ksft_print_msg("thp_swpout +%ld, thp_swpout_fallback +%ld\n",
		       vmstat("thp_swpout") - whole,
		       vmstat("thp_swpout_fallback") - split);
	test_vmstat("pswpout", out, LEN / PAGE_SIZE);
	test_smaps(p, LEN, "Swap", LEN / 1024);
	test_smaps(p, LEN, "Rss", 0);
	test_eq(count_swapped(p), LEN / PAGE_SIZE, "pagemap: pages in swap");
	test_data(p, 0, LEN, 1, "every byte came back");
	test_vmstat_min("pswpin", in, LEN / PAGE_SIZE);
	test_smaps(p, LEN, "Rss", LEN / 1024);

	/* Written again it goes out again, with what was written. */
	pattern_fill(p, 0, LEN, 2);
	memcg_reclaim(2 * LEN);
	test_min(count_swapped(p), LEN / PAGE_SIZE * 9 / 10, "pages out by memory.reclaim");
	test_data(p, 0, LEN, 2, "every byte came back again");

	/* swapoff brings in what is out. */
	pattern_fill(p, 0, LEN, 3);
	madvise(p, LEN, MADV_PAGEOUT);
	swap_stop();
	test_eq(count_swapped(p), 0, "swapoff: pages in swap");
	test_data(p, 0, LEN, 3, "swapoff: every byte");
	ksft_finished();
}
