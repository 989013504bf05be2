// SPDX-License-Identifier: GPL-2.0
/* A folio that three processes map splits under all of them. */
#include "mmtest.h"

#define NR_CHILDREN	2

static char *p;

static int child(int go)
{
	char c;

	if (read(go, &c, 1) != 1)
		return 1;
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 2;
	if (smaps_kb(p, HPAGE_SIZE, "AnonHugePages"))
		return 3;
	pattern_fill(p, 0, HPAGE_SIZE, getpid() % 100 + 2);
	return pattern_find_bad(p, 0, HPAGE_SIZE, getpid() % 100 + 2) >= 0 ? 4 : 0;
}

int main(void)
{
	pid_t pid[NR_CHILDREN];
	int i, go[2];
	long page;

	test_start(7);
	p = huge_pages(1, 1);
	if (pipe(go))
		ksft_exit_fail_perror("pipe");
	fflush(stdout);
	for (i = 0; i < NR_CHILDREN; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(child(go[0]));
	}
	test_eq(count_mapped(p, HPAGE_SIZE, 3), HPAGE_NR, "pages mapped by three");
	page = vmstat("thp_split_page");
	debugfs_split(p, HPAGE_SIZE, 0);
	test_vmstat("thp_split_page", page, 1);
	test_eq(count_mapped(p, HPAGE_SIZE, 3), HPAGE_NR, "small pages mapped by three");
	if (write(go[1], "..", NR_CHILDREN) != NR_CHILDREN)
		ksft_exit_fail_perror("write");
	for (i = 0; i < NR_CHILDREN; i++)
		test_eq(child_status(pid[i]), 0, "child %d sees and writes its own", i);
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");
	test_eq(count_mapped(p, HPAGE_SIZE, 1), HPAGE_NR, "pages mapped once again");
	ksft_finished();
}
