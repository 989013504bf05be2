// SPDX-License-Identifier: GPL-2.0
/* The KUnit suite um_tick: a tick that interrupts the kernel is no end of a reader. */
#include "mmtest.h"

int main(void)
{
	test_plan(2);
	test_kunit("um_tick");
	ksft_finished();
}
