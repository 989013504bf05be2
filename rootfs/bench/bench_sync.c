// SPDX-License-Identifier: GPL-2.0
/*
 * Nanoseconds to change two pages and use them: next to each other, and with
 * 512 MB of mapped pages in between. Medians.
 */
#include "bench.h"
#include "mmtest.h"

#define LEN	(512UL << 20)
#define ROUNDS	1000

/* The page of a file that can be mapped anywhere, so that LEN costs no memory */
static char *map(void)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);
	size_t file = 1UL << 21, at;
	char *p = hole_area(LEN / HPAGE_SIZE);

	if (fd < 0 || ftruncate(fd, file))
		ksft_exit_fail_perror("memfd_create");
	for (at = 0; at < LEN; at += file)
		if (mmap(p + at, file, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED)
			ksft_exit_fail_perror("mmap");
	return p;
}

/* Drop both pages, and have the kernel bring both back, by a system call each. */
static long one_round(int self, int zero, char *first, char *second)
{
	struct iovec iov[] = { { first, PAGE_SIZE }, { second, PAGE_SIZE } };
	long t0 = now_ns();

	if (syscall(SYS_process_madvise, self, iov, 2, MADV_DONTNEED, 0) < 0 ||
	    readv(zero, iov, 2) < 0)
		ksft_exit_fail_perror("process_madvise, readv");
	return now_ns() - t0;
}

static long rounds(int self, int zero, char *first, char *second)
{
	static long times[ROUNDS];
	int i;

	for (i = 0; i < ROUNDS; i++)
		times[i] = one_round(self, zero, first, second);
	return median(times, ROUNDS);
}

int main(void)
{
	int self = syscall(SYS_pidfd_open, getpid(), 0), zero = open("/dev/zero", O_RDONLY);
	char *p = map();
	long near, far;

	near = rounds(self, zero, p, p + PAGE_SIZE);
	far = rounds(self, zero, p, p + LEN - PAGE_SIZE);
	printf("ns near %ld far %ld\n", near, far);
	return 0;
}
