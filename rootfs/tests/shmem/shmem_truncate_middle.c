// SPDX-License-Identifier: GPL-2.0
/*
 * Truncating a huge tmpfs file into the middle of a mapped huge page: bytes
 * before the new end stay, pages behind it are gone, and come back as zeroes.
 */
#include "mmtest.h"

#define NR	2
#define LEN	(NR * HPAGE_SIZE)
#define CUT	(HPAGE_SIZE + 200 * PAGE_SIZE + 100)	/* inside a page */
#define CUT_UP	(HPAGE_SIZE + 201 * PAGE_SIZE)

int main(void)
{
	size_t off, left;
	long split;
	char *p;
	int fd;

	test_start(11);
	fd = huge_file("file", LEN, 1);
	p = map_file(fd, LEN, MAP_SHARED);
	force_read_pages(p, LEN / PAGE_SIZE, PAGE_SIZE);
	test_smaps(p, LEN, "ShmemPmdMapped", LEN / 1024);
	split = vmstat("thp_split_page");
	if (ftruncate(fd, CUT))
		ksft_exit_fail_perror("ftruncate");
	test_vmstat("thp_split_page", split, 1);
	test_smaps(p, LEN, "ShmemPmdMapped", HPAGE_KB);
	test_eq(access_signal(p + CUT_UP, false), SIGBUS, "signal behind the end");
	test_eq(access_signal(p + LEN - 1, true), SIGBUS, "signal at the old end");
	test_data(p, 0, HPAGE_SIZE, 1, "bytes of the first huge page");
	test_data(p, HPAGE_SIZE, CUT & ~7UL, 1, "bytes of the second up to the cut");
	for (off = CUT, left = 0; off < CUT_UP; off++)
		left += p[off] != 0;
	test_eq(left, 0, "bytes left from the cut to the end of its page");
	if (ftruncate(fd, LEN))
		ksft_exit_fail_perror("ftruncate");
	test_data(p, CUT_UP, LEN, 0, "zeroes after growing again");
	pattern_fill(p, 0, LEN, 2);
	test_data(p, 0, LEN, 2, "all can be written again");
	ftruncate(fd, 0);
	test_eq(access_signal(p, false), SIGBUS, "signal after truncation to nothing");
	ksft_finished();
}
