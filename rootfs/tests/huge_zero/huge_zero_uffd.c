// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd and the huge zero page's references: UFFDIO_MOVE takes one along,
 * a part of it splits, and a read of a range that is registered has none.
 */
#include "huge_zero.h"

static void *reader(void *p)
{
	force_read_pages(p, 1, PAGE_SIZE);
	return NULL;
}

int main(void)
{
	struct uffdio_zeropage zero;
	struct uffd_msg msg;
	pthread_t thread;
	char *src, *dst;
	int uffd;

	huge_zero_start(15);
	uffd = uffd_open(UFFD_FEATURE_MOVE);
	src = huge_zero_area(2);
	dst = huge_area(2);
	if (uffd_register(uffd, dst, 2 * HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	test_mapped(2, "reads");
	test_eq(uffd_move(uffd, dst, src, HPAGE_SIZE), HPAGE_SIZE, "bytes moved");
	test_mapped(2, "that");
	test_data(dst, 0, HPAGE_SIZE, 0, "zeroes");
	test_eq(uffd_move(uffd, dst + HPAGE_SIZE, src + HPAGE_SIZE, PAGE_SIZE),
		PAGE_SIZE, "bytes moved of the second");
	test_mapped(1, "that splits it");
	madvise(dst, HPAGE_SIZE, MADV_DONTNEED);
	test_mapped(0, "dropped");

	/* The handler gets the fault. */
	if (pthread_create(&thread, NULL, reader, dst))
		ksft_exit_fail_msg("pthread_create\n");
	while (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		usleep(1000);
	test_eq(msg.event, UFFD_EVENT_PAGEFAULT, "a read is the handler's");
	test_mapped(0, "it waits");
	zero = (struct uffdio_zeropage) {
		.range = { (unsigned long)dst, HPAGE_SIZE },
	};
	test_eq(ioctl(uffd, UFFDIO_ZEROPAGE, &zero), 0, "UFFDIO_ZEROPAGE");
	pthread_join(thread, NULL);
	test_mapped(0, "small zero pages");
	test_data(dst, 0, HPAGE_SIZE, 0, "zeroes");
	close(uffd);
	area_free(src, 2);
	area_free(dst, 2);
	test_freed("in the end");
	ksft_finished();
}
