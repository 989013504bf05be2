// SPDX-License-Identifier: GPL-2.0
/*
 * PMD page tables of which every entry was a huge page go when the last of those
 * does, as they do after small pages. So do those that a child gets of a parent who
 * has just emptied its own.
 */
#include "pte_ref.h"

#define GB	(1UL << 30)
#define NR	8

static char *p;
static long before;

/* Address space of @NR whole PMD page tables, the first and last of the VMA apart */
static char *whole_area(void)
{
	char *area = mmap(NULL, (NR + 2) * GB, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	return (char *)(((uintptr_t)area + GB - 1) & ~(GB - 1));
}

/* ... and let the worker look at the new tables, so that it has no need to any more */
static void touch(void)
{
	size_t i;

	for (i = 0; i < NR; i++)
		p[i * GB + 6 * HPAGE_SIZE] = 1;
	if (!file_write("/sys/kernel/debug/pte_ref/flush", "1"))
		ksft_exit_fail_perror("flush");
}

/* Wait for a VmPTE of not more than @most kB above that of before */
static long kb_left(long most)
{
	long start = now_ms(), kb;

	do {
		usleep(5000);
		kb = vmpte() - before;
	} while (kb > most && now_ms() - start < PTE_MS);
	return kb;
}

static int child(void *unused)
{
	long at_fork = vmpte() - before, kb = kb_left(4);

	ksft_print_msg("the child: %ld kB more at fork, %ld kB after a while\n", at_fork, kb);
	return kb > 4;
}

int main(void)
{
	long kb;

	pte_plan(6);
	if (!thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	pte_count_from_here();
	p = whole_area();
	before = vmpte();
	madvise(p, NR * GB, MADV_HUGEPAGE);
	touch();
	test_min(vmpte() - before, 8 * NR, "kB of page tables for %d huge pages", NR);
	madvise(p, NR * GB, MADV_DONTNEED);
	kb = kb_left(4);
	test_true(kb <= 4, "%ld kB more when they are given back", kb);

	touch();
	madvise(p, NR * GB, MADV_DONTNEED);
	test_eq(in_child(child, NULL), 0, "a child's, too");
	kb = kb_left(4);
	test_true(kb <= 4, "%ld kB more in the parent", kb);

	/* One of two stays */
	touch();
	p[7 * HPAGE_SIZE] = 1;
	madvise(p + 6 * HPAGE_SIZE, HPAGE_SIZE, MADV_DONTNEED);
	madvise(p + GB, (NR - 1) * GB, MADV_DONTNEED);
	kb = kb_left(8);
	test_true(kb <= 8, "%ld kB more for one that is in use", kb);
	test_eq(p[7 * HPAGE_SIZE], 1, "what is in it");
	ksft_finished();
}
