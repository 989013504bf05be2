// SPDX-License-Identifier: GPL-2.0
/* The KUnit suite pte_ref: what is counted, and races in a fixed order. */
#include "pte_ref.h"

int main(void)
{
	long raced;

	pte_plan(3);
	raced = vmstat("pte_table_raced");
	test_kunit("pte_ref");
	test_vmstat_min("pte_table_raced", raced, 1);
	ksft_finished();
}
