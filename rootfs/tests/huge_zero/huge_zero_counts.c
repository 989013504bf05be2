// SPDX-License-Identifier: GPL-2.0
/*
 * The huge zero page has one reference for each PMD that maps it, and one more,
 * after each step: faults, fork, copy on write, every way to unmap, to split, to
 * move and to protect a part or all of it, exit; also if there are more small pages
 * beside it than are unmapped in one go.
 */
#include "huge_zero.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

#define NR	12
#define H(i)	(p + (i) * HPAGE_SIZE)

static char *p;

static int child(void)
{
	turn_over();		/* as forked */
	*(volatile char *)H(0) = 1;
	turn_over();
	madvise(H(1), HPAGE_SIZE, MADV_DONTNEED);
	turn_over();
	madvise(H(2) + 7 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	turn_over();
	munmap(H(3), 4 * HPAGE_SIZE);
	turn_over();
	force_read_pages(H(1), 1, PAGE_SIZE);
	turn_over();
	return 0;		/* with what is left mapped */
}

static char *remap(char *from, char *to, int flags)
{
	char *q = mremap(from, HPAGE_SIZE, HPAGE_SIZE,
			 MREMAP_MAYMOVE | MREMAP_FIXED | flags, to);

	if (q == MAP_FAILED)
		ksft_exit_fail_perror("mremap");
	return q;
}

#define NR_SMALL	24	/* times 512: struct mmu_gather takes 10,000 at a time */

/* Two huge zero pages, and small pages above them */
static char *beside_small(void)
{
	char *q = huge_area(2 + NR_SMALL);

	madvise(q + 2 * HPAGE_SIZE, NR_SMALL * HPAGE_SIZE, MADV_NOHUGEPAGE);
	force_read_pages(q, 2 * HPAGE_NR, PAGE_SIZE);
	memset(q + 2 * HPAGE_SIZE, 1, NR_SMALL * HPAGE_SIZE);
	return q;
}

static int small_child(void)
{
	beside_small();
	turn_over();
	return 0;
}

int main(void)
{
	char *q, *hole;
	pid_t pid;
	long zero = 0;
	int mem;

	huge_zero_start(39);
	q = beside_small();
	test_mapped(2, "beside many small pages");
	munmap(q, (2 + NR_SMALL) * HPAGE_SIZE);
	test_mapped(0, "unmapped with these");
	pid = turns_start(small_child);
	test_mapped(2, "in a child");
	turns_end();
	child_status(pid);
	test_mapped(0, "its exit");

	p = huge_area(NR);
	force_read_pages(p, 1, PAGE_SIZE);
	test_mapped(1, "a read");
	force_read_pages(p, NR * HPAGE_NR, PAGE_SIZE);
	test_mapped(NR, "reads of all");
	force_read_pages(p, NR * HPAGE_NR, PAGE_SIZE);
	test_mapped(NR, "the same again");

	pid = turns_start(child);
	test_mapped(2 * NR, "fork");
	turn_over();
	test_mapped(2 * NR - 1, "the child writes to one");
	turn_over();
	test_mapped(2 * NR - 2, "it drops one");
	turn_over();
	test_mapped(2 * NR - 3, "it drops a page of one");
	turn_over();
	test_mapped(2 * NR - 7, "it unmaps four");
	turn_over();
	test_mapped(2 * NR - 6, "it reads what it dropped");
	turns_end();
	test_eq(child_status(pid), 0, "the child");
	test_mapped(NR, "its exit");

	/* Whole ones */
	hole = hole_area(2);
	q = remap(H(0), hole, 0);
	test_mapped(NR, "moved by 2 MB");
	remap(q, H(0), 0);
	test_mapped(NR, "and back");
	remap(H(0), hole, MREMAP_DONTUNMAP);
	test_mapped(NR, "moved, the old range stays");
	force_read_pages(H(0), 1, PAGE_SIZE);
	test_mapped(NR + 1, "and is read");
	munmap(hole, HPAGE_SIZE);
	test_mapped(NR, "unmapped");
	mprotect(H(0), HPAGE_SIZE, PROT_NONE);
	test_mapped(NR, "PROT_NONE");
	pid = turns_start(child);
	test_mapped(2 * NR, "fork with PROT_NONE");
	kill(pid, SIGKILL);
	test_eq(child_status(pid), 128 + SIGKILL, "that child is killed");
	test_mapped(NR, "its death");
	mprotect(H(0), HPAGE_SIZE, PROT_READ);
	test_mapped(NR, "read-only");
	madvise(H(0), HPAGE_SIZE, MADV_FREE);
	madvise(H(0), HPAGE_SIZE, MADV_COLD);
	madvise(H(0), HPAGE_SIZE, MADV_PAGEOUT);
	madvise(H(0), HPAGE_SIZE, MADV_COLLAPSE);
	test_mapped(NR, "MADV_FREE, COLD, PAGEOUT and COLLAPSE");
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	test_eq(pwrite(mem, &zero, 8, (off_t)H(0)), 8, "bytes written by /proc/self/mem");
	test_mapped(NR - 1, "that");
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes");

	/* Parts */
	munmap(H(1) + 300 * PAGE_SIZE, PAGE_SIZE);
	test_mapped(NR - 2, "a page unmapped");
	mprotect(H(2), PAGE_SIZE, PROT_NONE);
	test_mapped(NR - 3, "a page PROT_NONE");
	remap(H(3), hole + PAGE_SIZE, 0);
	test_mapped(NR - 4, "moved by a page more");
	madvise(H(4), 3 * PAGE_SIZE, MADV_GUARD_INSTALL);
	test_mapped(NR - 5, "three guard pages");
	if (mremap(H(5) + 256 * PAGE_SIZE, HPAGE_SIZE / 2, HPAGE_SIZE / 2,
		   MREMAP_MAYMOVE | MREMAP_FIXED, H(1)) == MAP_FAILED)
		ksft_exit_fail_perror("mremap");
	test_mapped(NR - 6, "the second half moved");
	*(volatile char *)H(6) = 1;
	test_mapped(NR - 7, "a write");
	test_data(p, 8 * HPAGE_SIZE, NR * HPAGE_SIZE, 0, "zeroes in the others");
	munmap(p, NR * HPAGE_SIZE);
	test_freed("all unmapped");
	ksft_finished();
}
