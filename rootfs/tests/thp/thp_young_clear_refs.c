// SPDX-License-Identifier: GPL-2.0
/*
 * After clear_refs nothing of a huge page, of a tmpfs huge page and of small
 * pages is Referenced; touching one byte makes all of a huge page Referenced,
 * and one small page, once no CPU has an old translation of it.
 */
#include "mmtest.h"

int main(void)
{
	char *huge, *shm, *small;

	test_start(12);
	huge = huge_pages(1, 1);
	small = small_pages(1, 2);
	shm = map_file(huge_file("file", HPAGE_SIZE, 3), HPAGE_SIZE, MAP_SHARED);
	force_read_pages(shm, 1, PAGE_SIZE);
	test_smaps(huge, HPAGE_SIZE, "Referenced", HPAGE_KB);
	test_smaps(small, HPAGE_SIZE, "Referenced", HPAGE_KB);
	test_smaps(shm, HPAGE_SIZE, "Referenced", HPAGE_KB);
	if (!file_write("/proc/self/clear_refs", "1"))
		ksft_exit_fail_perror("clear_refs");
	test_smaps(huge, HPAGE_SIZE, "Referenced", 0);
	test_smaps(small, HPAGE_SIZE, "Referenced", 0);
	test_smaps(shm, HPAGE_SIZE, "Referenced", 0);
	tlb_forget(huge, HPAGE_SIZE);
	tlb_forget(small, HPAGE_SIZE);
	tlb_forget(shm, HPAGE_SIZE);
	force_read_pages(huge + 300 * PAGE_SIZE, 1, PAGE_SIZE);
	force_read_pages(small + 300 * PAGE_SIZE, 1, PAGE_SIZE);
	force_read_pages(shm + 300 * PAGE_SIZE, 1, PAGE_SIZE);
	test_smaps(huge, HPAGE_SIZE, "Referenced", HPAGE_KB);
	test_smaps(small, HPAGE_SIZE, "Referenced", 4);
	test_smaps(shm, HPAGE_SIZE, "Referenced", HPAGE_KB);
	test_data(huge, 0, HPAGE_SIZE, 1, "huge: every byte");
	test_data(small, 0, HPAGE_SIZE, 2, "small: every byte");
	test_data(shm, 0, HPAGE_SIZE, 3, "shmem: every byte");
	ksft_finished();
}
