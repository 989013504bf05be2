// SPDX-License-Identifier: GPL-2.0
/* The KUnit suite huge_zero: races and failures that no program can provoke. */
#include "mmtest.h"

int main(void)
{
	test_start(2);
	/* Free what an earlier test has left: the suite begins with nothing. */
	file_write("/proc/sys/vm/drop_caches", "2");
	test_kunit("huge_zero");
	ksft_finished();
}
