// SPDX-License-Identifier: GPL-2.0
/* The shortest way from boot to a verdict: pid 1 runs programs, memory works. */
#include <stdlib.h>
#include <string.h>

#include "kselftest.h"

int main(void)
{
	char *p = malloc(1 << 20);

	ksft_print_header();
	ksft_set_plan(2);
	ksft_test_result(getppid() == 1, "the parent is init\n");
	if (p)
		memset(p, 0x5a, 1 << 20);
	ksft_test_result(p && p[12345] == 0x5a, "memory holds what is written\n");
	ksft_finished();
}
