// SPDX-License-Identifier: GPL-2.0
/*
 * Guard pages inside a huge page: an access is a SIGSEGV, every other byte
 * keeps its value, and a page whose guard is taken away starts out zero.
 */
#include "mmtest.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define FROM	(100 * PAGE_SIZE)
#define TO	(103 * PAGE_SIZE)

int main(void)
{
	long split;
	char *p;

	test_start(9);
	p = huge_pages(1, 1);
	split = vmstat("thp_split_pmd");
	if (madvise(p + FROM, TO - FROM, MADV_GUARD_INSTALL))
		ksft_exit_fail_perror("MADV_GUARD_INSTALL");
	test_vmstat_min("thp_split_pmd", split, 1);
	test_eq(access_signal(p + FROM, false), SIGSEGV, "signal at its start");
	test_eq(access_signal(p + TO - 1, true), SIGSEGV, "signal at its end");
	test_eq(access_signal(p + FROM - 1, true), 0, "signal before it");
	test_eq(access_signal(p + TO, true), 0, "signal behind it");
	test_data(p, 0, FROM, 1, "bytes before it");
	test_data(p, TO, HPAGE_SIZE, 1, "bytes behind it");
	if (madvise(p, HPAGE_SIZE, MADV_GUARD_REMOVE))
		ksft_exit_fail_perror("MADV_GUARD_REMOVE");
	test_data(p, FROM, TO, 0, "zeroes after its removal");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "all can be written again");
	ksft_finished();
}
