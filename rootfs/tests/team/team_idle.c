// SPDX-License-Identifier: GPL-2.0
/*
 * Which pages of a team have been used, where one access bit in a PMD stands for
 * all of them: idle page tracking, clear_refs and smaps, and reclaim. Whoever
 * asks about one page doesn't take the answer away from the other 511.
 */
#include "team.h"

#define IDLE	"/sys/kernel/mm/page_idle/bitmap"

static unsigned long pfn;
static int bitmap;

static void mark_idle(int from, int nr)
{
	uint64_t word;
	int i;

	for (i = from; i < from + nr; i++) {
		word = 1ULL << (pfn + i) % 64;
		if (pwrite(bitmap, &word, 8, (pfn + i) / 64 * 8) != 8)
			ksft_exit_fail_perror(IDLE);
	}
}

/* How many pages are idle, asked one by one in this order */
static int idle(bool backwards)
{
	uint64_t word;
	int i, at, n = 0;

	for (i = 0; i < (int)HPAGE_NR; i++) {
		at = backwards ? HPAGE_NR - 1 - i : i;
		if (pread(bitmap, &word, 8, (pfn + at) / 64 * 8) != 8)
			ksft_exit_fail_perror(IDLE);
		n += word >> (pfn + at) % 64 & 1;
	}
	return n;
}

static int fd;

static int other(void)
{
	char *q = map_file(fd, HPAGE_SIZE, MAP_SHARED);

	FORCE_READ(*q);
	turn_over();
	FORCE_READ(q[200 * PAGE_SIZE]);
	turn_over();
	return 0;
}

int main(void)
{
	char *p, *drain, *unused;
	long stolen;
	pid_t pid;
	size_t i;
	int way;

	team_start(23);
	bitmap = open(IDLE, O_RDWR);
	if (bitmap < 0)
		ksft_exit_fail_perror(IDLE);
	swap_start();
	fd = huge_file("file", HPAGE_SIZE, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	pfn = pfn_of(p);
	/* Only pages on an LRU list count: push the last out of the batch before. */
	drain = small_pages(1, 2);
	area_free(drain, 1);
	test_team(pfn, 512, 1, "mapped by PMD");

	for (way = 0; way < 2; way++) {
		mark_idle(0, HPAGE_NR);
		test_eq(idle(way), HPAGE_NR, "pages idle, of those marked idle");
		test_eq(idle(way), HPAGE_NR, "when asked again");
		FORCE_READ(p[300 * PAGE_SIZE]);
		test_eq(idle(way), 0, "after a read of one page");
		test_eq(idle(way), 0, "when asked again");
		/* Who looks at one page has seen an access to all. */
		mark_idle(0, HPAGE_NR);
		*(volatile char *)(p + 301 * PAGE_SIZE) += 0;
		mark_idle(way ? 511 : 0, 1);
		test_eq(idle(way), 1, "a write to it, then one page marked anew: idle");
	}

	/* Another process' PMD counts, too. */
	pid = turns_start(other);
	mark_idle(0, HPAGE_NR);
	turn_over();
	test_eq(idle(true), 0, "after a read by another process");
	turns_end();
	test_eq(child_status(pid), 0, "the other process");

	/* clear_refs and smaps */
	test_smaps(p, HPAGE_SIZE, "Referenced", HPAGE_KB);
	file_write("/proc/self/clear_refs", "1");
	test_smaps(p, HPAGE_SIZE, "Referenced", 0);
	FORCE_READ(p[100 * PAGE_SIZE]);
	test_smaps(p, HPAGE_SIZE, "Referenced", HPAGE_KB);
	/* ... which idle page tracking takes the access bit from */
	mark_idle(0, HPAGE_NR);
	test_smaps(p, HPAGE_SIZE, "Referenced", HPAGE_KB);
	test_team(pfn, 512, 1, "none of this has disbanded it");

	/* With PTEs each page has an access bit. */
	madvise(p, PAGE_SIZE, MADV_COLD);
	mark_idle(0, HPAGE_NR);
	FORCE_READ(p[20 * PAGE_SIZE]);
	FORCE_READ(p[30 * PAGE_SIZE]);
	test_eq(idle(false), HPAGE_NR - 2, "by PTEs: idle after reads of two");
	area_free(p, 1);
	close(fd);

	/*
	 * Reclaim that looks at some pages, of which each has been used as the PMD
	 * says, goes on to others that haven't been.
	 */
	memcg_enter();
	fd = huge_file("used", HPAGE_SIZE, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	pfn = pfn_of(p);
	unused = small_pages(4, 2);
	stolen = vmstat("pgsteal_anon");
	for (i = 0; i < 4; i++) {
		file_write("/proc/self/clear_refs", "1");
		FORCE_READ(p[i * 7 * PAGE_SIZE]);
		memcg_reclaim(16 * PAGE_SIZE);
	}
	test_vmstat_min("pgsteal_anon", stolen, 16);
	test_team(pfn, 512, 1, "used while other memory was reclaimed");
	test_data(p, 0, HPAGE_SIZE, 1, "its data");
	test_data(unused, 0, 4 * HPAGE_SIZE, 2, "what was reclaimed");
	area_free(unused, 4);
	area_free(p, 1);
	close(fd);
	ksft_finished();
}
