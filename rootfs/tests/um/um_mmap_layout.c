// SPDX-License-Identifier: GPL-2.0
/*
 * mmap() goes downwards from below the stack, as on x86-64; upwards in a program
 * whose stack has no limit.
 */
#include "mmtest.h"
#include <sys/resource.h>

#define SIZE	(16 * PAGE_SIZE)

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

int main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc > 1)
		return goes_downwards();
	test_plan(2);
	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = 8UL << 20;
	test_eq(in_child(program, &limit), 1, "downwards below a stack of 8 MB");
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max == RLIM_INFINITY)
		test_eq(in_child(program, &limit), 0, "downwards without a limit of the stack");
	else
		ksft_test_result_skip("the stack has a hard limit\n");
	ksft_finished();
}
