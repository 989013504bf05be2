// SPDX-License-Identifier: GPL-2.0
/*
 * What one system call changes in several page tables is changed in all of them when
 * the program goes on: in those at both ends of a range, next to each other, and
 * however far apart, with what lies in between left as it was.
 */
#include "mmtest.h"

#define TABLES	200UL
#define LEN	(TABLES * HPAGE_SIZE)

static char *p;

/* The page number @i of table @table */
static volatile uint64_t *word(size_t table, size_t i)
{
	return (uint64_t *)(p + table * HPAGE_SIZE + i * PAGE_SIZE);
}

/* Both pages are dropped by one call, and the pages around them aren't. */
static int drop_two(int self, size_t first, size_t second)
{
	size_t table[2] = { first, second }, i;
	struct iovec iov[2];
	int bad = 0;

	for (i = 0; i < 2; i++) {
		*word(table[i], 5) = 1;
		*word(table[i], 6) = 2 + table[i];
		*word(table[i], 7) = 3;
		iov[i].iov_base = (void *)word(table[i], 6);
		iov[i].iov_len = PAGE_SIZE;
	}
	if (syscall(SYS_process_madvise, self, iov, 2, MADV_DONTNEED, 0) !=
	    2 * PAGE_SIZE)
		ksft_exit_fail_perror("process_madvise");
	for (i = 0; i < 2; i++)
		bad += *word(table[i], 5) != 1 || *word(table[i], 6) != 0 ||
		       *word(table[i], 7) != 3;
	return bad;
}

/* How many of the @nr pages around the beginning of @table don't refuse a write */
static int across(size_t table, size_t nr, size_t tables)
{
	char *from = p + table * HPAGE_SIZE - nr / 2 * PAGE_SIZE, *at;
	size_t len = nr * PAGE_SIZE + (tables - 1) * HPAGE_SIZE;
	int bad = 0;

	for (at = from; at < from + len; at += PAGE_SIZE)
		*(volatile char *)at = 1;
	mprotect(from, len, PROT_READ);
	for (at = from; at < from + nr * PAGE_SIZE; at += PAGE_SIZE)
		bad += access_signal(at, true) != SIGSEGV;
	for (at = from + len - nr * PAGE_SIZE; at < from + len; at += PAGE_SIZE)
		bad += access_signal(at, true) != SIGSEGV;
	bad += access_signal(from + len, true) != 0;
	mprotect(from, len, PROT_READ | PROT_WRITE);
	for (at = from; at < from + nr * PAGE_SIZE; at += PAGE_SIZE)
		bad += access_signal(at, true) != 0;
	madvise(from, len, MADV_DONTNEED);
	for (at = from; at < from + len; at += PAGE_SIZE)
		bad += *(volatile char *)at != 0;
	return bad;
}

int main(void)
{
	static const size_t apart[] = { 1, 2, 31, 62, 63, 64, 65, 127, 128, 129, 190 };
	int self = syscall(SYS_pidfd_open, getpid(), 0);
	size_t i, first;
	int bad;

	test_plan(ARRAY_SIZE(apart) + 4);
	p = small_area(TABLES);
	for (i = 0; i < TABLES; i++)
		*word(i, 200) = i + 1;
	for (i = 0; i < ARRAY_SIZE(apart); i++) {
		for (first = 0, bad = 0; first + apart[i] < TABLES; first++)
			bad += drop_two(self, first, first + apart[i]);
		test_eq(bad, 0, "pages wrong when two go that are %zu tables apart", apart[i]);
	}
	for (i = 0, bad = 0; i < TABLES; i++)
		bad += *word(i, 200) != i + 1;
	test_eq(bad, 0, "pages wrong that nobody touched");
	for (i = 1, bad = 0; i < TABLES - 1; i++)
		bad += across(i, 2, 1);
	test_eq(bad, 0, "of one page on each side of a boundary");
	for (i = 1, bad = 0; i < TABLES - 3; i += 7)
		bad += across(i, 8, 2);
	test_eq(bad, 0, "of ranges over three tables");
	test_eq(across(3, 2, 70), 0, "of a range over 71 tables");
	ksft_finished();
}
