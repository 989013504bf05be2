// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page is split in the middle of a process_vm_writev() to it, which has its
 * pages pinned and waits for a page fault on what it shall copy, and in the middle
 * of a process_vm_readv(): the bytes arrive.
 */
#include "tail.h"

#define LEN	(8 * PAGE_SIZE)

static char *p, *missing, data[LEN];

static void *writev_thread(void *arg)
{
	struct iovec local = { missing, LEN }, remote = { AT(5), LEN };

	return (void *)process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

static void *readv_thread(void *arg)
{
	struct iovec local = { missing, LEN }, remote = { AT(5), LEN };

	return (void *)process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

static void in_the_middle(int uffd, const char *what, void *(*fn)(void *arg))
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .len = LEN, .src = (unsigned long)data };
	struct uffd_msg msg;
	pthread_t thread;
	void *ret;

	p = huge_pages(1, 1);
	missing = small_area(1);
	reg.range.start = copy.dst = (unsigned long)missing;
	reg.range.len = HPAGE_SIZE;
	pattern_fill(data, 0, LEN, 2);
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	test_eq(pins_all(), 0, "before %s, pins", what);
	if (pthread_create(&thread, NULL, fn, NULL))
		ksft_exit_fail_perror("pthread_create");
	while (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		usleep(1000);
	test_pins(AT(5), 9, 8, 1, "%s under way, page 5", what);
	debugfs_split(p, HPAGE_SIZE, 0);
	test_pins(AT(5), 0, 1, 1, "the huge page split, page 5");
	if (ioctl(uffd, UFFDIO_COPY, &copy) || pthread_join(thread, &ret))
		ksft_exit_fail_perror("UFFDIO_COPY");
	test_eq((intptr_t)ret, LEN, "%s, bytes", what);
	test_true(!memcmp(AT(5), missing, LEN), "%s: they have arrived", what);
	test_eq(pins_all(), 0, "after %s, pins", what);
	area_free(missing, 1);
	area_free(p, 1);
}

int main(void)
{
	int uffd;

	tail_start(2 * 6);
	uffd = uffd_open(0);
	in_the_middle(uffd, "process_vm_writev", writev_thread);
	in_the_middle(uffd, "process_vm_readv", readv_thread);
	ksft_finished();
}
