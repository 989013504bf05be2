// SPDX-License-Identifier: GPL-2.0
/*
 * A page that was copied for a read-only pin, or taken out of KSM, isn't lost when a
 * later child calls MADV_FREE for what it shares: it was the parent's, which never
 * gave it back. The copy was neither dirty nor in the swap cache, so MADV_FREE took
 * it for one that it alone maps, and reclaim dropped it.
 */
#include "mmtest.h"

#define NR	64
#define LEN	(NR * PAGE_SIZE)

static char *p;
static char copy[LEN];

static int nothing(void)
{
	turn_over();
	return 0;
}

static int frees(void *unused)
{
	return madvise(p, LEN, MADV_FREE);
}

static int keeps(void *unused)
{
	return 0;
}

/* 3 results: a child shares the pages, they are unshared, a second child comes */
static void unshared(const char *what, void (*unshare)(void), int (*second)(void *))
{
	unsigned long pfn[NR];
	pid_t pid;

	p = small_area(1);
	pattern_fill(p, 0, LEN, 1);
	pfns_of(p, pfn, NR);
	pid = turns_start(nothing);
	if (unshare)
		unshare();
	test_eq(pages_moved(p, pfn, NR), unshare ? NR : 0, "%s: pages copied", what);
	turns_end();
	child_status(pid);
	test_eq(in_child(second, NULL), 0, "%s: the second child", what);
	madvise(p, LEN, MADV_PAGEOUT);
	test_data(p, 0, LEN, 1, "%s: every byte", what);
	area_free(p, 1);
}

static void by_pin(void)
{
	int pin = longterm_pin(p, LEN);

	longterm_unpin(pin);
}

static void by_read(void)
{
	struct iovec to = { copy, LEN }, from = { p, LEN };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != LEN)
		ksft_exit_fail_perror("process_vm_readv");
}

int main(void)
{
	test_plan(4 * 3);
	swap_start();
	unshared("not unshared, the child frees", NULL, frees);
	unshared("read by process_vm_readv(), the child doesn't", by_read, keeps);
	unshared("read by process_vm_readv(), the child frees", by_read, frees);
	unshared("pinned, the child frees", by_pin, frees);
	ksft_finished();
}
