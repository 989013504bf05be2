// SPDX-License-Identifier: GPL-2.0
/*
 * A fork while a HugeTLB page is pinned for long gives the child a copy at once:
 * the parent keeps the pinned memory whatever either of them writes. With no
 * page left for a copy there is no child.
 */
#include "hugetlb.h"

static char *p;
static unsigned long pfn;
static volatile long *child_free;

static int child(void *seed)
{
	*child_free = pool("free_hugepages");
	return child_has_copy(p, pfn, (uintptr_t)seed);
}

int main(void)
{
	pid_t pid;
	int pin;

	hugetlb_start(14, 2);
	child_free = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p = hugetlb_pages(1, 1);
	pin = longterm_pin(p, HPAGE_SIZE);
	test_pool(2, 1, 0, 0, "one page, pinned");
	pfn = pfn_of(p);
	test_eq(in_child(child, (void *)1), 0, "a child has a copy and writes to it");
	test_eq(*child_free, 0, "pages free when it began");
	test_pool(2, 1, 0, 0, "its copy is free again");
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	test_true(pfn_of(p) == pfn, "the parent writes to the pinned memory");
	test_data(p, 0, HPAGE_SIZE, 3, "what it wrote");

	/* Nothing to copy to */
	pool_resize(1);
	test_pool(1, 0, 0, 0, "a pool of just that page");
	fflush(stdout);
	errno = 0;
	pid = fork();
	if (!pid)
		_exit(0);
	test_true(pid == -1 && errno == ENOMEM, "ENOMEM for a fork");
	if (pid > 0)
		child_status(pid);
	test_data(p, 0, HPAGE_SIZE, 3, "the parent's bytes");
	pattern_fill(p, 0, HPAGE_SIZE, 4);
	test_true(pfn_of(p) == pfn, "it writes to the pinned memory");

	longterm_unpin(pin);
	test_eq(in_child(child, (void *)4), 2, "unpinned, a child shares it again");
	test_data(p, 0, HPAGE_SIZE, 4, "the parent's bytes");
	area_free(p, 1);
	test_pool(1, 1, 0, 0, "munmap()");
	ksft_finished();
}
