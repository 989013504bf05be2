// SPDX-License-Identifier: GPL-2.0
/*
 * With UFFD_USER_MODE_ONLY, which is all that an unprivileged process has, a fault of
 * the kernel isn't given to the handler: it is EFAULT. One of user code is. (um
 * took the kernel's accesses for faults of user code.)
 */
#include <poll.h>

#include "mmtest.h"

static char *area;
static int uffd;

static int register_area(int flags)
{
	struct uffdio_api api = { .api = UFFD_API };

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		ksft_exit_fail_perror("userfaultfd");
	area = small_area(1);
	if (uffd_register(uffd, area, HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	return uffd;
}

static void *handler(void *count)
{
	struct pollfd poll_fd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	while (poll(&poll_fd, 1, 2000) == 1 && read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		struct uffdio_zeropage zero = {
			.range = { msg.arg.pagefault.address & ~(PAGE_SIZE - 1UL), PAGE_SIZE },
		};

		++*(int *)count;
		ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
	}
	return NULL;
}

/* 5 results: accesses by the kernel and by user code, to pages that aren't there */
static void test_accesses(const char *what, int flags, int want_error)
{
	int handled = 0, zero = open("/dev/zero", O_RDONLY), null[2];
	pthread_t thread;
	long done;

	register_area(flags);
	if (pipe(null) || pthread_create(&thread, NULL, handler, &handled))
		ksft_exit_fail_perror("pthread_create");
	done = read(zero, area, 16);
	test_eq(done < 0 ? errno : 0, want_error, "%s: read() into it, errno", what);
	done = write(null[1], area + PAGE_SIZE, 16);
	test_eq(done < 0 ? errno : 0, want_error, "%s: write() from it, errno", what);
	test_eq(handled, want_error ? 0 : 2, "%s: faults of the kernel handled", what);
	test_eq(*(volatile char *)(area + 2 * PAGE_SIZE), 0, "%s: read by the program", what);
	test_eq(handled, want_error ? 1 : 3, "%s: faults handled", what);
	uffd_unregister(uffd, area, HPAGE_SIZE);
	close(null[0]);
	close(null[1]);
	close(zero);
	pthread_join(thread, NULL);
	close(uffd);
	area_free(area, 1);
}

int main(void)
{
	test_plan(2 * 5);
	test_accesses("all", 0, 0);
	test_accesses("user mode only", UFFD_USER_MODE_ONLY, EFAULT);
	ksft_finished();
}
