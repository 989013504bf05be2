// SPDX-License-Identifier: GPL-2.0
/*
 * mremap of one page out of a huge page splits the mapping: the page takes its
 * bytes along, the other 511 keep theirs, the old place is empty.
 */
#include "mmtest.h"

static const size_t at[] = { 0, 1, 255, 510, 511 };

int main(void)
{
	unsigned long pfn;
	size_t i, hole;
	char *p, *to;
	long split;

	test_start(ARRAY_SIZE(at) * 8);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		hole = at[i] * PAGE_SIZE;
		p = huge_pages(1, i + 1);
		pfn = pfn_of(p + hole);
		to = hole_area(1);
		split = vmstat("thp_split_pmd");
		/* To the same offset, so that pattern and data agree. */
		if (mremap(p + hole, PAGE_SIZE, PAGE_SIZE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, to + hole) != to + hole)
			ksft_exit_fail_perror("mremap");
		ksft_print_msg("page %zu\n", at[i]);
		test_vmstat("thp_split_pmd", split, 1);
		test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
		test_eq(pfn_of(to + hole), pfn, "pfn of the page that moved");
		test_data(to, hole, hole + PAGE_SIZE, i + 1, "its bytes");
		test_eq(access_signal(p + hole, false), SIGSEGV, "signal for the old place");
		test_data(p, 0, hole, i + 1, "bytes before it");
		test_data(p, hole + PAGE_SIZE, HPAGE_SIZE, i + 1, "bytes behind it");
		/* The two mappings of the huge page stay apart. */
		pattern_fill(to, hole, hole + PAGE_SIZE, 9);
		test_true(pattern_find_bad(p, 0, hole, i + 1) < 0 &&
			  pattern_find_bad(p, hole + PAGE_SIZE, HPAGE_SIZE, i + 1) < 0,
			  "a write to the moved page changes no other");
		area_free(to, 1);
		area_free(p, 1);
	}
	ksft_finished();
}
