// SPDX-License-Identifier: GPL-2.0
/*
 * System calls on memory where a team is mapped by PMD: mremap(), mprotect(),
 * mlock(), madvise(), private mappings, userfaultfd. What concerns all of it
 * leaves the PMD, what concerns a part leaves the rest mapped by PTEs.
 */
#include "hugetlb.h"
#include "team.h"

#define PART	(10 * PAGE_SIZE)
#define LEN	(3 * PAGE_SIZE)

static unsigned long pfn;
static int fd;

/* The team of the file, mapped by PMD by nobody else */
static char *map(int flags)
{
	char *p = map_file(fd, HPAGE_SIZE, flags);

	FORCE_READ(*p);
	pfn = pfn_of(p);
	return p;
}

/* 3 results: the data; then all of it is mapped, by a PMD or by PTEs */
static void mapped(const char *what, char *p, int pmds)
{
	test_data(p, 0, HPAGE_SIZE, 1, "%s: data", what);
	test_team(pfn, 512, pmds, "%s", what);
	test_smaps(p, HPAGE_SIZE, "Rss", HPAGE_KB);
}

static void locked(const char *what, int nr)
{
	test_eq(count_pfns(pfn, HPAGE_NR, KPF_BIT(33)), nr, "%s: pages with PG_mlocked", what);
}

static int exclusive(char *p)
{
	uint64_t entry[HPAGE_NR];
	size_t i;
	int n = 0;

	pagemap_read(p, entry, HPAGE_NR);
	for (i = 0; i < HPAGE_NR; i++)
		n += entry[i] >> 56 & 1;
	return n;
}

int main(void)
{
	long mlocked, faults;
	char *p, *q;
	int uffd;

	team_start(71);
	fd = huge_file("file", HPAGE_SIZE, 1);

	p = map(MAP_SHARED);
	q = hole_area(1);
	if (mremap(p, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) != q)
		ksft_exit_fail_perror("mremap");
	mapped("moved", q, 1);
	p = hole_area(1) + PAGE_SIZE;
	if (mremap(q, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
		ksft_exit_fail_perror("mremap");
	test_data(p, 0, PART, 1, "a part moved");
	test_team(pfn, 512, 0, "a part moved");
	test_smaps(q + PART, HPAGE_SIZE - PART, "Rss", (HPAGE_SIZE - PART) / 1024);
	test_eq(team_mapped(pfn, 1), HPAGE_NR, "pages mapped once");
	munmap(p, PART);
	area_free(q, 1);

	p = map(MAP_SHARED);
	mprotect(p, HPAGE_SIZE, PROT_NONE);
	test_eq(access_signal(p + PART, false), SIGSEGV, "signal without permission");
	mprotect(p, HPAGE_SIZE, PROT_READ);
	test_eq(access_signal(p + PART, true), SIGSEGV, "signal for a write");
	mapped("read only", p, 1);
	mprotect(p + PART, LEN, PROT_READ | PROT_WRITE);
	test_eq(access_signal(p + PART + LEN, true), SIGSEGV, "signal for a write behind a part");
	test_eq(access_signal(p + PART, true), 0, "signal for a write to it");
	pattern_fill(p, PART, PART + LEN, 1);
	mapped("a part read and write", p, 0);
	area_free(p, 1);

	p = map(MAP_SHARED);
	madvise(p + PART, LEN, MADV_DONTNEED);
	test_team(pfn, 512, 0, "a part dropped");
	test_smaps(p, HPAGE_SIZE, "Rss", (HPAGE_SIZE - LEN) / 1024);
	mapped("read again", p, 0);
	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
	test_eq(team_mapped(pfn, 0), HPAGE_NR, "pages not mapped");
	area_free(p, 1);

	p = map(MAP_SHARED);
	test_true(madvise(p, HPAGE_SIZE, MADV_COLLAPSE) == -1 && errno == EAGAIN,
		  "MADV_COLLAPSE of what a PMD maps: %s", strerror(errno));
	mapped("not collapsed", p, 1);
	madvise(p, HPAGE_SIZE, MADV_COLD);
	mapped("cold", p, 0);
	test_true(madvise(p, HPAGE_SIZE, MADV_COLLAPSE) == -1 && errno == EAGAIN,
		  "MADV_COLLAPSE of what PTEs map: %s", strerror(errno));
	mapped("not collapsed", p, 0);
	area_free(p, 1);

	/* All pages are locked, also when the team is taken apart. */
	mlocked = vmstat("nr_mlock");
	p = map(MAP_SHARED);
	if (mlock(p, HPAGE_SIZE))
		ksft_exit_fail_perror("mlock");
	locked("mlock", HPAGE_NR);
	test_vmstat("nr_mlock", mlocked, HPAGE_NR);
	mapped("mlock", p, 1);
	munlock(p, PART);
	locked("munlock of a part", HPAGE_NR - PART / PAGE_SIZE);
	munlock(p, HPAGE_SIZE);
	locked("munlock", 0);
	test_vmstat("nr_mlock", mlocked, 0);
	area_free(p, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	if (mlock(p, HPAGE_SIZE))
		ksft_exit_fail_perror("mlock");
	mapped("mlock maps it", p, 1);
	locked("mlock maps it", HPAGE_NR);
	punch(fd, PART, PAGE_SIZE);
	faults = minor_faults();
	test_data(p, PART + PAGE_SIZE, HPAGE_SIZE, 1, "locked, disbanded: data");
	test_eq(minor_faults() - faults, 0, "faults for it");
	locked("disbanded", HPAGE_NR - 1);
	munlock(p, HPAGE_SIZE);
	area_free(p, 1);
	test_vmstat("nr_mlock", mlocked, 0);

	/* Private: read by PMD, written by copies */
	close(fd);
	fd = huge_file("private", HPAGE_SIZE, 1);
	p = map(MAP_PRIVATE);
	mapped("private", p, 1);
	pattern_fill(p, PART, PART + LEN, 2);
	test_smaps(p, HPAGE_SIZE, "Anonymous", LEN / 1024);
	test_team(pfn, 512, 0, "written to");
	test_data(p, PART, PART + LEN, 2, "what was written");
	area_free(p, 1);
	p = map(MAP_SHARED);
	mapped("the file", p, 1);
	area_free(p, 1);

	/* Written to before it is read: a copy, too */
	p = map_file(fd, HPAGE_SIZE, MAP_PRIVATE);
	pattern_fill(p, PART, PART + LEN, 2);
	test_data(p, PART, PART + LEN, 2, "private, written to at once");
	area_free(p, 1);
	p = map(MAP_SHARED);
	mapped("the file is as it was", p, 1);

	/* One of its pages is mapped once more, by a PTE. */
	q = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, PART);
	FORCE_READ(*q);
	test_true(kpagecount(pfn + PART / PAGE_SIZE) == 2 &&
		  team_mapped(pfn, 1) == HPAGE_NR - 1, "one page mapped twice");
	test_eq(exclusive(p), HPAGE_NR - 1, "pages that pagemap calls exclusive");
	munmap(q, PAGE_SIZE);
	area_free(p, 1);

	/* With userfaultfd each missing page is for its handler to see. */
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	uffd = uffd_open(0);
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, HPAGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	mapped("userfaultfd", p, 0);
	area_free(p, 1);
	close(uffd);
	p = map(MAP_SHARED);
	mapped("without", p, 1);
	ksft_finished();
}
