// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a team, step by step: written, mapped by two processes, forked,
 * partly unmapped, protected, a page punched, truncated, exited, unlinked. At
 * each step the members and PMDs that debugfs shows, ShmemPmdMapped of meminfo
 * and smaps, and the kpagecount of all 512 pages are what they must be.
 */
#include "hugetlb.h"
#include "team.h"

static unsigned long pfn;
static long pmd_mapped;		/* ShmemPmdMapped before all this */
static char *p;

/*
 * 4 results: who maps the team, or what is left of it. Of pages that aren't a team's
 * only those that this process has are looked at: the others may be anybody's.
 */
static void step(const char *what, int members, int pmds, int mapped, int count)
{
	test_team(pfn, members, pmds, "%s", what);
	test_eq(meminfo("ShmemPmdMapped:") - pmd_mapped, pmds ? HPAGE_KB : 0,
		"%s: meminfo ShmemPmdMapped kB", what);
	test_eq(members ? team_mapped(pfn, count) : count_mapped(p, HPAGE_SIZE, count),
		mapped, "%s: pages mapped %d times", what, count);
	test_eq(team_flags(pfn), members ? HPAGE_NR : 0,
		"%s: pages flagged as a team's", what);
}

/* The huge page's range in another process: mapped by PMD, a page or not */
static char *q;

static int child_pss(void)
{
	if (smaps_kb(q, HPAGE_SIZE, "ShmemPmdMapped") != HPAGE_KB)
		return 1;
	if (smaps_kb(q, HPAGE_SIZE, "Rss") != HPAGE_KB)
		return 2;
	return 0;
}

static int fd;

static int other(void)
{
	q = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*q);
	turn_over();		/* mapped */
	if (child_pss() || pattern_find_bad(q, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	munmap(q + HPAGE_SIZE / 2, HPAGE_SIZE / 2);
	turn_over();		/* half of it unmapped */
	if (pattern_find_bad(q, 0, HPAGE_SIZE / 2, 1) >= 0)
		return 2;
	munmap(q, HPAGE_SIZE / 2);
	turn_over();		/* all */
	return 0;
}

/* A fork has the mapping of its parent, though none of its page tables. */
static int forked(void)
{
	turn_over();
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	turn_over();
	return 0;
}

/* Somebody else: takes what was freed just before, as anybody may at any moment */
static int taker(void)
{
	char *taken = small_area(1);

	if (madvise(taken, HPAGE_SIZE, MADV_POPULATE_WRITE))
		return 1;
	turn_over();
	return 0;
}

int main(void)
{
	struct stat st;
	char path[64];
	pid_t pid;

	team_start(15 * 4 + 15);
	pmd_mapped = meminfo("ShmemPmdMapped:");
	test_eq(teams(), 0, "teams at the start");
	fd = huge_file("file", HPAGE_SIZE, 1);
	pfn = file_pfn(fd, 5 * PAGE_SIZE);
	test_eq(teams(), 1, "teams of a file of 2 MB");
	step("written", 512, 0, 512, 0);

	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	step("mapped", 512, 1, 512, 1);
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_smaps(p, HPAGE_SIZE, "Pss", HPAGE_KB);
	test_true(pfns_follow(p, HPAGE_SIZE) && pfn_of(p) % HPAGE_NR == 0,
		  "pagemap: 512 pages that follow each other");

	pid = turns_start(other);
	step("mapped by another", 512, 2, 512, 2);
	test_smaps(p, HPAGE_SIZE, "Pss", HPAGE_KB / 2);
	test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB);
	turn_over();
	/* Its 256 pages and all by this process, which has a PMD still */
	step("half unmapped there", 512, 1, 256, 2);
	test_smaps(p, HPAGE_SIZE, "Pss", HPAGE_KB * 3 / 4);
	turn_over();
	turns_end();
	step("all unmapped there", 512, 1, 512, 1);
	test_eq(child_status(pid), 0, "the other process saw the same");

	pid = turns_start(forked);
	step("forked", 512, 1, 512, 1);
	turn_over();
	step("the child reads", 512, 2, 512, 2);
	turns_end();
	test_eq(child_status(pid), 0, "the child saw the data");
	step("the child exited", 512, 1, 512, 1);

	mprotect(p, HPAGE_SIZE, PROT_READ);
	step("read only", 512, 1, 512, 1);
	mprotect(p, HPAGE_SIZE, PROT_READ | PROT_WRITE);
	*(volatile char *)p = *(volatile char *)p;
	step("written again", 512, 1, 512, 1);
	mprotect(p, PAGE_SIZE, PROT_READ);
	step("one page read only", 512, 0, 512, 1);
	test_data(p, 0, HPAGE_SIZE, 1, "data");

	/* By PTEs, which a new mapping replaces with a PMD. */
	area_free(p, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	step("mapped anew", 512, 1, 512, 1);

	punch(fd, 9 * PAGE_SIZE, PAGE_SIZE);
	pid = turns_start(taker);
	step("a page punched", 0, 0, 511, 1);
	turns_end();
	test_eq(child_status(pid), 0, "another process took free pages meanwhile");
	test_eq(file_pfn(fd, 5 * PAGE_SIZE), pfn, "the others stay in place");
	test_data(p, 0, 9 * PAGE_SIZE, 1, "and keep their data");

	if (ftruncate(fd, HPAGE_SIZE / 4))
		ksft_exit_fail_perror("ftruncate");
	step("truncated", 0, 0, 128 - 1, 1);
	fstat(fd, &st);
	test_eq(st.st_blocks / 8, 128 - 1, "pages of the file");
	area_free(p, 1);
	close(fd);
	snprintf(path, sizeof(path), "%s/file", huge_tmpfs());
	unlink(path);
	step("unlinked", 0, 0, 0, 1);
	ksft_finished();
}
