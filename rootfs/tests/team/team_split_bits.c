// SPDX-License-Identifier: GPL-2.0
/*
 * When a team's PMD becomes PTEs, each of them is as young and as writable as the PMD
 * was: nothing faults that didn't before, and nothing looks used that wasn't. The same of
 * an anonymous huge page.
 */
#include "team.h"

#define LAST	(HPAGE_SIZE - PAGE_SIZE)

static int fd;

static char *map_team(void)
{
	char *p = map_file(fd, HPAGE_SIZE, MAP_SHARED);

	*(volatile char *)p = *p;
	return p;
}

static char *map_anon(void)
{
	return huge_pages(1, 1);
}

/* 1 result: a part is unmapped, so that PTEs map the rest */
static void split(const char *what, char *p)
{
	long splits = vmstat("thp_split_pmd");

	madvise(p + LAST, PAGE_SIZE, MADV_DONTNEED);
	test_vmstat("thp_split_pmd", splits, 1);
	test_eq(smaps_kb(p, HPAGE_SIZE, "AnonHugePages") +
		smaps_kb(p, HPAGE_SIZE, "ShmemPmdMapped"), 0, "%s: mapped by PMD, kB", what);
}

/* 10 results */
static void test_bits(const char *what, char *(*map)(void))
{
	char *p = map();
	long faults;
	size_t off;

	/* Used and writable */
	test_smaps(p, HPAGE_SIZE, "Referenced", HPAGE_KB);
	split(what, p);
	test_smaps(p, HPAGE_SIZE, "Referenced", HPAGE_KB - 4);
	faults = minor_faults();
	for (off = 0; off < LAST; off += PAGE_SIZE)
		*(volatile char *)(p + off) = p[off];
	test_eq(minor_faults() - faults, 0, "%s: faults of writes to what was writable", what);
	area_free(p, 1);

	/* Old */
	p = map();
	if (!file_write("/proc/self/clear_refs", "1"))
		ksft_exit_fail_perror("clear_refs");
	test_smaps(p, HPAGE_SIZE, "Referenced", 0);
	split(what, p);
	test_smaps(p, HPAGE_SIZE, "Referenced", 0);
	force_read_pages(p, HPAGE_NR - 1, PAGE_SIZE);
	test_smaps(p, HPAGE_SIZE, "Referenced", HPAGE_KB - 4);
	area_free(p, 1);

	/* Read-only */
	p = map();
	mprotect(p, HPAGE_SIZE, PROT_READ);
	split(what, p);
	test_eq(access_signal(p + PAGE_SIZE, true), SIGSEGV, "%s: write to a read-only page", what);
	area_free(p, 1);
}

int main(void)
{
	team_start(26);
	fd = huge_file("file", HPAGE_SIZE, 1);
	test_bits("team", map_team);
	test_bits("anonymous", map_anon);
	ksft_finished();
}
