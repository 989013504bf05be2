// SPDX-License-Identifier: GPL-2.0
/* A write fault allocates a huge page and maps it whole. */
#include "mmtest.h"

int main(void)
{
	long alloc, faults;
	size_t i;
	char *p;

	test_start(12);
	p = huge_area(1);
	alloc = vmstat("thp_fault_alloc");
	faults = minor_faults();
	for (i = 0; i < HPAGE_NR; i++)
		p[i * PAGE_SIZE + i] = (char)(i | 1);
	test_eq(minor_faults() - faults, 1, "faults to write 512 pages");
	test_vmstat("thp_fault_alloc", alloc, 1);
	test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_eq(pfn_of(p) % HPAGE_NR, 0, "pfn modulo 512");
	test_true(pfns_follow(p, HPAGE_SIZE), "pfns follow one another");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_THP), HPAGE_NR, "KPF_THP pages");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_COMPOUND_HEAD), 1, "head pages");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_COMPOUND_TAIL), HPAGE_NR - 1,
		"tail pages");
	test_eq(count_mapped(p, HPAGE_SIZE, 1), HPAGE_NR, "pages mapped once");
	for (i = 0; i < HPAGE_NR; i++) {
		if (p[i * PAGE_SIZE + i] != (char)(i | 1))
			break;
		p[i * PAGE_SIZE + i] = 0;
	}
	test_eq(i, HPAGE_NR, "pages that kept their byte");
	test_data(p, 0, HPAGE_SIZE, 0, "every other byte came as zero");
	ksft_finished();
}
