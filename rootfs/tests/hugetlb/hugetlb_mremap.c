// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() moves HugeTLB pages, every byte at the new address and nothing at
 * the old one; it shrinks a mapping, but doesn't make one longer or put it
 * where a huge page can't be.
 */
#include "hugetlb.h"

#define NR	2
#define LEN	(NR * HPAGE_SIZE)

static const size_t at[] = {
	0, PAGE_SIZE, 300 * PAGE_SIZE + 5, HPAGE_SIZE - 1, HPAGE_SIZE,
	HPAGE_SIZE + 511 * PAGE_SIZE, LEN - 1,
};

int main(void)
{
	unsigned long pfn[NR];
	char *p, *q, *r;
	size_t i, bad;

	hugetlb_start(17, 3);
	p = hugetlb_pages(NR, 1);
	pfn[0] = pfn_of(p);
	pfn[1] = pfn_of(p + HPAGE_SIZE);
	q = hole_area(NR);
	if (mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, q) != q)
		ksft_exit_fail_perror("mremap");
	test_true(pfn_of(q) == pfn[0] && pfn_of(q + HPAGE_SIZE) == pfn[1],
		  "the same pages at the new address");
	test_hugetlb(q, NR, "each is 512 pages of one HugeTLB page");
	test_data(q, 0, LEN, 1, "every byte");
	for (i = 0, bad = 0; i < ARRAY_SIZE(at); i++)
		bad += access_signal(p + at[i], i % 2) != SIGSEGV;
	test_eq(bad, 0, "accesses to the old address that worked");
	test_pool(3, 1, 0, 0, "no page more or less");

	/* Small pages where they were */
	if (mmap(p, LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		ksft_exit_fail_perror("mmap");
	madvise(p, LEN, MADV_NOHUGEPAGE);
	test_data(p, 0, LEN, 0, "zeroes in a new mapping there");
	pattern_fill(p, 0, LEN, 2);
	test_data(q, 0, LEN, 1, "which is not the pages that moved");
	area_free(p, NR);

	/* And back */
	if (mremap(q, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
		ksft_exit_fail_perror("mremap");
	test_eq(access_signal(q, true), SIGSEGV, "moved back: signal where it was");
	test_data(p, 0, LEN, 1, "every byte");

	/* What doesn't work */
	r = mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, q + PAGE_SIZE);
	test_true(r == MAP_FAILED && errno == EINVAL, "EINVAL for an address inside a huge page");
	r = mremap(p, LEN, LEN + HPAGE_SIZE, MREMAP_MAYMOVE);
	test_true(r == MAP_FAILED && errno == EINVAL, "EINVAL for more than there was");
	test_data(p, 0, LEN, 1, "every byte is still there");

	/* Shrink, move the rest */
	test_true(mremap(p, LEN, HPAGE_SIZE, 0) == p, "a shorter mapping");
	test_pool(3, 2, 0, 0, "a page is free");
	test_eq(access_signal(p + HPAGE_SIZE, false), SIGSEGV, "signal for that page");
	if (mremap(p, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   q + HPAGE_SIZE) != q + HPAGE_SIZE)
		ksft_exit_fail_perror("mremap");
	test_data(q + HPAGE_SIZE, 0, HPAGE_SIZE, 1, "the other moved, its bytes");
	munmap(q + HPAGE_SIZE, HPAGE_SIZE);
	test_pool(3, 3, 0, 0, "munmap()");
	ksft_finished();
}
