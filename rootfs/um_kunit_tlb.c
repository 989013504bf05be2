// SPDX-License-Identifier: GPL-2.0
/* The KUnit suite um_tlb: what flushes must do that no program can see. */
#include "mmtest.h"

#define SUITE	"/sys/kernel/debug/kunit/um_tlb/"

int main(void)
{
	int ok = 0, not_ok = 0;
	char line[256], *p;
	FILE *f;

	test_plan(2);
	if (!file_write(SUITE "run", "1"))
		ksft_exit_fail_msg(SUITE "run: %s\n", strerror(errno));
	f = fopen(SUITE "results", "r");
	if (!f)
		ksft_exit_fail_msg(SUITE "results: %s\n", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		/* The cases are indented once, what they say twice. */
		p = line + strspn(line, " ");
		ksft_print_msg("%s", line);
		ok += p - line == 4 && !strncmp(p, "ok ", 3);
		not_ok += !strncmp(p, "not ok ", 7);
	}
	fclose(f);
	test_min(ok, 1, "cases passed");
	test_eq(not_ok, 0, "cases failed");
	ksft_finished();
}
