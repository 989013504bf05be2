// SPDX-License-Identifier: GPL-2.0
/*
 * munmap of one page splits the mapping: that page is gone, every byte of the
 * other 511 keeps its value, and what is mapped there next starts out zero.
 */
#include "mmtest.h"

static const size_t at[] = { 0, 1, 255, 510, 511 };

int main(void)
{
	size_t i, hole;
	long split;
	char *p;

	test_start(ARRAY_SIZE(at) * 8);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		hole = at[i] * PAGE_SIZE;
		p = huge_pages(1, i + 1);
		split = vmstat("thp_split_pmd");
		if (munmap(p + hole, PAGE_SIZE))
			ksft_exit_fail_perror("munmap");
		ksft_print_msg("page %zu\n", at[i]);
		test_vmstat("thp_split_pmd", split, 1);
		test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
		test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB - 4);
		test_eq(access_signal(p + hole, false), SIGSEGV, "signal for that page");
		test_data(p, 0, hole, i + 1, "bytes before it");
		test_data(p, hole + PAGE_SIZE, HPAGE_SIZE, i + 1, "bytes behind it");
		if (mmap(p + hole, PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p + hole)
			ksft_exit_fail_perror("mmap");
		test_data(p, hole, hole + PAGE_SIZE, 0, "zeroes in a new mapping there");
		pattern_fill(p, 0, HPAGE_SIZE, 9);
		test_data(p, 0, HPAGE_SIZE, 9, "all can be written again");
		area_free(p, 1);
	}
	ksft_finished();
}
