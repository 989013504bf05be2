// SPDX-License-Identifier: GPL-2.0
/*
 * A page fault that waits for userfaultfd lets the process have its signal: it
 * is the signal's handler here that provides the page. (um tried again until
 * the page was there.)
 */
#include <sys/time.h>

#include "mmtest.h"

static int uffd;
static char *page;
static volatile int handled;

static void provide(int sig)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (unsigned long)page, .len = PAGE_SIZE },
	};

	handled++;
	if (handled == 3 && ioctl(uffd, UFFDIO_ZEROPAGE, &zero))
		_exit(KSFT_FAIL);
}

static int touch(void *p)
{
	const struct itimerval timer = { { 0, 20000 }, { 0, 20000 } };

	setitimer(ITIMER_REAL, &timer, NULL);
	return *(volatile char *)p;
}

int main(void)
{
	char *p;

	test_plan(3);
	uffd = uffd_open(0);
	p = small_area(1);
	page = p + 5 * PAGE_SIZE;
	if (uffd_register(uffd, p, HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	signal(SIGALRM, provide);
	test_eq(touch(page), 0, "the page that the handler provided");
	setitimer(ITIMER_REAL, &(struct itimerval) { 0 }, NULL);
	test_min(handled, 3, "signals handled during the fault");
	uffd_unregister(uffd, p, HPAGE_SIZE);
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes all over");
	ksft_finished();
}
