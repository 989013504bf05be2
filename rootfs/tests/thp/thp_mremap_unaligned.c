// SPDX-License-Identifier: GPL-2.0
/* mremap to a place that no PMD can map splits, and every byte comes along. */
#include "mmtest.h"

int main(void)
{
	char *p, *area, *to;
	unsigned long pfn;
	long split;

	test_start(7);
	p = huge_pages(1, 1);
	pfn = pfn_of(p);
	area = hole_area(2);
	to = area + PAGE_SIZE;
	split = vmstat("thp_split_pmd");
	if (mremap(p, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to) != to)
		ksft_exit_fail_perror("mremap");
	test_vmstat("thp_split_pmd", split, 1);
	test_smaps(to, HPAGE_SIZE, "AnonHugePages", 0);
	test_true(pfn_of(to) == pfn && pfns_follow(to, HPAGE_SIZE), "the same pages");
	test_data(to, 0, HPAGE_SIZE, 1, "every byte came along");
	test_eq(access_signal(p, false), SIGSEGV, "signal for the old place");
	test_eq(access_signal(area, false), SIGSEGV, "signal for the page in front");
	pattern_fill(to, 0, HPAGE_SIZE, 2);
	test_data(to, 0, HPAGE_SIZE, 2, "all can be written again");
	ksft_finished();
}
