// SPDX-License-Identifier: GPL-2.0
/* The KUnit suite huge_zero: races and failures that no program can provoke. */
#include "huge_zero.h"

int main(void)
{
	ksft_print_header();
	if (!thp_available() || huge_zero_counts("nothing"))
		ksft_exit_skip("this kernel counts no references\n");
	ksft_set_plan(2);
	/* Free what an earlier test has left: the suite begins with nothing. */
	huge_zero_shrink();
	test_kunit("huge_zero");
	ksft_finished();
}
