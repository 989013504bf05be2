// SPDX-License-Identifier: GPL-2.0
/*
 * Idle page tracking: a huge page marked idle stays idle while nobody touches
 * it and isn't idle once any one byte of it was read or written, by who has to look
 * its translation up. The same for a small page.
 */
#include "mmtest.h"

static int bitmap;

static void mark_idle(unsigned long pfn)
{
	uint64_t word = 1ULL << pfn % 64;

	if (pwrite(bitmap, &word, 8, pfn / 64 * 8) != 8)
		ksft_exit_fail_perror("page_idle/bitmap");
}

static bool is_idle(unsigned long pfn)
{
	uint64_t word;

	if (pread(bitmap, &word, 8, pfn / 64 * 8) != 8)
		ksft_exit_fail_perror("page_idle/bitmap");
	return word >> pfn % 64 & 1;
}

static void check(const char *what, char *page, size_t len, char *touch)
{
	unsigned long pfn = pfn_of(page);

	mark_idle(pfn);
	test_true(is_idle(pfn) && is_idle(pfn), "%s: idle while untouched", what);
	tlb_forget(page, len);
	test_true(is_idle(pfn), "%s: idle when moved away and back", what);
	force_read_pages(touch, 1, PAGE_SIZE);
	test_true(!is_idle(pfn), "%s: not idle after a read", what);
	mark_idle(pfn);
	test_true(is_idle(pfn), "%s: idle again", what);
	tlb_forget(page, len);
	*(volatile char *)touch += 1;
	test_true(!is_idle(pfn), "%s: not idle after a write", what);
	mark_idle(pfn);
	tlb_forget(page, len);
	if (pattern_find_bad(touch, 8, PAGE_SIZE, 0) >= 0)
		ksft_exit_fail_msg("%s: wrong bytes\n", what);
	test_true(!is_idle(pfn), "%s: not idle after a longer look", what);
}

int main(void)
{
	char *huge, *small, *drain;
	size_t i;

	test_start(18);
	bitmap = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR);
	if (bitmap < 0)
		ksft_exit_fail_perror("page_idle/bitmap");
	huge = huge_area(1);
	small = small_area(1);
	memset(huge, 0, HPAGE_SIZE);
	memset(small, 0, PAGE_SIZE);
	/* Only pages on an LRU list count: push it out of the batch before. */
	drain = small_area(1);
	for (i = 0; i < 64; i++)
		drain[i * PAGE_SIZE] = 1;
	check("huge, at its start", huge, HPAGE_SIZE, huge);
	check("huge, in page 300", huge, HPAGE_SIZE, huge + 300 * PAGE_SIZE);
	check("small", small, PAGE_SIZE, small);
	ksft_finished();
}
