// SPDX-License-Identifier: GPL-2.0
/*
 * What happens beside a pinned page of a huge page isn't held up by it: when the
 * other pages are dropped, unmapped, marked cold, swapped out or taken offline,
 * the huge page is split. The pinned pages stay what and where they are.
 */
#include "tail.h"

static char *p;
static unsigned long pfn;
static int pin;

static void pinned_page(const char *before)
{
	ksft_print_msg("%s\n", before);
	p = huge_pages(1, 1);
	pin = gup_pin(AT(7), PAGE_SIZE);
	pfn = pfn_of(AT(7));
}

/* 5 results: it is of @order now, and all there */
static void still_pinned(int order)
{
	char buf[PAGE_SIZE];

	test_pins(AT(7), order, 1, 1, "page 7");
	test_true(pfn_of(AT(7)) == pfn, "page 7 where it was");
	test_data(p, 7 * PAGE_SIZE, 8 * PAGE_SIZE, 1, "its bytes");
	AT(7)[5] = 'x';
	gup_read(pin, buf);
	test_eq(buf[5], 'x', "a byte written to it, read through the pin");
	gup_unpin(pin);
	test_eq(pins_all(), 0, "unpinned, pins");
	area_free(p, 1);
}

static void cold(void)
{
	long split = vmstat("thp_split_page");

	pinned_page("MADV_COLD of page 100");
	madvise_cold(AT(100));
	test_vmstat("thp_split_page", split, 1);
	still_pinned(0);
}

/* Reclaim splits the huge page and frees nearly @kb of it: 2 results. */
static void test_reclaim(long kb)
{
	long split = vmstat("thp_split_page"), after;
	long before = file_number(MEMCG "memory.current", NULL) / 1024;

	memcg_reclaim(HPAGE_SIZE);
	after = file_number(MEMCG "memory.current", NULL) / 1024;
	test_vmstat("thp_split_page", split, 1);
	ksft_print_msg("memory.current %ld -> %ld kB\n", before, after);
	test_min(before - after, kb * 9 / 10, "kB freed");
}

static void dropped(void)
{
	long split = vmstat("thp_split_page");

	pinned_page("all but pages 6 to 8 unmapped or dropped, memory is short");
	munmap(p, 6 * PAGE_SIZE);
	madvise(AT(9), HPAGE_SIZE - 9 * PAGE_SIZE, MADV_DONTNEED);
	test_vmstat("thp_split_page", split, 0);
	test_reclaim(HPAGE_KB - 12);
	still_pinned(0);
}

/* The pinned page itself isn't mapped any more. */
static void unmapped(void)
{
	char buf[PAGE_SIZE], was[PAGE_SIZE];

	pinned_page("all but page 100 unmapped, memory is short");
	memcpy(was, AT(7), PAGE_SIZE);
	munmap(p, 100 * PAGE_SIZE);
	munmap(AT(101), HPAGE_SIZE - 101 * PAGE_SIZE);
	test_reclaim(HPAGE_KB - 8);
	test_eq(pins_of_pfn(pfn).page, 1, "page 7 has pins");
	gup_read(pin, buf);
	test_true(!memcmp(buf, was, PAGE_SIZE), "its bytes");
	test_true(pfn_anon_unmapped(pfn), "it is in use");
	gup_unpin(pin);
	test_eq(pins_of_pfn(pfn).page, 0, "unpinned, pins");
	test_true(!pfn_anon_unmapped(pfn), "it isn't in use any more");
	test_data(p, 100 * PAGE_SIZE, 101 * PAGE_SIZE, 1, "page 100's bytes");
	munmap(AT(100), PAGE_SIZE);
}

static void swapped(void)
{
	long split = vmstat("thp_split_page");
	size_t i, out = 0;

	pinned_page("swapped out");
	memcg_reclaim(2 * HPAGE_SIZE);
	test_vmstat("thp_split_page", split, 1);
	for (i = 0; i < HPAGE_NR; i++)
		out += in_swap(AT(i));
	test_min(out, HPAGE_NR - 64, "pages in swap");
	test_eq(in_swap(AT(7)), 0, "page 7 in swap");
	still_pinned(0);
}

static void offline(void)
{
	long split = vmstat("thp_split_page");
	unsigned long bad;

	pinned_page("page 100 taken offline");
	bad = pfn_of(AT(100));
	test_eq(madvise(AT(100), PAGE_SIZE, MADV_SOFT_OFFLINE), 0, "MADV_SOFT_OFFLINE");
	test_vmstat("thp_split_page", split, 1);
	test_true(pfn_of(AT(100)) != bad, "page 100 moved");
	test_data(p, 100 * PAGE_SIZE, 101 * PAGE_SIZE, 1, "its bytes");
	test_eq(unpoison_memory(bad), 0, "what it left can be declared good");
	still_pinned(0);
}

int main(void)
{
	tail_start(6 + 8 + 8 + 8 + 10);
	memcg_enter();
	swap_start();
	cold();
	dropped();
	unmapped();
	swapped();
	offline();
	ksft_finished();
}
