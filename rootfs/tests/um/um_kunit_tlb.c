// SPDX-License-Identifier: GPL-2.0
/* The KUnit suite um_tlb: what flushes must do that no program can see. */
#include "mmtest.h"

int main(void)
{
	test_plan(2);
	test_kunit("um_tlb");
	ksft_finished();
}
