// SPDX-License-Identifier: GPL-2.0
/*
 * A split maps the zero page where a page of the huge page has nothing but zeroes;
 * not so in the place of a pinned one, to which a device may be about to write.
 */
#include "tail.h"

int main(void)
{
	char *p, buf[PAGE_SIZE];
	unsigned long pfn;
	size_t zero;
	int pin;

	tail_start(7);
	p = huge_area(1);
	memset(p, 0, HPAGE_SIZE);
	pin = gup_pin(AT(5), PAGE_SIZE);
	AT(300)[0] = 1;
	pfn = pfn_of(AT(5));
	debugfs_split(p, HPAGE_SIZE, 0);
	zero = count_flagged(p, HPAGE_SIZE, KPF_ZERO_PAGE);
	test_eq(zero, HPAGE_NR - 2, "pages that are the zero page");
	test_eq(pfn_of(AT(5)), pfn, "page 5 is what it was, pfn");
	test_pins(AT(5), 0, 1, 1, "page 5");
	AT(5)[7] = 'x';
	test_eq(pfn_of(AT(5)), pfn, "written to, pfn");
	gup_read(pin, buf);
	test_eq(buf[7], 'x', "the byte in the pinned page");
	gup_unpin(pin);
	test_eq(pins_all(), 0, "pins");
	test_data(p, 6 * PAGE_SIZE, 300 * PAGE_SIZE, 0, "zeroes beside it");
	ksft_finished();
}
