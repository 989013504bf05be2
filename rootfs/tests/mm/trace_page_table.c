// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints tell each page table entry that is set or cleared, of small and of
 * huge pages: which address, what kind, which page.
 */
#include "mmtest.h"

#define EVENTS	"/sys/kernel/tracing/events/page_table_check/"
#define TRACE	"/sys/kernel/tracing/trace"

static char *p;		/* huge pages of addresses that are looked at */

static void trace_end(void)
{
	file_write(EVENTS "enable", "0");
}

/* How often it is said that entry @n of @size bytes was set or cleared */
static long traced(const char *event, size_t size, size_t n, const char *kind)
{
	unsigned long addr, got_size, got_nr, first = (unsigned long)p + n * size;
	char line[512], got_event[16], got_kind[16], *at;
	long found = 0;
	FILE *f;

	f = fopen(TRACE, "r");
	if (!f)
		ksft_exit_fail_perror(TRACE);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "page_table_");
		if (at && sscanf(at, "page_table_%15[a-z]: mm=%*s addr=0x%lx size=0x%lx nr=%lu kind=%15s",
				 got_event, &addr, &got_size, &got_nr, got_kind) == 5 &&
		    got_size == size && addr <= first && first < addr + got_nr * size &&
		    !strcmp(event, got_event) && !strcmp(kind, got_kind))
			found++;
	}
	fclose(f);
	return found;
}

#define test_traced(event, size, n, kind)				\
	test_min(traced(event, size, n, kind), 1, event " " kind ", %s page %d", \
		 (size) == PAGE_SIZE ? "small" : "huge", n)

static void test_size(size_t size)
{
	int i;

	for (i = 0; i < 4; i++)
		*(volatile char *)(p + i * size) = 1;
	test_traced("set", size, 0, "page");
	(void)*(volatile char *)(p + 4 * size);
	test_traced("set", size, 4, "zero");
	madvise(p, 5 * size, MADV_DONTNEED);
	test_traced("clear", size, 0, "page");
	test_traced("clear", size, 4, "zero");
	/* Out of ZONE_MOVABLE, by migration */
	*(volatile char *)(p + 5 * size) = 1;
	longterm_unpin(longterm_pin(p + 5 * size, PAGE_SIZE));
	if (movable_pages()) {
		test_traced("set", size, 5, "migration");
		test_traced("clear", size, 5, "migration");
	} else {
		ksft_test_result_skip("nothing is movable\n");
		ksft_test_result_skip("nothing is movable\n");
	}
	test_eq(traced("set", size, 7, "page"), 0, "an entry that nobody touched");
}

int main(void)
{
	test_start(7 + 7 + 3);
	if (access(EVENTS, F_OK))
		ksft_exit_skip("no page_table_check events in this kernel\n");
	atexit(trace_end);
	file_write(EVENTS "enable", "1");

	p = huge_area(8);
	test_size(HPAGE_SIZE);
	p = small_area(8);
	test_size(PAGE_SIZE);

	swap_start();
	*(volatile char *)(p + 6 * PAGE_SIZE) = 1;
	madvise(p + 6 * PAGE_SIZE, PAGE_SIZE, MADV_PAGEOUT);
	test_traced("set", PAGE_SIZE, 6, "swap");
	test_eq(*(volatile char *)(p + 6 * PAGE_SIZE), 1, "what was swapped out");
	test_traced("clear", PAGE_SIZE, 6, "swap");
	ksft_finished();
}
