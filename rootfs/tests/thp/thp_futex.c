// SPDX-License-Identifier: GPL-2.0
/*
 * Futexes in huge pages: a wait and a wake between threads, between processes
 * through a shared huge page, FUTEX_WAKE_OP writing to a page that is shared
 * with a child (it gets copied) and to the huge zero page (it gets replaced).
 */
#include <linux/futex.h>

#include "mmtest.h"

static char *p;

static long futex(void *word, int op, uint32_t val, void *arg, void *word2,
		  uint32_t val3)
{
	return syscall(__NR_futex, word, op, val, arg, word2, val3);
}

static void *waiter(void *word)
{
	while (!*(volatile uint32_t *)word)
		futex(word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return NULL;
}

static int waiting_child(void *word)
{
	waiter(word);
	return 0;
}

static void wake(uint32_t *word)
{
	*(volatile uint32_t *)word = 1;
	futex(word, FUTEX_WAKE, 1000, NULL, NULL, 0);
}

static int op_child(void *arg)
{
	uint32_t *word = (uint32_t *)(p + 200 * PAGE_SIZE);

	/* word = 1000, in a page that is the parent's as well */
	if (futex(p, FUTEX_WAKE_OP, 0, NULL, word,
		  FUTEX_OP(FUTEX_OP_ADD, 1000, FUTEX_OP_CMP_EQ, 0)) < 0)
		return 1;
	return *(volatile uint32_t *)word == 1000 + (uint32_t)(uintptr_t)arg ? 0 : 2;
}

int main(void)
{
	uint32_t *word, before;
	char *shm, *z;
	pthread_t thread;
	pid_t pid;

	test_start(9);
	p = huge_pages(1, 1);
	word = (uint32_t *)(p + 100 * PAGE_SIZE);
	*word = 0;
	if (pthread_create(&thread, NULL, waiter, word))
		ksft_exit_fail_msg("pthread_create\n");
	usleep(10000);
	wake(word);
	test_eq(pthread_join(thread, NULL), 0, "a thread woke");

	shm = map_file(huge_file("file", HPAGE_SIZE, 0), HPAGE_SIZE, MAP_SHARED);
	word = (uint32_t *)(shm + 100 * PAGE_SIZE);
	*word = 0;
	test_smaps(shm, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(waiting_child(word));
	usleep(10000);
	wake(word);
	test_eq(child_status(pid), 0, "a process woke");

	before = *(uint32_t *)(p + 200 * PAGE_SIZE);
	test_eq(in_child(op_child, (void *)(uintptr_t)before), 0,
		"FUTEX_WAKE_OP of a child");
	test_eq(*(volatile uint32_t *)(p + 200 * PAGE_SIZE), before,
		"the parent's word");
	test_data(p, 200 * PAGE_SIZE, HPAGE_SIZE, 1, "the parent's bytes");

	z = huge_area(2);
	force_read_pages(z, 1, PAGE_SIZE);
	force_read_pages(z + HPAGE_SIZE, 1, PAGE_SIZE);
	word = (uint32_t *)(z + 300 * PAGE_SIZE);
	test_eq(futex(p, FUTEX_WAKE_OP, 0, NULL, word,
		      FUTEX_OP(FUTEX_OP_SET, 77, FUTEX_OP_CMP_EQ, 0)), 0,
		"FUTEX_WAKE_OP in the huge zero page");
	test_eq(*(volatile uint32_t *)word, 77, "its word");
	test_data(z, HPAGE_SIZE, 2 * HPAGE_SIZE, 0, "another mapping of the zero page");
	ksft_finished();
}
