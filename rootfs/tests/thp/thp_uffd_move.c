// SPDX-License-Identifier: GPL-2.0
/*
 * UFFDIO_MOVE moves a huge page whole to another address, moves a part of one
 * (split), and the source faults as empty afterwards.
 */
#include "mmtest.h"

int main(void)
{
	unsigned long pfn;
	char *src, *dst;
	int uffd;
	long split;

	test_start(11);
	uffd = uffd_open(UFFD_FEATURE_MOVE);
	src = huge_pages(1, 1);
	dst = huge_area(1);
	if (uffd_register(uffd, dst, HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	pfn = pfn_of(src);
	split = vmstat("thp_split_pmd");
	test_eq(uffd_move(uffd, dst, src, HPAGE_SIZE), HPAGE_SIZE, "bytes moved");
	test_vmstat("thp_split_pmd", split, 0);
	test_eq(pfn_of(dst), pfn, "the same huge page, pfn");
	test_smaps(dst, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(dst, 0, HPAGE_SIZE, 1, "every byte came along");
	test_data(src, 0, HPAGE_SIZE, 0, "the source is empty");
	pattern_fill(src, 0, HPAGE_SIZE, 2);
	test_data(dst, 0, HPAGE_SIZE, 1, "a write there changes nothing here");

	/* 16 pages out of the middle of a huge page */
	madvise(dst, HPAGE_SIZE, MADV_DONTNEED);
	test_eq(uffd_move(uffd, dst + 64 * PAGE_SIZE, src + 64 * PAGE_SIZE, 16 * PAGE_SIZE),
		16 * PAGE_SIZE, "bytes moved of a part");
	test_data(dst, 64 * PAGE_SIZE, 80 * PAGE_SIZE, 2, "they came along");
	test_data(src, 64 * PAGE_SIZE, 80 * PAGE_SIZE, 0, "the source is empty there");
	test_true(pattern_find_bad(src, 0, 64 * PAGE_SIZE, 2) < 0 &&
		  pattern_find_bad(src, 80 * PAGE_SIZE, HPAGE_SIZE, 2) < 0,
		  "and nowhere else");
	ksft_finished();
}
