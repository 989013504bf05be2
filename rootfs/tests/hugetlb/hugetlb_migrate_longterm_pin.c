// SPDX-License-Identifier: GPL-2.0
/*
 * HugeTLB pages migrate while others read and write them: private ones under a
 * second thread, shared ones under other processes. No write is lost, the pool
 * is the same, and what was free takes what moved.
 *
 * There are no NUMA nodes to move them between, but a long-term pin moves
 * memory out of ZONE_MOVABLE.
 */
#define NR		4
#include "hugetlb.h"
#include "migrate.h"

int main(void)
{
	size_t off, bad = 0;
	char *a, *p;
	long ok;

	if (movable_pages() < 8 * LEN / PAGE_SIZE)
		ksft_exit_skip("no ZONE_MOVABLE of 64 MB: boot with movablecore=256M\n");
	hugetlb_start(16, 2 * NR);
	a = hugetlb_pages(NR, 0);
	/* A child's share would make a private copy of what is to be moved. */
	madvise(a, LEN, MADV_DONTFORK);
	p = hugetlb_map(NR, MAP_SHARED);
	memset(a, 0, LEN);
	memset(p, 0, LEN);
	for (off = 0; off < LEN; off += PAGE_SIZE)
		*(uint64_t *)(a + off) = *(uint64_t *)(p + off) = off + 1;
	test_pool(8, 0, 0, 0, "all in use");
	ok = vmstat("pgmigrate_success");

	touchers_start(a, p);
	test_eq(pin(a), NR, "private huge pages that moved");
	test_eq(pin(p), NR, "shared huge pages that moved");
	test_eq(touchers_stop(), 0, "children that died");
	test_vmstat("pgmigrate_success", ok, 2 * NR * HPAGE_NR);
	test_pool(8, 0, 0, 0, "after the migration");
	test_hugetlb(a, NR, "private: each is 512 pages of one HugeTLB page");
	test_hugetlb(p, NR, "shared: each is 512 pages of one HugeTLB page");
	test_eq(pin(a) + pin(p), 0, "huge pages that move once more");
	test_min(sh->count[0], 1, "rounds of the thread");
	test_min(sh->count[1] < sh->count[2] ? sh->count[1] : sh->count[2], 1,
		 "rounds of the processes");
	test_eq(sh->bad, 0, "words that were found changed");
	test_eq(words_wrong(a, p), 0, "words that are wrong in the end");
	for (off = 0; off < LEN; off += PAGE_SIZE)
		bad += *(uint64_t *)(a + off) != off + 1 ||
		       *(uint64_t *)(p + off) != off + 1;
	test_eq(bad, 0, "pages that are not in their place");
	area_free(a, NR);
	area_free(p, NR);
	test_pool(8, 8, 0, 0, "munmap()");
	pool_resize(0);
	test_pool(0, 0, 0, 0, "an end to the pool");
	ksft_finished();
}
