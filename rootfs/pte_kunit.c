// SPDX-License-Identifier: GPL-2.0
/* The KUnit suite pte_ref: what is counted, and races in a fixed order. */
#include "pte_ref.h"

int main(void)
{
	pte_plan(2);
	test_kunit("pte_ref");
	ksft_finished();
}
