// SPDX-License-Identifier: GPL-2.0
/*
 * The shrinker frees the huge zero page when nothing maps it, and not before:
 * by drop_caches and under memory pressure. The next read has another one.
 */
#include "huge_zero.h"

#define SCALE	"/proc/sys/vm/watermark_scale_factor"

static long scale;

static void restore(void)
{
	number_write(SCALE, scale);
}

/*
 * Take memory until reclaim has freed the huge zero page, or at least begun when
 * that is mapped
 */
static int hog(void *arg)
{
	long frees = huge_zero("frees"), runs = vmstat("pageoutrun");
	bool mapped = huge_zero("count") > 1;
	size_t len = 1UL << 30, step = 1UL << 20, off;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || madvise(p, len, MADV_NOHUGEPAGE) ||
	    !file_write("/proc/self/oom_score_adj", "1000"))
		return 1;
	for (off = 0; off < len; off += step) {
		if (madvise(p + off, step, MADV_POPULATE_WRITE))
			return 2;
		if (huge_zero("frees") != frees)
			return 0;
		if (mapped && vmstat("pageoutrun") != runs) {
			usleep(100000);		/* let it go on */
			return 0;
		}
	}
	return 3;
}

int main(void)
{
	long allocs, frees, pfn;
	char *p;

	huge_zero_start(20);
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
	/*
	 * Reclaim begins when 30 % of the memory are free. (min_free_kbytes once set is
	 * the user's for good: the kernel says so each time that THP is switched.)
	 */
	scale = file_number(SCALE, NULL);
	atexit(restore);
	number_write(SCALE, 3000);
	test_eq(in_child(hog, NULL), 0, "a process takes the memory");
	test_mapped(1, "under pressure, mapped");
	area_free(p, 1);
	pfn = huge_zero("pfn");
	test_eq(in_child(hog, NULL), 0, "another");
	test_eq(huge_zero("frees") - frees, 1, "under pressure, frees");
	test_true(!kpf_bare_folio(kpageflags(pfn)), "its memory is free");
	ksft_finished();
}
