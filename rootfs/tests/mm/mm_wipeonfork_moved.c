// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that was moved with its pages, and that a child gets wiped, is in the child as
 * memory that nothing was faulted into: it can be cut in two and becomes one area with
 * what is mapped next to it. It had the page offset of the parent's, which the pages had
 * where they were first.
 */
#include "mmtest.h"

#define LEN	(8 * PAGE_SIZE)

static char *to;

/* How many areas there are in a range */
static int areas(const char *from, size_t len)
{
	uintptr_t start = (uintptr_t)from, first, last;
	FILE *f = fopen("/proc/self/maps", "r");
	char line[256];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f))
		nr += sscanf(line, "%lx-%lx", &first, &last) == 2 &&
		      first < start + len && last > start;
	if (f)
		fclose(f);
	return nr;
}

/* Its status has two digits: areas while a page is read-only, areas in the end */
static int child(void *unused)
{
	int cut;

	mprotect(to + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	cut = areas(to, LEN);
	mprotect(to + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE);
	if (mmap(to + LEN, LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != to + LEN)
		return 0;
	madvise(to + LEN, LEN, MADV_WIPEONFORK);
	if (pattern_find_bad(to, 0, 2 * LEN, 0) >= 0)
		return 0;
	return 10 * cut + areas(to, 2 * LEN);
}

static void forked(const char *what, bool faulted, bool moved)
{
	char *from = hole_area(1);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	to = hole_area(1);
	if (mmap(moved ? from : to, LEN, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	if (faulted)
		pattern_fill(moved ? from : to, 0, LEN, 1);
	if (moved && mremap(from, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		ksft_exit_fail_perror("mremap");
	if (madvise(to, LEN, MADV_WIPEONFORK))
		ksft_exit_fail_perror("MADV_WIPEONFORK");
	test_eq(in_child(child, NULL), 31, "%s: a child's areas, cut, and with another", what);
	test_data(to, 0, LEN, faulted, "%s: the parent's bytes", what);
	munmap(to, LEN);
}

int main(void)
{
	test_plan(4 * 2);
	forked("not moved, not written", false, false);
	forked("not moved, written", true, false);
	forked("moved, not written", false, true);
	forked("moved, written", true, true);
	ksft_finished();
}
