// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page is split while direct I/O is under way: the block device is a thread
 * of this program, and doesn't answer before the split. What a read gets then is
 * in the process's memory, what a write has is what was in there; small pages are
 * as good. Nothing stays pinned.
 */
#include <endian.h>
#include <linux/nbd.h>
#include <sys/socket.h>

#include "tail.h"

#define LEN	(8 * PAGE_SIZE)
#define HERE	(1UL << 20)	/* requests for that offset wait */

static char *p, disk[LEN];
static int sock[2], nbd, pipe_held[2], pipe_go[2];

static void transfer(bool out, void *buf, size_t len)
{
	ssize_t n = 0;

	for (; len && n >= 0; buf += n, len -= n) {
		n = out ? send(sock[1], buf, len, MSG_NOSIGNAL) :
			recv(sock[1], buf, len, 0);
		if (!n)
			pthread_exit(NULL);
	}
	if (len)
		pthread_exit(NULL);
}

/* The server: all but what is written to HERE, or read there, is zeroes. */
static void *serve(void *arg)
{
	static char zeroes[1 << 20];

	for (;;) {
		struct nbd_reply reply = { .magic = htobe32(NBD_REPLY_MAGIC) };
		struct nbd_request req;
		bool held, is_write;
		size_t len;
		char c = 0;

		transfer(false, &req, sizeof(req));
		memcpy(reply.handle, req.handle, sizeof(reply.handle));
		len = be32toh(req.len);
		held = be64toh(req.from) == HERE;
		is_write = be32toh(req.type) == NBD_CMD_WRITE;
		if (be32toh(req.type) > NBD_CMD_WRITE) {
			close(sock[1]);		/* NBD_CMD_DISC */
			return NULL;
		}
		if (is_write)
			transfer(false, held ? disk : zeroes, len);
		if (held && (write(pipe_held[1], &c, 1) != 1 || read(pipe_go[0], &c, 1) != 1))
			return NULL;
		transfer(true, &reply, sizeof(reply));
		if (!is_write)
			transfer(true, held ? disk : zeroes, len);
	}
}

static void *nbd_thread(void *arg)
{
	ioctl(nbd, NBD_DO_IT);
	return NULL;
}

static void *read_thread(void *fd)
{
	return (void *)pread((intptr_t)fd, AT(5), LEN, HERE);
}

static void *write_thread(void *fd)
{
	return (void *)pwrite((intptr_t)fd, AT(5), LEN, HERE);
}

static void in_flight(int fd, bool to_disk, bool huge)
{
	const char *what = to_disk ? "write" : "read";
	unsigned long pfn = pfn_of(AT(5));
	pthread_t thread;
	void *ret;
	char c = 0;

	ksft_print_msg("%s, %s pages\n", what, huge ? "huge" : "small");
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	pattern_fill(disk, 0, LEN, 2);
	if (pthread_create(&thread, NULL, to_disk ? write_thread : read_thread,
			   (void *)(intptr_t)fd) || read(pipe_held[0], &c, 1) != 1)
		ksft_exit_fail_perror(what);
	if (huge) {
		test_pins(AT(5), 9, 8, 1, "%s under way, page 5", what);
		debugfs_split(p, HPAGE_SIZE, 0);
	}
	test_pins(AT(5), 0, 1, 1, "%s still under way, page 5", what);
	test_eq(pins_all(), 8, "%s still under way, pins", what);
	if (write(pipe_go[1], &c, 1) != 1 || pthread_join(thread, &ret))
		ksft_exit_fail_perror(what);
	test_eq((intptr_t)ret, LEN, "%s: bytes", what);
	test_true(!memcmp(AT(5), disk, LEN), "%s: the same bytes here and there", what);
	test_data(p, 13 * PAGE_SIZE, HPAGE_SIZE, 1, "%s: bytes behind", what);
	test_eq(pfn_of(AT(5)), pfn, "%s: the same page", what);
	test_eq(pins_all(), 0, "%s done, pins", what);
}

int main(void)
{
	pthread_t server, doing;
	int fd, huge, to_disk;

	tail_start(2 * 7 + 2 * 8 + 2);
	nbd = open("/dev/nbd0", O_RDWR | O_CLOEXEC);
	if (nbd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sock) ||
	    pipe(pipe_held) || pipe(pipe_go) ||
	    ioctl(nbd, NBD_SET_BLKSIZE, PAGE_SIZE) ||
	    ioctl(nbd, NBD_SET_SIZE_BLOCKS, 1024UL) ||
	    ioctl(nbd, NBD_SET_SOCK, sock[0]))
		ksft_exit_fail_perror("/dev/nbd0");
	if (pthread_create(&server, NULL, serve, NULL) ||
	    pthread_create(&doing, NULL, nbd_thread, NULL))
		ksft_exit_fail_perror("pthread_create");
	/* It has its size as soon as the other thread has begun. */
	for (fd = 0; fd < 1000 && file_number("/sys/block/nbd0/size", NULL) <= 0; fd++)
		usleep(1000);
	fd = open("/dev/nbd0", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		ksft_exit_fail_perror("/dev/nbd0");
	for (huge = 0; huge < 2; huge++) {
		for (to_disk = 0; to_disk < 2; to_disk++) {
			p = huge ? huge_pages(1, 1) : small_pages(1, 1);
			in_flight(fd, to_disk, huge);
			area_free(p, 1);
		}
	}
	test_eq(pins_all(), 0, "pins in the end");
	close(fd);
	test_eq(ioctl(nbd, NBD_DISCONNECT), 0, "the device ends");
	pthread_join(doing, NULL);
	ksft_finished();
}
