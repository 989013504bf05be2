// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned pages of a huge page that has been split are as safe as any pinned page:
 * fork() copies them for the child, and neither side's writes, nor reclaim,
 * migration, KSM or khugepaged put another page in their place. The pages beside
 * them have nothing of that.
 */
#include "tail.h"

static char *p;
static unsigned long pfn[HPAGE_NR];
static int gup, pin;

static int child(void *arg)
{
	if (pfn_of(AT(5)) == pfn[5] || pfn_of(AT(300)) == pfn[300])
		return 1;
	if (pages_moved(p, pfn, HPAGE_NR) != 3)
		return 2;
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 3;
	pattern_fill(p, 0, HPAGE_SIZE, 4);
	return 0;
}

/* 3 results */
static void stay(const char *what)
{
	char buf[2 * PAGE_SIZE];

	test_true(pfn_of(AT(5)) == pfn[5] && pfn_of(AT(6)) == pfn[6] &&
		  pfn_of(AT(300)) == pfn[300], "%s: the pinned pages stay", what);
	gup_read(gup, buf);
	test_true(!memcmp(buf, AT(5), sizeof(buf)), "%s: what is in them", what);
	test_eq(pins_all(), 3, "%s: pins", what);
}

int main(void)
{
	size_t i, out = 0;
	char *small;

	tail_start(8 * 3 + 13);
	memcg_enter();
	swap_start();
	p = huge_pages(1, 1);
	gup = gup_pin(AT(5), 2 * PAGE_SIZE);
	pin = longterm_pin(AT(300), PAGE_SIZE);
	debugfs_split(p, HPAGE_SIZE, 0);
	test_pins(AT(300), 0, 1, 1, "split, page 300");
	pfns_of(p, pfn, HPAGE_NR);

	test_eq(in_child(child, NULL), 0, "a child shares all but these, writes to all");
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");
	stay("fork");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	stay("the parent writes");

	pfns_of(p, pfn, HPAGE_NR);
	memcg_reclaim(2 * HPAGE_SIZE);
	for (i = 0; i < HPAGE_NR; i++)
		out += in_swap(AT(i));
	test_min(out, HPAGE_NR - 64, "pages in swap");
	stay("swapped out");
	madvise(p, HPAGE_SIZE, MADV_PAGEOUT);
	stay("MADV_PAGEOUT");
	test_data(p, 0, HPAGE_SIZE, 2, "every byte, after swap");

	test_eq(madvise(AT(5), PAGE_SIZE, MADV_SOFT_OFFLINE) ? errno : 0, EBUSY,
		"MADV_SOFT_OFFLINE of page 5, errno");
	stay("soft offline");

	test_true(madvise(p, HPAGE_SIZE, MADV_COLLAPSE) != 0, "MADV_COLLAPSE fails");
	stay("MADV_COLLAPSE");
	test_data(p, 0, HPAGE_SIZE, 2, "every byte, after MADV_COLLAPSE");

	/* A page like page 5, 6, 300 and 301 each, to be merged with */
	small = small_area(1);
	memcpy(small, AT(5), PAGE_SIZE);
	memcpy(small + PAGE_SIZE, AT(6), PAGE_SIZE);
	memcpy(small + 2 * PAGE_SIZE, AT(300), 2 * PAGE_SIZE);
	madvise(p, HPAGE_SIZE, MADV_MERGEABLE);
	madvise(small, 4 * PAGE_SIZE, MADV_MERGEABLE);
	if (ksm_start())
		ksft_exit_fail_msg("KSM\n");
	test_true(pfn_of(AT(301)) == pfn_of(small + 3 * PAGE_SIZE), "KSM: page 301 is merged");
	stay("KSM");
	if (ksm_stop())
		ksft_exit_fail_msg("KSM\n");
	madvise(p, HPAGE_SIZE, MADV_UNMERGEABLE);
	area_free(small, 1);

	if (!file_write("/proc/sys/vm/compact_memory", "1"))
		ksft_exit_fail_perror("compact_memory");
	ksft_print_msg("%zu pages have moved since the split\n",
		       pages_moved(p, pfn, HPAGE_NR));
	stay("compaction");
	test_data(p, 0, HPAGE_SIZE, 2, "every byte in the end");

	gup_unpin(gup);
	longterm_unpin(pin);
	test_eq(pins_all(), 0, "unpinned, pins");
	test_eq(madvise(p, HPAGE_SIZE, MADV_COLLAPSE), 0, "MADV_COLLAPSE then");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	ksft_finished();
}
