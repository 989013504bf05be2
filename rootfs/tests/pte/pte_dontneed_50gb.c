// SPDX-License-Identifier: GPL-2.0
/*
 * The case of the posting: map 50 GB, touch each 2 MB, MADV_DONTNEED. Once in
 * one go, which PT_RECLAIM would do as well, once page by page.
 */
#include "pte_ref.h"

#define LEN		(50UL << 30)
#define POSTED_KB	96

static char *p;

/* Wait for no more than the posting's VmPTE; returns what it was after how long */
static long wait_for_kb(long most, long *ms)
{
	long start = now_ms(), kb;

	do {
		usleep(5000);
		kb = vmpte();
		*ms = now_ms() - start;
	} while (kb > most && *ms < PTE_MS);
	return kb;
}

static void given_back(const char *how)
{
	long ms, kb = wait_for_kb(POSTED_KB, &ms);

	ksft_test_result(kb <= POSTED_KB, "%s: VmPTE %ld kB after %ld ms, posted: %d kB\n",
			 how, kb, ms, POSTED_KB);
}

int main(void)
{
	size_t off;

	pte_plan(4);
	pte_count_from_here();
	p = mmap(NULL, LEN + HPAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	p = (char *)(((uintptr_t)p + HPAGE_SIZE - 1) & ~(HPAGE_SIZE - 1UL));
	madvise(p, LEN, MADV_NOHUGEPAGE);
	for (off = 0; off < LEN; off += HPAGE_SIZE)
		*(volatile char *)(p + off) = 1;
	ksft_print_msg("VmPTE: %ld kB, then %ld kB\n", pte_floor, vmpte());
	test_min(vmpte() - pte_floor, 102400 + 200, "kB of 25600 tables, and 50 above");
	madvise(p, LEN, MADV_DONTNEED);
	given_back("MADV_DONTNEED");

	madvise_each(p, LEN, HPAGE_SIZE, PAGE_SIZE, MADV_POPULATE_WRITE);
	for (off = 0; off < LEN; off += HPAGE_SIZE)
		madvise(p + off, PAGE_SIZE, MADV_DONTNEED);
	given_back("page by page");
	test_data(p + LEN / 2, 0, 64, 0, "it reads as zeroes");
	ksft_finished();
}
