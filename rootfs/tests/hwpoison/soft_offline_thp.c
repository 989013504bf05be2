// SPDX-License-Identifier: GPL-2.0
/*
 * A page that is about to fail is taken out of use while it is: its bytes move
 * to another, nobody notices. A small page, one in a transparent huge page
 * (which is split for that), one of page cache.
 */
#include "hugetlb.h"

#define DEVICE	"/dev/ram1"
#define BAD	(100 * PAGE_SIZE)

static char *p;

static int child(void *pfn)
{
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	return pfn_of(p + BAD) == (uintptr_t)pfn;
}

static void offline(const char *what)
{
	long kb = meminfo("HardwareCorrupted:");
	unsigned long pfn[HPAGE_NR];

	pfns_of(p, pfn, HPAGE_NR);
	test_eq(poison(p + BAD, PAGE_SIZE, MADV_SOFT_OFFLINE), 0, "%s: signal at once", what);
	test_eq(access_signal(p + BAD, true), 0, "signal for a write");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	test_eq(pages_moved(p, pfn, HPAGE_NR), 1, "pages that moved");
	test_true(pfn_of(p + BAD) != pfn[100], "this one");
	test_true(kpageflags(pfn[100]) & KPF_HWPOISON, "the bad one is marked");
	test_eq(in_child(child, (void *)pfn[100]), 0, "a child has the good one and every byte");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "all can be written again");
	area_free(p, 1);
	test_true(!(kpageflags(pfn[100]) & KPF_BUDDY), "the bad one isn't free");
	test_eq(unpoison_memory(pfn[100]), 0, "it can be declared good");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
}

int main(void)
{
	static char buf[PAGE_SIZE];
	unsigned long pfn;
	long split;
	int fd;

	poison_start(2 * 12 + 3 + 4, true);
	/* MADV_POPULATE_WRITE would mark them accessed: then a CPU's batch may have them */
	p = small_area(1);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	offline("a small page");

	p = huge_pages(1, 1);
	split = vmstat("thp_split_page");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	offline("a page of a huge page");
	test_vmstat("thp_split_page", split, 1);

	/* The page cache can be asked again, it need not move. */
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	pattern_fill(buf, 0, PAGE_SIZE, 3);
	if (fd < 0 || pwrite(fd, buf, PAGE_SIZE, 0) != PAGE_SIZE || fsync(fd))
		ksft_exit_fail_perror(DEVICE);
	p = map_file(fd, PAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	pfn = pfn_of(p);
	test_eq(poison(p, PAGE_SIZE, MADV_SOFT_OFFLINE), 0, "page cache: signal at once");
	test_data(p, 0, PAGE_SIZE, 3, "every byte");
	test_true(pfn_of(p) != pfn, "it is another page");
	area_free(p, 1);
	close(fd);
	test_eq(unpoison_memory(pfn), 0, "the bad one can be declared good");

	/* It can be switched off. */
	if (!file_write("/proc/sys/vm/enable_soft_offline", "0"))
		ksft_exit_fail_perror("enable_soft_offline");
	p = small_area(1);
	pattern_fill(p, 0, PAGE_SIZE, 1);
	test_true(madvise(p, PAGE_SIZE, MADV_SOFT_OFFLINE) == -1 &&
		  errno == EOPNOTSUPP, "EOPNOTSUPP with enable_soft_offline = 0");
	file_write("/proc/sys/vm/enable_soft_offline", "1");
	ksft_finished();
}
