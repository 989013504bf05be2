// SPDX-License-Identifier: GPL-2.0
/*
 * A small anonymous page that fails: the process has a SIGBUS that says which
 * 4 KB are lost, at once and on each access, its child as well; system calls
 * get EFAULT. The page is used no more until it is declared good again.
 */
#include "hugetlb.h"

static char *page;

static int child(void *arg)
{
	if (access_signal(page + 321, false) != SIGBUS)
		return 1;
	return access_siginfo.si_code == BUS_MCEERR_AR ? 0 : 2;
}

int main(void)
{
	unsigned long pfn, now;
	int fds[2];
	long kb;
	char *p;

	poison_start(21, false);
	if (pipe(fds) || write(fds[1], "12", 2) != 2)
		ksft_exit_fail_perror("pipe");
	kb = meminfo("HardwareCorrupted:");
	p = small_pages(1, 1);
	page = p + 9 * PAGE_SIZE;
	pfn = pfn_of(page);

	test_eq(poison(page, PAGE_SIZE, MADV_HWPOISON), SIGBUS, "signal at once");
	test_eq(poison_siginfo.si_code, BUS_MCEERR_AR, "its si_code");
	test_eq((char *)poison_siginfo.si_addr - page, 0, "its si_addr, off the page's start by");
	test_eq(poison_siginfo.si_addr_lsb, 12, "its si_addr_lsb");
	test_lost(page + 123, false, 12, "a read");
	test_lost(page + 4095, true, 12, "a write");
	test_true(write(fds[1], page, 1) == -1 && errno == EFAULT, "EFAULT for write() of it");
	test_true(read(fds[0], page, 1) == -1 && errno == EFAULT, "EFAULT for read() into it");
	test_eq(in_child(child, NULL), 0, "a child has lost it, too");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_true(kpageflags(pfn) & KPF_HWPOISON, "the page is marked");
	test_data(p, 0, 9 * PAGE_SIZE, 1, "bytes before it");
	test_data(p, 10 * PAGE_SIZE, HPAGE_SIZE, 1, "bytes behind it");
	test_eq(count_flagged(p, HPAGE_SIZE, 0), HPAGE_NR - 1, "pages present");

	madvise(page, PAGE_SIZE, MADV_DONTNEED);
	pattern_fill(page, 0, PAGE_SIZE, 2);
	test_data(page, 0, PAGE_SIZE, 2, "after MADV_DONTNEED it is a page again");
	test_true(pfn_of(page) != pfn, "another one");
	area_free(p, 1);
	test_true(!(kpageflags(pfn) & KPF_BUDDY), "the bad one isn't free");
	test_eq(unpoison_memory(pfn), 0, "it can be declared good");
	test_true(!(kpageflags(pfn) & KPF_HWPOISON), "and isn't marked then");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	now = unpoison_memory(pfn);
	test_eq((long)now, -EBUSY, "once");
	ksft_finished();
}
