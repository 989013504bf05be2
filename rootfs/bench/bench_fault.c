// SPDX-License-Identifier: GPL-2.0
/* Nanoseconds that 64 MB take: faulted in, dropped, forked. Medians. */
#include "bench.h"
#include "mmtest.h"

#define LEN	(64UL << 20)
#define ROUNDS	9

enum { FAULT_4K, FAULT_HUGE, DONTNEED_4K, DONTNEED_HUGE, FORKEXIT_4K,
	FORKEXIT_HUGE, NR_TIMES };
static const char * const names[] = {
	"fault4k", "faulthuge", "dontneed4k", "dontneedhuge", "forkexit4k",
	"forkexithuge",
};

static long times[NR_TIMES][ROUNDS];

static int nothing(void *arg)
{
	return 0;
}

static void one_round(int round, bool huge)
{
	char *p = huge ? huge_area(LEN / HPAGE_SIZE) : small_area(LEN / HPAGE_SIZE);
	long t0, t1, t2, t3;
	size_t off;

	t0 = now_ns();
	for (off = 0; off < LEN; off += PAGE_SIZE)
		*(volatile char *)(p + off) = 1;
	t1 = now_ns();
	in_child(nothing, NULL);
	t2 = now_ns();
	madvise(p, LEN, MADV_DONTNEED);
	t3 = now_ns();
	times[FAULT_4K + huge][round] = t1 - t0;
	times[FORKEXIT_4K + huge][round] = t2 - t1;
	times[DONTNEED_4K + huge][round] = t3 - t2;
	area_free(p, LEN / HPAGE_SIZE);
}

int main(void)
{
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < ROUNDS; i++) {
		one_round(i, false);
		if (thp_available())
			one_round(i, true);
	}
	printf("# ns for 64 MB, median of %d rounds\n", ROUNDS);
	for (i = 0; i < NR_TIMES; i++) {
		if (!times[i][0])
			continue;	/* a kernel without huge pages */
		printf("%s_ns %ld\n", names[i], median(times[i], ROUNDS));
	}
	return 0;
}
