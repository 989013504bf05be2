// SPDX-License-Identifier: GPL-2.0
/*
 * Many teams that aren't complete yet. Files that grow side by side, and a file
 * that is written at random, end up in huge pages; of too many, the one with the
 * fewest pages is disbanded, and those with more stay; and what is held back for
 * one page of each 2 MB is given back when memory is short.
 */
#include "hugetlb.h"
#include "team.h"

#define NR_FILES	24
#define RANDOM		(32 * HPAGE_SIZE)
#define MOST		160

static int open_file(const char *name)
{
	return huge_file(name, 0, 0);
}

static void write_page(int fd, size_t off)
{
	static char page[PAGE_SIZE] = { 1 };

	if (pwrite(fd, page, PAGE_SIZE, off) != PAGE_SIZE)
		ksft_exit_fail_perror("pwrite");
}

static long mapped_by_pmd(int fd, size_t len)
{
	char *p = map_file(fd, len, MAP_SHARED);
	long kb;

	force_read_pages(p, len / HPAGE_SIZE, HPAGE_SIZE);
	kb = smaps_kb(p, len, "ShmemPmdMapped");
	area_free(p, len / HPAGE_SIZE);
	return kb;
}

/* Free blocks of 2 MB and more, in 2 MB */
static long free_huge(void)
{
	FILE *f = fopen("/proc/buddyinfo", "re");
	char line[512], *at;
	long n, sum = 0;
	int order, used;

	if (!f)
		ksft_exit_fail_perror("/proc/buddyinfo");
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "zone");
		if (!at)
			continue;
		sscanf(at, "zone %*s%n", &used);
		at += used;
		for (order = 0; sscanf(at, "%ld%n", &n, &used) == 1; order++, at += used)
			if (order >= 9)
				sum += n << (order - 9);
	}
	fclose(f);
	return sum;
}

int main(void)
{
	int fd[NR_FILES], sparse, i, most, kept = 0, gone = 0;
	static int order[RANDOM / PAGE_SIZE];
	uint64_t seed = number_from_env("RANDOM_SEED", time(NULL)) | 1ULL << 40;
	unsigned long pfn[MOST];
	long before, blocks;
	char name[16];
	size_t off, n;
	long kb = 0;

	team_start(9);
	for (i = 0; i < NR_FILES; i++) {
		snprintf(name, sizeof(name), "grows%d", i);
		fd[i] = open_file(name);
	}
	for (off = 0; off < 3 * HPAGE_SIZE; off += PAGE_SIZE)
		for (i = 0; i < NR_FILES; i++)
			write_page(fd[i], off);
	for (i = 0; i < NR_FILES; i++) {
		kb += mapped_by_pmd(fd[i], 3 * HPAGE_SIZE);
		ftruncate(fd[i], 0);
		close(fd[i]);
	}
	/* The first 2 MB of a file that grows are small pages. */
	test_min(kb, NR_FILES * 2 * HPAGE_KB * 9 / 10,
		 "%d files that grow to 6 MB: kB mapped by PMD", NR_FILES);

	ksft_print_msg("RANDOM_SEED=%lu\n", seed);
	fd[0] = huge_file("random", RANDOM, 0);
	n = RANDOM / PAGE_SIZE;
	for (off = 0; off < n; off++)
		order[off] = off;
	for (off = n - 1; off; off--) {
		size_t other = pick(&seed, off + 1);
		int page = order[off];

		order[off] = order[other];
		order[other] = page;
	}
	for (off = 0; off < n; off++)
		write_page(fd[0], order[off] * PAGE_SIZE);
	test_min(mapped_by_pmd(fd[0], RANDOM), RANDOM / 1024 * 9 / 10,
		 "64 MB written at random: kB mapped by PMD");
	ftruncate(fd[0], 0);
	close(fd[0]);
	test_eq(teams(), 0, "teams");

	/*
	 * More and more teams of a page each, but for the first eight that have
	 * three: when there are too many, none of these goes.
	 */
	blocks = free_huge();
	before = free_pages();
	sparse = huge_file("sparse", MOST * HPAGE_SIZE, 0);
	for (i = most = 0; i < MOST; i++) {
		for (off = 0; off < (i < 8 ? 3 : 1); off++)
			write_page(sparse, i * HPAGE_SIZE + (9 + off) * PAGE_SIZE);
		pfn[i] = file_pfn(sparse, i * HPAGE_SIZE + 9 * PAGE_SIZE);
		if (teams() > most)
			most = teams();
		else
			break;
	}
	ksft_print_msg("%d teams can be sparse, one more takes another's place\n", most);
	test_true(i < MOST && most > 16, "there is a limit");
	write_page(sparse, (MOST - 1) * HPAGE_SIZE);
	test_eq(teams(), most, "teams with yet one more");
	for (i = 0; i < 8; i++)
		kept += team_of(pfn[i]).members == 3;
	for (i = 8; i < 24; i++)
		gone += !team_of(pfn[i]).members;
	test_eq(kept, 8, "teams of three pages that are still there");
	test_eq(gone, 2, "of those begun next, teams of one page that are gone");

	file_write("/proc/sys/vm/drop_caches", "2");
	test_eq(teams(), 0, "teams that the shrinker left");
	ksft_print_msg("2 MB blocks free: %ld before, %ld now\n", blocks, free_huge());
	file_write("/proc/sys/vm/compact_memory", "1");
	/* As long as per-CPU lists of free pages don't keep them apart */
	ksft_print_msg("%ld after compaction\n", free_huge());
	test_min(free_pages() - before, -most - 512L, "pages free, compared to before");
	ftruncate(sparse, 0);
	close(sparse);
	ksft_finished();
}
