// SPDX-License-Identifier: GPL-2.0
/*
 * What a signal says of the instruction that met it, as on x86-64: si_code why,
 * si_addr where. Nothing there (SEGV_MAPERR) isn't the same as no right to it
 * (SEGV_ACCERR). What is no page fault has no address, not that of the page fault
 * before. The program can go on each time.
 */
#include <setjmp.h>

#include "mmtest.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif
#define NON_CANONICAL	((char *)0x8000000000001000UL)
/* At the instruction, wherever it is */
#define AT_IP		((void *)-1)

static sigjmp_buf env;
static siginfo_t info;

/* EFLAGS.AC: whether an unaligned access gives SIGBUS, the C library's own as well */
static void forbid_unaligned(bool forbid)
{
	unsigned long flags = __builtin_ia32_readeflags_u64() & ~0x40000UL;

	__builtin_ia32_writeeflags_u64(flags | (forbid ? 0x40000UL : 0));
}

static void handler(int sig, siginfo_t *si, void *context)
{
	forbid_unaligned(false);
	info = *si;
	siglongjmp(env, 1);
}

static void load(char *p)
{
	*(volatile char *)p;
}

static void store(char *p)
{
	*(volatile char *)p = 1;
}

static void halt(char *p)
{
	asm volatile("hlt");
}

static void undefined(char *p)
{
	asm volatile("ud2");
}

static void divide(char *p)
{
	asm volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx");
}

static void breakpoint(char *p)
{
	asm volatile("int3");
}

static void push(char *stack)
{
	asm volatile("movq %0, %%rsp; pushq $0" : : "r" (stack));
}

static void unaligned(char *p)
{
	forbid_unaligned(true);
	asm volatile("movl 1(%0), %%eax" : : "r" (p) : "eax", "memory");
	forbid_unaligned(false);
}

static void meets(const char *what, void (*fn)(char *), char *p, int sig, int code,
		  void *addr)
{
	bool good;

	memset(&info, 0, sizeof(info));
	if (!sigsetjmp(env, 1))
		fn(p);
	if (addr == AT_IP)
		good = (char *)info.si_addr >= (char *)fn &&
		       (char *)info.si_addr < (char *)fn + 64;
	else
		good = info.si_addr == addr;
	ksft_test_result(info.si_signo == sig && info.si_code == code && good,
			 "%s # signal %d, code %d, address %p%s, want %d, %d, %p\n", what,
			 info.si_signo, info.si_code, info.si_addr,
			 addr == AT_IP ? " (the instruction's is right)" : "", sig, code,
			 addr == AT_IP ? (void *)fn : addr);
}

int main(void)
{
	struct sigaction sa = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	stack_t stack = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
	char *p = mmap(NULL, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("short", MFD_CLOEXEC);
	char *file = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	test_plan(17);
	sigaltstack(&stack, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	memset(p, 1, 8 * PAGE_SIZE);
	munmap(p + PAGE_SIZE, PAGE_SIZE);
	mprotect(p + 2 * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	mprotect(p + 3 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	if (madvise(p + 4 * PAGE_SIZE, PAGE_SIZE, MADV_GUARD_INSTALL))
		ksft_exit_fail_perror("MADV_GUARD_INSTALL");

	meets("a read where nothing is", load, p + PAGE_SIZE + 5, SIGSEGV, SEGV_MAPERR,
	      p + PAGE_SIZE + 5);
	meets("a write there", store, p + PAGE_SIZE, SIGSEGV, SEGV_MAPERR, p + PAGE_SIZE);
	meets("a read of PROT_NONE", load, p + 2 * PAGE_SIZE, SIGSEGV, SEGV_ACCERR,
	      p + 2 * PAGE_SIZE);
	meets("a write to PROT_READ", store, p + 3 * PAGE_SIZE + 7, SIGSEGV, SEGV_ACCERR,
	      p + 3 * PAGE_SIZE + 7);
	meets("a read of a guard page", load, p + 4 * PAGE_SIZE, SIGSEGV, SEGV_MAPERR,
	      p + 4 * PAGE_SIZE);
	meets("a write to a guard page", store, p + 4 * PAGE_SIZE, SIGSEGV, SEGV_MAPERR,
	      p + 4 * PAGE_SIZE);
	meets("a read behind the end of a file", load, file, SIGBUS, BUS_ADRERR, file);
	meets("a read at 0", load, NULL, SIGSEGV, SEGV_MAPERR, NULL);
	meets("a read in the kernel's half", load, (char *)0xffff888000000000UL, SIGSEGV,
	      SEGV_MAPERR, (void *)0xffff888000000000UL);

	/* None of these is a page fault. */
	meets("a read at a non-canonical address", load, NON_CANONICAL, SIGSEGV, SI_KERNEL,
	      NULL);
	meets("a write there", store, NON_CANONICAL, SIGSEGV, SI_KERNEL, NULL);
	meets("a privileged instruction", halt, NULL, SIGSEGV, SI_KERNEL, NULL);
	meets("a push with the stack there", push, NON_CANONICAL, SIGBUS, SI_KERNEL, NULL);
	meets("an undefined instruction", undefined, NULL, SIGILL, ILL_ILLOPN, AT_IP);
	meets("a division by 0", divide, NULL, SIGFPE, FPE_INTDIV, AT_IP);
	meets("a breakpoint", breakpoint, NULL, SIGTRAP, SI_KERNEL, NULL);
	meets("an unaligned read where that is not allowed", unaligned, p, SIGBUS, BUS_ADRALN,
	      NULL);
	ksft_finished();
}
