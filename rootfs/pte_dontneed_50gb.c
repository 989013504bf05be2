// SPDX-License-Identifier: GPL-2.0
/*
 * The case of the posting: map 50 GB, touch each 2 MB, MADV_DONTNEED. Once in
 * one go, which PT_RECLAIM would do as well, once page by page.
 */
#include "pte_ref.h"

#define LEN	(50UL << 30)

static char *p;

static void touch_all(void)
{
	size_t off;

	for (off = 0; off < LEN; off += HPAGE_SIZE)
		*(volatile char *)(p + off) = 1;
}

int main(void)
{
	long before, after, upper;
	size_t off;

	pte_plan(5);
	pte_count_from_here();
	before = pte_floor;
	p = mmap(NULL, LEN + HPAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	p = (char *)(((uintptr_t)p + HPAGE_SIZE - 1) & ~(HPAGE_SIZE - 1UL));
	madvise(p, LEN, MADV_NOHUGEPAGE);
	touch_all();
	ksft_print_msg("VmPTE: %ld kB, then %ld kB\n", before, vmpte());
	test_min(vmpte(), 102400, "VmPTE kB");
	/* 25600 tables, the rest are 50 or 51 PMD page tables */
	upper = vmpte() - 102400 - before;
	test_min(208, upper, "upper tables kB, no more than 208");
	pte_floor = before + upper;
	madvise(p, LEN, MADV_DONTNEED);
	test_tables(0, "MADV_DONTNEED");

	touch_all();
	for (off = 0; off < LEN; off += HPAGE_SIZE)
		madvise(p + off, PAGE_SIZE, MADV_DONTNEED);
	after = vmpte();
	test_tables(0, "page by page");
	ksft_print_msg("VmPTE: %ld kB at once, then %ld kB\n", after, vmpte());
	test_min(300, vmpte(), "VmPTE kB, no more than 300");
	ksft_finished();
}
