// SPDX-License-Identifier: GPL-2.0
/*
 * KSM splits huge pages to share equal pages between them; a write to one
 * takes it out again, and nothing else changes.
 */
#include "mmtest.h"

int main(void)
{
	long split;
	char *a, *b;
	int i;

	test_start(9);
	a = huge_pages(1, 1);
	b = huge_pages(1, 1);
	split = vmstat("thp_split_page");
	ksm_settings(0, 2048);
	file_write(KSM "run", "1");
	if (madvise(a, HPAGE_SIZE, MADV_MERGEABLE) ||
	    madvise(b, HPAGE_SIZE, MADV_MERGEABLE))
		ksft_exit_fail_perror("MADV_MERGEABLE");
	for (i = 0; i < 300; i++) {
		if (file_number(KSM "pages_sharing", NULL) == (long)HPAGE_NR)
			break;
		usleep(10000);
	}
	ksft_print_msg("%ld full scans, %ld pages shared, %ld unshared, %ld volatile\n",
		       file_number(KSM "full_scans", NULL),
		       file_number(KSM "pages_shared", NULL),
		       file_number(KSM "pages_unshared", NULL),
		       file_number(KSM "pages_volatile", NULL));
	test_eq(file_number(KSM "pages_sharing", NULL), HPAGE_NR, "pages_sharing");
	test_vmstat("thp_split_page", split, 2);
	test_smaps(a, HPAGE_SIZE, "AnonHugePages", 0);
	test_eq(pfn_of(a + 99 * PAGE_SIZE), pfn_of(b + 99 * PAGE_SIZE), "one page, pfn");
	test_data(a, 0, HPAGE_SIZE, 1, "every byte of one");
	file_write(KSM "run", "0");
	pattern_fill(a, 99 * PAGE_SIZE, 100 * PAGE_SIZE, 2);
	test_true(pfn_of(a + 99 * PAGE_SIZE) != pfn_of(b + 99 * PAGE_SIZE),
		  "a write takes it apart");
	test_data(b, 0, HPAGE_SIZE, 1, "every byte of the other");
	test_data(a, 99 * PAGE_SIZE, 100 * PAGE_SIZE, 2, "what was written");
	test_data(a, 100 * PAGE_SIZE, HPAGE_SIZE, 1, "bytes behind it");
	ksft_finished();
}
