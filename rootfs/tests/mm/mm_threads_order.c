// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads of one process run at once, on two CPUs. A real CPU shows it twice: each
 * stores and then loads what the other has stored, and both may see the old value, as a
 * store waits in its CPU's buffer; in no order of instructions that are taken one by one
 * does that happen. And two that spin, each until the other has changed a variable, hand
 * over far more often than timer ticks could have it. Still, of two that share a CPU each
 * gets its turn, while a third one is never interrupted by anything else.
 */
#include "threads.h"

#define BATCH		64
#define MAX_SECS	1
#define LEAST_HANDOVERS	10000	/* a second */

/* Of one try, each variable on a cache line of its own */
static struct cell {
	volatile int x __attribute__((aligned(64)));
	volatile int y __attribute__((aligned(64)));
	volatile int saw_y __attribute__((aligned(64)));
	volatile int saw_x __attribute__((aligned(64)));
} cell[BATCH];

/* Both begin a batch when both have ended the one before. */
static volatile unsigned long begun __attribute__((aligned(64)));
static volatile unsigned long ended __attribute__((aligned(64)));
static volatile bool stop;

static void *second(void *arg)
{
	unsigned long batch;
	int i;

	run_on_cpu(1);
	for (batch = 1;; batch++) {
		while (begun < batch)
			if (stop)
				return NULL;
		for (i = 0; i < BATCH; i++) {
			cell[i].y = 1;
			cell[i].saw_x = cell[i].x;
		}
		ended = batch;
	}
}

/*
 * How many tries had both see nothing of the other; it ends when there are many, or after
 * a second.
 */
static long store_buffering(unsigned long *tries)
{
	long both = 0, end = now_ms() + 1000 * MAX_SECS;
	unsigned long batch;
	pthread_t thread;
	int i;

	run_on_cpu(0);
	thread = thread_start(second, NULL);
	for (batch = 1; both < 100 && now_ms() < end; batch++) {
		for (i = 0; i < BATCH; i++)
			cell[i].x = cell[i].y = 0;
		begun = batch;
		for (i = 0; i < BATCH; i++) {
			cell[i].x = 1;
			cell[i].saw_y = cell[i].y;
		}
		while (ended < batch)
			;
		for (i = 0; i < BATCH; i++)
			both += !cell[i].saw_x && !cell[i].saw_y;
	}
	stop = true;
	pthread_join(thread, NULL);
	*tries = (batch - 1) * BATCH;
	return both;
}

static volatile unsigned long count[2][8] __attribute__((aligned(64)));

static void *spin_beside(void *arg)
{
	long me = (long)arg;

	run_on_cpu(1);
	while (!stop)
		count[me][0]++;
	return NULL;
}

/* How many of two threads that share a CPU run while another one spins on the other */
static int turns_on_one_cpu(void)
{
	long end, i, before[2];
	pthread_t thread[2];
	int ran = 0;

	stop = false;
	for (i = 0; i < 2; i++)
		thread[i] = thread_start(spin_beside, (void *)i);
	while (!count[0][0] && !count[1][0])
		sched_yield();
	for (i = 0; i < 2; i++)
		before[i] = count[i][0];
	end = now_ms() + 2000;
	do {
		for (i = 0; i < 10000000 && ran < 2; i++)
			ran = (count[0][0] != before[0]) + (count[1][0] != before[1]);
	} while (ran < 2 && now_ms() < end);
	stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return ran;
}

int main(void)
{
	unsigned long tries, rate = 0, n;
	long both;
	int i;

	ksft_print_header();
	if (nr_cpus() < 2)
		ksft_exit_skip("there is only one CPU\n");
	ksft_set_plan(3);
	both = store_buffering(&tries);
	ksft_print_msg("%lu tries\n", tries);
	test_min(both, race_least(1), "times that each of two stores wasn't seen by the other's load");

	/* The best of some, since the host may be busy. */
	for (i = 0; i < 10 && rate < LEAST_HANDOVERS; i++) {
		n = handovers(0, 1, 100) * 10;
		if (n > rate)
			rate = n;
	}
	test_min(rate, race_least(LEAST_HANDOVERS), "hand-overs a second");
	run_on_cpu(0);
	test_eq(turns_on_one_cpu(), 2, "threads that get their turn on one CPU");
	ksft_finished();
}
