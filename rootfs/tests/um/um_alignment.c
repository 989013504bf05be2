// SPDX-License-Identifier: GPL-2.0
/*
 * A program that asks for alignment checks (the flag AC of x86) has a SIGBUS for an
 * access that isn't aligned, and its handler runs.
 */
#include <setjmp.h>

#include "mmtest.h"

#define AC	0x40000UL

static sigjmp_buf out;
static volatile int code;

static void handler(int sig, siginfo_t *info, void *context)
{
	/* Else the C library's own accesses would be next. */
	asm volatile("pushf; andq %0, (%%rsp); popf" : : "e" (~(int)AC) : "cc", "memory");
	code = info->si_code;
	siglongjmp(out, sig);
}

static int misaligned(void *arg)
{
	static unsigned long word[2];
	int sig;

	sig = sigsetjmp(out, 1);
	if (sig)
		return sig;
	asm volatile("pushf; orq %0, (%%rsp); popf; movq %%rax, 1(%1);"
		     "pushf; andq %2, (%%rsp); popf"
		     : : "e" (AC), "r" (word), "e" (~(int)AC) : "cc", "memory");
	return 0;
}

static int without_handler(void *arg)
{
	signal(SIGBUS, SIG_DFL);
	return misaligned(NULL);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	test_plan(3);
	sigaction(SIGBUS, &action, NULL);
	test_eq(misaligned(NULL), SIGBUS, "signal");
	test_eq(code, BUS_ADRALN, "its code");
	test_eq(in_child(without_handler, NULL), 128 + SIGBUS,
		"status of a child without a handler");
	ksft_finished();
}
