// SPDX-License-Identifier: GPL-2.0
/* Signals and children. See mmtest.h. */
#include <sched.h>
#include <setjmp.h>

#include "internal.h"

siginfo_t access_siginfo;
static sigjmp_buf access_env;

static void access_handler(int sig, siginfo_t *info, void *ctx)
{
	access_siginfo = *info;
	siglongjmp(access_env, sig);
}

int access_signal(char *p, bool write)
{
	struct sigaction sa = {
		.sa_sigaction = access_handler, .sa_flags = SA_SIGINFO,
	};
	struct sigaction old_segv, old_bus;
	int sig;

	sigaction(SIGSEGV, &sa, &old_segv);
	sigaction(SIGBUS, &sa, &old_bus);
	memset(&access_siginfo, 0, sizeof(access_siginfo));
	sig = sigsetjmp(access_env, 1);
	if (!sig) {
		char c = *(volatile char *)p;

		if (write)
			*(volatile char *)p = c;
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	return sig;
}

int child_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			ksft_exit_fail_msg("waitpid: %s\n", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

void run_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ksft_exit_fail_perror("sched_setaffinity");
}

int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_msg("fork: %s\n", strerror(errno));
	if (!pid) {
		int ret = fn(arg);

		fflush(stdout);
		_exit(ret);
	}
	return child_status(pid);
}

static int turn_in = -1, turn_out = -1;
static bool turn_of_child;

static void turn_wait(void)
{
	char c;

	if (read(turn_in, &c, 1) == 1)
		return;
	if (turn_of_child)
		_exit(KSFT_FAIL);
	ksft_exit_fail_msg("a child has ended before its time\n");
}

void turns_end(void)
{
	if (write(turn_out, "", 1) != 1)
		ksft_exit_fail_perror("write to the other process");
}

void turn_over(void)
{
	turns_end();
	turn_wait();
}

pid_t turns_start(int (*fn)(void))
{
	int up[2], down[2];
	pid_t pid;

	if (pipe(up) || pipe(down))
		ksft_exit_fail_perror("pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_msg("fork: %s\n", strerror(errno));
	/* Each keeps no end but its own, so that it notices the other's. */
	if (!pid) {
		turn_of_child = true;
		turn_in = down[0];
		turn_out = up[1];
		close(down[1]);
		close(up[0]);
		_exit(fn());
	}
	close(turn_in);
	close(turn_out);
	turn_in = up[0];
	turn_out = down[1];
	close(up[1]);
	close(down[0]);
	turn_wait();
	return pid;
}

int child_has_copy(char *p, unsigned long pfn, unsigned int seed)
{
	if (pattern_find_bad(p, 0, HPAGE_SIZE, seed) >= 0)
		return 1;
	if (pfn_of(p + 50 * PAGE_SIZE) == pfn + 50)
		return 2;
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	return pattern_find_bad(p, 0, HPAGE_SIZE, 2) >= 0 ? 3 : 0;
}
