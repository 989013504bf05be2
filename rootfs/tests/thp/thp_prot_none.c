// SPDX-License-Identifier: GPL-2.0
/* A whole huge page to PROT_NONE, to PROT_READ and back: huge all the time. */
#include "mmtest.h"

static void protect(char *p, int prot)
{
	if (mprotect(p, HPAGE_SIZE, prot))
		ksft_exit_fail_perror("mprotect");
}

int main(void)
{
	unsigned long pfn;
	long split;
	char *p;

	test_start(14);
	p = huge_pages(1, 1);
	pfn = pfn_of(p);
	split = vmstat("thp_split_pmd");

	protect(p, PROT_NONE);
	test_eq(access_signal(p, false), SIGSEGV, "PROT_NONE: signal for a read");
	test_eq(access_signal(p + HPAGE_SIZE - 1, false), SIGSEGV,
		"PROT_NONE: signal for a read of the end");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);

	protect(p, PROT_READ);
	test_data(p, 0, HPAGE_SIZE, 1, "PROT_READ: every byte");
	test_eq(access_signal(p, true), SIGSEGV, "PROT_READ: signal for a write");
	test_eq(access_signal(p + HPAGE_SIZE - 1, true), SIGSEGV,
		"PROT_READ: signal for a write to the end");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);

	protect(p, PROT_READ | PROT_WRITE);
	test_data(p, 0, HPAGE_SIZE, 1, "writable: every byte");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "writable: written");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);

	protect(p, PROT_NONE);
	protect(p, PROT_READ | PROT_WRITE);
	test_data(p, 0, HPAGE_SIZE, 2, "not touched while PROT_NONE: every byte");
	test_eq(pfn_of(p), pfn, "the same huge page, pfn");
	test_vmstat("thp_split_pmd", split, 0);

	/* Split while it is PROT_NONE. */
	protect(p, PROT_NONE);
	debugfs_split(p, HPAGE_SIZE, 0);
	protect(p, PROT_READ | PROT_WRITE);
	test_data(p, 0, HPAGE_SIZE, 2, "split while PROT_NONE: every byte");
	ksft_finished();
}
