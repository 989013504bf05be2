// SPDX-License-Identifier: GPL-2.0
/*
 * UML runs a guest's process in one of the host, with a page of code in it by which
 * it makes calls for UML. A program that jumps there, to make another call, is killed
 * by the host (with seccomp) or by UML (with ptrace). It takes along who shares its
 * memory, at most: they die or go on, and can be killed, all others never notice.
 */
#include <sched.h>

#include "mmtest.h"

#define TOP		0x800000000000UL
#define STACK		65536

static char stack[STACK] __attribute__((aligned(16)));
static void *call;	/* a SYSCALL instruction of the stub's */
static volatile unsigned long spins;
static struct {			/* shared with children */
	volatile int ready;
	pid_t sharer;
} *shared;

/* There is no VMA for the page, but it can be read. */
static void *find_call(void)
{
	unsigned long addr, i;

	for (addr = TOP - PAGE_SIZE; addr > TOP - 16 * PAGE_SIZE; addr -= PAGE_SIZE) {
		unsigned char *p = (void *)addr;

		if (access_signal((char *)p, false))
			continue;
		for (i = 0; i < PAGE_SIZE - 1; i++)
			if (p[i] == 0x0f && p[i + 1] == 0x05)
				return p + i;
	}
	return NULL;
}

static void die(void)
{
	/* A jump, since the stub's code would return after its own calls only. */
	asm volatile("jmp *%0" : : "r" (call), "a" (__NR_getpid) : "rcx", "r11", "memory");
	__builtin_unreachable();
}

static int spin(void *arg)
{
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_RELAXED);
	for (;;)
		spins++;
	return 0;
}

static int calls(void *arg)
{
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_RELAXED);
	for (;;)
		getppid();
	return 0;
}

static int sleeps(void *arg)
{
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_RELAXED);
	for (;;)
		pause();
	return 0;
}

static void *thread_spins(void *arg)
{
	spin(arg);
	return NULL;
}

static void *thread_calls(void *arg)
{
	calls(arg);
	return NULL;
}

static void *thread_sleeps(void *arg)
{
	sleeps(arg);
	return NULL;
}

static int alone(void *arg)
{
	die();
	return 0;
}

static int with_threads(void *arg)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_spins, NULL);
	pthread_create(&thread, NULL, thread_calls, NULL);
	pthread_create(&thread, NULL, thread_sleeps, NULL);
	while (shared->ready < 3)
		usleep(1000);
	die();
	return 0;
}

static int after_vfork(void *arg)
{
	if (!vfork())
		die();
	for (;;)	/* if it goes on */
		pause();
	return 0;
}

/* Whether a process ends in five seconds, by a signal that says that it was killed */
static bool killed(pid_t pid)
{
	int status, i;

	for (i = 0; i < 500; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL ||
						       WTERMSIG(status) == SIGSEGV);
		usleep(10000);
	}
	return false;
}

/* It has another process share its memory that is no thread of it. */
static int with_sharer(void *arg)
{
	shared->sharer = clone(*(int (**)(void *))arg, stack + STACK,
			       CLONE_VM | CLONE_PARENT | SIGCHLD, NULL);
	while (!shared->ready)
		usleep(1000);
	die();
	return 0;
}

static pid_t start(int (*fn)(void *), void *arg)
{
	pid_t pid;

	shared->ready = 0;
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid)
		_exit(fn(arg));
	return pid;
}

/* Whatever the other one does, it dies or can be killed. */
static void test_sharer(int (*other)(void *), const char *what)
{
	test_true(killed(start(with_sharer, &other)), "who shares with one that %s dies", what);
	usleep(20000);
	kill(shared->sharer, SIGKILL);
	test_true(killed(shared->sharer), "the one that %s is gone as well", what);
}

static int nothing(void *arg)
{
	return 7;
}

int main(void)
{
	pid_t pid;

	ksft_print_header();
	call = find_call();
	if (!call)
		ksft_exit_skip("no page with calls of UML's in this kernel\n");
	ksft_set_plan(10);
	quiet_console();	/* of processes that are killed */
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	fflush(stdout);

	test_true(killed(start(alone, NULL)), "a process dies");
	test_true(killed(start(with_threads, NULL)), "one with threads dies");
	test_sharer(spin, "spins");
	test_sharer(calls, "calls");
	test_sharer(sleeps, "sleeps");
	pid = start(after_vfork, NULL);
	usleep(20000);
	kill(pid, SIGKILL);
	test_true(killed(pid), "the parent of one that did so after vfork() is gone");
	test_eq(in_child(nothing, NULL), 7, "status of one that did nothing");
	ksft_finished();
}
