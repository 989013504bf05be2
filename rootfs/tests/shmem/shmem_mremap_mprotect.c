// SPDX-License-Identifier: GPL-2.0
/*
 * A PMD mapping of a tmpfs file moves whole, loses and gets back its
 * permissions, and splits without a copy when one page of it changes.
 */
#include "mmtest.h"

int main(void)
{
	char *p, *to;
	long split;

	test_start(11);
	p = map_file(huge_file("file", HPAGE_SIZE, 1), HPAGE_SIZE, MAP_SHARED);
	to = hole_area(1);
	force_read_pages(p, 1, PAGE_SIZE);
	if (mremap(p, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		ksft_exit_fail_perror("mremap");
	test_eq(access_signal(p, false), SIGSEGV, "signal for the old place");
	test_smaps(to, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_data(to, 0, HPAGE_SIZE, 1, "every byte came along");
	mprotect(to, HPAGE_SIZE, PROT_READ);
	test_eq(access_signal(to + 7 * PAGE_SIZE, true), SIGSEGV, "PROT_READ: signal for a write");
	mprotect(to, HPAGE_SIZE, PROT_NONE);
	test_eq(access_signal(to + 7 * PAGE_SIZE, false), SIGSEGV, "PROT_NONE: signal for a read");
	mprotect(to, HPAGE_SIZE, PROT_READ | PROT_WRITE);
	test_smaps(to, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_data(to, 0, HPAGE_SIZE, 1, "every byte");
	pattern_fill(to, 0, HPAGE_SIZE, 2);
	split = vmstat("thp_split_pmd");
	mprotect(to + 7 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	test_vmstat("thp_split_pmd", split, 1);
	test_eq(access_signal(to + 7 * PAGE_SIZE, true), SIGSEGV, "signal for a write to one page");
	test_eq(access_signal(to + 8 * PAGE_SIZE, true), 0, "signal for a write to the next");
	test_data(to, 0, HPAGE_SIZE, 2, "every byte after the split");
	ksft_finished();
}
