// SPDX-License-Identifier: GPL-2.0
/*
 * On SMP: nanoseconds to take a page of a file away, per page, from a process
 * on another CPU that doesn't map it, that maps it and sleeps, that maps it and
 * runs. A flush has to stop the last one. Medians.
 */
#include "bench.h"
#include "mmtest.h"

#define NR	1024UL
#define ROUNDS	9

enum { UNMAPPED, SLEEPING, RUNNING, NR_CASES };
static const char * const names[] = { "unmapped", "sleeping", "running" };

static long times[NR_CASES][ROUNDS];
static volatile unsigned long *state;	/* shared with the child: it is ready */

static void child(int what, int fd)
{
	if (what != UNMAPPED)
		mmap(NULL, NR * PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, fd, 0);
	run_on_cpu(1);
	*state = 1;
	while (what == RUNNING)
		;
	pause();
}

static long one_round(int what, int fd)
{
	unsigned long i;
	long t0, t1;
	pid_t pid;

	if (fallocate(fd, 0, 0, NR * PAGE_SIZE))
		ksft_exit_fail_perror("fallocate");
	*state = 0;
	pid = fork();
	if (!pid)
		child(what, fd);
	while (!*state)
		;
	usleep(10000);	/* asleep, if it is to sleep */
	t0 = now_ns();
	for (i = 0; i < NR; i++)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  i * PAGE_SIZE, PAGE_SIZE);
	t1 = now_ns();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return (t1 - t0) / NR;
}

int main(void)
{
	int i, what, fd = memfd_create("pages", MFD_CLOEXEC);

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_exit_skip("there is only one CPU\n");
	if (fd < 0 || ftruncate(fd, NR * PAGE_SIZE))
		ksft_exit_fail_perror("memfd_create");
	state = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	run_on_cpu(0);
	for (i = 0; i < ROUNDS; i++)
		for (what = 0; what < NR_CASES; what++)
			times[what][i] = one_round(what, fd);
	for (what = 0; what < NR_CASES; what++)
		printf("%s_ns %ld\n", names[what], median(times[what], ROUNDS));
	return 0;
}
