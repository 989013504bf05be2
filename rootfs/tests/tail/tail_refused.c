// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page isn't split, as ever, when nobody knows which of its pages the
 * references belong to: pages that were pinned by somebody who didn't say that he
 * goes by single pages; a buffer of several pages registered with io_uring, which
 * keeps one pin for all of them; pages in a pipe, which aren't pinned. Pins of
 * known pages beside these don't matter, before or after. Once they are gone, it
 * can be split again, also while such pins beside them stay.
 */
#include "tail.h"

static char *p;
static int pipe_fd[2];

static void hold_opaque(int *id)
{
	*id = gup_pin_opaque(AT(20), 10 * PAGE_SIZE);
}

static void hold_io_uring(int *id)
{
	*id = longterm_pin(AT(20), 10 * PAGE_SIZE);
}

static void hold_pipe(int *id)
{
	struct iovec iov = { AT(20), 2 * PAGE_SIZE };

	if (pipe(pipe_fd) || vmsplice(pipe_fd[1], &iov, 1, 0) != iov.iov_len)
		ksft_exit_fail_perror("vmsplice");
}

static void drop_pipe(int id)
{
	char buf[2 * PAGE_SIZE];

	if (read(pipe_fd[0], buf, sizeof(buf)) != sizeof(buf) ||
	    memcmp(buf, AT(20), sizeof(buf)))
		ksft_exit_fail_msg("other bytes in the pipe\n");
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

/* MADV_COLD of a part wants to split, and says nothing if it can't. */
static void want_split(long done, const char *when)
{
	long split = vmstat("thp_split_page"), failed = vmstat("thp_split_page_failed");

	madvise_cold(AT(100));
	ksft_print_msg("%s\n", when);
	test_vmstat("thp_split_page", split, done);
	test_vmstat("thp_split_page_failed", failed, done ? 0 : 1);
}

static void refuse(const char *what, void (*hold)(int *id), void (*drop)(int id),
		   int opaque)
{
	unsigned long pfn;
	int gup, id, late;

	p = huge_pages(1, 1);
	gup = gup_pin(AT(5), 8 * PAGE_SIZE);
	pfn = pfn_of(p);
	hold(&id);
	test_pins(AT(5), 9, 8 + opaque, 1, "%s, page 5", what);
	test_pins(AT(20), 9, 8 + opaque, 0, "%s, page 20", what);
	test_opaque(AT(5), opaque, "pins that aren't any page's");
	want_split(0, "refused");
	test_eq(madvise(AT(100), PAGE_SIZE, MADV_SOFT_OFFLINE) ? errno : 0, EBUSY,
		"MADV_SOFT_OFFLINE, errno");
	late = longterm_pin(AT(5), PAGE_SIZE);
	want_split(0, "refused with one more pin");
	gup_unpin(gup);
	want_split(0, "refused with eight less");
	longterm_unpin(late);
	want_split(0, "refused with none but these");
	test_true(pfn_of(p) == pfn && pfns_follow(p, HPAGE_SIZE), "the same pages");
	drop(id);
	test_eq(pins_all(), 0, "pins in the end");
	late = longterm_pin(AT(5), PAGE_SIZE);
	test_pins(AT(5), 9, 1, 1, "one pin of page 5");
	want_split(1, "split with that");
	longterm_unpin(late);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	area_free(p, 1);
}

/* Known pins outlive those that aren't, which come and go by the same pages. */
static void outlive(const char *what, void (*hold)(int *id), void (*drop)(int id),
		    int opaque)
{
	int gup, same, id;

	ksft_print_msg("%s, outlived\n", what);
	p = huge_pages(1, 1);
	gup = gup_pin(AT(5), 8 * PAGE_SIZE);
	hold(&id);
	same = gup_pin(AT(22), PAGE_SIZE);
	test_pins(AT(22), 9, 9 + opaque, 1, "page 22");
	gup_unpin(same);
	test_pins(AT(22), 9, 8 + opaque, 0, "unpinned once, page 22");
	want_split(0, "refused");
	drop(id);
	test_pins(AT(5), 9, 8, 1, "all known again, page 5");
	test_opaque(AT(5), 0, "pins that aren't any page's");
	want_split(1, "split with them");
	test_pins(AT(5), 0, 1, 1, "page 5");
	gup_unpin(gup);
	test_eq(pins_all(), 0, "pins in the end");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	area_free(p, 1);
}

int main(void)
{
	tail_start(3 * 18 + 2 * 11);
	refuse("10 pages pinned by a driver", hold_opaque, gup_unpin, 10);
	refuse("10 pages registered with io_uring", hold_io_uring, longterm_unpin, 1);
	refuse("2 pages in a pipe", hold_pipe, drop_pipe, 0);
	outlive("10 pages pinned by a driver", hold_opaque, gup_unpin, 10);
	outlive("10 pages registered with io_uring", hold_io_uring, longterm_unpin, 1);
	ksft_finished();
}
