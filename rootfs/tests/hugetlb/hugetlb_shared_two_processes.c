// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes share HugeTLB pages, inherited by fork and mapped from a file
 * at different addresses: what one writes the other sees, there is one page, and
 * it is there until the last of them is done with it. Truncation takes it away
 * from both.
 */
#include "hugetlb.h"

#define NR	2
#define LEN	(NR * HPAGE_SIZE)

static char *a, *p;
static int fd;

static struct shared {
	volatile unsigned long pfn;
	volatile int sig;
} *sh;

static int child(void)
{
	char *q;

	q = map_file(fd, LEN, MAP_SHARED);
	munmap(p, LEN);
	if (pattern_find_bad(a, 0, LEN, 1) >= 0)
		return 1;
	if (pattern_find_bad(q, 0, LEN, 2) >= 0)
		return 2;
	sh->pfn = pfn_of(q);
	turn_over();
	if (pattern_find_bad(a, 0, LEN, 3) >= 0)
		return 3;
	if (pattern_find_bad(q, 0, LEN, 4) >= 0)
		return 4;
	pattern_fill(a, 0, HPAGE_SIZE, 5);
	pattern_fill(q, HPAGE_SIZE, LEN, 6);
	turn_over();
	sh->sig = access_signal(q + HPAGE_SIZE, false);
	return pattern_find_bad(q, 0, HPAGE_SIZE, 4) >= 0 ? 5 : 0;
}

int main(void)
{
	pid_t pid;

	hugetlb_start(20, 2 * NR);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	a = hugetlb_map(NR, MAP_SHARED);
	fd = hugetlb_file(NR);
	p = map_file(fd, LEN, MAP_SHARED);
	test_pool(4, 4, 4, 0, "two shared mappings of 2");
	pattern_fill(a, 0, LEN, 1);
	pattern_fill(p, 0, LEN, 2);
	test_pool(4, 0, 0, 0, "all written to");

	pid = turns_start(child);
	test_true(sh->pfn == pfn_of(p), "a child that maps the file has the same page");
	test_eq(count_mapped(a, LEN, 2), NR * HPAGE_NR, "small pages mapped twice");
	test_eq(count_mapped(p, LEN, 2), NR * HPAGE_NR, "of the file");
	pattern_fill(a, 0, LEN, 3);
	pattern_fill(p, 0, LEN, 4);
	turn_over();
	test_data(a, 0, HPAGE_SIZE, 5, "what the child wrote");
	test_data(a, HPAGE_SIZE, LEN, 3, "what it didn't write");
	test_data(p, 0, HPAGE_SIZE, 4, "what it didn't write of the file");
	test_data(p, HPAGE_SIZE, LEN, 6, "what it wrote");
	test_pool(4, 0, 0, 0, "nothing was copied");
	test_eq(fallocate(fd, 0, 0, LEN), 0, "fallocate() of what is there");

	if (ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("ftruncate");
	test_eq(access_signal(p + HPAGE_SIZE + 7, true), SIGBUS, "signal behind the end of the file");
	test_pool(4, 1, 0, 0, "that page is free");
	turns_end();
	test_eq(child_status(pid), 0, "the child saw what was written");
	test_eq(sh->sig, SIGBUS, "its signal behind the end of the file");
	test_eq(count_mapped(a, LEN, 1), NR * HPAGE_NR, "small pages mapped once");
	area_free(a, NR);
	test_pool(4, 3, 0, 0, "munmap() of one mapping");
	area_free(p, NR);
	test_pool(4, 3, 0, 0, "munmap() of the file: it is still there");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	test_data(p, 0, HPAGE_SIZE, 4, "its bytes");
	area_free(p, 1);
	close(fd);
	test_pool(4, 4, 0, 0, "the end of the file");
	ksft_finished();
}
