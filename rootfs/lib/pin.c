// SPDX-License-Identifier: GPL-2.0
/* userfaultfd, and pins for long. See mmtest.h. */
#include "internal.h"

int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		ksft_exit_fail_msg("userfaultfd: %s\n", strerror(errno));
	if (ioctl(fd, UFFDIO_API, &api))
		ksft_exit_fail_msg("UFFDIO_API 0x%llx: %s\n",
				   (unsigned long long)features,
				   strerror(errno));
	return fd;
}

long uffd_move(int uffd, char *dst, char *src, size_t len)
{
	struct uffdio_move mv = {
		.dst = (unsigned long)dst, .src = (unsigned long)src, .len = len,
	};

	return ioctl(uffd, UFFDIO_MOVE, &mv) ? -errno : mv.move;
}

/* Of linux/io_uring.h, whose older and newer forms don't go with the rest */
#define IORING_REGISTER_BUFFERS		0
#define IORING_UNREGISTER_BUFFERS	1
#define IORING_PARAMS_SIZE		120

int longterm_pin(void *p, size_t len)
{
	uint64_t params[IORING_PARAMS_SIZE / 8] = { 0 };
	struct iovec iov = { .iov_base = p, .iov_len = len };
	int ring = syscall(__NR_io_uring_setup, 4, params), tries = 100;

	if (ring < 0)
		ksft_exit_fail_msg("io_uring_setup: %s\n", strerror(errno));
	while (syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1)) {
		/* It can't be moved while another one has a reference. */
		if (errno != ENOMEM || !tries--)
			ksft_exit_fail_msg("IORING_REGISTER_BUFFERS: %s\n",
					   strerror(errno));
		usleep(1000);
	}
	return ring;
}

void longterm_unpin(int pin)
{
	if (syscall(__NR_io_uring_register, pin, IORING_UNREGISTER_BUFFERS, NULL, 0))
		ksft_exit_fail_msg("IORING_UNREGISTER_BUFFERS: %s\n",
				   strerror(errno));
	close(pin);
}
