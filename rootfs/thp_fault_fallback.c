// SPDX-License-Identifier: GPL-2.0
/*
 * When no huge page can be had (injected failure) the fault falls back to small
 * pages; when they can again, MADV_COLLAPSE makes up for it.
 */
#include "mmtest.h"

#define FAIL	"/sys/kernel/debug/fail_page_alloc/"

static void fail_restore(void)
{
	file_write("/proc/self/make-it-fail", "0");
	file_write(FAIL "probability", "0");
	file_write(FAIL "task-filter", "N");
	file_write(FAIL "min-order", "1");
	file_write(FAIL "ignore-gfp-wait", "Y");
	file_write(FAIL "ignore-gfp-highmem", "Y");
	file_write(FAIL "verbose", "2");
}

int main(void)
{
	long fallback, alloc;
	char *p;

	test_start(7);
	atexit(fail_restore);
	if (!file_write(FAIL "task-filter", "Y") ||
	    !file_write(FAIL "min-order", "9") ||
	    !file_write(FAIL "ignore-gfp-wait", "N") ||
	    !file_write(FAIL "ignore-gfp-highmem", "N") ||
	    !file_write(FAIL "verbose", "0") ||
	    !file_write(FAIL "times", "-1") ||
	    !file_write(FAIL "interval", "0") ||
	    !file_write(FAIL "probability", "100") ||
	    !file_write("/proc/self/make-it-fail", "1"))
		ksft_exit_fail_perror(FAIL);
	p = huge_area(1);
	fallback = vmstat("thp_fault_fallback");
	alloc = vmstat("thp_fault_alloc");
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_vmstat("thp_fault_fallback", fallback, 1);
	test_vmstat("thp_fault_alloc", alloc, 0);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte, in small pages");
	file_write("/proc/self/make-it-fail", "0");
	test_eq(madvise(p, HPAGE_SIZE, MADV_COLLAPSE), 0, "MADV_COLLAPSE afterwards");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte, in a huge page");
	ksft_finished();
}
