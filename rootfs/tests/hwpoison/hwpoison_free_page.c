// SPDX-License-Identifier: GPL-2.0
/*
 * A free page fails: it is taken out of the free list, and out of the larger
 * block that it is in, before anybody has it, and put back when it is good.
 */
#include "hugetlb.h"

#define CORRUPT	"/sys/kernel/debug/hwpoison/corrupt-pfn"

/* Find free blocks of 2 MB, from the end of memory. */
static void free_blocks(unsigned long *block, int nr)
{
	uint64_t flags[HPAGE_NR];
	long pfn, end;
	int fd, i, n;

	fd = open("/proc/kpageflags", O_RDONLY);
	for (end = 0; pread(fd, flags, sizeof(flags), end * 8) > 0; end += HPAGE_NR)
		;
	for (pfn = end - HPAGE_NR; pfn >= 0 && nr; pfn -= HPAGE_NR) {
		if (pread(fd, flags, sizeof(flags), pfn * 8) != sizeof(flags))
			continue;
		for (i = n = 0; i < (int)HPAGE_NR; i++)
			n += !!(flags[i] & KPF_BUDDY);
		if (n == HPAGE_NR)
			block[--nr] = pfn;
	}
	close(fd);
	if (nr)
		ksft_exit_fail_msg("too few blocks of 2 MB are free\n");
}

int main(void)
{
	static const unsigned long at[] = { 0, 1, 300, 511 };
	long kb = meminfo("HardwareCorrupted:"), bad, i, n;
	unsigned long pfn[ARRAY_SIZE(at)];

	poison_start(ARRAY_SIZE(at) * 4 + 5, false);
	free_blocks(pfn, ARRAY_SIZE(at));
	for (i = 0; i < (long)ARRAY_SIZE(at); i++) {
		pfn[i] += at[i];
		poison_note(pfn[i]);
		test_true(number_write(CORRUPT, pfn[i]),
			  "page %lu of a free 2 MB block fails", at[i]);
		test_eq(kpageflags(pfn[i]) & (KPF_HWPOISON | KPF_BUDDY),
			KPF_HWPOISON, "it is marked and not free");
		test_eq(count_pfns(pfn[i] - at[i], HPAGE_NR, KPF_HWPOISON), 1,
			"pages in the block that are marked");
		test_eq(meminfo("HardwareCorrupted:"), kb + 4 * (i + 1), "meminfo HardwareCorrupted kB");
	}
	test_true(!number_write(CORRUPT, pfn[0]) && errno == EHWPOISON,
		  "EHWPOISON for one once more");
	for (i = 0, bad = 0; i < (long)ARRAY_SIZE(at); i++)
		bad += unpoison_memory(pfn[i]) != 0;
	test_eq(bad, 0, "pages that can't be declared good");
	for (i = 0, bad = 0, n = 0; i < (long)ARRAY_SIZE(at); i++) {
		bad += count_pfns(pfn[i] - at[i], HPAGE_NR, KPF_HWPOISON);
		n += count_pfns(pfn[i], 1, KPF_BUDDY);
	}
	test_eq(bad, 0, "pages that are marked");
	/* A small one that is free may be the next that somebody gets. */
	test_min(n, 2, "of the four are free");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	ksft_finished();
}
