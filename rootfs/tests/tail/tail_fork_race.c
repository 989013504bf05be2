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

/* Processes that have the other pages, too: the split takes them that much longer */
#define SHARERS	8

static volatile struct {
	bool go, stop;
	long split_ns, fork_ns;		/* what these took the last time */
} *sh;
static pid_t sharer[SHARERS];
static char *p;
static unsigned long pfn[2];

static void wait_ns(long ns)
{
	long end = now_ns() + ns;

	while (now_ns() < end)
		;
}

/* Splits all huge pages there are, each time it is told to, a little later */
static void split_all(void)
{
	long begin;
	int i;

	for (i = 0; !sh->stop; sched_yield()) {
		if (!sh->go)
			continue;
		sh->go = false;
		wait_ns(sh->fork_ns * (i++ * 61 % 100) / 100);
		begin = now_ns();
		file_write("/sys/kernel/debug/split_huge_pages", "1");
		sh->split_ns = now_ns() - begin;
	}
}

static int child(void *arg)
{
	return pfn_of(AT(5)) == pfn[0] || pfn_of(AT(511)) == pfn[1] ||
	       AT(5)[3] != 'p' || AT(511)[3] != 'q';
}

int main(void)
{
	int i, j, pins[2], shared = 0, lost = 0, wrong = 0;
	long begin, end, split = vmstat("thp_split_page");
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
	end = now_ms() + race_ms(3000);
	for (i = 0; now_ms() < end || (i < 100 && vmstat("thp_split_page") == split); i++) {
		p = huge_area(1);
		memset(p, 0, HPAGE_SIZE);
		pins[0] = gup_pin(AT(5), PAGE_SIZE);
		pins[1] = longterm_pin(AT(511), PAGE_SIZE);
		AT(5)[3] = 'p';
		AT(511)[3] = 'q';
		pfn[0] = pfn_of(AT(5));
		pfn[1] = pfn_of(AT(511));
		for (j = 0; j < SHARERS; j++) {
			sharer[j] = fork();
			if (!sharer[j]) {
				pause();
				_exit(0);
			}
		}
		begin = now_ns();
		sh->go = true;
		wait_ns(sh->split_ns * (i * 37 % 100) / 100);
		shared += in_child(child, NULL) != 0;
		sh->fork_ns = now_ns() - begin;
		AT(5)[9] = i;
		AT(511)[9] = i;
		gup_read(pins[0], buf);
		wrong += buf[9] != (char)i || buf[3] != 'p';
		lost += pfn_of(AT(5)) != pfn[0] || pfn_of(AT(511)) != pfn[1];
		for (j = 0; j < SHARERS; j++) {
			/* Not kill(-1), should the fork have failed */
			if (sharer[j] > 0 && !kill(sharer[j], SIGKILL))
				waitpid(sharer[j], NULL, 0);
		}
		gup_unpin(pins[0]);
		longterm_unpin(pins[1]);
		area_free(p, 1);
	}
	sh->stop = true;
	ksft_print_msg("%d rounds, split %ld us, fork %ld us\n", i, sh->split_ns / 1000,
		       sh->fork_ns / 1000);
	test_eq(child_status(pid), 0, "who splits");
	test_vmstat_min("thp_split_page", split, 1);
	test_eq(shared, 0, "children that got a pinned page");
	test_eq(lost, 0, "pinned pages that the parent lost");
	test_eq(wrong, 0, "bytes that didn't get to the pinned page");
	test_eq(pins_all(), 0, "pins");
	ksft_finished();
}
