// SPDX-License-Identifier: GPL-2.0
/*
 * What a driver has mapped, here a ring of io_uring, may share a page table with
 * memory of the process. When neither has an entry left, the table goes, whether the
 * driver's mapping is still there or not.
 */
#include <sys/syscall.h>

#include "pte_ref.h"

#define PARAMS_SIZE	120
#define LEN		(8 * HPAGE_SIZE + PAGE_SIZE)

static int ring_open(void)
{
	uint64_t params[PARAMS_SIZE / 8] = { 0 };
	int fd = syscall(__NR_io_uring_setup, 4, params);

	if (fd < 0)
		ksft_exit_skip("no io_uring in this kernel\n");
	return fd;
}

/* A ring right below @p. It can't be asked for, but that is where the kernel looks. */
static char *ring_below(int fd, char *p)
{
	char *ring = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, fd, 0);

	if (ring == MAP_FAILED)
		ksft_exit_fail_perror("mmap of a ring");
	if (ring != p - PAGE_SIZE)
		ksft_exit_skip("the ring is at %p, not below %p\n", ring, p);
	return ring;
}

int main(void)
{
	char *p, *ring, *area;
	int fd, i;

	pte_plan(6);
	fd = ring_open();
	/* All is mapped from @p on, and nothing below it. (Huge lengths get aligned.) */
	area = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	p = (char *)(((uintptr_t)area + 3 * HPAGE_SIZE) & ~(HPAGE_SIZE - 1)) + HPAGE_SIZE / 2;
	munmap(area, p - area);
	madvise(p, area + LEN - p, MADV_NOHUGEPAGE);
	/* The upper page tables stay. */
	p[2 * HPAGE_SIZE] = 1;
	pte_count_from_here();
	for (i = 0; i < 2; i++) {
		ring = ring_below(fd, p);
		*p = 1;
		madvise(p, PAGE_SIZE, MADV_DONTNEED);
		usleep(300000);
		test_eq(pte_tables(), 1, "a ring is mapped: tables");
		if (i)
			munmap(ring, PAGE_SIZE);
		else if (madvise(ring, PAGE_SIZE, MADV_DONTNEED))
			ksft_exit_fail_perror("MADV_DONTNEED of a ring");
		test_tables(0, "%s", i ? "unmapped" : "zapped");
		if (!i)
			munmap(ring, PAGE_SIZE);
		*p = 1;
		test_eq(*p, 1, "the memory next to it");
		madvise(p, PAGE_SIZE, MADV_DONTNEED);
	}
	ksft_finished();
}
