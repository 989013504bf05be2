// SPDX-License-Identifier: GPL-2.0
/*
 * What the counters say of a huge page mapped in part: by PTEs here, by a PMD
 * in a child; and that they go back. A kernel that doesn't count the mappings of
 * each page tells their average: half of the pages by PTEs round up to 1.
 */
#include "mmtest.h"

#define STATS	"/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/"

static char *p;

static int child(void)
{
	turn_over();
	return smaps_kb(p, HPAGE_SIZE, "AnonHugePages") == HPAGE_KB ? 0 : 2;
}

int main(void)
{
	unsigned long pfn;
	long anon, part;
	bool exact;
	pid_t pid;

	test_start(17);
	anon = file_number(STATS "nr_anon", NULL);
	part = file_number(STATS "nr_anon_partially_mapped", NULL);
	exact = kpagecount_exact();
	p = huge_pages(1, 1);
	pfn = pfn_of(p);
	test_eq(file_number(STATS "nr_anon", NULL), anon + 1, "nr_anon");
	pid = turns_start(child);

	if (madvise(p, HPAGE_SIZE / 2, MADV_DONTNEED))
		ksft_exit_fail_perror("MADV_DONTNEED");
	test_eq(kpagecount(pfn), exact ? 1 : 2, "page 0: mapped by the child");
	test_eq(kpagecount(pfn + 511), 2, "page 511: mapped by both");
	test_eq(file_number(STATS "nr_anon_partially_mapped", NULL), part,
		"nr_anon_partially_mapped while the child maps all");
	test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB / 2);
	test_smaps(p, HPAGE_SIZE, "Pss", HPAGE_KB / 4);
	test_smaps(p, HPAGE_SIZE, "Shared_Dirty", HPAGE_KB / 2);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);

	turns_end();
	test_eq(child_status(pid), 0, "the child still maps it by PMD");
	test_eq(kpagecount(pfn), exact ? 0 : 1, "page 0: mapped by nobody");
	test_eq(kpagecount(pfn + 511), 1, "page 511: mapped once");
	test_eq(file_number(STATS "nr_anon_partially_mapped", NULL), part + 1,
		"nr_anon_partially_mapped after the child's end");
	test_smaps(p, HPAGE_SIZE, "Private_Dirty", HPAGE_KB / 2);
	test_data(p, HPAGE_SIZE / 2, HPAGE_SIZE, 1, "every byte that is left");
	area_free(p, 1);
	test_eq(file_number(STATS "nr_anon", NULL), anon, "nr_anon, all unmapped");
	test_eq(file_number(STATS "nr_anon_partially_mapped", NULL), part,
		"nr_anon_partially_mapped, all unmapped");
	test_true(!(kpageflags(pfn) & KPF_THP), "the huge page is free");
	ksft_finished();
}
