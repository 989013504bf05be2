// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page of which every page is pinned isn't split when memory is short: not
 * by reclaim, MADV_PAGEOUT, or the shrinkers of huge pages that are mapped in part
 * or mostly zeroes. There is nothing in it that could be freed. With one page that
 * isn't pinned there is, and it is split.
 */
#include "tail.h"

#define THP	"/sys/kernel/mm/transparent_hugepage/"

static char *p;

/* 3 results: @nr pages from @first on are pinned, and it is split or not */
static void short_of_memory(const char *what, void (*shrink)(void), size_t first,
			    size_t nr, long splits)
{
	long split, failed;
	int pin;

	p = huge_pages(1, 1);
	pin = gup_pin(AT(first), nr * PAGE_SIZE);
	split = vmstat("thp_split_page");
	failed = vmstat("thp_split_page_failed");
	ksft_print_msg("%s, %zu pages pinned\n", what, nr);
	shrink();
	test_vmstat("thp_split_page", split, splits);
	test_vmstat("thp_split_page_failed", failed, 0);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	gup_unpin(pin);
	area_free(p, 1);
}

static void reclaim(void)
{
	madvise(p, HPAGE_SIZE, MADV_COLD);
	memcg_reclaim(8 * HPAGE_SIZE);
	memcg_reclaim(8 * HPAGE_SIZE);
}

static void pageout(void)
{
	madvise(p, HPAGE_SIZE, MADV_PAGEOUT);
}

static void drop_slab(void)
{
	int i;

	for (i = 0; i < 5; i++)
		if (!file_write("/proc/sys/vm/drop_caches", "2"))
			ksft_exit_fail_perror("drop_caches");
}

/* 4 results: page 100 is dropped, so the shrinker would like to split it. */
static void dropped(size_t nr, long splits)
{
	long split, failed, kb;
	int pin;

	p = huge_pages(1, 1);
	pin = gup_pin(p, nr * PAGE_SIZE);
	split = vmstat("thp_split_page");
	failed = vmstat("thp_split_page_failed");
	ksft_print_msg("page 100 dropped, %zu pages pinned\n", nr);
	madvise(AT(100), PAGE_SIZE, MADV_DONTNEED);
	kb = file_number(MEMCG "memory.current", NULL) / 1024;
	drop_slab();
	test_vmstat("thp_split_page", split, splits);
	test_vmstat("thp_split_page_failed", failed, 0);
	gup_unpin(pin);
	/* It isn't forgotten: what was in the way is gone. */
	drop_slab();
	test_vmstat("thp_split_page", split, 1);
	test_min(kb - file_number(MEMCG "memory.current", NULL) / 1024, 4, "kB freed");
	area_free(p, 1);
}

/* 3 results: all but page 0 are zeroes, and @nr pages are pinned */
static void underused(size_t nr, long splits)
{
	long split = vmstat("thp_underused_split_page"), rss;
	int pin;

	p = huge_area(1);
	*(volatile char *)p = 1;
	pin = gup_pin(p, nr * PAGE_SIZE);
	ksft_print_msg("zeroes, %zu pages pinned\n", nr);
	drop_slab();
	test_vmstat("thp_underused_split_page", split, splits);
	rss = smaps_kb(p, HPAGE_SIZE, "Rss");
	test_eq(rss, splits ? 4 * (long)nr : (long)HPAGE_KB, "kB mapped that are not the zero page");
	AT(nr - 1)[8] = 2;
	test_eq(AT(nr - 1)[8], 2, "the last pinned page can be written to");
	gup_unpin(pin);
	area_free(p, 1);
}

int main(void)
{
	tail_start(5 * 3 + 3 * 4 + 3 * 3);
	memcg_enter();
	swap_start();
	p = huge_pages(1, 1);
	gup_unpin(gup_pin(p, HPAGE_SIZE));	/* not in ZONE_MOVABLE any more */
	area_free(p, 1);

	short_of_memory("reclaim", reclaim, 0, HPAGE_NR, 0);
	short_of_memory("reclaim", reclaim, 0, HPAGE_NR - 1, 1);
	short_of_memory("reclaim", reclaim, 1, HPAGE_NR - 1, 1);
	short_of_memory("MADV_PAGEOUT", pageout, 0, HPAGE_NR, 0);
	short_of_memory("MADV_PAGEOUT", pageout, 7, 1, 1);
	dropped(HPAGE_NR, 0);
	dropped(HPAGE_NR - 1, 1);
	dropped(1, 1);
	set_until_exit(THP "khugepaged/max_ptes_none", 100);
	set_until_exit(THP "shrink_underused", 1);
	underused(HPAGE_NR, 0);
	/* 99 pages of zeroes that aren't pinned are too few. */
	underused(HPAGE_NR - 99, 0);
	underused(1, 1);
	ksft_finished();
}
