// SPDX-License-Identifier: GPL-2.0
/*
 * mprotect() of one HugeTLB page out of three: read-only, nothing, all again.
 * It takes effect for every 4 KB of it, in the program and in system calls, and
 * no byte changes; a part of a huge page can't be had.
 */
#include "hugetlb.h"

static char *p;

/* Of some pages over the range, those where an access ends otherwise */
static long wrong(char *q, bool write, int sig)
{
	size_t off;
	long n = 0;

	for (off = 0; off < HPAGE_SIZE; off += 73 * PAGE_SIZE)
		n += access_signal(q + off, write) != sig;
	n += access_signal(q + HPAGE_SIZE - 1, write) != sig;
	return n;
}

static int child(void *arg)
{
	return access_signal(p + HPAGE_SIZE, true) == SIGSEGV ? 0 : 1;
}

int main(void)
{
	unsigned long pfn;
	char *mid, c = 1;
	int fds[2];

	hugetlb_start(22, 3);
	if (pipe(fds) || write(fds[1], "12", 2) != 2)
		ksft_exit_fail_perror("pipe");
	p = hugetlb_pages(3, 1);
	mid = p + HPAGE_SIZE;
	pfn = pfn_of(mid);

	if (mprotect(mid, HPAGE_SIZE, PROT_READ))
		ksft_exit_fail_perror("mprotect");
	test_eq(wrong(mid, true, SIGSEGV), 0, "PROT_READ: writes without a SIGSEGV");
	test_eq(access_siginfo.si_code, SEGV_ACCERR, "its si_code");
	test_eq(wrong(mid, false, 0), 0, "PROT_READ: reads with a signal");
	test_true(read(fds[0], mid + 99, 1) == -1 && errno == EFAULT, "EFAULT for read() into it");
	test_eq(wrong(p, true, 0) + wrong(mid + HPAGE_SIZE, true, 0), 0,
		"writes beside it with a signal");
	test_data(p, 0, 3 * HPAGE_SIZE, 1, "every byte");

	if (mprotect(mid, HPAGE_SIZE, PROT_NONE))
		ksft_exit_fail_perror("mprotect");
	test_eq(wrong(mid, false, SIGSEGV), 0, "PROT_NONE: reads without a SIGSEGV");
	test_eq(wrong(mid, true, SIGSEGV), 0, "PROT_NONE: writes without a SIGSEGV");
	test_true(write(fds[1], mid + 99, 1) == -1 && errno == EFAULT, "EFAULT for write() of it");
	test_eq(in_child(child, NULL), 0, "nothing for a child either");
	test_data(p, 0, HPAGE_SIZE, 1, "bytes before it");
	test_data(p, 2 * HPAGE_SIZE, 3 * HPAGE_SIZE, 1, "bytes behind it");

	if (mprotect(mid, HPAGE_SIZE, PROT_READ | PROT_WRITE))
		ksft_exit_fail_perror("mprotect");
	test_data(p, 0, 3 * HPAGE_SIZE, 1, "PROT_READ | PROT_WRITE: every byte");
	test_true(pfn_of(mid) == pfn, "the same page");
	test_true(read(fds[0], &c, 1) == 1 && read(fds[0], mid + 99, 1) == 1 &&
		  mid[99] == '2', "read() into it");
	pattern_fill(mid, 0, HPAGE_SIZE, 2);
	test_data(mid, 0, HPAGE_SIZE, 2, "what was written to it");
	test_pool(3, 0, 0, 0, "no page more or less");

	test_true(mprotect(mid + PAGE_SIZE, PAGE_SIZE, PROT_READ) == -1 &&
		  errno == EINVAL, "EINVAL for a part of a huge page");
	test_data(mid, 0, HPAGE_SIZE, 2, "its bytes");

	/* Read-only before anything is there */
	madvise(mid, HPAGE_SIZE, MADV_DONTNEED);
	mprotect(mid, HPAGE_SIZE, PROT_READ);
	test_data(mid, 0, HPAGE_SIZE, 0, "read-only from the start: zeroes");
	test_eq(wrong(mid, true, SIGSEGV), 0, "writes without a SIGSEGV");
	mprotect(mid, HPAGE_SIZE, PROT_READ | PROT_WRITE);
	pattern_fill(mid, 0, HPAGE_SIZE, 3);
	test_data(mid, 0, HPAGE_SIZE, 3, "bytes written afterwards");
	ksft_finished();
}
