// SPDX-License-Identifier: GPL-2.0
/*
 * Each process of the guest is one of the host, and costs UML a file there. As many
 * as 2,000 at once work; where the host doesn't let UML have that many (see
 * tests/test_stubs.py), fork() and execve() fail with ENOMEM, and nothing else: who is
 * there goes on, and once some have ended as many others can start.
 */
#include "mmtest.h"

#define NR		2000
#define NR_AGAIN	200	/* where nothing was refused */
#define HVO		"/proc/sys/vm/hugetlb_optimize_vmemmap"
#define POOL		"/proc/sys/vm/nr_hugepages"

static pid_t pid[NR];

/* Start up to @nr processes until one fails; how many, and the error or 0 */
static int start(int nr, int *error)
{
	int n;

	for (n = 0; n < nr; n++) {
		pid[n] = fork();
		if (!pid[n])
			for (;;)
				pause();
		if (pid[n] < 0)
			break;
	}
	*error = n < nr ? errno : 0;
	return n;
}

/* Kill them: how many die of that */
static int stop(int n)
{
	int i, good = 0;

	for (i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	for (i = 0; i < n; i++)
		good += child_status(pid[i]) == 128 + SIGKILL;
	return good;
}

/* One that becomes another program when it is told to; its status is the error. */
static pid_t exec_later(int go)
{
	pid_t child;
	char c;

	fflush(stdout);
	child = fork();
	if (child < 0)
		ksft_exit_fail_perror("fork");
	if (child)
		return child;
	if (read(go, &c, 1) != 1)
		_exit(KSFT_FAIL);
	setenv("ONLY_EXIT", "1", 1);
	execl("/proc/self/exe", "um_many_processes", NULL);
	_exit(errno);
}

static int nothing(void *arg)
{
	return 7;
}

/* This has flush_tlb_all() walk the list of all address spaces. */
static void flush_all(void)
{
	if (access(HVO, F_OK) || !number_write(HVO, 1))
		return;
	number_write(POOL, 4);
	number_write(POOL, 0);
	number_write(HVO, 0);
}

int main(void)
{
	int n, again, error, go[2];
	bool refused;
	pid_t other;

	if (getenv("ONLY_EXIT"))
		return 0;
	test_plan(8);
	if (pipe(go))
		ksft_exit_fail_perror("pipe");
	other = exec_later(go[0]);

	n = start(NR, &error);
	refused = error;
	test_eq(error, refused ? ENOMEM : 0, "error of fork() after %d", n);
	if (write(go[1], "", 1) != 1)
		ksft_exit_fail_perror("write");
	test_eq(child_status(other), refused ? ENOMEM : 0,
		"error of execve() at that time");
	test_eq(stop(n), n, "killed of them");
	flush_all();
	test_eq(in_child(nothing, NULL), 7, "status of one more");

	again = start(refused ? NR : NR_AGAIN, &error);
	/* The one that called execve() is gone. */
	test_min(again, refused ? n : NR_AGAIN, "processes once these were gone");
	flush_all();
	test_eq(stop(again), again, "killed of these");
	flush_all();
	test_eq(in_child(nothing, NULL), 7, "status of one more");
	test_min(n, refused ? 20 : NR, "processes at once");
	ksft_finished();
}
