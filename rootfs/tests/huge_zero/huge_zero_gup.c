// SPDX-License-Identifier: GPL-2.0
/*
 * Who takes pages of the huge zero page by their physical address (vmsplice,
 * process_vm_readv, O_DIRECT, get_user_pages, pin_user_pages) gives back all of
 * it: in the end its memory is free, also when that is after the shrinker has
 * let it go. Each does so in a process of its own, so that this holds for
 * references per mm, too.
 */
#include "../../../../mm/gup_test.h"
#include "huge_zero.h"

#define LEN	(64 * PAGE_SIZE)

static char buf[LEN];
static int pipe_fd[2];

static bool zeroes(size_t len)
{
	return pattern_find_bad_user(buf, 0, len, 0) < 0;
}

static int gup(void *cmd)
{
	struct gup_test test = {
		.addr = (unsigned long)huge_zero_area(1), .size = HPAGE_SIZE,
		.nr_pages_per_call = 100,
	};
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR);

	/* Of small zero pages it complains, since a pin doesn't show in these. */
	if (pfn_of((void *)test.addr) != huge_zero("pfn"))
		return 1;
	return ioctl(fd, (unsigned long)cmd, &test) || test.size != HPAGE_SIZE;
}

static int readv_self(void *arg)
{
	struct iovec local = { buf, LEN };
	struct iovec remote = { huge_zero_area(1) + 5 * PAGE_SIZE + 123, LEN };

	memset(buf, 1, LEN);
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != LEN ||
	       !zeroes(LEN);
}

static int direct(void *arg)
{
	char *p = huge_zero_area(1) + 3 * PAGE_SIZE;
	int fd = open("/dev/ram1", O_RDWR | O_DIRECT);

	return pwrite(fd, p, LEN, 0) != LEN;
}

static int splice_8_pages(void *arg)
{
	struct iovec iov = { huge_zero_area(1) + 500 * PAGE_SIZE, 8 * PAGE_SIZE };

	return vmsplice(pipe_fd[1], &iov, 1, 0) != 8 * PAGE_SIZE;
}

/* Some read, the rest left to close() */
static int splice_and_close(void *arg)
{
	if (pipe(pipe_fd) || splice_8_pages(NULL))
		return 1;
	return read(pipe_fd[0], buf, 3 * PAGE_SIZE) != 3 * PAGE_SIZE ||
	       !zeroes(3 * PAGE_SIZE);
}

static int another_than(void *pfn)
{
	return pfn_of(huge_zero_area(1)) == (unsigned long)pfn;
}

int main(void)
{
	static const struct {
		const char *what;
		int (*fn)(void *arg);
		unsigned long arg;
	} routes[] = {
		{ "get_user_pages", gup, GUP_BASIC_TEST },
		{ "pin_user_pages", gup, PIN_BASIC_TEST },
		{ "process_vm_readv", readv_self, 0 },
		{ "O_DIRECT", direct, 0 },
		{ "vmsplice", splice_and_close, 0 },
	};
	unsigned long old;
	size_t i;

	ksft_print_header();
	if (!thp_available() || huge_zero_counts("nothing"))
		ksft_exit_skip("the huge zero page is never freed\n");
	ksft_set_plan(4 * ARRAY_SIZE(routes) + 10);
	huge_zero_shrink();
	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		test_eq(in_child(routes[i].fn, (void *)routes[i].arg), 0, "%s",
			routes[i].what);
		test_freed(routes[i].what);
	}

	/* The shrinker comes while the pipe has pages. */
	if (pipe(pipe_fd))
		ksft_exit_fail_perror("pipe");
	test_eq(in_child(splice_8_pages, NULL), 0, "vmsplice to a pipe that stays");
	old = huge_zero("pfn");
	huge_zero_shrink();
	test_eq(huge_zero("pfn"), -1, "freed for the shrinker, pfn");
	test_true(kpf_bare_folio(kpageflags(old)), "the pipe still has it");
	test_eq(in_child(another_than, (void *)old), 0, "a read maps another one");
	memset(buf, 1, LEN);
	test_eq(read(pipe_fd[0], buf, LEN), 8 * PAGE_SIZE, "bytes of the old one");
	test_true(zeroes(8 * PAGE_SIZE), "zeroes");
	test_true(!kpf_bare_folio(kpageflags(old)), "its memory is free");
	test_freed("the other one");
	ksft_finished();
}
