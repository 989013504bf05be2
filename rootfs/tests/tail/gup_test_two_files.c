// SPDX-License-Identifier: GPL-2.0
/*
 * Long-term pins by gup_test are those of the file that it was opened as: others
 * that open it, pin, unpin, close it or are killed don't give them back.
 */
#include "tail.h"

#define LEN	(4 * PAGE_SIZE)

static int other(void *arg)
{
	char *p = small_area(1), buf[LEN];
	int fd;

	pattern_fill(p, 0, LEN, 2);
	fd = gup_pin(p, LEN);
	gup_read(fd, buf);
	if (memcmp(buf, p, LEN))
		return 1;
	/* One gives them back, one leaves that to close(), one to exit(). */
	gup_unpin(fd);
	close(gup_pin(p, LEN));
	gup_pin(p, LEN);
	return 0;
}

int main(void)
{
	long held = pins_held();
	char *p, buf[LEN];
	int fd;

	test_start(5);
	p = small_area(1);
	pattern_fill(p, 0, LEN, 1);
	fd = gup_pin(p, LEN);
	close(open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC));
	test_eq(pins_held(), held + 4, "another file closed, pins");
	test_eq(in_child(other, NULL), 0, "another process pins, too");
	test_eq(pins_held(), held + 4, "it has ended, pins");
	gup_read(fd, buf);
	test_true(!memcmp(buf, p, LEN), "what is pinned is read");
	gup_unpin(fd);
	test_eq(pins_held(), held, "unpinned, pins");
	area_free(p, 1);
	ksft_finished();
}
