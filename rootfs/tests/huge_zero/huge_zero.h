/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the huge zero page's references share: what debugfs says of
 * them, and an independent count of the PMDs that map it.
 */
#ifndef HUGE_ZERO_H
#define HUGE_ZERO_H

#include <dirent.h>

#include "mmtest.h"

#define HUGE_ZERO	"/sys/kernel/debug/huge_zero/"

static inline long huge_zero(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), HUGE_ZERO "%s", name);
	return file_number(path, NULL);
}

/* Whether its references are held by @what: mappings, mms or nothing */
static inline bool huge_zero_counts(const char *what)
{
	char text[16] = "";
	int fd = open(HUGE_ZERO "counted", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		ksft_exit_skip("no references of the huge zero page in debugfs\n");
	close(fd);
	text[strcspn(text, "\n")] = 0;
	return !strcmp(text, what);
}

/* Free what nothing holds: the shrinker's turn */
static inline void huge_zero_shrink(void)
{
	if (!file_write("/proc/sys/vm/drop_caches", "2"))
		ksft_exit_fail_perror("drop_caches");
}

/* PMDs of one process that map @pfn, by a walk through its page tables */
static long huge_zero_walk_pid(const char *pid, unsigned long pfn)
{
	unsigned long start, end;
	char path[300], line[512];
	uint64_t entry;
	long n = 0;
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (maps && fd >= 0 && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) != 2)
			continue;
		for (start = (start + HPAGE_SIZE - 1) & -HPAGE_SIZE;
		     start + HPAGE_SIZE <= end; start += HPAGE_SIZE)
			n += pread(fd, &entry, 8, start / PAGE_SIZE * 8) == 8 &&
			     PAGEMAP_PRESENT(entry) && PAGEMAP_PFN(entry) == pfn;
	}
	if (maps)
		fclose(maps);
	if (fd >= 0)
		close(fd);
	return n;
}

/* How many PMDs of all processes map the huge zero page */
static inline long huge_zero_walk(void)
{
	long pfn = huge_zero("pfn"), n = 0;
	DIR *proc = opendir("/proc");
	struct dirent *de;

	if (!proc)
		ksft_exit_fail_perror("/proc");
	while (pfn >= 0 && (de = readdir(proc)))
		if (de->d_name[0] >= '1' && de->d_name[0] <= '9')
			n += huge_zero_walk_pid(de->d_name, pfn);
	closedir(proc);
	return n;
}

/* As many mappings as the walk finds, a reference for each and the shrinker's */
#define test_mapped(want, fmt, ...) do {				\
	long __walk = huge_zero_walk(), __count = huge_zero("count");	\
	long __want = (want);						\
									\
	ksft_test_result(__walk == __want && __count == __want + 1,	\
			 fmt " # count %ld, mapped %ld, want %ld + 1\n",\
			 ##__VA_ARGS__, __count, __walk, __want);	\
} while (0)

/* Nothing maps it, and it is not there: 3 results */
static inline void test_freed(const char *when)
{
	long frees = huge_zero("frees");
	long pfn = huge_zero("pfn");

	test_mapped(0, "%s, nothing maps it", when);
	huge_zero_shrink();
	test_eq(huge_zero("frees") - frees, 1, "%s, the shrinker frees it", when);
	/* A large folio that isn't free is still in one piece. */
	test_true(!kpf_bare_folio(kpageflags(pfn)), "%s, its memory is free", when);
}

/* For test_plan(): a test of references per mapping, with none at its start */
static inline void huge_zero_start(unsigned int plan)
{
	ksft_print_header();
	if (!thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	if (!huge_zero_counts("mappings"))
		ksft_exit_skip("this kernel doesn't count mappings\n");
	ksft_set_plan(plan);
	huge_zero_shrink();
	if (huge_zero("count"))
		ksft_exit_fail_msg("%ld references at the start\n",
				   huge_zero("count"));
}

/* An area of which each huge page maps the huge zero page */
static inline char *huge_zero_area(size_t nr_huge)
{
	char *p = huge_area(nr_huge);
	size_t i;

	for (i = 0; i < nr_huge; i++)
		force_read_pages(p + i * HPAGE_SIZE, 1, PAGE_SIZE);
	return p;
}

#endif /* HUGE_ZERO_H */
