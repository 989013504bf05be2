/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of threads share: CPUs, and whether two threads really run at once */
#ifndef THREADS_H
#define THREADS_H

#include <sched.h>

#include "bench.h"
#include "mmtest.h"

static inline int nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static inline pid_t thread_id(void)
{
	return syscall(SYS_gettid);
}

static inline pthread_t thread_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, fn, arg);

	if (err)
		ksft_exit_fail_msg("pthread_create: %s\n", strerror(err));
	return thread;
}

/* The memory of a hand-over between two threads, on a cache line of its own */
struct handover {
	volatile unsigned long turn __attribute__((aligned(64)));
	volatile bool stop __attribute__((aligned(64)));
	volatile int ready;
	int cpu;
};

static inline void *handover_other(void *arg)
{
	struct handover *h = arg;

	run_on_cpu(h->cpu);
	h->ready = 1;
	while (!h->stop)
		if (h->turn & 1)
			h->turn++;
	return NULL;
}

/*
 * How often two threads hand over to one another in @ms milliseconds, by a variable and
 * without a system call. Where only one of them runs at a time, that is by timer ticks.
 */
static inline unsigned long handovers(int cpu, int other_cpu, long ms)
{
	struct handover h = { .cpu = other_cpu };
	pthread_t thread;
	long end, n;

	run_on_cpu(cpu);
	thread = thread_start(handover_other, &h);
	while (!h.ready)
		sched_yield();
	end = now_ms() + ms;
	do {
		/* The clock is a system call, too. */
		for (n = 0; n < 100000; n++)
			if (!(h.turn & 1))
				h.turn++;
	} while (now_ms() < end);
	h.stop = true;
	pthread_join(thread, NULL);
	return h.turn;
}

/* All CPUs again */
static inline void run_anywhere(void)
{
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	if (sched_setaffinity(0, sizeof(set), &set))
		ksft_exit_fail_perror("sched_setaffinity");
}

/*
 * Whether the threads of one process run at once: by far more than ticks can give. In a
 * seed's run they don't, and what spins instead of a system call can't be repeated.
 */
static inline bool threads_run_at_once(void)
{
	bool yes = race_least(1) && nr_cpus() > 1 && handovers(0, 1, 20) > 500;

	run_anywhere();
	return yes;
}

#endif /* THREADS_H */
