// SPDX-License-Identifier: GPL-2.0
/*
 * A page that KSM has replaced by an equal one keeps its bytes, whatever the others do
 * who map that: once all have given it up but one, and this one had called MADV_FREE
 * before the page was merged with it, reclaim dropped it. Pages that nobody else has are
 * still freed lazily when they were merged before and taken apart.
 */
#include "mmtest.h"

#define NR	64
#define LEN	(NR * PAGE_SIZE)

static char *mergeable(void)
{
	char *p = small_area(1);

	pattern_fill(p, 0, LEN, 1);
	if (madvise(p, LEN, MADV_MERGEABLE))
		ksft_exit_fail_perror("MADV_MERGEABLE");
	return p;
}

/* Have the equal pages of two merged; how many are, in the end */
static size_t merge(const char *a, const char *b)
{
	unsigned long of_a[NR];
	size_t moved = NR;
	int i;

	file_write(KSM "run", "1");
	for (i = 0; i < 500 && moved; i++) {
		pfns_of(a, of_a, NR);
		moved = pages_moved(b, of_a, NR);
		usleep(10000);
	}
	file_write(KSM "run", "0");
	return NR - moved;
}

int main(void)
{
	char *first, *second, *third;
	long freed;

	test_plan(8);
	swap_start();
	ksm_settings(0, 2048);

	first = mergeable();
	second = mergeable();
	test_eq(merge(first, second), NR, "pages merged");
	madvise(first, LEN, MADV_DONTNEED);
	madvise(second, LEN, MADV_FREE);
	third = mergeable();
	test_eq(merge(second, third), NR, "pages merged with those that are left");
	madvise(second, LEN, MADV_DONTNEED);
	madvise(third, LEN, MADV_PAGEOUT);
	test_data(third, 0, LEN, 1, "every byte of who gave nothing up");

	/* A write takes the page out of KSM, then MADV_FREE does what it does. */
	pattern_fill(third, 0, LEN, 2);
	freed = vmstat("pglazyfreed");
	madvise(third, LEN, MADV_FREE);
	test_data(third, 0, LEN, 2, "freed lazily, bytes that are still there");
	madvise(third, LEN, MADV_PAGEOUT);
	test_vmstat("pglazyfreed", freed, NR);
	test_data(third, 0, LEN, 0, "and after reclaim zeroes");

	/* So it does with a KSM page's bytes that are given up for good. */
	pattern_fill(first, 0, LEN, 1);
	pattern_fill(third, 0, LEN, 1);
	test_eq(merge(first, third), NR, "pages merged again");
	madvise(third, LEN, MADV_FREE);
	madvise(third, LEN, MADV_PAGEOUT);
	test_data(first, 0, LEN, 1, "a second one gives them up, every byte of the first");
	ksft_finished();
}
