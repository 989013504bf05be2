// SPDX-License-Identifier: GPL-2.0
/*
 * The shrinker frees the huge zero page when nothing maps it, and not before:
 * by drop_caches and by reclaim. The next read has another one.
 */
#include "huge_zero.h"

/*
 * Have all of memory reclaimed as far as can be: that ends with the shrinkers. For how
 * much that was is no matter here.
 */
static void pressure(void)
{
	if (!file_write("/sys/fs/cgroup/memory.reclaim", "1G") && errno != EAGAIN)
		ksft_exit_fail_perror("memory.reclaim");
}

int main(void)
{
	long allocs, frees, pfn;
	char *p;

	huge_zero_start(19);
	allocs = huge_zero("allocations");
	frees = huge_zero("frees");
	test_eq(huge_zero("pfn"), -1, "pfn without a huge zero page");
	p = huge_zero_area(2);
	test_eq(huge_zero("allocations") - allocs, 1, "allocations");
	pfn = huge_zero("pfn");
	test_eq(pfn, pfn_of(p), "pfn");
	huge_zero_shrink();
	test_mapped(2, "shrunk when mapped twice");
	area_free(p + HPAGE_SIZE, 1);
	huge_zero_shrink();
	test_mapped(1, "shrunk when mapped once");
	test_eq(huge_zero("frees") - frees, 0, "frees");
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes");
	area_free(p, 1);
	test_freed("unmapped");
	test_eq(huge_zero("pfn"), -1, "pfn");
	test_eq(huge_zero("count"), 0, "count");

	p = huge_zero_area(1);
	test_mapped(1, "read again");
	test_eq(huge_zero("allocations") - allocs, 2, "allocations");
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes");
	ksft_print_msg("pfn 0x%lx, then 0x%lx\n", pfn, huge_zero("pfn"));

	frees = huge_zero("frees");
	pressure();
	test_mapped(1, "under pressure, mapped");
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes");
	area_free(p, 1);
	pfn = huge_zero("pfn");
	pressure();
	test_eq(huge_zero("frees") - frees, 1, "under pressure, frees");
	test_eq(kpageflags(pfn) & KPF_COMPOUND_HEAD, 0, "its memory is free");
	ksft_finished();
}
