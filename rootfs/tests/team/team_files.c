// SPDX-License-Identifier: GPL-2.0
/*
 * Files small and large on one mount: the small ones have no teams, the large
 * one one for each 2 MB, and one that grows page by page has a team that becomes
 * complete, and is then mapped by PMD. A punched page takes nothing else along.
 */
#include "hugetlb.h"
#include "team.h"

#define NR_SMALL	100
#define LARGE		(4 * HPAGE_SIZE)
#define STEP		(20 * PAGE_SIZE)	/* one in so many pages of it */

static int open_file(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", huge_tmpfs(), name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		ksft_exit_fail_perror(path);
	return fd;
}

/* Append pages to a file until it has @len bytes */
static void grow(int fd, size_t len)
{
	static char *page;
	struct stat st;
	size_t off;

	if (!page)
		page = small_pages(LARGE / HPAGE_SIZE, 3);
	fstat(fd, &st);
	for (off = st.st_size; off < len; off += PAGE_SIZE)
		if (pwrite(fd, page + off, PAGE_SIZE, off) != PAGE_SIZE)
			ksft_exit_fail_perror("pwrite");
}

static long file_pages(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_blocks / 8;
}

int main(void)
{
	int small[NR_SMALL], large, growing, memory, i, wrong = 0;
	unsigned long pfn, pfns[HPAGE_NR];
	char name[32], buf[64], want[64], *p;
	struct team half;
	long free;

	team_start(35);
	/* One after the other, large extents and small files in between */
	large = open_file("large");
	if (ftruncate(large, LARGE))
		ksft_exit_fail_perror("ftruncate");
	for (i = 0; i < NR_SMALL; i++) {
		snprintf(name, sizeof(name), "small%d", i);
		small[i] = open_file(name);
		snprintf(want, sizeof(want), "what is in file %d", i);
		if (pwrite(small[i], want, sizeof(want), 0) != sizeof(want) ||
		    pwrite(large, want, sizeof(want), i * STEP) !=
		    sizeof(want))
			ksft_exit_fail_perror("pwrite");
	}
	test_eq(teams(), LARGE / HPAGE_SIZE, "teams: of the large file only");
	test_eq(file_pages(large), NR_SMALL, "pages of the large file");
	pfn = file_pfn(large, 0);
	test_true(pfn % HPAGE_NR == 0 && file_pfn(large, STEP) ==
		  pfn + STEP / PAGE_SIZE, "its pages in their places");
	test_team(pfn, (HPAGE_SIZE + STEP - 1) / STEP, 0, "a sparse team");

	/* A fault makes it complete. */
	p = map_file(large, LARGE, MAP_SHARED);
	FORCE_READ(p[HPAGE_SIZE + 5]);
	test_team(pfn_of(p + HPAGE_SIZE), 512, 1, "one of them after a fault");
	test_smaps(p, LARGE, "ShmemPmdMapped", HPAGE_KB);
	test_smaps(p, LARGE, "Rss", HPAGE_KB);
	force_read_pages(p, LARGE / HPAGE_SIZE, HPAGE_SIZE);
	test_smaps(p, LARGE, "ShmemPmdMapped", LARGE / 1024);
	test_eq(file_pages(large), LARGE / PAGE_SIZE, "pages of the large file");
	for (i = 0; i < NR_SMALL; i++) {
		snprintf(want, sizeof(want), "what is in file %d", i);
		wrong += strcmp(p + i * STEP, want) != 0;
		if (pread(small[i], buf, sizeof(buf), 0) != sizeof(buf) ||
		    strcmp(buf, want))
			wrong++;
	}
	test_eq(wrong, 0, "contents wrong");

	/* Page by page: the second 2 MB are a team from their first page on. */
	growing = open_file("growing");
	grow(growing, HPAGE_SIZE);
	test_eq(teams(), LARGE / HPAGE_SIZE, "teams after 2 MB of a file that grows");
	grow(growing, HPAGE_SIZE + PAGE_SIZE);
	pfn = file_pfn(growing, HPAGE_SIZE);
	test_team(pfn, 1, 0, "its 2 MB and a page");
	grow(growing, HPAGE_SIZE * 3 / 2);
	test_team(pfn, 256, 0, "its 3 MB");
	test_eq(file_pages(growing), HPAGE_NR * 3 / 2, "pages of it");
	area_free(p, LARGE / HPAGE_SIZE);
	p = map_file(growing, 2 * HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(p[HPAGE_SIZE]);
	test_smaps(p, 2 * HPAGE_SIZE, "ShmemPmdMapped", 0);
	area_free(p, 2);
	grow(growing, 2 * HPAGE_SIZE);
	test_team(pfn, 512, 0, "its 4 MB");
	p = map_file(growing, 2 * HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(p[HPAGE_SIZE]);
	FORCE_READ(p[0]);
	test_team(pfn, 512, 1, "a fault there");
	test_team(pfn_of(p), 0, 0, "one in the first 2 MB");
	test_smaps(p, 2 * HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_eq(pfn_of(p + HPAGE_SIZE), pfn, "nothing has moved");
	test_data(p, 0, 2 * HPAGE_SIZE, 3, "data");

	/* A hole of one page: the rest stays, and stays mapped. */
	pfns_of(p + HPAGE_SIZE, pfns, HPAGE_NR);
	punch(growing, HPAGE_SIZE + 17 * PAGE_SIZE, PAGE_SIZE);
	test_eq(HPAGE_NR - pages_moved(p + HPAGE_SIZE, pfns, HPAGE_NR), HPAGE_NR - 1,
		"pages that a hole leaves mapped in place");
	test_team(pfn, 0, 0, "its team");
	test_eq(file_pages(growing), 2 * HPAGE_NR - 1, "pages of it");
	test_data(p, 0, HPAGE_SIZE + 17 * PAGE_SIZE, 3, "data before the hole");
	test_data(p, HPAGE_SIZE + 18 * PAGE_SIZE, 2 * HPAGE_SIZE, 3, "data behind it");
	test_data(p, HPAGE_SIZE + 17 * PAGE_SIZE, HPAGE_SIZE + 18 * PAGE_SIZE, 0,
		  "zeroes in it");

	/* fallocate() clears nothing; who maps it finds zeroes nevertheless. */
	area_free(p, 2);
	small_pages(32, 5);
	memory = open_file("memory");
	grow(memory, LARGE);
	if (ftruncate(memory, 0))
		ksft_exit_fail_perror("ftruncate");
	if (fallocate(memory, 0, 0, HPAGE_SIZE))
		ksft_exit_fail_perror("fallocate");
	p = map_file(memory, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	test_team(pfn_of(p), 512, 1, "preallocated");
	test_data(p, 0, HPAGE_SIZE, 0, "preallocated: zeroes");
	/* Compaction has no use for it. */
	pfn = pfn_of(p);
	file_write("/proc/sys/vm/compact_memory", "1");
	test_team(pfn, 512, 1, "after compaction");
	test_eq(pfn_of(p), pfn, "not moved");
	area_free(p, 1);
	if (ftruncate(memory, 0))
		ksft_exit_fail_perror("ftruncate");
	p = hole_area(2);

	/* What is held back goes with the file. */
	area_free(p, 2);
	if (ftruncate(growing, 0))
		ksft_exit_fail_perror("ftruncate");
	grow(growing, HPAGE_SIZE);
	free = free_pages();
	grow(growing, HPAGE_SIZE + 16 * PAGE_SIZE);
	half = team_of(file_pfn(growing, HPAGE_SIZE));
	test_min(free - free_pages(), HPAGE_NR - 16, "pages taken for 16 of a team");
	test_eq(half.members, 16, "members");
	if (ftruncate(growing, HPAGE_SIZE))
		ksft_exit_fail_perror("ftruncate");
	test_min(free_pages() - free, -16, "pages free again, less than before by");
	test_eq(teams(), LARGE / HPAGE_SIZE, "teams");
	ksft_finished();
}
