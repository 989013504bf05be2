// SPDX-License-Identifier: GPL-2.0
/* MADV_COLLAPSE of a tmpfs file of small pages; two mappings see the result. */
#include "mmtest.h"

int main(void)
{
	char *p, *other;
	int fd;

	test_start(8);
	fd = memfd_create("small", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("memfd_create");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	other = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	madvise(p, HPAGE_SIZE, MADV_NOHUGEPAGE);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	force_read_pages(other, HPAGE_NR, PAGE_SIZE);
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_THP), 0, "KPF_THP pages before");
	madvise(p, HPAGE_SIZE, MADV_HUGEPAGE);
	test_eq(madvise(p, HPAGE_SIZE, MADV_COLLAPSE), 0, "MADV_COLLAPSE");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_THP), HPAGE_NR, "KPF_THP pages after");
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	test_data(other, 0, HPAGE_SIZE, 1, "every byte of the other mapping");
	pattern_fill(other, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "a write to the other mapping");
	test_eq(pfn_of(p), pfn_of(other), "one huge page, pfn");
	ksft_finished();
}
