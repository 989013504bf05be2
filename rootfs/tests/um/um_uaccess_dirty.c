// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel writes into a program's page on its behalf makes that page
 * dirty: after MADV_FREE it must survive reclaim as a write of the program's
 * own does. (um wrote through its own mapping and left the PTE clean, so that
 * reclaim dropped the page.)
 */
#include <linux/futex.h>

#include "mmtest.h"

#define NR	32	/* pages of each kind */

static int fds[2];

static void load(const char *p)
{
	*(volatile const char *)p;
}

static void read_into(char *p)
{
	if (write(fds[1], "payload", 8) != 8 || read(fds[0], p, 8) != 8)
		ksft_exit_fail_perror("read");
}

static void wake_op(char *p)
{
	static uint32_t other;

	if (syscall(__NR_futex, &other, FUTEX_WAKE_OP, 0, NULL, p,
		    FUTEX_OP(FUTEX_OP_SET, 0x123, FUTEX_OP_CMP_EQ, 0)) < 0)
		ksft_exit_fail_perror("FUTEX_WAKE_OP");
}

int main(void)
{
	int by_read = 0, by_futex = 0, dropped = 0, i;
	long freed;
	char *p, *drain, *huge = NULL, *clean = NULL;

	test_plan(thp_available() ? 6 : 4);
	if (pipe(fds))
		ksft_exit_fail_perror("pipe");
	swap_start();
	memcg_enter();
	p = small_area(1);
	memset(p, 0x11, 4 * NR * PAGE_SIZE);
	if (thp_available()) {
		huge = huge_pages(1, 1);
		clean = huge_pages(1, 1);
	}
	/* Only pages on an LRU list can be freed: push them out of the batch. */
	drain = small_area(1);
	for (i = 0; i < 64; i++)
		drain[i * PAGE_SIZE] = 1;
	if (madvise(p, 4 * NR * PAGE_SIZE, MADV_FREE) ||
	    (huge && madvise(huge, HPAGE_SIZE, MADV_FREE)) ||
	    (huge && madvise(clean, HPAGE_SIZE, MADV_FREE)))
		ksft_exit_fail_perror("MADV_FREE");
	/*
	 * A word of every second page: by read(), by futex, in turn. Load from
	 * it before, so that the write meets a page that is young, but clean.
	 */
	for (i = 0; i < NR; i++) {
		load(p + 4 * i * PAGE_SIZE);
		wake_op(p + 4 * i * PAGE_SIZE);
		load(p + (4 * i + 2) * PAGE_SIZE);
		read_into(p + (4 * i + 2) * PAGE_SIZE);
	}
	if (huge) {
		load(huge + 300 * PAGE_SIZE);
		read_into(huge + 300 * PAGE_SIZE);
	}
	freed = vmstat("pglazyfreed");
	memcg_reclaim(16UL << 20);
	freed = vmstat("pglazyfreed") - freed;

	for (i = 0; i < NR; i++) {
		by_futex += *(volatile uint32_t *)(p + 4 * i * PAGE_SIZE) == 0x123;
		by_read += !memcmp(p + (4 * i + 2) * PAGE_SIZE, "payload", 8);
		dropped += !p[(4 * i + 1) * PAGE_SIZE] + !p[(4 * i + 3) * PAGE_SIZE];
	}
	test_min(freed, huge ? HPAGE_NR + NR : NR, "pages that reclaim dropped");
	test_min(dropped, NR, "small pages dropped, of those left clean");
	test_eq(by_read, NR, "words kept that read() wrote");
	test_eq(by_futex, NR, "words kept that FUTEX_WAKE_OP wrote");
	if (huge) {
		test_data(clean, 0, HPAGE_SIZE, 0, "a clean huge page was dropped");
		test_true(!memcmp(huge + 300 * PAGE_SIZE, "payload", 8),
			  "a huge page keeps what read() wrote");
	}
	ksft_finished();
}
