// SPDX-License-Identifier: GPL-2.0
/* A file that is mapped is truncated: what it lost is unmapped in one go. */
#include "pte_ref.h"

static int lose(int fd, char *p, size_t len)
{
	return ftruncate(fd, HPAGE_SIZE);
}

int main(void)
{
	pte_plan(4);
	test_file_loses(lose, SIGBUS);
	ksft_finished();
}
