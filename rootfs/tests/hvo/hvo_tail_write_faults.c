// SPDX-License-Identifier: GPL-2.0
/*
 * The struct pages that optimized HugeTLB pages share can be read and not
 * written: a case of the KUnit suite hugetlb_vmemmap tries both on all vmemmap pages
 * of each that there is. Once they are freed, what they shared can be written again.
 */
#include "hugetlb.h"

/* How many optimized HugeTLB pages the case has tried; -1 if it failed */
static long run_case(void)
{
	char info[256];
	long tried = -1;
	bool ok = kunit_case("hugetlb_vmemmap", "shared_tails_read_only", info,
			     sizeof(info));

	sscanf(info, "%ld optimized", &tried);
	return ok ? tried : -1;
}

int main(void)
{
	long before;
	char *p;

	hvo_frames_start(10);
	/* A thread of the kernel dies of its write. */
	ksft_print_msg("keeps-memory: a thread that is gone\n");
	before = memmap_pages();
	pool_resize(2);
	test_eq(run_case(), 0, "not optimized: pages that the case has tried");
	pool_resize(0);

	hvo_set(true);
	pool_resize(3);
	p = hugetlb_pages(1, 1);
	test_eq(before - memmap_pages(), 3 * HVO_SAVED, "optimized: pages of struct page saved");
	test_eq(run_case(), 3, "pages with all tails read, none written");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte of one that is in use");
	test_hugetlb(p, 1, "it is 512 pages of one HugeTLB page");
	area_free(p, 1);
	test_pool(3, 3, 0, 0, "munmap()");
	pool_resize(0);
	test_eq(before - memmap_pages(), 0, "freed: pages of struct page saved");
	test_eq(run_case(), 0, "pages that the case has tried");

	/* To fill and split huge pages writes to all of their struct pages. */
	p = huge_pages(8, 2);
	debugfs_split(p, 8 * HPAGE_SIZE, 0);
	test_eq(count_flagged(p, 8 * HPAGE_SIZE, KPF_COMPOUND_TAIL), 0, "tail pages after a split of 8 THP");
	test_data(p, 0, 8 * HPAGE_SIZE, 2, "every byte of them");
	area_free(p, 8);
	ksft_finished();
}
