// SPDX-License-Identifier: GPL-2.0
/* Tracepoints tell each reference of the huge zero page, with the count left. */
#include "huge_zero.h"


static void trace(bool on)
{
	static const char * const events[] = { "alloc", "free", "get", "put" };
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), TRACING
			 "events/huge_memory/huge_zero_folio_%s/enable", events[i]);
		if (!file_write(path, on ? "1" : "0"))
			ksft_exit_fail_perror(path);
	}
}

int main(void)
{
	static const struct {
		const char *event;
		int count;
	} want[] = {
		{ "alloc", 2 }, { "get", 3 },	/* two reads */
		{ "get", 4 }, { "put", 3 },	/* a third, dropped */
		{ "put", 1 },			/* both unmapped at once */
		{ "free", 0 },
	};
	char line[512], event[32];
	unsigned int n = 0;
	long pfn, got_pfn;
	int count;
	char *p;
	FILE *f;

	huge_zero_start(ARRAY_SIZE(want) + 1);
	trace(true);
	trace_clear();
	p = huge_zero_area(2);
	pfn = huge_zero("pfn");
	munmap(huge_zero_area(1), HPAGE_SIZE);
	area_free(p, 2);
	huge_zero_shrink();
	trace(false);

	f = fopen(TRACING "trace", "re");
	if (!f)
		ksft_exit_fail_perror(TRACING "trace");
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "huge_zero_folio_");

		if (!at || sscanf(at, "huge_zero_folio_%31[a-z]: pfn=%ld count=%d",
				  event, &got_pfn, &count) != 3)
			continue;
		if (n < ARRAY_SIZE(want))
			ksft_test_result(!strcmp(event, want[n].event) &&
					 got_pfn == pfn && count == want[n].count,
					 "%s, count %d # %s, pfn %ld, count %d\n",
					 want[n].event, want[n].count, event,
					 got_pfn, count);
		n++;
	}
	fclose(f);
	test_eq(n, ARRAY_SIZE(want), "events");
	ksft_finished();
}
