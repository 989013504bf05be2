/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of page teams share: a tmpfs with huge=team, what debugfs says
 * of a team, and an independent count of what maps its pages.
 */
#ifndef TEAM_H
#define TEAM_H

#include <sys/stat.h>

#include "mmtest.h"

#define TEAMS		"/sys/kernel/debug/shmem_teams"
#define KPF_OWNER_2	KPF_BIT(34)
/* Anonymous memory and page tables have a use of their own for that flag. */
#define KPF_OTHERS	(KPF_BIT(12) | KPF_BIT(26))

/* For test_start(): a test of teams, whose tmpfs has them */
static inline void team_start(unsigned int plan)
{
	test_start_with(plan, TEAMS, "page teams");
	tmpfs_huge = "team";
}

struct team {
	long members;
	long pmds;
};

/* What debugfs says of the team that has @pfn: both 0 if there is none */
static inline struct team team_of(unsigned long pfn)
{
	unsigned long head = pfn & -HPAGE_NR, at;
	struct team team = {}, t;
	char line[256];
	FILE *f = fopen(TEAMS, "re");

	if (!f)
		ksft_exit_fail_perror(TEAMS);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lu members %ld pmds %ld", &at, &t.members,
			   &t.pmds) == 3 && at == head)
			team = t;
	fclose(f);
	return team;
}

/* How many teams there are */
static inline int teams(void)
{
	char line[256];
	FILE *f = fopen(TEAMS, "re");
	int n = 0;

	if (!f)
		ksft_exit_fail_perror(TEAMS);
	while (fgets(line, sizeof(line), f))
		n++;
	fclose(f);
	return n;
}

/* The pfn behind a page of a file, without mapping it for long */
static inline unsigned long file_pfn(int fd, size_t off)
{
	char *p = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, off);
	unsigned long pfn;

	if (p == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	FORCE_READ(*p);
	pfn = pfn_of(p);
	munmap(p, PAGE_SIZE);
	return pfn;
}

/* Of the huge page's worth of pages that @pfn is in: how many are a team's */
static inline int team_flags(unsigned long pfn)
{
	uint64_t flags[HPAGE_NR];
	size_t i;
	int n = 0;

	kpageflags_read(pfn & -HPAGE_NR, flags, HPAGE_NR);
	for (i = 0; i < HPAGE_NR; i++)
		n += (flags[i] & (KPF_OWNER_2 | KPF_OTHERS)) == KPF_OWNER_2;
	return n;
}

/* ... and how many are mapped @count times */
static inline int team_mapped(unsigned long pfn, uint64_t count)
{
	return count_pfns_mapped(pfn & -HPAGE_NR, HPAGE_NR, count);
}

#define test_team(pfn, want_members, want_pmds, fmt, ...) do {		\
	struct team __t = team_of(pfn);					\
	long __m = (want_members), __p = (want_pmds);			\
									\
	ksft_test_result(__t.members == __m && __t.pmds == __p,		\
			 fmt ": members %ld, PMDs %ld, want %ld, %ld\n",\
			 ##__VA_ARGS__, __t.members, __t.pmds, __m, __p);\
} while (0)

/* A hole of @nr pages */
static inline void punch(int fd, size_t off, size_t len)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len))
		ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
}

#endif /* TEAM_H */
