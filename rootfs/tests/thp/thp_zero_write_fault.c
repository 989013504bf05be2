// SPDX-License-Identifier: GPL-2.0
/* A write to the mapped huge zero page gets a huge page; the zeroes stay. */
#include "mmtest.h"

int main(void)
{
	unsigned long zero_pfn;
	char *a, *b;
	long alloc;

	test_start(7);
	a = huge_area(1);
	b = huge_area(1);
	force_read_pages(a, 1, PAGE_SIZE);
	force_read_pages(b, 1, PAGE_SIZE);
	zero_pfn = pfn_of(a);
	alloc = vmstat("thp_fault_alloc");
	pattern_fill(a, 7 * PAGE_SIZE, 8 * PAGE_SIZE, 1);
	test_vmstat("thp_fault_alloc", alloc, 1);
	test_smaps(a, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_true(pfn_of(a) != zero_pfn, "the written area left the zero page");
	test_data(a, 7 * PAGE_SIZE, 8 * PAGE_SIZE, 1, "the write is there");
	test_data(a, 0, 7 * PAGE_SIZE, 0, "zeroes before it");
	test_data(a, 8 * PAGE_SIZE, HPAGE_SIZE, 0, "zeroes behind it");
	test_data(b, 0, HPAGE_SIZE, 0, "another mapping still reads zeroes");
	ksft_finished();
}
