/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of GUP-fast share: pages pinned by gup_test, and whether that took
 * mmap_lock, which the slow path does and the fast one doesn't.
 */
#ifndef GUP_FAST_H
#define GUP_FAST_H

#include "../../../../mm/gup_test.h"
#include "mmtest.h"

#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define FOLL_WRITE	1

static inline int gup_open(void)
{
	int fd = open(GUP_TEST, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		ksft_exit_fail_perror(GUP_TEST);
	return fd;
}

/* Take pages by @cmd, @batch a call, and give them back; how many there were */
static inline long gup_pages(int fd, unsigned long cmd, const void *p, size_t nr,
			     unsigned int batch, unsigned int flags)
{
	struct gup_test args = {
		.addr = (unsigned long)p, .size = nr * PAGE_SIZE,
		.nr_pages_per_call = batch, .gup_flags = flags,
	};

	if (ioctl(fd, cmd, &args))
		ksft_exit_fail_perror("gup_test");
	return args.size / PAGE_SIZE;
}

#endif /* GUP_FAST_H */
