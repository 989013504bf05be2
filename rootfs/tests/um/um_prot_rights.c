// SPDX-License-Identifier: GPL-2.0
/*
 * Each combination of PROT_READ, PROT_WRITE and PROT_EXEC allows what it does on
 * x86-64, where memory that may be written or executed may be read: to the program
 * and to the kernel on its behalf, with a page that is there and with one that
 * isn't yet. The rights of the stack, heap and data of a program are its own, and
 * memory that may not be executed isn't.
 */
#include <setjmp.h>

#include "mmtest.h"

#define RET	0xc3

static sigjmp_buf env;
static siginfo_t info;
static int fds[2];

static void handler(int sig, siginfo_t *si, void *context)
{
	info = *si;
	siglongjmp(env, 1);
}

static bool loads(char *p)
{
	if (sigsetjmp(env, 1))
		return false;
	*(volatile char *)p;
	return true;
}

static bool stores(char *p)
{
	if (sigsetjmp(env, 1))
		return false;
	*(volatile char *)p = RET;
	return true;
}

static bool executes(char *p)
{
	if (sigsetjmp(env, 1))
		return false;
	((void (*)(void))p)();
	return true;
}

/* write(2) reads the program's memory. */
static bool kernel_loads(char *p)
{
	char c;

	return write(fds[1], p, 1) == 1 && read(fds[0], &c, 1) == 1;
}

static bool kernel_stores(char *p)
{
	const char ret = RET;
	char c;

	if (write(fds[1], &ret, 1) != 1)
		ksft_exit_fail_perror("write");
	if (read(fds[0], p, 1) == 1)
		return true;
	if (read(fds[0], &c, 1) != 1)
		ksft_exit_fail_perror("read");
	return false;
}

/* A page of @prot, with an instruction to execute, or the hole of a file */
static char *area(const char *kind, int prot, bool present)
{
	bool huge = *kind == 'h', shared = *kind == 's';
	size_t len = huge ? HPAGE_SIZE : PAGE_SIZE;
	char *p;

	if (huge)
		p = huge_area(1);
	else
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	if (present)
		*p = RET;
	if (mprotect(p, len, prot))
		ksft_exit_fail_perror("mprotect");
	return p;
}

static void rights(const char *kind, int prot)
{
	bool r = prot, w = prot & PROT_WRITE, x = prot & PROT_EXEC;
	int bad = 0, i;
	char *p;

	for (i = 0; i < 2; i++) {
		/* Each access is the first one once. */
		p = area(kind, prot, i);
		bad |= (loads(p) != r) << 0;
		bad |= (stores(p) != w) << 1;
		p = area(kind, prot, i);
		bad |= (stores(p) != w) << 1;
		bad |= (kernel_loads(p) != r) << 2;
		p = area(kind, prot, i);
		bad |= (kernel_loads(p) != r) << 2;
		bad |= (kernel_stores(p) != w) << 3;
		p = area(kind, prot, i);
		bad |= (kernel_stores(p) != w) << 3;
		p = area(kind, prot, true);
		if (i)
			loads(p);
		bad |= (executes(p) != x) << 4;
		if (!x)
			bad |= (info.si_signo != SIGSEGV || info.si_code != SEGV_ACCERR ||
				info.si_addr != p) << 5;
	}
	ksft_test_result(!bad, "%s, %c%c%c: as due # wrong:%s%s%s%s%s%s\n", kind,
			 prot & PROT_READ ? 'r' : '-', w ? 'w' : '-', x ? 'x' : '-',
			 bad & 1 ? " read" : "", bad & 2 ? " write" : "",
			 bad & 4 ? " kernel's read" : "", bad & 8 ? " kernel's write" : "",
			 bad & 16 ? " execution" : "", bad & 32 ? " its signal" : "");
}

int main(void)
{
	static const char * const kinds[] = { "private", "shared", "huge page" };
	static char data[16] = { RET };
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	int nr = thp_available() ? 3 : 2, i, prot, fd;
	char stack[16] = { RET }, *heap, *p;

	test_plan(nr * 8 + 8);
	if (pipe(fds))
		ksft_exit_fail_perror("pipe");
	sigaction(SIGSEGV, &sa, NULL);

	for (i = 0; i < nr; i++)
		for (prot = 0; prot < 8; prot++)
			rights(kinds[i], prot);

	heap = sbrk(PAGE_SIZE);
	*heap = RET;
	asm volatile("" : : "r" (stack), "r" (data) : "memory");
	test_true(!executes(stack), "the stack isn't executed");
	test_true(!executes(heap), "nor is the heap");
	test_true(!executes(data), "nor the program's data");

	p = area("private", PROT_READ | PROT_EXEC, true);
	test_true(executes(p), "a page is executed");
	mprotect(p, PAGE_SIZE, PROT_READ);
	test_true(!executes(p), "not once it lost the right");
	mprotect(p, PAGE_SIZE, PROT_READ | PROT_EXEC);
	test_true(executes(p), "again with it");

	/* The same page of a file, once with the right and once without */
	fd = memfd_create("code", MFD_CLOEXEC);
	if (ftruncate(fd, PAGE_SIZE) || pwrite(fd, data, 1, 0) != 1)
		ksft_exit_fail_perror("pwrite");
	p = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	heap = mmap(NULL, PAGE_SIZE, PROT_EXEC, MAP_PRIVATE, fd, 0);
	test_true(!executes(p), "a file's page isn't executed where it is only read");
	test_true(executes(heap), "it is where it may be");
	ksft_finished();
}
