// SPDX-License-Identifier: GPL-2.0
/*
 * A page of page cache fails that is as it is on its device: it is read from there
 * again, by all who have it mapped, and nobody notices.
 */
#include "hugetlb.h"

#define DEVICE	"/dev/ram1"
#define NR	8
#define LEN	(NR * PAGE_SIZE)
#define BAD	(5 * PAGE_SIZE)

static char *p, want[LEN];

static int child(void *pfn)
{
	if (memcmp(p, want, LEN))
		return 1;
	return pfn_of(p + BAD) == (uintptr_t)pfn;
}

int main(void)
{
	long kb = meminfo("HardwareCorrupted:");
	unsigned long pfn[NR];
	int fd, go[2];
	pid_t pid;
	char c;

	poison_start(10, false);
	pattern_fill(want, 0, LEN, 1);
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, want, LEN, 0) != LEN || fsync(fd))
		ksft_exit_fail_perror(DEVICE);
	p = map_file(fd, LEN, MAP_SHARED);
	if (pipe(go))
		ksft_exit_fail_perror("pipe");
	force_read_pages(p, NR, PAGE_SIZE);
	pfns_of(p, pfn, NR);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		force_read_pages(p, NR, PAGE_SIZE);
		_exit(read(go[0], &c, 1) == 1 ? child((void *)pfn[BAD / PAGE_SIZE]) : 2);
	}
	usleep(10000);	/* let it map the pages */
	test_eq(poison(p + BAD, PAGE_SIZE, MADV_HWPOISON), 0, "signal at once");
	test_eq(access_signal(p + BAD, false), 0, "signal for a read");
	test_true(!memcmp(p, want, LEN), "every byte");
	test_eq(pages_moved(p, pfn, NR), 1, "pages that moved");
	test_true(pfn_of(p + BAD) != pfn[BAD / PAGE_SIZE], "this one");
	test_true(kpageflags(pfn[BAD / PAGE_SIZE]) & KPF_HWPOISON, "the bad one is marked");
	if (write(go[1], "", 1) != 1)
		ksft_exit_fail_perror("write");
	test_eq(child_status(pid), 0, "a child has the good one and every byte");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_eq(unpoison_memory(pfn[BAD / PAGE_SIZE]), 0, "the bad one can be declared good");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	ksft_finished();
}
