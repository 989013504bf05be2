// SPDX-License-Identifier: GPL-2.0
/*
 * What GUP-fast takes without mmap_lock, and what it leaves to the slow path:
 * memory that the process must not access, zeroes, and a page that is shared with
 * a child. A tracepoint says whether mmap_lock was taken.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "hugetlb.h"
#include "gup_fast.h"

#define EVENT	TRACING "events/mmap_lock/mmap_lock_start_locking/"

static int gup;

/* How often this process has taken mmap_lock since trace_locks() */
static int locks(void)
{
	char line[512], want[32];
	FILE *f = fopen(TRACING "trace", "re");
	int n = 0;

	if (!f)
		ksft_exit_fail_perror(TRACING "trace");
	snprintf(want, sizeof(want), "-%d ", getpid());
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "mmap_lock_start_locking:") && strstr(line, want);
	fclose(f);
	return n;
}

/*
 * @want pages by one of the two, then by the other, fast or not. What pins a page that
 * is shared with a child has it unshared first, so that is slow only the first time.
 */
static void test_gup(const void *p, size_t nr, unsigned int flags, long want,
		     bool want_fast, const char *what)
{
	unsigned long cmd[] = { GUP_FAST_BENCHMARK, PIN_FAST_BENCHMARK };
	static bool warm;
	bool unshare = strstr(what, "child");
	long held = vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
	bool zeroes = strstr(what, "zero");
	long got[2];
	int i, n[2];

	/* The first time for nothing: what is used of the program is mapped then. */
	for (i = warm ? 0 : -1; i < 2; i++) {
		int at = i < 0 ? 0 : i;

		warm = true;
		/* gup_test doesn't expect zeroes, which aren't pinned. */
		if (i == 1 && zeroes) {
			got[1] = got[0];
			n[1] = n[0];
			break;
		}
		trace_clear();
		if (!file_write(EVENT "enable", "1"))
			ksft_exit_fail_perror(EVENT);
		got[at] = gup_pages(gup, cmd[at], p, nr, want == (long)nr ? nr : 1, flags);
		file_write(EVENT "enable", "0");
		n[at] = locks();
	}
	held -= vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
	ksft_test_result(got[0] == want && got[1] == want && !held &&
			 !n[0] == want_fast && !n[1] == (want_fast != unshare),
			 "%s # %ld and %ld pages, mmap_lock %d and %d times, pins left %ld\n",
			 what, got[0], got[1], n[0], n[1], -held);
}

static char *shared_page;

/* The child: the page is as it was, whatever its parent pins */
static int child(void)
{
	bool good = pattern_find_bad_user(shared_page, 0, PAGE_SIZE, 1) < 0;

	turn_over();
	good &= pattern_find_bad_user(shared_page, 0, PAGE_SIZE, 1) < 0;
	return !good;
}

int main(void)
{
	char *p, *q;
	pid_t pid;
	int i;

	test_start_with(23, GUP_TEST, "gup_test");
	if (access(EVENT, F_OK))
		ksft_exit_fail_perror(EVENT);
	gup = gup_open();

	p = small_pages(1, 1);
	test_gup(p, HPAGE_NR, FOLL_WRITE, HPAGE_NR, true, "small pages");
	test_gup(p + 5 * PAGE_SIZE, 1, 0, 1, true, "one small page, to read");
	mprotect(p, 8 * PAGE_SIZE, PROT_READ);
	test_gup(p, 8, 0, 8, true, "read-only");
	test_gup(p, 8, FOLL_WRITE, 0, false, "read-only, to write");
	mprotect(p, 8 * PAGE_SIZE, PROT_NONE);
	test_gup(p, 8, 0, 0, false, "PROT_NONE");
	mprotect(p, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	test_gup(p, HPAGE_NR, FOLL_WRITE, HPAGE_NR, true, "accessible again");
	test_data(p, 0, HPAGE_SIZE, 1, "data of small pages");
	madvise(p + PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	FORCE_READ(p[PAGE_SIZE]);
	test_gup(p + PAGE_SIZE, 1, 0, 1, false, "a page of zeroes");
	test_data(p + PAGE_SIZE, 0, PAGE_SIZE, 0, "zeroes");

	/* One that is shared with a child is unshared before it is pinned. */
	shared_page = p + 8 * PAGE_SIZE;
	pattern_fill(shared_page, 0, PAGE_SIZE, 1);
	pid = turns_start(child);
	test_gup(shared_page, 1, 0, 1, true, "shared with a child, to read");
	test_gup(shared_page, 1, FOLL_WRITE, 1, false, "shared with a child, to write");
	pattern_fill(shared_page, 0, PAGE_SIZE, 2);
	turns_end();
	test_eq(child_status(pid), 0, "the child's data");
	test_data(shared_page, 0, PAGE_SIZE, 2, "the parent's");

	p = huge_pages(2, 3);
	test_gup(p, 2 * HPAGE_NR, FOLL_WRITE, 2 * HPAGE_NR, true, "huge pages");
	test_gup(p + 100 * PAGE_SIZE, 9, 0, 9, true, "a part of one, to read");
	mprotect(p, HPAGE_SIZE, PROT_READ);
	test_gup(p, 8, FOLL_WRITE, 0, false, "a huge page, read-only, to write");
	mprotect(p, HPAGE_SIZE, PROT_NONE);
	test_gup(p, 8, 0, 0, false, "a huge page, PROT_NONE");
	mprotect(p, HPAGE_SIZE, PROT_READ | PROT_WRITE);
	test_smaps(p, 2 * HPAGE_SIZE, "AnonHugePages", 2 * HPAGE_KB);
	test_data(p, 0, 2 * HPAGE_SIZE, 3, "data of huge pages");
	q = huge_area(1);
	FORCE_READ(*q);
	test_gup(q, 8, 0, 8, false, "the huge zero page");

	q = map_file(huge_file("file", HPAGE_SIZE, 4), HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*q);
	*(volatile char *)q = *(volatile char *)q;
	test_gup(q, HPAGE_NR, FOLL_WRITE, HPAGE_NR, true, "a huge page of tmpfs");

	if (access("/sys/kernel/debug/shmem_teams", F_OK)) {
		ksft_test_result_skip("a page team: not in this kernel\n");
	} else {
		mkdir("/tmp/gup_team", 0755);
		if (mount("mmtest", "/tmp/gup_team", "tmpfs", 0, "huge=team"))
			ksft_exit_fail_perror("mount");
		i = open("/tmp/gup_team/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		umount2("/tmp/gup_team", MNT_DETACH);
		rmdir("/tmp/gup_team");
		if (i < 0 || ftruncate(i, HPAGE_SIZE))
			ksft_exit_fail_perror("a file of a team");
		q = map_file(i, HPAGE_SIZE, MAP_SHARED);
		pattern_fill(q, 0, HPAGE_SIZE, 5);
		/* Again, as it is mapped by PMD when it is complete */
		munmap(q, HPAGE_SIZE);
		q = map_file(i, HPAGE_SIZE, MAP_SHARED);
		*(volatile char *)q = *(volatile char *)q;
		test_gup(q, HPAGE_NR, FOLL_WRITE, HPAGE_NR, true, "a page team");
	}

	restore_at_exit();
	pool_resize(2);
	q = mmap(NULL, 2 * HPAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (q == MAP_FAILED)
		ksft_exit_fail_perror("MAP_HUGETLB");
	pattern_fill(q, 0, 2 * HPAGE_SIZE, 6);
	test_gup(q, 2 * HPAGE_NR, FOLL_WRITE, 2 * HPAGE_NR, true, "HugeTLB");
	ksft_finished();
}
