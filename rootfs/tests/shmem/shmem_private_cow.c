// SPDX-License-Identifier: GPL-2.0
/*
 * A private mapping of a huge tmpfs file: reads share the file's huge page, a
 * write copies one page, the file stays as it was; later writes to the file
 * show through where nothing was copied.
 */
#include "mmtest.h"

int main(void)
{
	char *p, *shared;
	int fd;

	test_start(10);
	fd = huge_file("file", HPAGE_SIZE, 1);
	shared = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	p = map_file(fd, HPAGE_SIZE, MAP_PRIVATE);
	force_read_pages(shared, HPAGE_NR, PAGE_SIZE);
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_eq(pfn_of(p), pfn_of(shared), "one huge page, pfn");
	pattern_fill(p, 50 * PAGE_SIZE, 51 * PAGE_SIZE, 2);
	test_smaps(p, HPAGE_SIZE, "Anonymous", 4);
	test_smaps(shared, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_data(p, 50 * PAGE_SIZE, 51 * PAGE_SIZE, 2, "the private write");
	test_data(p, 0, 50 * PAGE_SIZE, 1, "private bytes before it");
	test_data(p, 51 * PAGE_SIZE, HPAGE_SIZE, 1, "private bytes behind it");
	test_data(shared, 0, HPAGE_SIZE, 1, "the file is as before");
	pattern_fill(shared, 0, HPAGE_SIZE, 3);
	test_data(p, 50 * PAGE_SIZE, 51 * PAGE_SIZE, 2, "the private page is still private");
	test_data(p, 51 * PAGE_SIZE, HPAGE_SIZE, 3, "the others follow the file");
	ksft_finished();
}
