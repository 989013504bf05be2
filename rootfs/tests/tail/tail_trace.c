// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints tell each page that is pinned and unpinned, the pins of a huge page
 * that aren't any page's, and that a split has found them.
 */
#include "tail.h"

int main(void)
{
	/* What is said of the huge page, its first pfn taken off */
	static const struct {
		const char *event;
		long page, nr;
		int pins;
	} want[] = {
		{ "get", 5, 8, 8 },
		{ "get", 511, 1, 9 },
		{ "put", 511, 1, 8 },
		{ "opaque", 20, 10, 18 },	/* several pages */
		{ "put", 0, 9, 9 }, { "put", 0, 1, 8 },
		{ "put", 5, 8, 0 },
		{ "get", 7, 1, 1 }, { "put", 7, 1, 0 },
	};
	unsigned long folio, pfn, first;
	char line[512], event[32];
	unsigned int n = 0, split = 0;
	int pins, gup;
	char *p;
	long nr;
	FILE *f;

	tail_start(ARRAY_SIZE(want) + 2);
	p = huge_pages(1, 1);
	gup_unpin(gup_pin(p, HPAGE_SIZE));	/* not in ZONE_MOVABLE any more */
	first = pfn_of(p);
	trace_clear();
	if (!file_write(TRACING "events/subpage_pins/enable", "1"))
		ksft_exit_fail_perror(TRACING);
	gup = gup_pin(p + 5 * PAGE_SIZE, 8 * PAGE_SIZE);
	longterm_unpin(longterm_pin(p + 511 * PAGE_SIZE, PAGE_SIZE));
	longterm_unpin(longterm_pin(p + 20 * PAGE_SIZE, 10 * PAGE_SIZE));
	gup_unpin(gup);
	gup = gup_pin(p + 7 * PAGE_SIZE, PAGE_SIZE);
	debugfs_split(p, HPAGE_SIZE, 4);
	gup_unpin(gup);
	file_write(TRACING "events/subpage_pins/enable", "0");

	f = fopen(TRACING "trace", "re");
	if (!f)
		ksft_exit_fail_perror(TRACING "trace");
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "subpage_pins_");

		if (at && sscanf(at, "subpage_pins_split: folio=%lx order=9 new_order=4 pins=%d ready",
				 &folio, &pins) == 2)
			split += folio == first && pins == 1;
		if (!at || sscanf(at, "subpage_pins_%31[a-z]: folio=%lx pfn=%lx nr=%ld pincount=%d",
				  event, &folio, &pfn, &nr, &pins) != 5)
			continue;
		if (n < ARRAY_SIZE(want))
			ksft_test_result(!strcmp(event, want[n].event) && folio == first &&
					 pfn == first + want[n].page &&
					 nr == want[n].nr && pins == want[n].pins,
					 "%s, page %ld and on, %ld, %d pins # %s, %ld, %ld, %d\n",
					 want[n].event, want[n].page, want[n].nr,
					 want[n].pins, event, pfn - first, nr, pins);
		n++;
	}
	fclose(f);
	test_eq(n, ARRAY_SIZE(want), "events");
	test_eq(split, 1, "splits of it with one pin");
	ksft_finished();
}
