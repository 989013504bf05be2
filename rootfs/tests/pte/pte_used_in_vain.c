// SPDX-License-Identifier: GPL-2.0
/*
 * Who needs a page table allocates it, and may then fail: a fault that userfaultfd
 * turns into a signal, a copy from where nothing is, a move of nothing, a fault for
 * which there is no memory. The table, that never had an entry, goes.
 */
#include "pte_ref.h"

#ifndef UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES	(1 << 1)
#endif

#define NR	8

static void fault_is_signal(char *p)
{
	int uffd = uffd_open(UFFD_FEATURE_SIGBUS), i, nr = 0;

	if (uffd_register(uffd, p, NR * HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	for (i = 0; i < NR; i++)
		nr += access_signal(p + i * HPAGE_SIZE, i & 1) == SIGBUS;
	test_eq(nr, NR, "faults that are signals");
	test_tables(0, "after them");
	close(uffd);
}

static void copy_of_nothing(char *p)
{
	int uffd = uffd_open(0), i, nr = 0;
	struct uffdio_copy copy = { .len = PAGE_SIZE };

	if (uffd_register(uffd, p, NR * HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	copy.src = (unsigned long)hole_area(1);
	for (i = 0; i < NR; i++) {
		copy.dst = (unsigned long)p + i * HPAGE_SIZE;
		nr += ioctl(uffd, UFFDIO_COPY, &copy) && errno == EFAULT;
	}
	test_eq(nr, NR, "copies that fail");
	test_tables(0, "after them");
	close(uffd);
}

static void move_of_nothing(char *p)
{
	int uffd = uffd_open(UFFD_FEATURE_MOVE);
	struct uffdio_move move = {
		.dst = (unsigned long)p, .src = (unsigned long)p + NR / 2 * HPAGE_SIZE,
		.len = NR / 2 * HPAGE_SIZE, .mode = UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES,
	};

	if (uffd_register(uffd, p, NR / 2 * HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	test_eq(ioctl(uffd, UFFDIO_MOVE, &move), 0, "move of holes");
	test_tables(0, "after it");
	close(uffd);
}

/* One page is left, for the table. */
static void no_memory(char *p)
{
	int i, nr = 0;

	for (i = 0; i < NR; i++) {
		fail_page_alloc_start(0, 1);
		file_write("/proc/self/make-it-fail", "1");
		nr += madvise(p + i * HPAGE_SIZE, PAGE_SIZE, MADV_POPULATE_WRITE) != 0;
		fail_stop();
	}
	test_min(nr, 1, "pages that there was no memory for");
	ksft_print_msg("%ld tables then\n", pte_tables());
	madvise_each(p, NR * HPAGE_SIZE, HPAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	test_tables(0, "after that");
}

int main(void)
{
	char *p;

	pte_plan(8);
	p = pte_area(NR, -1);
	fault_is_signal(p);
	copy_of_nothing(p);
	move_of_nothing(p);
	no_memory(p);
	ksft_finished();
}
