// SPDX-License-Identifier: GPL-2.0
/*
 * Copy on write of HugeTLB pages after a fork: by the child, by the parent, and
 * with no page left for a copy: then a child dies of SIGBUS when it writes, and
 * the parent, whose reservation it is, takes the page away from the child.
 */
#include "hugetlb.h"

static char *p;

static volatile long *child_free;	/* pages free, as a child has seen it */

static int child_writes(void *arg)
{
	unsigned long pfn = pfn_of(p);

	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	*child_free = pool("free_hugepages");
	if (pfn_of(p) == pfn)
		return 2;
	return pattern_find_bad(p, 0, HPAGE_SIZE, 2) >= 0 ? 3 : 0;
}

static int child_waits(void)
{
	unsigned long pfn = pfn_of(p);

	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	turn_over();
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 2;
	return pfn_of(p) != pfn;
}

static int child_writes_too_much(void *arg)
{
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	*(volatile char *)p = 2;
	return 2;
}

/* Runs into what the parent took away */
static int child_loses(void)
{
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	turn_over();
	FORCE_READ(p[5 * PAGE_SIZE]);
	return 2;
}

int main(void)
{
	unsigned long pfn;
	pid_t pid;

	hugetlb_start(24, 4);
	child_free = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	/* The child's copy */
	p = hugetlb_pages(1, 1);
	test_pool(4, 3, 0, 0, "one page written to");
	pfn = pfn_of(p);
	test_eq(in_child(child_writes, NULL), 0, "a child reads it, writes to a copy");
	test_eq(*child_free, 2, "free then");
	test_pool(4, 3, 0, 0, "free when it has ended");
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_true(pfn_of(p) == pfn, "alone again, the parent writes in place");

	/* The parent's copy */
	pid = turns_start(child_waits);
	test_eq(kpagecount(pfn), 2, "times that the page is mapped with a child");
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	test_pool(4, 2, 0, 0, "the parent writes first");
	test_true(pfn_of(p) != pfn, "to a copy");
	turns_end();
	test_eq(child_status(pid), 0, "the child keeps page and bytes");
	test_data(p, 0, HPAGE_SIZE, 3, "the parent's bytes");
	test_pool(4, 3, 0, 0, "free when it has ended");

	/* No page for a copy: the child writes */
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	pool_resize(1);
	test_pool(1, 0, 0, 0, "a pool of just that page");
	test_eq(in_child(child_writes_too_much, NULL), 128 + SIGBUS, "a child that writes dies of signal 128 +");
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");
	test_pool(1, 0, 0, 0, "no change");

	/* No page for a copy: the parent writes */
	pfn = pfn_of(p);
	pid = turns_start(child_loses);
	pattern_fill(p, 0, HPAGE_SIZE, 4);
	test_true(pfn_of(p) == pfn, "the parent writes to the only page");
	test_eq(kpagecount(pfn), 1, "times that it is mapped, the child alive");
	test_pool(1, 0, 0, 0, "no change");
	turns_end();
	test_eq(child_status(pid), 128 + SIGBUS, "the child dies of signal 128 + when it reads");
	test_data(p, 0, HPAGE_SIZE, 4, "the parent's bytes");
	pattern_fill(p, 0, HPAGE_SIZE, 5);
	test_data(p, 0, HPAGE_SIZE, 5, "the parent writes again");
	area_free(p, 1);
	test_pool(1, 1, 0, 0, "munmap()");
	test_true(hugetlb_pages(1, 6), "another can have it");
	ksft_finished();
}
