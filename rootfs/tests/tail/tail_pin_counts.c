// SPDX-License-Identifier: GPL-2.0
/*
 * The pins of each page of a huge page are counted: of one, of a range, of a page
 * that is pinned by several, whether the huge page is mapped by a PMD, by PTEs, or
 * not any more; and they are gone when the last is unpinned, in any order. Small
 * pages and 64 kB folios have theirs as well.
 */
#include "tail.h"

static char *p;

/* Pages 5 to 12 by gup_test, 7 and 511 by io_uring, 7 of these twice */
static void pin_and_unpin(int order, const char *how)
{
	long got = vmstat("nr_foll_pin_acquired"), put = vmstat("nr_foll_pin_released");
	int gup, seven, again, last;

	test_pins(AT(5), -1, 0, 0, "%s: no pin", how);
	gup = gup_pin(AT(5), 8 * PAGE_SIZE);
	test_pins(AT(4), order, 8, 0, "%s: 5 to 12 pinned, 4", how);
	test_pins(AT(5), order, 8, 1, "%s: 5 to 12 pinned, 5", how);
	test_pins(AT(12), order, 8, 1, "%s: 5 to 12 pinned, 12", how);
	test_pins(AT(13), order, 8, 0, "%s: 5 to 12 pinned, 13", how);
	seven = longterm_pin(AT(7), PAGE_SIZE);
	last = longterm_pin(AT(511), PAGE_SIZE);
	again = longterm_pin(AT(7), PAGE_SIZE);
	test_pins(AT(7), order, 11, 3, "%s: 7 and 511 more, 7 twice, 7", how);
	test_pins(AT(511), order, 11, 1, "%s: 7 and 511 more, 7 twice, 511", how);
	longterm_unpin(seven);
	test_pins(AT(7), order, 10, 2, "%s: 7 unpinned once", how);
	gup_unpin(gup);
	test_pins(AT(5), order, 2, 0, "%s: 5 to 12 unpinned, 5", how);
	test_pins(AT(7), order, 2, 1, "%s: 5 to 12 unpinned, 7", how);
	longterm_unpin(again);
	test_pins(AT(511), order, 1, 1, "%s: 7 unpinned, 511", how);
	longterm_unpin(last);
	test_pins(AT(511), -1, 0, 0, "%s: all unpinned", how);
	test_vmstat("nr_foll_pin_acquired", got, 11);
	test_vmstat("nr_foll_pin_released", put, 11);
}

static int pin_by_number(size_t first, size_t nr)
{
	int fd = gup_pin(AT(first), nr * PAGE_SIZE);
	int pins = pins_of(AT(first)).folio;

	gup_unpin(fd);
	return pins;
}

int main(void)
{
	int pin;

	tail_start(2 * 15 + 13 - 3);
	/* Not in ZONE_MOVABLE any more */
	p = huge_pages(1, 1);
	gup_unpin(gup_pin(p, HPAGE_SIZE));

	pin_and_unpin(9, "by PMD");
	test_eq(pin_by_number(0, 1), 1, "pins of 1 page");
	test_eq(pin_by_number(0, 512), 512, "pins of 512 pages");
	test_eq(pin_by_number(3, 509), 509, "pins of the last 509");
	madvise(AT(100), PAGE_SIZE, MADV_DONTNEED);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	pin_and_unpin(9, "by PTEs");
	test_data(p, 0, 100 * PAGE_SIZE, 1, "every byte");

	/* Unmapped before it is unpinned */
	pin = gup_pin(AT(101), 411 * PAGE_SIZE);
	test_eq(pins_all(), 411, "pins of 411 pages");
	area_free(p, 1);
	test_eq(pins_all(), 411, "unmapped, pins");
	gup_unpin(pin);
	test_eq(pins_all(), 0, "unpinned, pins");

	p = small_pages(1, 2);
	pin = gup_pin(AT(5), 8 * PAGE_SIZE);
	test_pins(AT(5), 0, 1, 1, "a small page");
	gup_unpin(pin);
	area_free(p, 1);

	p = area_64k(1);
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	pin = gup_pin(AT(30), 4 * PAGE_SIZE);
	test_pins(AT(31), 4, 2, 1, "64 kB, the last two pages");
	test_pins(AT(33), 4, 2, 1, "64 kB, the first two of the next");
	gup_unpin(pin);
	test_eq(pins_all(), 0, "all unpinned, pins");
	ksft_finished();
}
