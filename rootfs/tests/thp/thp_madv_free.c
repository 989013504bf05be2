// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_FREE of huge pages: reclaim drops those that stay clean; one written
 * since, even in one word, keeps that write.
 */
#include "mmtest.h"

/* How many of the pages lost their bytes; -1 if one has wrong bytes */
static int dropped(char *p)
{
	int n = 0, i;
	size_t off;

	for (i = 0; i < (int)HPAGE_NR; i++) {
		off = i * PAGE_SIZE;
		if (*(volatile uint64_t *)(p + off) == 0)
			n++;
		if (pattern_find_bad(p, off, off + PAGE_SIZE,
				     *(volatile uint64_t *)(p + off) ? 1 : 0) >= 0)
			return -1;
	}
	return n;
}

int main(void)
{
	char *clean, *dirty;
	int lost, split_lost;
	long lazyfreed;

	test_start(7);
	swap_start();	/* anonymous memory is not reclaimed without */
	memcg_enter();
	clean = huge_pages(1, 1);
	dirty = huge_pages(1, 1);
	if (madvise(clean, HPAGE_SIZE, MADV_FREE) ||
	    madvise(dirty, HPAGE_SIZE, MADV_FREE))
		ksft_exit_fail_perror("MADV_FREE");
	test_smaps(clean, HPAGE_SIZE, "LazyFree", HPAGE_KB);
	test_data(dirty, 0, HPAGE_SIZE, 1, "bytes are there until reclaim");
	pattern_fill(dirty, 300 * PAGE_SIZE, 300 * PAGE_SIZE + 8, 2);
	lazyfreed = vmstat("pglazyfreed");
	memcg_reclaim(4 * HPAGE_SIZE);
	test_vmstat_min("pglazyfreed", lazyfreed, HPAGE_NR);
	lost = dropped(clean);
	test_eq(lost, HPAGE_NR, "clean pages dropped");
	test_data(dirty, 300 * PAGE_SIZE, 300 * PAGE_SIZE + 8, 2, "the later write is kept");
	area_free(clean, 1);
	area_free(dirty, 1);

	/* The same for a part of a huge page, that splits it */
	dirty = huge_pages(1, 1);
	madvise(dirty, HPAGE_SIZE / 2, MADV_FREE);
	pattern_fill(dirty, 5 * PAGE_SIZE, 6 * PAGE_SIZE, 2);
	memcg_reclaim(4 * HPAGE_SIZE);
	test_data(dirty, 5 * PAGE_SIZE, 6 * PAGE_SIZE, 2, "split: the later write is kept");
	pattern_fill(dirty, 5 * PAGE_SIZE, 6 * PAGE_SIZE, 1);
	split_lost = dropped(dirty);
	ksft_print_msg("split: %d pages dropped\n", split_lost);
	test_true(split_lost >= 0 && split_lost < (int)HPAGE_NR / 2 &&
		  pattern_find_bad(dirty, HPAGE_SIZE / 2, HPAGE_SIZE, 1) < 0,
		  "split: the half that wasn't freed is kept");
	ksft_finished();
}
