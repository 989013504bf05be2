// SPDX-License-Identifier: GPL-2.0
/*
 * System calls read and write a program's HugeTLB pages: at every offset,
 * across their borders, into ones not there yet, into ones shared since a fork,
 * and where there is no page to be had they say so.
 */
#include <linux/futex.h>

#include "hugetlb.h"
#include "uaccess.h"

static char *p;

static void *waiter(void *word)
{
	while (!*(volatile uint32_t *)word)
		syscall(__NR_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return NULL;
}

/* The kernel writes for the child to what it shares with its parent. */
static int child(void *arg)
{
	if (!read_into(p, 33 * PAGE_SIZE, PAGE_SIZE, 6))
		return 1;
	if (pattern_find_bad(p, 33 * PAGE_SIZE, 34 * PAGE_SIZE, 6) >= 0)
		return 2;
	return pattern_find_bad(p, 34 * PAGE_SIZE, HPAGE_SIZE, 1) >= 0 ? 3 : 0;
}

int main(void)
{
	struct iovec local, remote;
	uint32_t *word, *shared;
	pthread_t thread;
	size_t i, bad;
	char *q, *n;

	hugetlb_start(22, 5);
	if (pipe(in))
		ksft_exit_fail_perror("pipe");

	/* At every page of it */
	p = hugetlb_pages(2, 1);
	for (i = 0, bad = 0; i < LEN / PAGE_SIZE; i += 13)
		bad += !read_into(p, i * PAGE_SIZE, PAGE_SIZE, 2);
	test_eq(bad, 0, "read() calls that failed");
	for (i = 0, bad = 0; i < LEN / PAGE_SIZE; i++)
		bad += pattern_find_bad(p, i * PAGE_SIZE, (i + 1) * PAGE_SIZE,
					i % 13 ? 1 : 2) >= 0;
	test_eq(bad, 0, "pages with wrong bytes");
	test_true(read_into(p, HPAGE_SIZE - 2000, 4000, 3), "read() across two huge pages");
	test_data(p, HPAGE_SIZE - 2000, HPAGE_SIZE + 2000, 3, "its bytes");
	pattern_fill(p, 0, LEN, 1);

	/* Into another one, as a whole */
	q = hugetlb_pages(2, 0);
	test_pool(5, 3, 2, 0, "nothing in the second area yet");
	local = (struct iovec){ q + 99, LEN - 99 };
	remote = (struct iovec){ p + 99, LEN - 99 };
	test_eq(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), LEN - 99,
		"process_vm_readv() into it");
	test_data(q, 104, LEN, 1, "its bytes");
	test_data(q, 0, 96, 0, "zeroes before them");
	test_pool(5, 1, 0, 0, "its pages were taken for that");
	pattern_fill(q, 0, LEN, 4);
	local = (struct iovec){ q + 8 * PAGE_SIZE, HPAGE_SIZE };
	remote = (struct iovec){ p + 8 * PAGE_SIZE, HPAGE_SIZE };
	test_eq(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), HPAGE_SIZE,
		"process_vm_writev() across two huge pages");
	test_data(p, 8 * PAGE_SIZE, HPAGE_SIZE + 8 * PAGE_SIZE, 4, "its bytes");
	test_data(p, HPAGE_SIZE + 8 * PAGE_SIZE, LEN, 1, "bytes behind them");
	pattern_fill(p, 0, HPAGE_SIZE, 1);

	/* Not there yet: the system call is the first access */
	madvise(q, HPAGE_SIZE, MADV_DONTNEED);
	test_true(read_into(q, 77 * PAGE_SIZE, PAGE_SIZE, 5), "read() into an empty page");
	test_data(q, 77 * PAGE_SIZE, 78 * PAGE_SIZE, 5, "its bytes");
	test_data(q, 78 * PAGE_SIZE, HPAGE_SIZE, 0, "zeroes behind");
	madvise(q, HPAGE_SIZE, MADV_DONTNEED);
	test_true(write(in[1], q + HPAGE_SIZE - 8, 8) == 8 &&
		  read(in[0], p + HPAGE_SIZE, 8) == 8 &&
		  !*(uint64_t *)(p + HPAGE_SIZE), "write() of an empty page: zeroes");

	/* Shared since a fork */
	test_eq(in_child(child, NULL), 0, "read() of a child into what it shares");
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");

	/* A futex in the last word of one, and one that processes share */
	word = (uint32_t *)(p + HPAGE_SIZE) - 1;
	*word = 0;
	if (pthread_create(&thread, NULL, waiter, word))
		ksft_exit_fail_msg("pthread_create\n");
	usleep(10000);
	*(volatile uint32_t *)word = 1;
	syscall(__NR_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	test_eq(pthread_join(thread, NULL), 0, "a thread woke");
	n = hugetlb_map(1, MAP_SHARED);
	if (n == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	shared = (uint32_t *)(n + 400 * PAGE_SIZE);
	test_eq(syscall(__NR_futex, p, FUTEX_WAKE_OP, 0, NULL, shared,
			FUTEX_OP(FUTEX_OP_ADD, 77, FUTEX_OP_CMP_EQ, 1)), 0,
		"FUTEX_WAKE_OP in a page not there yet");
	test_eq(*(volatile uint32_t *)shared, 77, "its word");

	/* None to be had */
	n = hugetlb_map(1, MAP_PRIVATE | MAP_NORESERVE);
	if (n == MAP_FAILED || write(in[1], "x", 1) != 1)
		ksft_exit_fail_perror("mmap");
	test_true(read(in[0], n + 5, 1) == -1 && errno == EFAULT, "EFAULT where no page is left");
	ksft_finished();
}
