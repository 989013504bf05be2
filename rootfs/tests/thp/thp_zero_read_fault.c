// SPDX-License-Identifier: GPL-2.0
/* A read fault maps the huge zero page: no memory, one fault for 2 MB. */
#include "mmtest.h"

int main(void)
{
	long faults, alloc;
	char *a, *b;

	test_start(9);
	a = huge_area(1);
	b = huge_area(1);
	alloc = vmstat("thp_fault_alloc");
	faults = minor_faults();
	force_read_pages(a, HPAGE_NR, PAGE_SIZE);
	test_eq(minor_faults() - faults, 1, "faults to read 512 pages");
	test_eq(count_flagged(a, HPAGE_SIZE, KPF_ZERO_PAGE), HPAGE_NR,
		"pages of the zero page");
	test_true(pfns_follow(a, HPAGE_SIZE), "they are one huge page");
	test_eq(pfn_of(a) % HPAGE_NR, 0, "its pfn modulo 512");
	force_read_pages(b, 1, PAGE_SIZE);
	test_eq(pfn_of(b), pfn_of(a), "a second area maps the same, pfn");
	test_data(a, 0, HPAGE_SIZE, 0, "every byte reads as zero");
	test_smaps(a, HPAGE_SIZE, "Rss", 0);
	test_vmstat("thp_fault_alloc", alloc, 0);
	test_smaps(a, HPAGE_SIZE, "AnonHugePages", 0);
	ksft_finished();
}
