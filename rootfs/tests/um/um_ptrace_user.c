// SPDX-License-Identifier: GPL-2.0
/*
 * PTRACE_PEEKUSER and POKEUSER at each address of struct user and beyond: refused
 * unless it is that of a word in it. (um panicked in the middle of a register, and
 * read debug registers from somewhere else.)
 */
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#undef PAGE_SIZE

#undef PAGE_SIZE	/* the same, said otherwise */
#include "mmtest.h"

#define DEBUGREG(n)	offsetof(struct user, u_debugreg[n])
#define WORD		sizeof(long)
/* The kernel's has two words more than the C library's. */
#define USER_END	(sizeof(struct user) + 2 * WORD)

static pid_t child;

static long peek(unsigned long at, int *error)
{
	long value;

	errno = 0;
	value = ptrace(PTRACE_PEEKUSER, child, at, NULL);
	*error = errno;
	return value;
}

int main(void)
{
	long aligned = 0, odd = 0, above = 0, back = 0, nr, value;
	unsigned long at;
	int error, status;

	test_plan(7);
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		ksft_exit_fail_msg("no child to trace\n");

	for (at = 0; at < sizeof(struct user); at++) {
		peek(at, &error);
		if (at % WORD)
			odd += error == EIO && ptrace(PTRACE_POKEUSER, child, at, 1) < 0 &&
				errno == EIO;
		else
			aligned += !error;
	}
	test_eq(aligned, sizeof(struct user) / WORD, "words of struct user that can be read");
	test_eq(odd, sizeof(struct user) / WORD * (WORD - 1), "refused in the middle of one");
	for (at = USER_END; at < USER_END + 64 * WORD; at += WORD) {
		peek(at, &error);
		above += error == EIO && ptrace(PTRACE_POKEUSER, child, at, 1) < 0 &&
			errno == EIO;
	}
	test_eq(above, 64, "words above it that are refused");

	for (nr = 0; nr < 4; nr++)
		if (!ptrace(PTRACE_POKEUSER, child, DEBUGREG(nr), &status + nr)) {
			value = peek(DEBUGREG(nr), &error);
			back += !error && value == (long)(&status + nr);
		}
	test_eq(back, 4, "addresses in debug registers that can be read back");
	test_true(ptrace(PTRACE_POKEUSER, child, DEBUGREG(4), 0) < 0 && errno == EIO,
		  "no register 4");
	test_true(ptrace(PTRACE_POKEUSER, child, DEBUGREG(0), -4096L) < 0 && errno == EINVAL,
		  "no address of the kernel");
	kill(child, SIGKILL);
	ptrace(PTRACE_DETACH, child, NULL, NULL);
	test_eq(child_status(child), 128 + SIGKILL, "the child");
	ksft_finished();
}
