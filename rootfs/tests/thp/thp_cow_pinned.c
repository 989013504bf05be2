// SPDX-License-Identifier: GPL-2.0
/*
 * A fork while a huge page is pinned for long gives the child a copy at once:
 * the parent keeps the pinned memory whatever either of them writes.
 */
#include "mmtest.h"

static char *p;
static unsigned long pfn;

static int child(void *seed)
{
	return child_has_copy(p, pfn, (uintptr_t)seed);
}

int main(void)
{
	int pin;

	test_start(6);
	p = huge_pages(1, 1);
	pin = longterm_pin(p, HPAGE_SIZE);
	pfn = pfn_of(p);
	test_eq(in_child(child, (void *)1), 0, "a child has a copy and writes to it");
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	test_true(pfn_of(p) == pfn && pfns_follow(p, HPAGE_SIZE),
		  "the parent writes to the pinned memory");
	test_data(p, 0, HPAGE_SIZE, 3, "what it wrote");
	longterm_unpin(pin);
	test_eq(in_child(child, (void *)3), 2, "unpinned, a child shares it again");
	test_data(p, 0, HPAGE_SIZE, 3, "the parent's bytes");
	ksft_finished();
}
