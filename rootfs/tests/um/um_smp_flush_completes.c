// SPDX-License-Identifier: GPL-2.0
/*
 * A process that runs on one CPU loses access to a page before the other CPU,
 * which takes the page away from it, goes on: what the page is used for next is
 * safe from it, and nothing that it writes is lost.
 */
#include "mmtest.h"

#define ROUNDS	200
/* More than a CPU collects before it puts them on an LRU list, or frees them */
#define NR	64UL

/* Shared between the two: what the writer wrote last, and what it found amiss */
static struct shared {
	volatile unsigned long written, lost, stop;
} *shared;

/*
 * Writes one word of each page in turn, without a system call. If @own, nobody
 * else changes them.
 */
static pid_t writer(volatile unsigned long *pages, bool own)
{
	volatile unsigned long *word;
	unsigned long n = 0;
	pid_t pid;

	shared->written = 0;
	shared->lost = 0;
	shared->stop = 0;
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (pid)
		return pid;

	run_on_cpu(1);
	while (!shared->stop) {
		word = pages + n % NR * (PAGE_SIZE / sizeof(*pages));
		if (own && n >= NR && *word != n - NR)
			shared->lost++;
		*word = n++;
		shared->written = n;
	}
	_exit(0);
}

static void wait_for_writes(void)
{
	unsigned long old = shared->written;

	while (shared->written < old + 1000)
		;
}

static long stray_writes(int fd)
{
	unsigned long n, i, len = NR * PAGE_SIZE;
	volatile unsigned long *own;
	long round, stray = 0;

	for (round = 0; round < ROUNDS; round++) {
		wait_for_writes();
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      0, len))
			ksft_exit_fail_perror("fallocate");
		/* The pages that were freed last are the first to be used. */
		own = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		for (n = 0; n < 200; n++)
			for (i = 0; i < NR; i++)
				stray += own[i * PAGE_SIZE / sizeof(*own)] != 0;
		munmap((void *)own, len);
	}
	return stray;
}

static long lost_writes(pid_t pid, unsigned long *pages)
{
	struct iovec iov = { (void *)pages, NR * PAGE_SIZE };
	int fd = syscall(SYS_pidfd_open, pid, 0);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		wait_for_writes();
		if (syscall(SYS_process_madvise, fd, &iov, 1, MADV_PAGEOUT, 0) < 0)
			ksft_exit_fail_perror("process_madvise");
	}
	close(fd);
	return shared->lost;
}

int main(void)
{
	unsigned long *pages;
	long out;
	pid_t pid;
	int fd;

	ksft_print_header();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_exit_skip("there is only one CPU\n");
	ksft_set_plan(3);
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	run_on_cpu(0);

	fd = memfd_create("pages", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, NR * PAGE_SIZE))
		ksft_exit_fail_perror("memfd_create");
	pages = mmap(NULL, NR * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid = writer(pages, false);
	test_eq(stray_writes(fd), 0, "times that a fresh page was seen written by who had it before");
	shared->stop = 1;
	child_status(pid);

	swap_start();
	pages = (unsigned long *)small_area(1);
	out = vmstat("pswpout");
	pid = writer(pages, true);
	test_eq(lost_writes(pid, pages), 0, "writes that were lost to swap");
	test_vmstat_min("pswpout", out, ROUNDS / 4);
	shared->stop = 1;
	child_status(pid);
	ksft_finished();
}
