// SPDX-License-Identifier: GPL-2.0
/*
 * What the huge zero page's references are held by is as configured: each
 * mapping of it, each process that has ever mapped it, or nothing.
 */
#include "huge_zero.h"

static bool mappings, mms;

static void test_count(long mapped, long processes, const char *what)
{
	test_eq(huge_zero("count"),
		1 + (mappings ? mapped : mms ? processes : 0), "%s, count", what);
}

static int child(void)
{
	turn_over();
	return 0;
}

int main(void)
{
	long allocs, frees, pfn;
	char *p;
	pid_t pid;

	test_start_with(10, HUGE_ZERO "counted", "choice of the huge zero page's references");
	mappings = huge_zero_counts("mappings");
	mms = huge_zero_counts("mms");
	ksft_print_msg("references by %s\n",
		       mappings ? "mappings" : mms ? "mms" : "nothing");
	huge_zero_shrink();
	allocs = huge_zero("allocations");
	frees = huge_zero("frees");
	p = huge_zero_area(3);
	pfn = huge_zero("pfn");
	test_eq(pfn, pfn_of(p), "pfn");
	test_eq(huge_zero("allocations") - allocs, mappings || mms, "allocations");
	test_count(3, 1, "three reads");
	pid = turns_start(child);
	test_count(6, 2, "fork");
	turns_end();
	test_eq(child_status(pid), 0, "the child");
	test_count(3, 1, "its exit");
	madvise(p, 2 * HPAGE_SIZE, MADV_DONTNEED);
	test_count(1, 1, "two dropped");
	area_free(p, 3);
	test_count(0, 1, "all unmapped");
	huge_zero_shrink();
	test_eq(huge_zero("frees") - frees, mappings, "frees");
	test_eq(huge_zero("pfn"), mappings ? -1 : pfn, "pfn");
	ksft_finished();
}
