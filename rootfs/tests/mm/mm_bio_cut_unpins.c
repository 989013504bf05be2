// SPDX-License-Identifier: GPL-2.0
/*
 * Direct I/O of more pieces of memory than one bio has room for, where what fits
 * isn't a multiple of the device's block size: the rest is cut off the first bio,
 * and taken by the second. All pages are unpinned in the end, also those that were
 * cut off, and each byte is where it belongs.
 */
#include <linux/loop.h>

#include "mmtest.h"

#define NR_VECS		256	/* BIO_MAX_VECS */
#define NR_FULL		(NR_VECS - 3)
#define FULL		(NR_FULL * PAGE_SIZE)
#define LEN		((NR_VECS - 1) * PAGE_SIZE)

static char *small, *huge;

static long pins_held(void)
{
	return vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
}

/* A loop device with blocks of a page, of a file that has pattern 2 */
static int loop_device(void)
{
	static char data[LEN];
	struct loop_config config = {
		.block_size = PAGE_SIZE,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	char name[32];
	int control, nr, fd, direct;

	pattern_fill(data, 0, LEN, 2);
	config.fd = memfd_create("disk", MFD_CLOEXEC);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (write(config.fd, data, LEN) != LEN || control < 0)
		ksft_exit_fail_perror("/dev/loop-control");
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	snprintf(name, sizeof(name), "/dev/loop%d", nr);
	fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config))
		ksft_exit_fail_perror(name);
	close(config.fd);
	close(control);
	direct = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct < 0)
		ksft_exit_fail_perror(name);
	close(fd);
	return direct;
}

/*
 * 5 results: 253 pages, then @cut bytes of a huge page that begin @offset bytes
 * before its page 4, and twice 512 bytes: that is as many pieces as a bio has, and
 * not a whole block. Then comes what is missing to that.
 */
static void read_in_pieces(int fd, size_t offset, size_t cut)
{
	char *piece = huge + 4 * PAGE_SIZE - offset, *rest = huge + 100 * PAGE_SIZE;
	size_t left = PAGE_SIZE - cut % PAGE_SIZE;
	struct iovec iov[NR_VECS + 1];
	static char data[LEN];
	long held = pins_held();
	size_t i;

	for (i = 0; i < NR_FULL; i++)
		iov[i] = (struct iovec) { small + i * PAGE_SIZE, PAGE_SIZE };
	iov[i++] = (struct iovec) { piece, cut };
	iov[i++] = (struct iovec) { rest, 512 };
	iov[i++] = (struct iovec) { rest + 512, 512 };
	iov[i++] = (struct iovec) { rest + 1024, left - 1024 };
	ksft_print_msg("%zu bytes from %zu before the end of a page\n", cut, offset);
	test_eq(preadv(fd, iov, i, 0), FULL + cut + left, "bytes read");
	pattern_fill(data, 0, LEN, 2);
	test_true(!memcmp(small, data, FULL), "the first 253 pages");
	test_true(!memcmp(piece, data + FULL, cut), "the piece that is cut");
	test_true(!memcmp(rest, data + FULL + cut, left), "the rest");
	test_eq(pins_held() - held, 0, "pins taken and not given back");
}

int main(void)
{
	int fd;

	test_start(3 * 5);
	if (access("/dev/loop-control", F_OK))
		ksft_exit_fail_perror("/dev/loop-control");
	fd = loop_device();
	small = small_area(1);
	memset(small, 0, HPAGE_SIZE);
	huge = huge_pages(1, 1);
	/* All of the piece goes: it is in one page, in two. */
	read_in_pieces(fd, 2048, 1024);
	read_in_pieces(fd, 512, 1024);
	/* A part of it goes, and all that is in the third page */
	read_in_pieces(fd, 512, PAGE_SIZE + 1024);
	close(fd);
	ksft_finished();
}
