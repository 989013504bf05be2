// SPDX-License-Identifier: GPL-2.0
/* khugepaged, which must not collapse what a test has just split */
#include <stdint.h>
#include <sys/mman.h>

#include "init.h"

#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"

long khugepaged_scans(void)
{
	long scans = -1;
	FILE *f = fopen(KHUGEPAGED "full_scans", "r");

	if (f) {
		if (fscanf(f, "%ld", &scans) != 1)
			scans = -1;
		fclose(f);
	}
	return scans;
}

void settle_khugepaged(long least)
{
	long before, now = khugepaged_scans();
	int i;

	for (i = 0; i < 200 && now >= 0; i++) {
		before = now;
		usleep(2000);
		now = khugepaged_scans();
		if (now >= least && now == before)
			break;
	}
}

/*
 * khugepaged would collapse what a test has split just then: every ten seconds,
 * and at once when there is something to scan for the first time. Let it sleep
 * long, and have something to scan all the time: 2 MB of init that stay empty,
 * with a page before them, without which they don't count. The tests that want
 * khugepaged wake it themselves.
 */
void quiet_khugepaged(void)
{
	int fd = open(KHUGEPAGED "scan_sleep_millisecs", O_WRONLY);
	const size_t huge = 2 << 20, page = 4096;
	char *p;

	if (fd < 0)
		return;
	if (write(fd, "1000000000", 10) == 10)
		close(fd);
	p = mmap(NULL, 3 * huge, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	p = (char *)(((uintptr_t)p + 2 * huge - 1) & ~(huge - 1)) - page;
	*p = 1;
	if (!madvise(p, page + huge, MADV_HUGEPAGE))
		settle_khugepaged(1);
}
