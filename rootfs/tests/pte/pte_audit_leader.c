// SPDX-License-Identifier: GPL-2.0
/*
 * The audit of page tables includes those of a process whose main thread has ended
 * and of which another thread lives.
 */
#include <pthread.h>

#include "pte_ref.h"

#define NR	64

static long audited(void)
{
	long n = -1;
	char line[256];
	FILE *f = fopen("/sys/kernel/debug/pte_ref/audit", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "tables %ld", &n);
	if (f)
		fclose(f);
	return n;
}

static void *other_thread(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

/* How many tables are audited more with a child that uses NR */
static long child_adds(bool main_ends)
{
	long before = audited(), more, start;
	pthread_t thread;
	pid_t pid;
	char *p;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		p = small_area(NR);
		pte_touch(p, NR, 1);
		if (pthread_create(&thread, NULL, other_thread, NULL))
			_exit(1);
		if (main_ends)
			pthread_exit(NULL);
		other_thread(NULL);
	}
	/* Enough for its main thread to have ended */
	start = now_ms();
	do {
		usleep(10000);
		more = audited() - before;
	} while (now_ms() - start < 500 || (more < NR && now_ms() - start < 3000));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return more;
}

int main(void)
{
	pte_plan(2);
	test_min(child_adds(false), NR, "tables more, both threads live");
	test_min(child_adds(true), NR, "tables more, the main thread has ended");
	ksft_finished();
}
