// SPDX-License-Identifier: GPL-2.0
/*
 * mmap() goes downwards from below the stack, as on x86-64; upwards in a program
 * whose stack has no limit. With MAP_32BIT it gives what is between 1 and 2 GB. At
 * the top of the address space the kernel reads nothing that a program hasn't mapped,
 * although UML has something there.
 */
#include "mmtest.h"
#include <sys/resource.h>

#define SIZE	(16 * PAGE_SIZE)
#define GB	(1UL << 30)

/* Run by exec, since that is when the layout is chosen */
static int goes_downwards(void)
{
	char *first = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *second = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return second < first;
}

static int program(void *limit)
{
	if (setrlimit(RLIMIT_STACK, limit))
		ksft_exit_fail_perror("setrlimit");
	execl("/proc/self/exe", "um_mmap_layout", "child", NULL);
	return 2;
}

static char *low(char *hint, size_t len)
{
	return mmap(hint, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT, -1, 0);
}

static bool is_low(char *p, size_t len)
{
	return (unsigned long)p >= GB && (unsigned long)p + len <= 2 * GB;
}

static void test_map_32bit(void)
{
	char *first = low(NULL, SIZE), *second = low(NULL, SIZE), *third, *fourth, *huge;

	test_true(is_low(first, SIZE), "MAP_32BIT: %p", first);
	test_true(is_low(second, SIZE) && second != first, "the next: %p", second);
	third = low((char *)(1536UL << 20), SIZE);
	test_eq((unsigned long)third, 1536UL << 20, "one where it was asked for");
	fourth = low((char *)(64 * GB), SIZE);
	test_true(is_low(fourth, SIZE), "one that was asked for elsewhere: %p", fourth);
	huge = low(NULL, 16 << 20);
	test_true(is_low(huge, 16 << 20), "16 MB: %p", huge);
	*first = *second = *third = *fourth = *huge = 1;
	test_true(low(NULL, GB) == MAP_FAILED && errno == ENOMEM, "no room for 1 GB");
	munmap(first, SIZE);
	munmap(second, SIZE);
	munmap(third, SIZE);
	munmap(fourth, SIZE);
	munmap(huge, 16 << 20);
}

static bool is_mapped(unsigned long addr)
{
	unsigned long start, end;
	bool found = false;
	char line[256];
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof(line), f))
		found |= sscanf(line, "%lx-%lx", &start, &end) == 2 && addr >= start &&
			 addr < end;
	if (f)
		fclose(f);
	return found;
}

/* Pages there that aren't mapped, and yet are read by write(2), or are written to */
static int test_top(void)
{
	unsigned long top = 1UL << 47, addr;
	int fds[2], bad = 0;
	char c;

	if (pipe(fds))
		ksft_exit_fail_perror("pipe");
	for (addr = top - 64 * PAGE_SIZE; addr < top; addr += PAGE_SIZE) {
		if (is_mapped(addr))
			continue;
		if (write(fds[1], (void *)addr, 1) == 1) {
			bad++;
			if (read(fds[0], &c, 1) != 1)
				ksft_exit_fail_perror("read");
		}
		if (write(fds[1], "x", 1) != 1)
			ksft_exit_fail_perror("write");
		if (read(fds[0], (void *)addr, 1) == 1)
			bad++;
		else if (read(fds[0], &c, 1) != 1)
			ksft_exit_fail_perror("read");
	}
	return bad;
}

int main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc > 1)
		return goes_downwards();
	test_plan(9);
	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = 8UL << 20;
	test_eq(in_child(program, &limit), 1, "downwards below a stack of 8 MB");
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max == RLIM_INFINITY)
		test_eq(in_child(program, &limit), 0, "downwards without a limit of the stack");
	else
		ksft_test_result_skip("the stack has a hard limit\n");
	test_map_32bit();
	test_eq(test_top(), 0, "pages at the top that the kernel accesses, of 64");
	ksft_finished();
}
