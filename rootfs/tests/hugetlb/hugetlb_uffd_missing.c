// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd on HugeTLB pages that are missing: the handler serves a whole one
 * at a time, to the program and to system calls; nothing less can be served.
 */
#include <poll.h>

#include "hugetlb.h"

#define NR	3
#define LEN	(NR * HPAGE_SIZE)

static int uffd;
static volatile long served;
static volatile unsigned long last;
static char *src;

static void *handler(void *base)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };
	struct uffdio_copy copy = { .len = HPAGE_SIZE };
	struct uffd_msg msg;
	size_t off;

	for (;;) {
		poll(&pfd, 1, -1);
		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		served++;
		last = msg.arg.pagefault.address;
		off = (last - (unsigned long)base) & ~(HPAGE_SIZE - 1UL);
		copy.dst = (unsigned long)base + off;
		copy.src = (unsigned long)src + off;
		if (ioctl(uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
			ksft_exit_fail_perror("UFFDIO_COPY");
	}
	return NULL;
}

int main(void)
{
	struct uffdio_copy copy = { .len = PAGE_SIZE };
	pthread_t thread;
	int fds[2];
	char *p;

	hugetlb_start(15, NR + 1);
	uffd = uffd_open(0);
	src = small_pages(NR, 7);
	p = hugetlb_pages(NR, 0);
	if (uffd_register(uffd, p, LEN, true, false, false) || pipe(fds))
		ksft_exit_fail_perror("UFFDIO_REGISTER");

	copy.dst = (unsigned long)p;
	copy.src = (unsigned long)src;
	test_true(ioctl(uffd, UFFDIO_COPY, &copy) == -1 && errno == EINVAL,
		  "EINVAL for UFFDIO_COPY of a small page");
	test_pool(4, 4, 3, 0, "nothing there");
	if (pthread_create(&thread, NULL, handler, p))
		ksft_exit_fail_msg("pthread_create\n");

	test_data(p, 0, HPAGE_SIZE, 7, "the first is the handler's");
	test_eq(served, 1, "faults the handler served");
	test_eq(last - (unsigned long)p, 0, "its address, off the page's start by");
	test_pool(4, 3, 2, 0, "one page was taken");
	test_hugetlb(p, 1, "it is 512 pages of one HugeTLB page");

	/* A write, in the middle */
	*(volatile char *)(p + 2 * HPAGE_SIZE + 99 * PAGE_SIZE) = 1;
	test_eq(served, 2, "faults the handler served after a write");
	pattern_fill(p, 2 * HPAGE_SIZE + 99 * PAGE_SIZE,
		     2 * HPAGE_SIZE + 100 * PAGE_SIZE, 7);
	test_data(p, 2 * HPAGE_SIZE, LEN, 7, "the third is the handler's but for that");

	/* The kernel writes into the missing one in between. */
	if (write(fds[1], "uaccess", 7) != 7)
		ksft_exit_fail_perror("write");
	test_true(read(fds[0], p + HPAGE_SIZE + 65 * PAGE_SIZE, 7) == 7 &&
		  served == 3, "read() into the second waits for the handler");
	test_true(!memcmp(p + HPAGE_SIZE + 65 * PAGE_SIZE, "uaccess", 7),
		  "what it read");
	test_data(p, HPAGE_SIZE + 66 * PAGE_SIZE, LEN, 7, "bytes behind that");

	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
	pattern_fill(src, 0, HPAGE_SIZE, 8);
	test_data(p, 0, HPAGE_SIZE, 8, "dropped and served again");
	uffd_unregister(uffd, p, LEN);
	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
	test_data(p, 0, HPAGE_SIZE, 0, "unregistered and dropped: zeroes");
	area_free(p, NR);
	test_pool(4, 4, 0, 0, "munmap()");
	ksft_finished();
}
