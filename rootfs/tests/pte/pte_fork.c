// SPDX-License-Identifier: GPL-2.0
/*
 * After fork() each process has tables of its own: what one gives back, the other
 * keeps. A process may end with tables that wait to be freed.
 */
#include "pte_ref.h"

#define NR	4

static char *p;

static int child(void *unused)
{
	pte_count_from_here();
	pte_floor -= 4 * NR;
	if (pattern_find_bad(p, 0, 64, 1) >= 0)
		return 1;
	madvise(p, 200 * PAGE_SIZE, MADV_DONTNEED);
	madvise(p + HPAGE_SIZE, 200 * PAGE_SIZE, MADV_DONTNEED);
	if (pte_wait(NR - 2) < 0)
		return 2;
	/* Ends with two that are queued */
	madvise(p + 2 * HPAGE_SIZE, 200 * PAGE_SIZE, MADV_DONTNEED);
	madvise(p + 3 * HPAGE_SIZE, 200 * PAGE_SIZE, MADV_DONTNEED);
	return 0;
}

static int child_hurries(void *unused)
{
	madvise(p, 200 * PAGE_SIZE, MADV_DONTNEED);
	return 0;
}

int main(void)
{
	int failed = 0, i;

	pte_plan(6);
	p = pte_area(NR, -1);
	pte_touch(p, NR, 20);
	test_eq(in_child(child, NULL), 0, "the child's tables go");
	test_eq(pte_tables(), NR, "the parent's tables");
	test_data(p, 0, 64, 1, "the parent's data");
	for (i = 0; i < 50; i++)
		failed += in_child(child_hurries, NULL) != 0;
	test_eq(failed, 0, "children that end at once failed");

	/* The parent gives back what it shares with a child. */
	madvise(p, HPAGE_SIZE / 2, MADV_DONTNEED);
	failed = 0;
	for (i = 0; i < 20; i++) {
		*(volatile char *)(p + i * PAGE_SIZE) = 1;
		madvise(p + i * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
		failed += in_child(child_hurries, NULL) != 0;
	}
	test_eq(failed, 0, "children of a parent that gives back failed");
	test_tables(NR - 1, "the parent's");
	ksft_finished();
}
