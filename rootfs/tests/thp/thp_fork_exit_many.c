// SPDX-License-Identifier: GPL-2.0
/* Many forks, some that exec, leave huge pages and their counts as they were. */
#include "mmtest.h"

#define NR	4
#define LEN	(NR * HPAGE_SIZE)
#define FORKS	60
#define EXECS	5

static char *p;

static int child(void *arg)
{
	/* Each writes somewhere else, one in three nowhere. */
	size_t n = (size_t)arg;

	if (n % 3)
		p[n * 7919 % LEN] ^= 1;
	return 0;
}

static int exec_child(void *arg)
{
	execl("/proc/self/exe", (char *)arg, "exec", NULL);
	return 99;
}

int main(int argc, char **argv)
{
	long i, bad = 0, fork_zero;

	if (argc == 2 && !strcmp(argv[1], "exec")) {
		/* The new program has huge pages of its own. */
		p = huge_pages(1, 5);
		return pattern_find_bad(p, 0, HPAGE_SIZE, 5) >= 0;
	}
	test_start(6);
	p = huge_pages(NR, 1);
	fork_zero = vmstat("thp_split_pmd");
	for (i = 0; i < FORKS; i++)
		bad += in_child(child, (void *)i) != 0;
	test_eq(bad, 0, "children that failed");
	test_vmstat("thp_split_pmd", fork_zero, FORKS - FORKS / 3);
	for (i = 0, bad = 0; i < EXECS; i++)
		bad += in_child(exec_child, argv[0]) != 0;
	test_eq(bad, 0, "programs that failed");
	test_smaps(p, LEN, "AnonHugePages", LEN / 1024);
	test_eq(count_mapped(p, LEN, 1), LEN / PAGE_SIZE, "pages mapped once");
	test_data(p, 0, LEN, 1, "every byte");
	ksft_finished();
}
