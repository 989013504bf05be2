// SPDX-License-Identifier: GPL-2.0
/*
 * For tests/test_gdb.py: brings a page into one state after the other, says what
 * /proc shows of it, and calls mincore() on nothing, where gdb stops and says
 * what it sees.
 */
#include <sys/mount.h>

#include "hugetlb.h"

static char *p;

/* What is, or was, at @at is page @pfn, 0 for none. */
static void show_page(const char *name, char *at, unsigned long pfn)
{
	printf("# view %s addr=%lx pfn=%lu flags=%llx count=%llu cgroup=%llu rss=%ld huge=%ld swap=%ld vmpte=%ld pid=%d\n",
	       name, (unsigned long)at, pfn,
	       (unsigned long long)(pfn ? kpageflags(pfn) : 0),
	       (unsigned long long)(pfn ? kpagecount(pfn) : 0),
	       (unsigned long long)(pfn ? kpagecgroup(pfn) : 0),
	       smaps_kb(at, 1, "Rss"),
	       smaps_kb(at, 1, "AnonHugePages") +
	       smaps_kb(at, 1, "ShmemPmdMapped") +
	       smaps_kb(at, 1, "Private_Hugetlb"),
	       smaps_kb(at, 1, "Swap"), vmpte(), getpid());
	fflush(stdout);
	/* The kernel does nothing of it; gdb stops in there. */
	syscall(SYS_mincore, at, 0, pfn);
}

static void show(const char *name, char *at)
{
	show_page(name, at, pagemap(at) & PM_PRESENT ? pfn_of(at) : 0);
}

static int child(void)
{
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	turn_over();
	return 0;
}

static int child_idle(void)
{
	turn_over();
	return 0;
}

/* With a child that has done something */
static void with_child(const char *name, int (*fn)(void), char *at)
{
	pid_t pid = turns_start(fn);

	force_read_pages(at, 1, PAGE_SIZE);
	show(name, at);
	turns_end();
	if (child_status(pid))
		ksft_exit_fail_msg("the child failed\n");
}

int main(void)
{
	unsigned long pfn;
	int fd, pin;
	char *small;

	hugetlb_start(1, 1);
	swap_start();
	memcg_enter();

	/* A huge page, on its own and shared, whole and in parts */
	p = huge_pages(1, 1);
	show("fault", p + 3 * PAGE_SIZE);
	with_child("fork", child, p);
	pin = longterm_pin(p, HPAGE_SIZE);
	show("pin", p);
	longterm_unpin(pin);
	if (!access("/sys/kernel/debug/subpage_pins", F_OK)) {
		int pins[] = {
			longterm_pin(p + 7 * PAGE_SIZE, PAGE_SIZE),
			longterm_pin(p + 7 * PAGE_SIZE, PAGE_SIZE),
			longterm_pin(p + 511 * PAGE_SIZE, PAGE_SIZE),
			/* Each a pin of the whole: they are of several pages */
			longterm_pin(p + 20 * PAGE_SIZE, 2 * PAGE_SIZE),
			longterm_pin(p, HPAGE_SIZE),
		};

		show("subpage_pin", p);
		for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
			longterm_unpin(pins[i]);
	}
	madvise(p + 100 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	show("partial", p + 5 * PAGE_SIZE);
	with_child("partial_fork", child_idle, p);
	debugfs_split(p, HPAGE_SIZE, 0);
	show("split", p + 5 * PAGE_SIZE);
	madvise(p, HPAGE_SIZE, MADV_COLLAPSE);
	show("collapse", p + 5 * PAGE_SIZE);
	debugfs_split(p, HPAGE_SIZE, 0);
	if (madvise(p, 16 * PAGE_SIZE, MADV_PAGEOUT))
		ksft_exit_fail_perror("MADV_PAGEOUT");
	show("swap", p + 5 * PAGE_SIZE);
	force_read_pages(p + 5 * PAGE_SIZE, 1, PAGE_SIZE);
	show("swapin", p + 5 * PAGE_SIZE);
	with_child("swapcache", child_idle, p + 6 * PAGE_SIZE);
	area_free(p, 1);

	/* Small pages */
	p = small_area(1);
	small = p + PAGE_SIZE;
	*small = 1;
	show("small", small);
	pin = longterm_pin(small, PAGE_SIZE);
	show("small_pin", small);
	longterm_unpin(pin);
	force_read_pages(p, 1, PAGE_SIZE);
	show("zero", p);
	area_free(p, 1);

	/* A file, mapped by PMD, then in parts */
	fd = huge_file("pages", HPAGE_SIZE, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	show("file", p + 7 * PAGE_SIZE);
	mprotect(p, PAGE_SIZE, PROT_READ);
	force_read_pages(p + 7 * PAGE_SIZE, 1, PAGE_SIZE);
	show("file_parts", p + 7 * PAGE_SIZE);
	munmap(p, HPAGE_SIZE);
	close(fd);

	/* The same as a team */
	if (mount(NULL, huge_tmpfs(), NULL, MS_REMOUNT, "huge=team"))
		ksft_exit_fail_perror("huge=team");
	fd = huge_file("team", HPAGE_SIZE, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	show("team", p + 7 * PAGE_SIZE);
	show("team_first", p);
	mprotect(p, PAGE_SIZE, PROT_READ);
	show("team_parts", p + 7 * PAGE_SIZE);
	munmap(p, HPAGE_SIZE);
	close(fd);

	/* The huge zero page */
	p = huge_area(1);
	force_read_pages(p, 1, PAGE_SIZE);
	show("huge_zero", p);
	area_free(p, 1);

	/* A page that was freed, and what is left of its area */
	p = huge_pages(1, 1);
	pfn = pfn_of(p);
	area_free(p, 1);
	show_page("freed", p, pfn);

	/* HugeTLB */

	p = hugetlb_pages(1, 1);
	show("hugetlb", p);
	area_free(p, 1);
	pool_resize(0);
	hvo_set(true);
	pool_resize(1);

	/* The second page of struct pages has them from the first, or from others. */
	p = hugetlb_pages(1, 1);
	show(hvo_fake_heads() ? "fake_head" : "hvo", p + 64 * PAGE_SIZE);

	ksft_test_result_pass("all shown\n");
	ksft_finished();
}
