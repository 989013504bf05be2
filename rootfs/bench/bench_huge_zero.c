// SPDX-License-Identifier: GPL-2.0
/*
 * 40 processes in parallel map the huge zero page, ROUNDS times 64 mappings each:
 * by reading, or with POPULATE=1 without leaving the kernel in between, by
 * MADV_POPULATE_READ. What that takes is for the host to measure.
 */
#include "mmtest.h"

#define PROCESSES	40
#define NR		64	/* mappings until all are dropped */

static void run(long rounds, bool populate)
{
	char *p = huge_area(NR);
	size_t i;

	while (rounds--) {
		if (populate && madvise(p, NR * HPAGE_SIZE, MADV_POPULATE_READ))
			_exit(1);
		for (i = 0; i < NR && !populate; i++)
			(void)*(volatile char *)(p + i * HPAGE_SIZE);
		if (madvise(p, NR * HPAGE_SIZE, MADV_DONTNEED))
			_exit(1);
	}
	_exit(0);
}

int main(void)
{
	long rounds = number_from_env("ROUNDS", 1), populate = number_from_env("POPULATE", 0);
	int i, status, bad = 0;

	if (!thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	for (i = 0; i < PROCESSES; i++)
		if (!fork())
			run(rounds, populate);
	for (i = 0; i < PROCESSES; i++)
		bad += wait(&status) < 0 || status;
	return bad ? KSFT_FAIL : KSFT_PASS;
}
