// SPDX-License-Identifier: GPL-2.0
/*
 * System calls read and write a program's huge pages: at every offset, across
 * their borders, into ones not there yet, into the huge zero page (never
 * changing it), and not where it is forbidden.
 */
#include "uaccess.h"

int main(void)
{
	size_t i, bad, off;
	char *p, *z, *dst;
	long faults;
	char c;

	test_start(16);
	if (pipe(in))
		ksft_exit_fail_perror("pipe");

	/* Into a present huge page: user and kernel views agree */
	p = huge_pages(2, 1);
	faults = minor_faults();
	for (i = 0, bad = 0; i < LEN / PAGE_SIZE; i += 13)
		bad += !read_into(p, i * PAGE_SIZE, PAGE_SIZE, 2);
	test_eq(bad, 0, "read() calls that failed");
	for (i = 0, bad = 0; i < LEN / PAGE_SIZE; i++)
		bad += pattern_find_bad(p, i * PAGE_SIZE, (i + 1) * PAGE_SIZE,
					i % 13 ? 1 : 2) >= 0;
	test_eq(bad, 0, "pages with wrong bytes");
	ksft_print_msg("%ld faults\n", minor_faults() - faults);
	test_smaps(p, LEN, "AnonHugePages", LEN / 1024);
	test_true(read_into(p, HPAGE_SIZE - 2000, 4000, 3), "read() across two huge pages");
	test_data(p, HPAGE_SIZE - 2000, HPAGE_SIZE + 2000, 3, "its bytes");

	/* Out of a huge page */
	dst = small_area(1);
	for (off = 0, bad = 0; off < HPAGE_SIZE; off += 16 * PAGE_SIZE) {
		if (write(in[1], p + off, PAGE_SIZE) != PAGE_SIZE ||
		    read(in[0], dst + off, PAGE_SIZE) != PAGE_SIZE ||
		    memcmp(p + off, dst + off, PAGE_SIZE))
			bad++;
	}
	test_eq(bad, 0, "write() calls that sent wrong bytes");
	area_free(p, 2);

	/* Not there yet: the system call is the first write */
	p = huge_area(1);
	test_true(read_into(p, 77 * PAGE_SIZE, PAGE_SIZE, 4), "read() into an empty area");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(p, 77 * PAGE_SIZE, 78 * PAGE_SIZE, 4, "its bytes");
	test_data(p, 78 * PAGE_SIZE, HPAGE_SIZE, 0, "zeroes behind");

	/* The huge zero page */
	z = huge_area(2);
	force_read_pages(z, 1, PAGE_SIZE);
	force_read_pages(z + HPAGE_SIZE, 1, PAGE_SIZE);
	test_true(read_into(z, 5 * PAGE_SIZE, PAGE_SIZE, 5), "read() into the zero page");
	test_data(z, 5 * PAGE_SIZE, 6 * PAGE_SIZE, 5, "its bytes");
	test_data(z, HPAGE_SIZE, LEN, 0, "another mapping of the zero page is zero");

	/* Read-only and PROT_NONE */
	mprotect(p, HPAGE_SIZE, PROT_READ);
	c = 1;
	if (write(in[1], &c, 1) != 1)
		ksft_exit_fail_perror("write");
	test_true(read(in[0], p + 99, 1) == -1 && errno == EFAULT, "EFAULT for PROT_READ");
	mprotect(p, HPAGE_SIZE, PROT_NONE);
	test_true(write(in[1], p + 99, 1) == -1 && errno == EFAULT, "EFAULT for PROT_NONE");
	mprotect(p, HPAGE_SIZE, PROT_READ | PROT_WRITE);
	test_data(p, 78 * PAGE_SIZE, HPAGE_SIZE, 0, "nothing was written");
	ksft_finished();
}
