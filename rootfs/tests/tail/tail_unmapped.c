// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page that nothing maps any more, while one of its pages is pinned: when
 * memory is short, the other 511 are freed, whether there is swap or not, and
 * nothing is tried in vain. The pinned page stays as long as the pin, its bytes
 * too. Where all is pinned, or nobody knows what, all stays.
 */
#include "tail.h"

static char *p;

/* How many page frames of what was the huge page at @pfn are in use */
static size_t in_use(unsigned long pfn)
{
	return count_pfns(pfn, HPAGE_NR, KPF_ANON);
}

static void unmap(void)
{
	munmap(p, HPAGE_SIZE);
}

static void drop(void)
{
	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
}

static void drop_ptes(void)
{
	mprotect(AT(50), PAGE_SIZE, PROT_READ);
	mprotect(AT(50), PAGE_SIZE, PROT_READ | PROT_WRITE);
	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
}

static void drop_twice(void)
{
	madvise(AT(8), HPAGE_SIZE - 8 * PAGE_SIZE, MADV_DONTNEED);
	madvise(p, 8 * PAGE_SIZE, MADV_DONTNEED);
}

/*
 * 6 results: @nr pages from @first on are pinned by @pin_it, it is unmapped by
 * @gone, memory is short, and @stay pages of it are left.
 */
static void unmapped(const char *what, void (*gone)(void), int (*pin_it)(void *p, size_t len),
		     size_t first, size_t nr, size_t stay)
{
	static char buf[HPAGE_SIZE], was[HPAGE_SIZE];
	long split, failed;
	unsigned long pfn;
	int pin, i;

	ksft_print_msg("%s, %zu pages pinned\n", what, nr);
	p = huge_pages(1, 1);
	pin = pin_it(AT(first), nr * PAGE_SIZE);
	memcpy(was, p, HPAGE_SIZE);
	pfn = pfn_of(p);
	split = vmstat("thp_split_page");
	failed = vmstat("thp_split_page_failed");
	gone();
	test_eq(in_use(pfn), HPAGE_NR, "pages in use");
	for (i = 0; i < 4; i++) {
		memcg_reclaim(4 * HPAGE_SIZE);
		file_write("/proc/sys/vm/drop_caches", "2");
	}
	test_eq(in_use(pfn), stay, "pages in use when memory was short");
	test_vmstat("thp_split_page", split, stay < HPAGE_NR);
	test_vmstat("thp_split_page_failed", failed, 0);
	gup_read(pin, buf);
	test_true(!memcmp(buf, was + first * PAGE_SIZE, nr * PAGE_SIZE),
		  "the bytes that are pinned");
	gup_unpin(pin);
	test_eq(in_use(pfn), 0, "unpinned, pages in use");
	munmap(p, HPAGE_SIZE);
}

static void ways(const char *swap)
{
	ksft_print_msg("%s\n", swap);
	unmapped("munmap", unmap, gup_pin, 7, 1, 1);
	unmapped("MADV_DONTNEED", drop, gup_pin, 0, 1, 1);
	unmapped("MADV_DONTNEED of ptes", drop_ptes, gup_pin, 511, 1, 1);
	unmapped("MADV_DONTNEED in two pieces", drop_twice, gup_pin, 7, 3, 3);
	unmapped("munmap", unmap, gup_pin, 0, HPAGE_NR, HPAGE_NR);
	unmapped("munmap", unmap, gup_pin_opaque, 7, 1, HPAGE_NR);
}

/* 3 results: who had them mapped ends; somebody else has one page of each pinned */
static void process_ends(void)
{
	long kb = file_number(MEMCG "memory.current", NULL) / 1024, now;
	int ready[2], go[2], rings[4], i;
	pid_t pid;
	char c = 0;

	if (pipe(ready) || pipe(go))
		ksft_exit_fail_perror("pipe");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		p = huge_pages(4, 1);
		for (i = 0; i < 4; i++)
			rings[i] = longterm_pin(p + i * HPAGE_SIZE + 5 * PAGE_SIZE, PAGE_SIZE);
		munmap(p, 4 * HPAGE_SIZE);
		_exit(write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1 || rings[0] < 0);
	}
	if (read(ready[0], &c, 1) != 1)
		ksft_exit_fail_perror("pipe");
	for (i = 0; i < 4; i++) {
		memcg_reclaim(16 * HPAGE_SIZE);
		file_write("/proc/sys/vm/drop_caches", "2");
	}
	now = file_number(MEMCG "memory.current", NULL) / 1024;
	test_eq(pins_all(), 4, "4 huge pages unmapped, a page of each is a buffer: pins");
	ksft_test_result(now - kb < (long)HPAGE_KB, "kB charged more than before # %ld\n", now - kb);
	if (write(go[1], &c, 1) != 1)
		ksft_exit_fail_perror("pipe");
	test_eq(child_status(pid), 0, "the process ends");
}

int main(void)
{
	tail_start(2 * 6 * 6 + 3);
	memcg_enter();
	p = huge_pages(1, 1);
	gup_unpin(gup_pin(p, HPAGE_SIZE));	/* not in ZONE_MOVABLE any more */
	area_free(p, 1);
	ways("without swap");
	swap_start();
	ways("with swap");
	process_ends();
	ksft_finished();
}
