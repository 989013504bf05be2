// SPDX-License-Identifier: GPL-2.0
/*
 * A file on a huge=always tmpfs gets huge pages and is mapped by PMD, in two
 * processes; mappings, write() and read() all show the same bytes.
 */
#include "mmtest.h"

#define NR	2
#define LEN	(NR * HPAGE_SIZE)

static char *p;

static int child(void *arg)
{
	if (pattern_find_bad(p, 0, LEN, 1) >= 0)
		return 1;
	if (smaps_kb(p, LEN, "ShmemPmdMapped") != LEN / 1024)
		return 2;
	pattern_fill(p, HPAGE_SIZE, LEN, 2);
	return 0;
}

int main(void)
{
	long alloc, mapped, faults;
	char buf[6];
	int fd;

	test_start(11);
	alloc = vmstat("thp_file_alloc");
	fd = huge_file("file", LEN, 1);
	test_vmstat("thp_file_alloc", alloc, NR);
	mapped = vmstat("thp_file_mapped");
	p = map_file(fd, LEN, MAP_SHARED);
	faults = minor_faults();
	force_read_pages(p, LEN / PAGE_SIZE, PAGE_SIZE);
	test_eq(minor_faults() - faults, NR, "faults to read all");
	test_vmstat("thp_file_mapped", mapped, NR);
	test_smaps(p, LEN, "ShmemPmdMapped", LEN / 1024);
	test_eq(count_flagged(p, LEN, KPF_THP), LEN / PAGE_SIZE, "KPF_THP pages");
	test_data(p, 0, LEN, 1, "every byte that write() wrote");
	test_eq(in_child(child, NULL), 0, "a child maps it huge too and writes");
	test_data(p, HPAGE_SIZE, LEN, 2, "what the child wrote");
	test_eq(count_mapped(p, LEN, 1), LEN / PAGE_SIZE, "pages mapped once again");

	/* write() and the mapping are one memory. */
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	if (pwrite(fd, "hello", 5, 5 * PAGE_SIZE + 100) != 5)
		ksft_exit_fail_perror("pwrite");
	test_true(!memcmp(p + 5 * PAGE_SIZE + 100, "hello", 5),
		  "the mapping shows a write()");
	memcpy(p + 6 * PAGE_SIZE, "mapped", 6);
	test_true(pread(fd, buf, 6, 6 * PAGE_SIZE) == 6 && !memcmp(buf, "mapped", 6),
		  "read() gives what the mapping wrote");
	ksft_finished();
}
