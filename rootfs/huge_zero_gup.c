// SPDX-License-Identifier: GPL-2.0
/*
 * Who takes pages of the huge zero page by their physical address (vmsplice,
 * process_vm_readv, O_DIRECT, get_user_pages, pin_user_pages) gives back all of
 * it: in the end its memory is free, also when that is after the shrinker has
 * let it go.
 */
#include "../../../../mm/gup_test.h"
#include "huge_zero.h"

#define LEN	(64 * PAGE_SIZE)

static char *p;

static void release(const char *what)
{
	test_mapped(1, "%s", what);
	area_free(p, 1);
	test_freed(what);
	p = huge_zero_area(1);
}

static void gup(unsigned long cmd, const char *what)
{
	struct gup_test test = {
		.addr = (unsigned long)p, .size = HPAGE_SIZE,
		.nr_pages_per_call = 100,
	};
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, cmd, &test))
		ksft_exit_fail_perror("gup_test");
	close(fd);
	test_eq(test.size, HPAGE_SIZE, "%s, bytes", what);
	release(what);
}

int main(void)
{
	static char buf[LEN];
	struct iovec local = { buf, LEN }, remote;
	int pipe_fd[2], fd;
	unsigned long old;
	char *zeroes;

	huge_zero_start(39);
	p = huge_zero_area(1);

	gup(GUP_BASIC_TEST, "get_user_pages");
	gup(PIN_BASIC_TEST, "pin_user_pages");

	remote = (struct iovec) { p + 5 * PAGE_SIZE + 123, LEN };
	memset(buf, 1, LEN);
	test_eq(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), LEN,
		"process_vm_readv, bytes");
	test_data(buf, 0, LEN, 0, "zeroes");
	release("process_vm_readv");

	fd = open("/dev/ram1", O_RDWR | O_DIRECT | O_CLOEXEC);
	test_eq(pwrite(fd, p + 3 * PAGE_SIZE, LEN, 0), LEN, "O_DIRECT, bytes");
	release("O_DIRECT");
	close(fd);

	/* A part read, a part left to close() */
	if (pipe2(pipe_fd, O_CLOEXEC))
		ksft_exit_fail_perror("pipe");
	local = (struct iovec) { p + 500 * PAGE_SIZE, 8 * PAGE_SIZE };
	test_eq(vmsplice(pipe_fd[1], &local, 1, 0), 8 * PAGE_SIZE, "vmsplice, bytes");
	test_eq(read(pipe_fd[0], buf, 3 * PAGE_SIZE), 3 * PAGE_SIZE, "bytes read");
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	release("vmsplice");

	/* The shrinker comes while the pipe has pages. */
	if (pipe2(pipe_fd, O_CLOEXEC))
		ksft_exit_fail_perror("pipe");
	local = (struct iovec) { p, 8 * PAGE_SIZE };
	test_eq(vmsplice(pipe_fd[1], &local, 1, 0), 8 * PAGE_SIZE, "vmsplice, bytes");
	old = huge_zero("pfn");
	area_free(p, 1);
	huge_zero_shrink();
	test_eq(huge_zero("pfn"), -1, "freed for the shrinker, pfn");
	test_true(kpageflags(old) & KPF_COMPOUND_HEAD, "the pipe still has it");
	zeroes = huge_zero_area(1);
	test_mapped(1, "read again");
	test_true(pfn_of(zeroes) != old, "another huge zero page # 0x%lx, was 0x%lx",
		  pfn_of(zeroes), old);
	memset(buf, 1, LEN);
	test_eq(read(pipe_fd[0], buf, LEN), 8 * PAGE_SIZE, "bytes of the old one");
	test_data(buf, 0, 8 * PAGE_SIZE, 0, "zeroes");
	test_eq(kpageflags(old) & KPF_COMPOUND_HEAD, 0, "its memory is free");
	p = zeroes;
	release("the new one");
	ksft_finished();
}
