// SPDX-License-Identifier: GPL-2.0
/*
 * Anonymous 64 kB folios: one fault maps 16 pages by PTEs; copy on write,
 * partial unmap and MADV_DONTNEED work page by page.
 */
#include "mmtest.h"

#define FOLIO	(16 * PAGE_SIZE)
#define SIZE64	"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/"

static char *p;

static int child(void *arg)
{
	pattern_fill(p, 3 * PAGE_SIZE, 5 * PAGE_SIZE, 2);
	return pattern_find_bad(p, 0, 3 * PAGE_SIZE, 1) >= 0 ||
	       pattern_find_bad(p, 3 * PAGE_SIZE, 5 * PAGE_SIZE, 2) >= 0 ||
	       pattern_find_bad(p, 5 * PAGE_SIZE, HPAGE_SIZE, 1) >= 0;
}

int main(void)
{
	long alloc, faults;
	size_t off, bad;

	test_start(12);

	p = area_64k(1);
	alloc = file_number(SIZE64 "stats/anon_fault_alloc", NULL);
	faults = minor_faults();
	for (off = 0; off < HPAGE_SIZE; off += PAGE_SIZE)
		p[off] = 1;
	test_eq(minor_faults() - faults, HPAGE_SIZE / FOLIO, "faults for 2 MB");
	test_eq(file_number(SIZE64 "stats/anon_fault_alloc", NULL) - alloc,
		HPAGE_SIZE / FOLIO, "anon_fault_alloc grew by");
	for (off = 0, bad = 0; off < HPAGE_SIZE; off += FOLIO)
		bad += !pfns_follow(p + off, FOLIO) || pfn_of(p + off) % 16;
	test_eq(bad, 0, "folios whose pfns don't follow");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_COMPOUND_HEAD), HPAGE_SIZE / FOLIO,
		"head pages");
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	test_eq(in_child(child, NULL), 0, "a child writes its own copies");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte of the parent");
	test_eq(count_mapped(p, HPAGE_SIZE, 1), HPAGE_NR, "pages mapped once again");
	munmap(p + 20 * PAGE_SIZE, PAGE_SIZE);
	madvise(p + 40 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	test_eq(access_signal(p + 20 * PAGE_SIZE, false), SIGSEGV, "signal for an unmapped page");
	test_data(p, 40 * PAGE_SIZE, 41 * PAGE_SIZE, 0, "zeroes in a dropped page");
	test_true(pattern_find_bad(p, 0, 20 * PAGE_SIZE, 1) < 0 &&
		  pattern_find_bad(p, 21 * PAGE_SIZE, 40 * PAGE_SIZE, 1) < 0 &&
		  pattern_find_bad(p, 41 * PAGE_SIZE, HPAGE_SIZE, 1) < 0,
		  "every byte of the others");
	madvise(p, 20 * PAGE_SIZE, MADV_DONTNEED);
	test_data(p, 0, 20 * PAGE_SIZE, 0, "zeroes in whole dropped folios");
	ksft_finished();
}
