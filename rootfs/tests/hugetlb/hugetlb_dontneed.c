// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_DONTNEED gives whole HugeTLB pages back to the pool, reserved for the
 * next fault, which finds zeroes; a length that ends inside one leaves it
 * alone, and so does an address that begins inside one. A file keeps its pages.
 */
#include "hugetlb.h"

#define NR	3

int main(void)
{
	unsigned long pfn;
	char *p;
	int fd;

	hugetlb_start(22, NR + 1);
	p = hugetlb_pages(NR, 1);
	test_pool(4, 1, 0, 0, "3 of 4 in use");
	test_eq(madvise(p, HPAGE_SIZE, MADV_DONTNEED), 0, "MADV_DONTNEED of the first");
	test_pool(4, 2, 1, 0, "it is free, and reserved");
	test_data(p, HPAGE_SIZE, NR * HPAGE_SIZE, 1, "the others' bytes");
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes in the first");
	test_pool(4, 1, 0, 0, "it is in use again");
	pattern_fill(p, 0, HPAGE_SIZE, 2);

	/* Only what is whole */
	test_eq(madvise(p, HPAGE_SIZE - PAGE_SIZE, MADV_DONTNEED), 0, "less than a huge page");
	test_eq(madvise(p, PAGE_SIZE, MADV_DONTNEED), 0, "a small page");
	test_pool(4, 1, 0, 0, "nothing is free");
	test_true(madvise(p + PAGE_SIZE, HPAGE_SIZE, MADV_DONTNEED) == -1 &&
		  errno == EINVAL, "EINVAL for an address inside a huge page");
	test_true(madvise(p, HPAGE_SIZE, MADV_FREE) == -1 && errno == EINVAL,
		  "EINVAL for MADV_FREE");
	test_data(p, 0, HPAGE_SIZE, 2, "every byte is there");
	test_eq(madvise(p + HPAGE_SIZE, 2 * HPAGE_SIZE - 1, MADV_DONTNEED), 0, "one byte less than two");
	test_pool(4, 3, 2, 0, "its end rounded up to a small page: both are free");
	test_eq(madvise(p, HPAGE_SIZE + 7 * PAGE_SIZE, MADV_DONTNEED), 0, "one and a bit");
	test_pool(4, 4, 3, 0, "that one is free");
	test_data(p, 0, NR * HPAGE_SIZE, 0, "zeroes in all three");
	area_free(p, NR);
	test_pool(4, 4, 0, 0, "munmap()");

	/* A file's pages */
	fd = hugetlb_file(1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	pfn = pfn_of(p);
	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
	test_true(!PAGEMAP_PRESENT(pagemap(p)), "a file's page is unmapped");
	test_data(p, 0, HPAGE_SIZE, 3, "its bytes");
	test_true(pfn_of(p) == pfn, "it is the same page");
	area_free(p, 1);
	close(fd);
	test_pool(4, 4, 0, 0, "the end of the file");
	ksft_finished();
}
