// SPDX-License-Identifier: GPL-2.0
/*
 * FUTEX_WAKE_OP and the compare-and-exchange of a priority-inheritance futex are
 * atomic: against a program that changes the same word on another CPU by an
 * instruction, and against the same system call of another process. With one CPU
 * they take turns.
 */
#include <linux/futex.h>

#include "mmtest.h"

#define CALLS	40000u
/* The program adds to the upper half of the word, the kernel to the lower one. */
#define SHIFT	16

static struct shared {
	unsigned int word, pi;
	volatile unsigned int stop, begun;
	unsigned long stores, kept;
} *shared;

static void wake_op(int op, unsigned int arg)
{
	unsigned int other = 0;

	if (syscall(__NR_futex, &other, FUTEX_WAKE_OP, 0, NULL, &shared->word,
		    FUTEX_OP(op, arg, FUTEX_OP_CMP_EQ, 0)) < 0)
		ksft_exit_fail_perror("FUTEX_WAKE_OP");
}

/* Adds 1 << SHIFT as often as it can by itself. */
static int user_adds(void *arg)
{
	run_on_cpu((long)arg);
	shared->begun = 1;
	while (!shared->stop) {
		__atomic_fetch_add(&shared->word, 1u << SHIFT, __ATOMIC_RELAXED);
		shared->stores++;
	}
	return 0;
}

static int kernel_adds(void *arg)
{
	unsigned int i;

	run_on_cpu((long)arg);
	shared->begun = 1;
	for (i = 0; i < CALLS; i++)
		wake_op(FUTEX_OP_ADD, 1);
	return 0;
}

/* Takes turns with the kernel at one bit each. */
static int user_flips(void *arg)
{
	run_on_cpu((long)arg);
	shared->begun = 1;
	while (!shared->stop) {
		__atomic_fetch_xor(&shared->word, 1u << 31, __ATOMIC_RELAXED);
		shared->stores++;
	}
	return 0;
}

static pid_t start(int (*fn)(void *), long cpu)
{
	pid_t pid;

	shared->word = 0;
	shared->stop = 0;
	shared->begun = 0;
	shared->stores = 0;
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid)
		_exit(fn((void *)cpu));
	while (!shared->begun)
		sched_yield();
	return pid;
}

static void stop(pid_t pid)
{
	shared->stop = 1;
	child_status(pid);
}

/* Owners by turns: the kernel takes the word from 0 to the tid and back. */
static int pi_owner(void *arg)
{
	unsigned int i, tid = syscall(__NR_gettid);

	run_on_cpu((long)arg);
	shared->begun = 1;
	for (i = 0; i < CALLS / 8; i++) {
		if (syscall(__NR_futex, &shared->pi, FUTEX_LOCK_PI, 0, NULL))
			return 1;
		shared->kept += (__atomic_load_n(&shared->pi, __ATOMIC_RELAXED) &
				 FUTEX_TID_MASK) == tid;
		if (syscall(__NR_futex, &shared->pi, FUTEX_UNLOCK_PI))
			return 2;
	}
	return 0;
}

int main(void)
{
	long cpu = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	pid_t pid;

	test_plan(6);
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	run_on_cpu(0);

	pid = start(user_adds, cpu);
	for (unsigned int i = 0; i < CALLS; i++)
		wake_op(FUTEX_OP_ADD, 1);
	stop(pid);
	test_eq(shared->word & 0xffff, CALLS, "the kernel added 1, beside a program");
	test_eq(shared->word >> SHIFT, shared->stores & 0xffff,
		"what a program added beside the kernel, of %lu, modulo 65536",
		shared->stores);

	pid = start(kernel_adds, cpu);
	for (unsigned int i = 0; i < CALLS; i++)
		wake_op(FUTEX_OP_ADD, 1);
	child_status(pid);
	test_eq(shared->word, 2 * CALLS, "the kernel added 1, for two processes");

	pid = start(user_flips, cpu);
	for (unsigned int i = 0; i < CALLS + 1; i++)
		wake_op(FUTEX_OP_XOR, 1);
	stop(pid);
	test_eq(shared->word, (unsigned int)(shared->stores % 2) << 31 | 1,
		"bits flipped an odd number of times, of %lu", shared->stores);

	pid = start(pi_owner, cpu);
	pi_owner(NULL);
	test_eq(child_status(pid), 0, "the other owner of a futex with priority inheritance");
	test_eq(shared->kept, CALLS / 8 * 2, "times that the owner had it");
	ksft_finished();
}
