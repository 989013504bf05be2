// SPDX-License-Identifier: GPL-2.0
/*
 * Memory is given back piece by piece, as jemalloc and tcmalloc do it: no call
 * covers what a page table maps, but the last one empties it.
 */
#include "pte_ref.h"

#define NR	8

/* How many lines of the trace are about @event */
static int traced(const char *event)
{
	char line[512];
	int n = 0;
	FILE *f = fopen(TRACING "trace", "r");

	while (f && fgets(line, sizeof(line), f))
		n += !!strstr(line, event);
	if (f)
		fclose(f);
	return n;
}

int main(void)
{
	long freed, tracked;
	size_t off;
	char *p;

	pte_plan(9);
	if (!file_write(TRACING "events/pte_ref/enable", "1") ||
	    !file_write(TRACING "trace", "\n"))
		ksft_exit_fail_perror(TRACING);
	tracked = vmstat("pte_table_tracked");
	freed = vmstat("pte_table_freed");
	p = pte_area(NR, -1);
	pte_touch(p, NR, 16);
	test_eq(pte_tables(), NR, "tables in use");
	/* From the middle, so that neither end is last */
	for (off = NR * HPAGE_SIZE / 2; off < NR * HPAGE_SIZE; off += 16 * PAGE_SIZE)
		madvise(p + off, 16 * PAGE_SIZE, MADV_DONTNEED);
	test_tables(NR / 2, "half given back");
	test_data(p, 0, 64, 1, "the other half is kept");
	for (off = 0; off < NR * HPAGE_SIZE / 2; off += PAGE_SIZE)
		madvise(p + off, PAGE_SIZE, MADV_DONTNEED);
	test_tables(0, "all given back");
	test_vmstat_min("pte_table_tracked", tracked, NR);
	test_vmstat_min("pte_table_freed", freed, NR);
	test_min(traced("pte_table_emptied: "), NR, "traced as empty");
	test_min(traced("pte_table_freed: "), NR, "traced as freed");
	file_write(TRACING "events/pte_ref/enable", "0");
	test_data(p, 0, NR * HPAGE_SIZE, 0, "it reads as zeroes");
	ksft_finished();
}
