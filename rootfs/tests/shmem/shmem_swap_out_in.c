// SPDX-License-Identifier: GPL-2.0
/* A huge page of tmpfs, mapped by PMD, goes to swap and comes back. */
#include "mmtest.h"

int main(void)
{
	long out;
	char *p;

	test_start(6);
	swap_start();
	memcg_enter();
	p = map_file(huge_file("file", HPAGE_SIZE, 1), HPAGE_SIZE, MAP_SHARED);
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	out = vmstat("pswpout");
	if (madvise(p, HPAGE_SIZE, MADV_PAGEOUT))
		ksft_exit_fail_perror("MADV_PAGEOUT");
	test_vmstat("pswpout", out, HPAGE_NR);
	test_smaps(p, HPAGE_SIZE, "Rss", 0);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte came back");
	test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB);
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "all can be written again");
	ksft_finished();
}
