// SPDX-License-Identifier: GPL-2.0
/*
 * Truncating into a huge page of tmpfs that is in swap as a whole: between two
 * of its pages, inside a page, when it comes back in pieces, and when it can't
 * come back at all. What is before the new end stays, what is behind it is
 * gone, swap with it, and the truncation ends.
 */
#include <sys/stat.h>

#include "mmtest.h"

static long blocks(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		ksft_exit_fail_perror("fstat");
	return st.st_blocks * 512;
}

/* A file of one huge page, which is in swap */
static int swapped_file(char **p)
{
	long out;
	int fd;

	fd = huge_file("file", HPAGE_SIZE, 1);
	*p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	force_read_pages(*p, HPAGE_NR, PAGE_SIZE);
	test_smaps(*p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	out = vmstat("pswpout");
	if (madvise(*p, HPAGE_SIZE, MADV_PAGEOUT))
		ksft_exit_fail_perror("MADV_PAGEOUT");
	test_vmstat("pswpout", out, HPAGE_NR);
	return fd;
}

/*
 * Cut it at @cut bytes, for which @reads of its pages have to come back.
 * Allocations of @fail_order and more fail meanwhile.
 */
static void test_cut(size_t cut, int fail_order, long reads)
{
	size_t kept = (cut + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	char *p;
	int fd = swapped_file(&p);
	long in = vmstat("pswpin");
	int inject, err;

	ksft_print_msg("truncate to %zu bytes\n", cut);
	/* Opened before: that takes memory. */
	inject = open("/proc/self/make-it-fail", O_RDWR | O_CLOEXEC);
	if (inject < 0)
		ksft_exit_fail_perror("make-it-fail");
	if (fail_order >= 0)
		fail_page_alloc_start(fail_order, 0);
	if (pwrite(inject, "1", 1, 0) != 1)
		ksft_exit_fail_perror("make-it-fail");
	err = ftruncate(fd, cut);
	if (pwrite(inject, "0", 1, 0) != 1)
		ksft_exit_fail_perror("make-it-fail");
	fail_stop();
	close(inject);
	if (err)
		ksft_exit_fail_perror("ftruncate");
	test_vmstat("pswpin", in, reads);
	if (reads) {
		test_eq(blocks(fd), kept, "bytes of the file in memory and swap");
		if (ftruncate(fd, HPAGE_SIZE))
			ksft_exit_fail_perror("ftruncate");
		test_data(p, cut, HPAGE_SIZE, 0, "zeroes behind the cut");
	}
	test_data(p, 0, cut, 1, "bytes before the cut");
	area_free(p, 1);
	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	close(fd);
}

int main(void)
{
	long swap_free;

	test_start(29);
	swap_start();
	memcg_enter();
	swap_free = file_number("/proc/meminfo", "SwapFree:");
	test_cut(200 * PAGE_SIZE, -1, HPAGE_NR);
	test_cut(200 * PAGE_SIZE + 104, -1, HPAGE_NR);
	test_cut(192 * PAGE_SIZE, -1, HPAGE_NR);
	/* Its entry comes apart in parts of 64 pages, and one of these in pages. */
	test_cut(200 * PAGE_SIZE, 1, 2);
	test_cut(200 * PAGE_SIZE, 0, 0);
	test_eq(file_number("/proc/meminfo", "SwapFree:"), swap_free,
		"kB of swap free as before");
	ksft_finished();
}
