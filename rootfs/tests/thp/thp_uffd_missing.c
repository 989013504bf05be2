// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd on ranges that want huge pages: an empty one is filled page by
 * page by the handler; one that holds a huge page loses a page of it to
 * MADV_DONTNEED and gets it back from the handler; read() into a missing page
 * is served too.
 */
#include <poll.h>

#include "mmtest.h"

static int uffd;
static volatile long served;

/* Odd pages get the pattern, even ones the zero page */
static void *handler(void *arg)
{
	char *base = arg, *src = huge_area(1);
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;
	size_t off;

	pattern_fill(src, 0, HPAGE_SIZE, 7);
	for (;;) {
		poll(&pfd, 1, -1);
		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		off = (msg.arg.pagefault.address & -PAGE_SIZE) - (unsigned long)base;
		served++;
		if (off / PAGE_SIZE % 2) {
			struct uffdio_copy copy = {
				.dst = (unsigned long)base + off,
				.src = (unsigned long)src + off % HPAGE_SIZE,
				.len = PAGE_SIZE,
			};
			if (ioctl(uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
				ksft_exit_fail_perror("UFFDIO_COPY");
		} else {
			struct uffdio_zeropage zero = {
				.range = { (unsigned long)base + off, PAGE_SIZE },
			};
			if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) && errno != EEXIST)
				ksft_exit_fail_perror("UFFDIO_ZEROPAGE");
		}
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;
	char *p, *full;
	int fds[2];
	long alloc;
	size_t i, bad;

	test_start(13);
	uffd = uffd_open(0);
	p = huge_area(2);
	full = p + HPAGE_SIZE;
	pattern_fill(full, 0, HPAGE_SIZE, 1);
	test_smaps(p, 2 * HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	if (uffd_register(uffd, p, 2 * HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	test_smaps(p, 2 * HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	if (pthread_create(&thread, NULL, handler, p))
		ksft_exit_fail_msg("pthread_create\n");

	alloc = vmstat("thp_fault_alloc");
	for (i = 0, bad = 0; i < 32; i++)
		bad += pattern_find_bad_user(p, i * PAGE_SIZE, (i + 1) * PAGE_SIZE,
					     i % 2 ? 7 : 0) >= 0;
	test_eq(bad, 0, "pages of an empty range with wrong bytes");
	test_eq(served, 32, "faults the handler served");
	test_smaps(p, 2 * HPAGE_SIZE, "Rss", HPAGE_KB + 16 * 4);
	pattern_fill(p, 8 * PAGE_SIZE, 9 * PAGE_SIZE, 2);
	test_data(p, 8 * PAGE_SIZE, 9 * PAGE_SIZE, 2, "a served zero page can be written");

	test_data(full, 0, HPAGE_SIZE, 1, "the huge page is untouched");
	madvise(full + 101 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	served = 0;
	test_data(full, 0, 101 * PAGE_SIZE, 1, "bytes before the dropped page");
	test_data(full, 101 * PAGE_SIZE, 102 * PAGE_SIZE, 7, "the handler's page in its place");
	test_data(full, 102 * PAGE_SIZE, HPAGE_SIZE, 1, "bytes behind it");
	test_eq(served, 1, "faults the handler served");

	/* The kernel writes into a missing page on the program's behalf. */
	if (pipe(fds) || write(fds[1], "uaccess", 7) != 7)
		ksft_exit_fail_perror("pipe");
	test_true(read(fds[0], p + 65 * PAGE_SIZE, 7) == 7 &&
		  !memcmp(p + 65 * PAGE_SIZE, "uaccess", 7) && served == 2,
		  "read() into a missing page waits for the handler");
	ksft_print_msg("thp_fault_alloc +%ld (the handler's own)\n",
		       vmstat("thp_fault_alloc") - alloc);
	uffd_unregister(uffd, p, 2 * HPAGE_SIZE);
	madvise(full, HPAGE_SIZE, MADV_DONTNEED);
	pattern_fill(full, 0, HPAGE_SIZE, 3);
	test_true(smaps_kb(full, HPAGE_SIZE, "AnonHugePages") == HPAGE_KB,
		  "unregistered and emptied, it gets a huge page again");
	ksft_finished();
}
