// SPDX-License-Identifier: GPL-2.0
/*
 * A page in a HugeTLB file fails: the file keeps the huge page, so that nobody
 * takes what was lost for zeroes. Each mapping of it is a SIGBUS; read() gives
 * the bytes before and behind the bad page, and EIO for that. The same with the
 * vmemmap optimized, where the bad page has no struct page of its own.
 */
#include "hugetlb.h"

#define BAD	(HPAGE_SIZE + 100 * PAGE_SIZE)

static char *p, *buf;

/* Compare the bytes of the file from @off on with the pattern */
static ssize_t read_bytes(int fd, size_t off, size_t len)
{
	ssize_t got = pread(fd, buf + off, len, off);

	if (got > 0 && pattern_find_bad_user(buf, off, off + got, 1) >= 0)
		return -1;
	return got;
}

static int child(void *fd)
{
	char *q = map_file((uintptr_t)fd, 2 * HPAGE_SIZE, MAP_SHARED);

	if (pattern_find_bad(q, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	if (access_signal(q + BAD + HPAGE_SIZE / 2, false) != SIGBUS)
		return 2;
	return access_siginfo.si_addr_lsb == 21 ? 0 : 3;
}

static void fail_in_file(bool hvo)
{
	long kb = meminfo("HardwareCorrupted:"), map;
	unsigned long pfn;
	char c = 1;
	int fd;

	if (!access(HVO, F_OK))
		hvo_set(hvo);
	ksft_print_msg("hugetlb_optimize_vmemmap = %d\n", hvo);
	map = memmap_pages();
	pool_resize(3);
	fd = hugetlb_file(2);
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, 2 * HPAGE_SIZE, 1);
	test_eq(read_bytes(fd, 0, 2 * HPAGE_SIZE), 2 * HPAGE_SIZE, "bytes that can be read");
	pfn = pfn_of(p + HPAGE_SIZE);
	/* While it is a huge page, the head is marked. */
	poison_note(pfn);
	test_eq(poison(p + BAD, PAGE_SIZE, MADV_HWPOISON), SIGBUS, "signal at once");
	test_lost(p + BAD, true, 21, "a write");
	test_lost(p + HPAGE_SIZE, false, 21, "a read, elsewhere in the huge page");
	test_data(p, 0, HPAGE_SIZE, 1, "bytes of the page before");
	test_pool(3, 1, 0, 0, "the file keeps the huge page");
	test_eq(in_child(child, (void *)(uintptr_t)fd), 0, "a child that maps the file has lost it, too");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_true(kpageflags(pfn) & KPF_HWPOISON, "the huge page is marked");
	test_eq(read_bytes(fd, 0, 2 * HPAGE_SIZE), BAD, "bytes that can be read up to the bad page");
	test_true(pread(fd, &c, 1, BAD) == -1 && errno == EIO, "EIO for the bad page");
	test_eq(read_bytes(fd, BAD + PAGE_SIZE, 2 * HPAGE_SIZE - BAD - PAGE_SIZE),
		2 * HPAGE_SIZE - BAD - PAGE_SIZE, "bytes that can be read behind it");

	area_free(p, 2);
	close(fd);
	test_pool(3, 2, 0, 0, "the end of the file: the bad one isn't free");
	test_eq(unpoison_memory(pfn), 0, "it can be declared good");
	test_pool(3, 3, 0, 0, "and is free then");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	pool_resize(0);
	test_eq(memmap_pages(), map, "pages of struct page");
}

int main(void)
{
	if (access(POOL, F_OK))
		ksft_exit_skip("no HugeTLB pages in this kernel\n");
	poison_start(2 * 17, false);
	buf = small_area(2);
	pool_resize(0);
	fail_in_file(false);
	fail_in_file(true);
	ksft_finished();
}
