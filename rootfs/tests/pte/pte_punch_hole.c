// SPDX-License-Identifier: GPL-2.0
/* Holes are punched into a file that is mapped, none as large as a table. */
#include "pte_ref.h"

static int lose(int fd, char *p, size_t len)
{
	const size_t piece = HPAGE_SIZE / 4;
	size_t off;

	for (off = HPAGE_SIZE; off < len; off += piece)
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, piece))
			return -1;
	return 0;
}

int main(void)
{
	pte_plan(4);
	test_file_loses(lose, 0);
	ksft_finished();
}
