// SPDX-License-Identifier: GPL-2.0
/* MADV_REMOVE takes a shared file away in pieces, none as large as a table. */
#include "pte_ref.h"

#define NR	4

int main(void)
{
	int fd = memfd_create("pte", MFD_CLOEXEC);
	size_t off;
	char *p;

	pte_plan(4);
	if (fd < 0 || ftruncate(fd, NR * HPAGE_SIZE))
		ksft_exit_fail_perror("memfd");
	p = pte_area(NR, fd);
	pte_touch(p, NR, 50);
	test_eq(pte_tables(), NR, "tables in use");
	for (off = HPAGE_SIZE; off < NR * HPAGE_SIZE; off += HPAGE_SIZE / 4)
		if (madvise(p + off, HPAGE_SIZE / 4, MADV_REMOVE))
			ksft_exit_fail_perror("MADV_REMOVE");
	test_tables(1, "after it");
	test_data(p, 0, 64, 1, "what is left of the file is kept");
	test_eq(access_signal(p + HPAGE_SIZE, true), 0, "a write behind it");
	ksft_finished();
}
