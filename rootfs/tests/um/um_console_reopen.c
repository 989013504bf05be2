// SPDX-License-Identifier: GPL-2.0
/*
 * Each console opened, closed and opened again before a worker gets to run: what the
 * first open has queued is queued once. (um prepared it anew while it was queued.)
 */
#include <sched.h>

#include "mmtest.h"

#define LINES	16	/* of each kind; 0 is the test's own */

int main(void)
{
	struct sched_param fifo = { .sched_priority = 10 }, other = { 0 };
	int nr, kind, fd, opened = 0;
	char path[32], c;

	test_plan(2);
	if (sched_setscheduler(0, SCHED_FIFO, &fifo))
		ksft_exit_fail_perror("SCHED_FIFO");
	for (kind = 0; kind < 2; kind++) {
		for (nr = 1; nr < LINES; nr++) {
			snprintf(path, sizeof(path), "/dev/tty%s%d", kind ? "S" : "", nr);
			fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
			if (fd < 0)
				continue;
			close(fd);
			fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
			opened += fd >= 0;
			close(fd);
		}
	}
	sched_setscheduler(0, SCHED_OTHER, &other);
	test_min(opened, 2, "lines opened twice");
	usleep(200000);		/* the workers' turn */
	fd = open("/proc/self/stat", O_RDONLY);
	test_eq(read(fd, &c, 1), 1, "the kernel goes on");
	ksft_finished();
}
