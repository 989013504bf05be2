// SPDX-License-Identifier: GPL-2.0
/*
 * A process forks while others split its huge page, of which it has two pages
 * pinned. The split holds migration entries in their place for a while, which a
 * fork must not take for pages that can be shared: the child always has copies of
 * these two, the parent always keeps them. RACE_SECS says how long it takes.
 */
#include <sched.h>

#include "bench.h"
#include "tail.h"

static volatile struct {
	bool go, stop;
} *sh;
static char *p;
static unsigned long pfn[2];

static void split_all(void)
{
	while (!sh->stop) {
		if (sh->go)
			file_write("/sys/kernel/debug/split_huge_pages", "1");
		else
			sched_yield();
	}
}

static int child(void *arg)
{
	return pfn_of(AT(5)) == pfn[0] || pfn_of(AT(511)) == pfn[1] ||
	       AT(5)[3] != 'p' || AT(511)[3] != 'q';
}

int main(void)
{
	int i, pins[2], shared = 0, lost = 0, wrong = 0;
	long end, race_end, split = vmstat("thp_split_page");
	char buf[PAGE_SIZE];
	pid_t pid;

	tail_start(6);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		split_all();
		_exit(0);
	}
	race_end = now_ms() + 1000 * number_from_env("RACE_SECS", 2);
	for (i = 0; now_ms() < race_end; i++) {
		p = huge_area(1);
		memset(p, 0, HPAGE_SIZE);
		pins[0] = gup_pin(AT(5), PAGE_SIZE);
		pins[1] = longterm_pin(AT(511), PAGE_SIZE);
		AT(5)[3] = 'p';
		AT(511)[3] = 'q';
		pfn[0] = pfn_of(AT(5));
		pfn[1] = pfn_of(AT(511));
		sh->go = true;
		for (end = now_ns() + i * 37 % 300 * 1000; now_ns() < end;)
			;
		shared += in_child(child, NULL) != 0;
		AT(5)[9] = i;
		AT(511)[9] = i;
		gup_read(pins[0], buf);
		wrong += buf[9] != (char)i || buf[3] != 'p';
		lost += pfn_of(AT(5)) != pfn[0] || pfn_of(AT(511)) != pfn[1];
		sh->go = false;
		gup_unpin(pins[0]);
		longterm_unpin(pins[1]);
		area_free(p, 1);
	}
	sh->stop = true;
	ksft_print_msg("%d rounds\n", i);
	test_eq(child_status(pid), 0, "who splits");
	test_vmstat_min("thp_split_page", split, 1);
	test_eq(shared, 0, "children that got a pinned page");
	test_eq(lost, 0, "pinned pages that the parent lost");
	test_eq(wrong, 0, "bytes that didn't get to the pinned page");
	test_eq(pins_all(), 0, "pins");
	ksft_finished();
}
