// SPDX-License-Identifier: GPL-2.0
/* A file that is mapped is truncated: what it lost is unmapped in one go. */
#include "pte_ref.h"

#define NR	4

int main(void)
{
	int fd = memfd_create("pte", MFD_CLOEXEC);
	char *p;

	pte_plan(4);
	if (fd < 0 || ftruncate(fd, NR * HPAGE_SIZE))
		ksft_exit_fail_perror("memfd");
	p = pte_area(NR, fd);
	pte_touch(p, NR, 50);
	test_eq(pte_tables(), NR, "tables in use");
	if (ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("ftruncate");
	test_tables(1, "after it");
	test_data(p, 0, 64, 1, "what is left of the file is kept");
	test_eq(access_signal(p + HPAGE_SIZE, true), SIGBUS, "a write behind it");
	ksft_finished();
}
