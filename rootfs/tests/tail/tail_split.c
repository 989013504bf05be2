// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page of which some pages are pinned is split, to small pages and to
 * larger folios, evenly or not: each page keeps its frame and its pins, what is
 * written on one side of a pin is read on the other, and the last unpin of a page
 * that nobody maps any more frees that page.
 */
#include "tail.h"

static char *p, buf[8 * PAGE_SIZE], page6[PAGE_SIZE];

/* To @order, or unevenly around page @at; page 7's folio has @pins then */
static void split(int order, int at, int pins)
{
	static const int pages[] = { 0, 7, 7, 100, 511 };
	long split = vmstat("thp_split_page");
	int gup, pin[ARRAY_SIZE(pages)];
	unsigned long pfn;
	char cmd[128];
	size_t i;

	ksft_print_msg("to order %d%s\n", order, at < 0 ? "" : ", unevenly");
	p = huge_pages(1, 1);
	gup = gup_pin(AT(5), 8 * PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pin[i] = longterm_pin(AT(pages[i]), PAGE_SIZE);
	pfn = pfn_of(p);
	test_pins(p, 9, 13, 1, "13 pins");
	if (at < 0) {
		debugfs_split(p, HPAGE_SIZE, order);
	} else {
		snprintf(cmd, sizeof(cmd), "%d,0x%lx,0x%lx,%d,%d", getpid(),
			 (unsigned long)p, (unsigned long)p + PAGE_SIZE, order, at);
		if (!file_write("/sys/kernel/debug/split_huge_pages", cmd))
			ksft_exit_fail_perror(cmd);
	}
	test_vmstat("thp_split_page", split, 1);
	test_true(pfn_of(p) == pfn && pfns_follow(p, HPAGE_SIZE), "the same pages");
	test_eq(pins_all(), 13, "pins");
	test_pins(AT(7), order, pins, 3, "page 7");
	if (at < 0)
		test_pins(AT(511), order, 1, 1, "page 511");
	else
		test_pins(AT(511), 8, 1, 1, "page 511, of the other half");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	gup_read(gup, buf);
	test_true(!memcmp(buf, AT(5), sizeof(buf)), "what is written since is in the pinned pages");

	/* Nothing maps page 6 any more: what is in it, and that it is there */
	memcpy(page6, AT(6), PAGE_SIZE);
	munmap(AT(6), PAGE_SIZE);
	gup_read(gup, buf);
	test_true(!memcmp(buf, AT(5), PAGE_SIZE) &&
		  !memcmp(buf + PAGE_SIZE, page6, PAGE_SIZE) &&
		  !memcmp(buf + 2 * PAGE_SIZE, AT(7), 6 * PAGE_SIZE),
		  "page 6 unmapped, the pinned pages");
	test_eq(pins_of_pfn(pfn + 6).page, 1, "page 6 unmapped, its pins");
	gup_unpin(gup);
	test_eq(pins_all(), 5, "unpinned, pins");
	test_true(order ? !!(kpageflags(pfn + 6) & KPF_ANON) : !pfn_anon_unmapped(pfn + 6),
		  "%s", order ? "page 6 is still in use" : "page 6 isn't in use any more");
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		longterm_unpin(pin[i]);
	test_eq(pins_all(), 0, "all unpinned, pins");
	area_free(p, 1);
}

int main(void)
{
	tail_start(5 * 13);
	split(0, -1, 3);
	split(4, -1, 11);
	split(2, -1, 5);
	split(8, -1, 12);
	split(0, 7, 3);
	ksft_finished();
}
