// SPDX-License-Identifier: GPL-2.0
/*
 * When no huge page can be had (injected failure) the fault falls back to small
 * pages; when they can again, MADV_COLLAPSE makes up for it.
 */
#include "mmtest.h"

int main(void)
{
	long fallback, alloc;
	char *p;

	test_start(7);
	fail_page_alloc_start(9, 0);
	if (!file_write("/proc/self/make-it-fail", "1"))
		ksft_exit_fail_perror("make-it-fail");
	p = huge_area(1);
	fallback = vmstat("thp_fault_fallback");
	alloc = vmstat("thp_fault_alloc");
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_vmstat("thp_fault_fallback", fallback, 1);
	test_vmstat("thp_fault_alloc", alloc, 0);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte, in small pages");
	fail_stop();
	test_eq(madvise(p, HPAGE_SIZE, MADV_COLLAPSE), 0, "MADV_COLLAPSE afterwards");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte, in a huge page");
	ksft_finished();
}
