/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of the freeing of empty PTE page tables: how many of them a process
 * has, beyond those that it had before its area was used.
 */
#ifndef PTE_REF_H
#define PTE_REF_H

#include "bench.h"
#include "mmtest.h"

/* A table that is empty is gone after a second; machines that are busy take longer. */
#define PTE_MS	20000

static long pte_floor;

/* How many PTE page tables there are more than at pte_count_from_here() */
static inline long pte_tables(void)
{
	return (vmpte() - pte_floor) / 4;
}

static inline void pte_plan(unsigned int plan)
{
	ksft_print_header();
	if (access("/sys/kernel/debug/pte_ref/audit", F_OK))
		ksft_exit_skip("a kernel without CONFIG_FREE_USER_PTE\n");
	ksft_set_plan(plan);
}

/*
 * Count from here on. What this program itself uses shall not count, be it the C
 * library's buffers or, after fork(), files that have to be mapped again.
 */
static inline void pte_count_from_here(void)
{
	now_ms();
	usleep(1);
	vmpte();
	pte_floor = vmpte();
}

/* Address space like hole_area()'s, whose upper page tables exist */
static inline char *pte_hole(size_t nr_huge)
{
	char *p = hole_area(nr_huge + 1);

	if (mmap(p, PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		ksft_exit_fail_perror("mmap");
	*(volatile char *)p = 1;
	pte_count_from_here();
	return p + HPAGE_SIZE;
}

/* The same with @len bytes of small pages mapped in it; @fd -1: anonymous */
static inline char *pte_map(char *p, size_t len, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	if (mmap(p, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) != p)
		ksft_exit_fail_perror("mmap");
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

static inline char *pte_area(size_t nr_huge, int fd)
{
	return pte_map(pte_hole(nr_huge), nr_huge * HPAGE_SIZE, fd);
}

/* A file of @nr_huge huge pages, none there yet */
static inline int pte_file(size_t nr_huge)
{
	int fd = memfd_create("pte", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, nr_huge * HPAGE_SIZE))
		ksft_exit_fail_perror("memfd");
	return fd;
}

/* Write to @nr pages of each 2 MB, some apart */
static inline void pte_touch(char *p, size_t nr_huge, size_t nr)
{
	size_t i, j;

	for (i = 0; i < nr_huge; i++)
		for (j = 0; j < nr; j++)
			pattern_fill(p, i * HPAGE_SIZE + j * 7 * PAGE_SIZE,
				     i * HPAGE_SIZE + j * 7 * PAGE_SIZE + 64, 1);
}

/* Wait until there are only @want tables; returns after how many ms, or -1. */
static inline long pte_wait(long want)
{
	long start = now_ms(), ms;

	for (;;) {
		ms = now_ms() - start;
		if (pte_tables() <= want)
			return ms;
		if (ms > PTE_MS)
			return -1;
		usleep(5000);
	}
}

/* Only @want tables are left, soon */
#define test_tables(want, fmt, ...) do {				\
	long __want = (want), __ms = pte_wait(__want);			\
	long __got = pte_tables();					\
									\
	ksft_test_result(__ms >= 0 && __got == __want,			\
			 fmt ": tables # %ld after %ld ms, want %ld\n",	\
			 ##__VA_ARGS__, __got, __ms, __want);		\
} while (0)

/*
 * A file is mapped, all of it but its first 2 MB is lost by @lose(), and tables
 * are; a write to what was lost ends in @signal, 0 for none. 4 results.
 */
static inline void test_file_loses(int (*lose)(int fd, char *p, size_t len), int signal)
{
	const size_t nr = 4;
	int fd = pte_file(nr);
	char *p = pte_area(nr, fd);

	pte_touch(p, nr, 50);
	test_eq(pte_tables(), nr, "tables in use");
	if (lose(fd, p, nr * HPAGE_SIZE))
		ksft_exit_fail_perror("to lose a part of the file");
	test_tables(1, "after it");
	test_data(p, 0, 64, 1, "what is left of the file is kept");
	test_eq(access_signal(p + HPAGE_SIZE, true), signal, "a write behind it");
}

#endif /* PTE_REF_H */
