// SPDX-License-Identifier: GPL-2.0
/*
 * fork() right after a process has emptied its page tables, which are still there:
 * the child gets empty ones, that nothing was ever in. They go, at both levels, and
 * so do those of the parent; what the child uses stays.
 */
#include "pte_ref.h"

#define NR	256

static char *p;
static long before;

static int child(void *unused)
{
	long at_fork = vmpte(), start = now_ms(), now;

	do {
		usleep(5000);
		now = vmpte();
	} while (now > before + 40 && now_ms() - start < PTE_MS);
	ksft_print_msg("the child: %ld kB at fork, %ld kB after %ld ms; before: %ld kB\n",
		       at_fork, now, now_ms() - start, before);
	if (pattern_find_bad(p, 0, 64, 1) >= 0)
		return 1;
	if (pattern_find_bad(p + HPAGE_SIZE, 0, HPAGE_SIZE, 0) >= 0)
		return 2;
	return now > before + 40 ? 3 : 0;
}

int main(void)
{
	size_t i, j;

	pte_plan(4);
	p = pte_area(NR, -1);
	pattern_fill(p, 0, 64, 1);
	before = vmpte();
	for (j = 0; j < 3; j++) {
		for (i = 1; i < NR; i++)
			p[i * HPAGE_SIZE + 5 * PAGE_SIZE] = 1;
		for (i = 1; i < NR; i++)
			madvise(p + i * HPAGE_SIZE, 8 * PAGE_SIZE, MADV_DONTNEED);
		test_eq(in_child(child, NULL), 0, "the child's tables go");
	}
	test_tables(1, "the parent's");
	ksft_finished();
}
