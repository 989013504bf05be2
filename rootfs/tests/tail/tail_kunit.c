// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own tests of the pins of subpages: the counts, pins that can't be
 * told apart, and their distribution, without a process.
 */
#include "tail.h"

int main(void)
{
	tail_start(2);
	test_kunit("subpage_pins");
	ksft_finished();
}
