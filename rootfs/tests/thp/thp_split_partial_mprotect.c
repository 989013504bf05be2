// SPDX-License-Identifier: GPL-2.0
/*
 * mprotect of one page splits the mapping: the protection holds for that page
 * only, no byte changes.
 */
#include "mmtest.h"

static const size_t at[] = { 0, 1, 255, 510, 511 };

int main(void)
{
	size_t i, off, bad;
	unsigned long pfn;
	long split;
	char *p;

	test_start(ARRAY_SIZE(at) * 9);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		p = huge_pages(1, i + 1);
		pfn = pfn_of(p);
		split = vmstat("thp_split_pmd");
		if (mprotect(p + at[i] * PAGE_SIZE, PAGE_SIZE, PROT_READ))
			ksft_exit_fail_perror("mprotect");
		ksft_print_msg("page %zu\n", at[i]);
		test_vmstat("thp_split_pmd", split, 1);
		test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
		test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB);
		test_data(p, 0, HPAGE_SIZE, i + 1, "every byte");
		for (off = 0, bad = 0; off < HPAGE_NR; off++)
			bad += access_signal(p + off * PAGE_SIZE, true) !=
			       (off == at[i] ? SIGSEGV : 0);
		test_eq(bad, 0, "pages that the protection is wrong for");
		mprotect(p + at[i] * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
		test_eq(access_signal(p + at[i] * PAGE_SIZE, false), SIGSEGV,
			"signal for a read of a PROT_NONE page");
		mprotect(p + at[i] * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE);
		test_data(p, 0, HPAGE_SIZE, i + 1, "every byte, after PROT_NONE and back");
		test_true(pfn_of(p) == pfn && pfns_follow(p, HPAGE_SIZE),
			  "the same pages all the time");
		pattern_fill(p, 0, HPAGE_SIZE, 9);
		test_data(p, 0, HPAGE_SIZE, 9, "all can be written again");
		area_free(p, 1);
	}
	ksft_finished();
}
