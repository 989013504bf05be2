// SPDX-License-Identifier: GPL-2.0
/*
 * With nearly all memory in use or in pieces of 28 KB, compaction makes HugeTLB
 * pages where they were, as many as it can, and the pieces become struct pages
 * again when these are freed. What is saved is exact, and what is in memory stays.
 */
#include "hugetlb.h"

static char *area;
static size_t len;

static uint64_t *word(size_t off)
{
	return (uint64_t *)(area + off);
}

#define PIECE	(8 * PAGE_SIZE)
#define STEP	(8 * PIECE)	/* one in so many pages that are kept has a word */

/*
 * Take most of the memory in 4 KB pages, and keep one of eight: as many mappings
 * as the host allows without starting over.
 */
static void fragment(void)
{
	size_t off;

	len = meminfo("MemFree:") * 1024 / 10 * 8 & ~(HPAGE_SIZE - 1);
	area = small_area(len / HPAGE_SIZE);
	if (madvise(area, len, MADV_POPULATE_WRITE))
		ksft_exit_fail_perror("MADV_POPULATE_WRITE");
	madvise_each(area + PAGE_SIZE, len, PIECE, PIECE - PAGE_SIZE, MADV_DONTNEED);
	for (off = 0; off < len; off += STEP)
		*word(off) = off + 1;
}

static size_t words_wrong(void)
{
	size_t off, wrong = 0;

	for (off = 0; off < len; off += STEP)
		wrong += *word(off) != off + 1;
	return wrong;
}

static void as_many_as_fit(bool hvo)
{
	long before = memmap_pages(), success = vmstat("compact_success"), nr;
	char *p;

	hvo_set(hvo);
	file_write(POOL "nr_hugepages", "10000");
	nr = pool("nr_hugepages");
	ksft_print_msg("compact_success %ld -> %ld\n", success, vmstat("compact_success"));
	test_min(nr, 2, "hugetlb_optimize_vmemmap = %d: HugeTLB pages", hvo);
	test_eq(before - memmap_pages(), hvo ? nr * HVO_SAVED : 0, "pages of struct page saved");
	p = hugetlb_pages(2, 1);
	test_data(p, 0, 2 * HPAGE_SIZE, 1, "every byte of two");
	test_hugetlb(p, 2, "each is 512 pages of one HugeTLB page");
	area_free(p, 2);
	pool_resize(0);
	test_eq(pool("nr_hugepages"), 0, "freed");
	test_eq(before - memmap_pages(), 0, "pages of struct page saved");
	test_eq(words_wrong(), 0, "words of other memory that changed");
}

int main(void)
{
	hvo_start(2 * 7);
	fragment();
	ksft_print_msg("%zu MB in pieces\n", len >> 20);
	as_many_as_fit(false);
	as_many_as_fit(true);
	ksft_finished();
}
