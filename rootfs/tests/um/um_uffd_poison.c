// SPDX-License-Identifier: GPL-2.0
/*
 * A page that userfaultfd poisoned: access to it is a SIGBUS that says memory
 * error, a system call gets EFAULT. (um had a BUG() for this kind of fault.)
 */
#include "mmtest.h"

int main(void)
{
	struct uffdio_poison poison = { 0 };
	char *p, *page;
	int uffd, fds[2];

	test_plan(8);
	uffd = uffd_open(UFFD_FEATURE_POISON);
	p = small_area(1);
	page = p + 9 * PAGE_SIZE;
	if (uffd_register(uffd, p, HPAGE_SIZE, true, false, false) || pipe(fds))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	poison.range.start = (unsigned long)page;
	poison.range.len = PAGE_SIZE;
	if (ioctl(uffd, UFFDIO_POISON, &poison))
		ksft_exit_fail_perror("UFFDIO_POISON");
	uffd_unregister(uffd, p, HPAGE_SIZE);
	test_eq(access_signal(page + 123, false), SIGBUS, "signal for a read");
	test_eq(access_siginfo.si_code, BUS_MCEERR_AR, "its si_code");
	test_eq((char *)access_siginfo.si_addr - page, 123, "its si_addr, off the page's start by");
	*(volatile char *)p = 1;
	test_eq(access_signal(page, true), SIGBUS, "signal for a write");
	test_true(write(fds[1], page, 1) == -1 && errno == EFAULT, "EFAULT for write()");
	test_data(p, PAGE_SIZE, 9 * PAGE_SIZE, 0, "zeroes before it");
	test_data(p, 10 * PAGE_SIZE, HPAGE_SIZE, 0, "zeroes behind it");
	madvise(page, PAGE_SIZE, MADV_DONTNEED);
	test_data(p, 9 * PAGE_SIZE, 10 * PAGE_SIZE, 0, "after MADV_DONTNEED it is a page again");
	ksft_finished();
}
