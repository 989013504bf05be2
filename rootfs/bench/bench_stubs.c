// SPDX-License-Identifier: GPL-2.0
/*
 * Processes for tests/test_stubs.py, which kills their stubs on the host, as its OOM
 * killer might: STUBS=what they do at that time. Whoever meets that dies as of SIGKILL,
 * and nobody else. Those that die are replaced, until there were STUBS_DEATHS of them.
 *
 * What ran first on the host are the stubs of init and of this program: these stay.
 */
#include <sched.h>

#include "mmtest.h"

#define NR_VICTIMS	2
#define NR_PAGES	4000
#define NR_STEP		1171		/* a prime: neighbours get pages far apart */
#define STACK		65536

static struct {
	volatile long deaths;		/* by SIGKILL */
	volatile long wrong;		/* in another way */
} *seen;

static char stack[STACK] __attribute__((aligned(16)));
static volatile unsigned long spins;
static char *scattered;

/* A child of a victim, which is fair game, too; a fork that the host refused isn't one */
static void reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		__atomic_add_fetch(&seen->deaths, 1, __ATOMIC_RELAXED);
	else if (status)
		__atomic_add_fetch(&seen->wrong, 1, __ATOMIC_RELAXED);
}

/* A child has many mappings to get from the host at once. */
static int syncs(void *arg)
{
	size_t i;

	scattered = mmap(NULL, NR_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (scattered == MAP_FAILED)
		return 1;
	madvise(scattered, NR_PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);
	for (i = 0; i < NR_PAGES; i++)
		scattered[i * NR_STEP % NR_PAGES * PAGE_SIZE] = 1;
	for (;;) {
		/* One way, then the other: all mappings change. */
		mprotect(scattered, NR_PAGES * PAGE_SIZE, PROT_READ);
		mprotect(scattered, NR_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE);
		madvise(scattered, NR_PAGES * PAGE_SIZE, MADV_POPULATE_WRITE);
	}
}

static int runs(void *arg)
{
	for (;;)
		spins++;
	return 0;
}

static void *thread_runs(void *arg)
{
	runs(arg);
	return NULL;
}

static void *thread_calls(void *arg)
{
	for (;;)
		getppid();
	return NULL;
}

static void *thread_maps(void *arg)
{
	for (;;) {
		char *p = mmap(NULL, 64 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		p[0] = 1;
		munmap(p, 64 * PAGE_SIZE);
	}
	return NULL;
}

static int threads(void *arg)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_runs, NULL);
	pthread_create(&thread, NULL, thread_calls, NULL);
	pthread_create(&thread, NULL, thread_maps, NULL);
	for (;;)
		usleep(1000);
	return 0;
}

/* Two processes that share their memory */
static int shares(void *arg)
{
	clone(runs, stack + STACK, CLONE_VM | CLONE_PARENT | SIGCHLD, NULL);
	for (;;)
		usleep(1000);
	return 0;
}

static int forks(void *arg)
{
	pid_t pid;

	for (;;) {
		pid = fork();
		if (!pid)
			_exit(0);
		reap(pid);
	}
	return 0;
}

static int execs(void *arg)
{
	pid_t pid;

	for (;;) {
		pid = vfork();
		if (!pid) {
			execl("/proc/self/exe", "bench_stubs", "exit", NULL);
			_exit(0);	/* refused */
		}
		reap(pid);
	}
	return 0;
}

static int sleeps(void *arg)
{
	for (;;)
		usleep(1000);
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(void *);
} kinds[] = {
	{ "sync", syncs },
	{ "run", runs },
	{ "threads", threads },
	{ "share", shares },
	{ "fork", forks },
	{ "exec", execs },
	{ "sleep", sleeps },
};

static pid_t start(int (*fn)(void *))
{
	pid_t pid;

	do {
		pid = fork();
	} while (pid < 0 && errno == ENOMEM);
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid)
		_exit(fn(NULL));
	return pid;
}

int main(int argc, char **argv)
{
	const char *what = getenv("STUBS");
	long want = number_from_env("STUBS_DEATHS", 0);
	int i, status;
	size_t kind;
	pid_t pid;

	if (argc > 1)
		return 0;
	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++)
		if (what && !strcmp(what, kinds[kind].name))
			break;
	ksft_print_header();
	if (kind == ARRAY_SIZE(kinds))
		ksft_exit_skip("for tests/test_stubs.py, which kills what this starts\n");
	ksft_set_plan(3);
	seen = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	ksft_print_msg("ready\n");
	fflush(stdout);

	for (i = 0; i < NR_VICTIMS; i++)
		start(kinds[kind].fn);
	while (seen->deaths < want && !seen->wrong) {
		pid = waitpid(-1, &status, WNOHANG);
		if (!pid) {
			usleep(1000);
			continue;
		}
		if (pid < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
			ksft_print_msg("status %x\n", status);
			seen->wrong++;
			break;
		}
		seen->deaths++;
		/* A pair has died. */
		if (kinds[kind].fn == shares && waitpid(-1, &status, 0) > 0)
			seen->deaths++;
		start(kinds[kind].fn);
	}
	test_min(seen->deaths, want, "processes that died of a lost stub");
	test_eq(seen->wrong, 0, "of something else");
	kill(-1, SIGKILL);
	while (waitpid(-1, &status, 0) > 0)
		;
	test_eq(errno, ECHILD, "all others can be killed");
	ksft_finished();
}
