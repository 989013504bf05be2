// SPDX-License-Identifier: GPL-2.0
/*
 * Memory is gone after each possible number of pages while HugeTLB pages are
 * freed, which takes 7 pages each, and while they are optimized. As many are freed
 * as there is memory for, the others stay, whole and optimized; as many are
 * optimized as there is memory for, the others are plain. No page is lost.
 */
#include "hugetlb.h"

#define NR	3
#define STEPS	(NR * HVO_SAVED + 1)

static long before;
static bool fake;

static long saved(void)
{
	return before - memmap_pages();
}

/* Free @nr with memory for @space pages; how many stayed, -1 if something's wrong */
static long restore_step(long space)
{
	long left, ok;
	char *p;

	pool_resize(NR);
	ok = saved() == NR * HVO_SAVED;
	pool_resize_failing("0", space);
	left = pool("nr_hugepages");
	ok &= left == pool("free_hugepages") && left == pool("surplus_hugepages");
	ok &= saved() == left * HVO_SAVED;
	if (left) {
		p = hugetlb_pages(left, 1 + space);
		ok &= pattern_find_bad(p, 0, left * HPAGE_SIZE, 1 + space) < 0;
		area_free(p, left);
		pool_settle();
	}
	pool_resize(0);
	ok &= !pool("nr_hugepages") && !saved();
	if (!ok)
		ksft_print_msg("memory for %ld pages: %ld huge pages left\n", space, left);
	return ok ? left : -1;
}

/* Get NR with memory for @space pages more; how many are optimized, or -1 */
static long remap_step(long space)
{
	long optimized, ok;
	char *p;

	pool_resize_failing("3", NR * HPAGE_NR + space);
	ok = pool("nr_hugepages") == NR && pool("free_hugepages") == NR;
	ok &= saved() % HVO_SAVED == 0;
	optimized = saved() / HVO_SAVED;
	p = hugetlb_pages(NR, 1 + space);
	ok &= pattern_find_bad(p, 0, NR * HPAGE_SIZE, 1 + space) < 0;
	area_free(p, NR);
	pool_resize(0);
	ok &= !pool("nr_hugepages") && !saved();
	if (!ok)
		ksft_print_msg("memory for %ld pages: %ld optimized\n", space, optimized);
	return ok ? optimized : -1;
}

int main(void)
{
	long space, good = 0, missing = 0, free;
	int round;

	hvo_frames_start(NR + 3);
	atexit(fail_stop);
	hvo_set(true);
	pool_resize(NR);
	fake = hvo_fake_heads();
	pool_resize(0);
	before = memmap_pages();

	for (space = 0; space < STEPS; space++)
		good += restore_step(space) == NR - space / (long)HVO_SAVED;
	test_eq(good, STEPS, "freed: numbers of pages with which all is right");

	/* The one page that each takes is its head's new frame. */
	for (space = 0; space <= NR; space++)
		test_eq(remap_step(space), fake ? NR : space,
			"optimized, with memory for %ld pages (%s)", space,
			fake ? "fake heads take none" : "each takes one");

	/*
	 * What a process that has ended leaves behind is cleaned up meanwhile; a
	 * page that gets lost does so each time.
	 */
	for (round = 0; round < 10; round++) {
		free = free_pages();
		for (space = 0; space < STEPS; space++)
			restore_step(space);
		for (space = 0; space <= NR; space++)
			remap_step(space);
		missing = free - free_pages();
		if (missing <= 0)
			break;
		ksft_print_msg("%ld pages missing\n", missing);
	}
	test_true(missing <= 0, "no page is missing # %ld", missing);
	ksft_finished();
}
