// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of a file's pages unmaps them: the tables go, and come again with the
 * next access. The file is a block device, whose page cache is like any other.
 */
#include "pte_ref.h"

#define NR	4
#define DEVICE	"/dev/ram1"

int main(void)
{
	uint64_t range[2] = { 0, NR * HPAGE_SIZE };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	char *p;
	int i;

	pte_plan(4);
	if (fd < 0)
		ksft_exit_fail_perror(DEVICE);
	memcg_enter();
	p = pte_area(NR, fd);
	pte_touch(p, NR, 50);
	test_eq(pte_tables(), NR, "tables in use");
	if (fsync(fd))
		ksft_exit_fail_perror("fsync");
	for (i = 0; i < 10 && pte_tables(); i++) {
		memcg_reclaim(8 * NR * 50 * PAGE_SIZE);
		usleep(100000);
	}
	test_tables(0, "after reclaim");
	test_data(p, 0, 64, 1, "the device has the data");
	test_eq(pte_tables(), 1, "tables after one access");
	munmap(p, NR * HPAGE_SIZE);
	ioctl(fd, _IO(0x12, 119) /* BLKDISCARD */, range);
	ksft_finished();
}
