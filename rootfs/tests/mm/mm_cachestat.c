// SPDX-License-Identifier: GPL-2.0
/*
 * cachestat(2) counts the pages of a file that are in memory, in a range of it, and
 * those that aren't any more: the pages of a file on tmpfs that were swapped out.
 */
#include <linux/mman.h>

#include "mmtest.h"

#ifndef __NR_cachestat
#define __NR_cachestat	451
#endif
#define NR	256UL

static struct cachestat stat_of(int fd, size_t first, size_t nr)
{
	struct cachestat_range range = { first * PAGE_SIZE, nr * PAGE_SIZE };
	struct cachestat stat;

	if (syscall(__NR_cachestat, fd, &range, &stat, 0))
		ksft_exit_fail_perror("cachestat");
	return stat;
}

int main(void)
{
	struct cachestat stat;
	int fd, i, out = 0;
	char *p;

	test_plan(10);
	fd = memfd_create("file", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 2 * NR * PAGE_SIZE))
		ksft_exit_fail_perror("memfd_create");
	test_eq(stat_of(fd, 0, 2 * NR).nr_cache, 0, "pages of an empty file");
	swap_start();
	memcg_enter();
	p = map_file(fd, NR * PAGE_SIZE, MAP_SHARED);
	memset(p, 1, NR * PAGE_SIZE);
	test_eq(stat_of(fd, 0, 2 * NR).nr_cache, NR, "pages of a file half written");
	test_eq(stat_of(fd, 0, 0).nr_cache, NR, "up to the end");
	test_eq(stat_of(fd, NR - 3, 7).nr_cache, 3, "where it ends");
	test_eq(stat_of(fd, 10, 5).nr_cache, 5, "inside");
	stat = stat_of(fd, NR, NR);
	test_eq(stat.nr_cache + stat.nr_evicted, 0, "behind it");
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * PAGE_SIZE, 8 * PAGE_SIZE);
	test_eq(stat_of(fd, 0, 2 * NR).nr_cache, NR - 8, "with a hole of 8 pages");

	for (i = 0; i < 3; i++)
		madvise(p, NR * PAGE_SIZE, MADV_PAGEOUT);
	for (i = 0; i < NR; i++)
		out += !(pagemap(p + i * PAGE_SIZE) >> 63);
	stat = stat_of(fd, 0, NR);
	test_min(out - 8, NR / 2, "pages that aren't mapped after MADV_PAGEOUT");
	test_eq(stat.nr_cache + stat.nr_evicted, NR - 8, "in memory and evicted: all");
	test_min(stat.nr_evicted, NR / 2, "evicted");
	ksft_finished();
}
