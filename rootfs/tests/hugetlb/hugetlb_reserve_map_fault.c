// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of HugeTLB pages: mmap() reserves, a fault takes a page, munmap()
 * gives it back. Nobody gets what is reserved for another: mmap() fails, and
 * a fault in what reserved nothing is a SIGBUS.
 */
#include "hugetlb.h"

#define NR	3

int main(void)
{
	char *p, *q, *n;
	long i;

	hugetlb_start(24, NR + 1);
	test_pool(4, 4, 0, 0, "an empty pool of 4");
	test_eq(meminfo("HugePages_Total:"), 4, "meminfo HugePages_Total");
	test_eq(meminfo("Hugetlb:"), 4 * HPAGE_KB, "meminfo Hugetlb kB");

	p = hugetlb_pages(NR, 0);
	test_pool(4, 4, 3, 0, "mmap() of 3");
	for (i = 0; i < NR; i++) {
		pattern_fill(p, i * HPAGE_SIZE, (i + 1) * HPAGE_SIZE, 1);
		test_pool(4, 3 - i, 2 - i, 0, "a write to page %ld", i);
	}
	test_smaps(p, NR * HPAGE_SIZE, "Private_Hugetlb", NR * HPAGE_KB);
	test_hugetlb(p, NR, "each is 512 pages of one HugeTLB page");
	test_data(p, 0, NR * HPAGE_SIZE, 1, "every byte");

	q = hugetlb_map(2, MAP_PRIVATE);
	test_true(q == MAP_FAILED && errno == ENOMEM, "ENOMEM for mmap() of 2 where 1 is left");
	test_pool(4, 1, 0, 0, "nothing is reserved for it");
	q = hugetlb_pages(1, 0);
	test_pool(4, 1, 1, 0, "mmap() of the last");

	n = hugetlb_map(1, MAP_PRIVATE | MAP_NORESERVE);
	test_true(n != MAP_FAILED, "MAP_NORESERVE maps what isn't there");
	test_pool(4, 1, 1, 0, "reserves nothing");
	test_eq(access_signal(n + 5000, true), SIGBUS, "and doesn't get what is reserved: signal");
	test_eq(access_siginfo.si_code, BUS_ADRERR, "its si_code");
	test_eq((char *)access_siginfo.si_addr - n, 5000, "its si_addr");
	test_data(q, 0, HPAGE_SIZE, 0, "who reserved it does, zeroed");
	test_pool(4, 0, 0, 0, "all in use");
	area_free(q, 1);
	test_pool(4, 1, 0, 0, "munmap() of one");
	test_eq(access_signal(n + 5000, true), 0, "without a reservation after that: signal");
	area_free(n, 1);
	area_free(p, NR);
	test_pool(4, 4, 0, 0, "munmap() of all");
	pool_resize(0);
	test_eq(meminfo("Hugetlb:"), 0, "an end to the pool: meminfo Hugetlb kB");
	ksft_finished();
}
