// SPDX-License-Identifier: GPL-2.0
/*
 * A page in the middle of a transparent huge page fails: the huge page is split,
 * only that page is lost, the other 511 keep every byte and their memory. The
 * huge page beside it stays one.
 */
#include "hugetlb.h"

static const size_t at[] = { 0, 100, 511 };

int main(void)
{
	unsigned long pfn, moved, now[HPAGE_NR];
	long split, kb;
	size_t i, j, bad;
	char *p;

	poison_start(ARRAY_SIZE(at) * 15, true);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		bad = at[i] * PAGE_SIZE;
		p = huge_pages(2, i + 1);
		pfn = pfn_of(p);
		split = vmstat("thp_split_page");
		kb = meminfo("HardwareCorrupted:");
		ksft_print_msg("page %zu\n", at[i]);
		test_eq(poison(p + bad, PAGE_SIZE, MADV_HWPOISON), SIGBUS, "signal at once");
		test_true(poison_siginfo.si_code == BUS_MCEERR_AR &&
			  poison_siginfo.si_addr == p + bad &&
			  poison_siginfo.si_addr_lsb == 12,
			  "it names the 4 KB page");
		test_lost(p + bad + 77, false, 12, "a read");
		test_lost(p + bad + 88, true, 12, "a write");
		test_vmstat("thp_split_page", split, 1);
		test_smaps(p, 2 * HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
		test_eq(count_flagged(p, HPAGE_SIZE, 0), HPAGE_NR - 1, "pages present");
		test_data(p, 0, bad, i + 1, "bytes before it");
		test_data(p, bad + PAGE_SIZE, 2 * HPAGE_SIZE, i + 1, "bytes behind it");
		pfns_of(p, now, HPAGE_NR);
		for (j = 0, moved = 0; j < HPAGE_NR; j++)
			moved += j != at[i] && now[j] != pfn + j;
		test_eq(moved, 0, "pages that moved");
		test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
		test_eq(count_pfns(pfn, HPAGE_NR, KPF_HWPOISON), 1, "pages that are marked");
		test_true(kpageflags(pfn + at[i]) & KPF_HWPOISON, "this one");
		area_free(p, 2);
		test_eq(unpoison_memory(pfn + at[i]), 0, "it can be declared good");
		test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	}
	ksft_finished();
}
