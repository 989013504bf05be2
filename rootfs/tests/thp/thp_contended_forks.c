// SPDX-License-Identifier: GPL-2.0
/*
 * Forked children fight over one parent's huge pages: they write their private
 * copies, drop, split and collapse parts, and count in shared huge memory with
 * atomic operations. Nobody sees another's bytes, no count is lost.
 */
#include "mmtest.h"

#define NR		2
#define LEN		(NR * HPAGE_SIZE)
#define NR_CHILDREN	6
#define ROUNDS		12

static char *p, *shm;

static int child(int me)
{
	unsigned int seed = me + 10, i;
	size_t from, to;

	for (i = 0; i < ROUNDS; i++) {
		size_t page = (i * 131 + me * 57) % (LEN / PAGE_SIZE);

		/* A private write to a page and back to the parent's bytes */
		from = page * PAGE_SIZE;
		to = from + PAGE_SIZE;
		pattern_fill(p, from, to, seed);
		if (pattern_find_bad(p, from, to, seed) >= 0)
			return 1;
		pattern_fill(p, from, to, 1);
		if (i % 4 == me % 4) {
			madvise(p + from, PAGE_SIZE, MADV_DONTNEED);
			if (pattern_find_bad(p, from, to, 0) >= 0)
				return 2;
			pattern_fill(p, from, to, 1);
		}
		if (i % 6 == 5)
			madvise(p, LEN, MADV_COLLAPSE);
		for (from = 0; from < LEN; from += 16 * PAGE_SIZE)
			__atomic_add_fetch((long *)(shm + from), 1, __ATOMIC_SEQ_CST);
		if (pattern_find_bad(p, 0, LEN, 1) >= 0)
			return 3;
		sched_yield();
	}
	return 0;
}

int main(void)
{
	pid_t pid[NR_CHILDREN];
	size_t off, lost = 0;
	int i;

	test_start(4 + NR_CHILDREN);
	p = huge_pages(NR, 1);
	shm = map_file(huge_file("shared", LEN, 0), LEN, MAP_SHARED);
	fflush(stdout);
	for (i = 0; i < NR_CHILDREN; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(child(i));
	}
	for (i = 0; i < NR_CHILDREN; i++)
		test_eq(child_status(pid[i]), 0, "child %d", i);
	for (off = 0; off < LEN; off += 16 * PAGE_SIZE)
		lost += *(long *)(shm + off) != NR_CHILDREN * ROUNDS;
	test_eq(lost, 0, "shared counters with a wrong sum");
	test_data(p, 0, LEN, 1, "the parent's bytes");
	test_eq(count_mapped(p, LEN, 1), LEN / PAGE_SIZE, "pages mapped once again");
	test_smaps(p, LEN, "AnonHugePages", LEN / 1024);
	ksft_finished();
}
