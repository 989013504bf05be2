// SPDX-License-Identifier: GPL-2.0
/*
 * mremap between 2 MB boundaries moves huge pages whole, also over a range
 * that huge pages fill already; nothing of them shows through afterwards.
 */
#include "mmtest.h"

#define NR	2
#define LEN	(NR * HPAGE_SIZE)

int main(void)
{
	long split;
	unsigned long pfn;
	char *p, *to;

	test_start(13);
	p = huge_pages(NR, 1);
	to = huge_pages(NR, 2);
	pfn = pfn_of(p);
	split = vmstat("thp_split_pmd");
	if (mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		ksft_exit_fail_perror("mremap");
	test_vmstat("thp_split_pmd", split, 0);
	test_smaps(to, LEN, "AnonHugePages", LEN / 1024);
	test_eq(pfn_of(to), pfn, "the same huge page, pfn");
	test_data(to, 0, LEN, 1, "every byte came along");
	test_eq(access_signal(p, false), SIGSEGV, "signal for the old place");
	test_eq(access_signal(p + LEN - 1, false), SIGSEGV, "signal for its end");
	if (mmap(p, LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		ksft_exit_fail_perror("mmap");
	test_data(p, 0, LEN, 0, "zeroes in a new mapping there");
	test_data(to, 0, LEN, 1, "which changes nothing in the new place");

	/* Onto small pages, and keeping the (empty) source. */
	madvise(p, LEN, MADV_NOHUGEPAGE);
	pattern_fill(p, 0, LEN, 3);
	if (mremap(to, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		   p) != p)
		ksft_exit_fail_perror("mremap MREMAP_DONTUNMAP");
	test_vmstat("thp_split_pmd", split, 0);
	test_smaps(p, LEN, "AnonHugePages", LEN / 1024);
	test_data(p, 0, LEN, 1, "huge pages replaced small ones");
	test_data(to, 0, LEN, 0, "the source is left empty");
	pattern_fill(p, 0, LEN, 4);
	test_data(p, 0, LEN, 4, "all can be written again");
	ksft_finished();
}
