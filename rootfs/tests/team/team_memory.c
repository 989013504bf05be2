// SPDX-License-Identifier: GPL-2.0
/*
 * When memory is short: what teams hold back is freed by a shrinker, and there
 * are never more than so many; without a huge page, or a page of any kind, or
 * space on the mount, files do without teams, and every byte is right.
 */
#include <sys/mount.h>
#include <sys/statfs.h>

#include "hugetlb.h"
#include "team.h"

#define NR	90	/* more than an 8th of memory */
#define LIMITED	"/tmp/team_memory"

static long used_pages(const char *path)
{
	struct statfs st;

	if (statfs(path, &st))
		ksft_exit_fail_perror(path);
	return st.f_blocks - st.f_bfree;
}

/* A file of which each 2 MB have one page */
static int sparse_file(const char *name)
{
	int fd = huge_file(name, NR * HPAGE_SIZE, 0), i;

	for (i = 0; i < NR; i++)
		if (pwrite(fd, "x", 1, i * HPAGE_SIZE + 7 * PAGE_SIZE) != 1)
			ksft_exit_fail_perror("pwrite");
	return fd;
}

static void check_sparse(int fd)
{
	int i, wrong = 0;
	char c[2];

	for (i = 0; i < NR; i++)
		wrong += pread(fd, c, 2, i * HPAGE_SIZE + 7 * PAGE_SIZE) != 2 ||
			 c[0] != 'x' || c[1];
	test_eq(wrong, 0, "of %d pages wrong", NR);
}

/* Read a byte while two slab allocations fail, once @space bytes have been had */
static void read_failing(char *p, long space)
{
	static int inject;

	if (!inject)
		inject = open("/proc/self/make-it-fail", O_RDWR | O_CLOEXEC);
	/* That of the xarray, with its lock held, and the one without */
	failslab_start(2, space);
	/* No other system call is in between. */
	if (pwrite(inject, "1", 1, 0) != 1)
		ksft_exit_fail_perror("make-it-fail");
	FORCE_READ(*p);
	if (pwrite(inject, "0", 1, 0) != 1)
		ksft_exit_fail_perror("make-it-fail");
	fail_stop();
}

int main(void)
{
	int fd, most, i, failed = 0, pmds = 0, wrong = 0, part = 0, early = 0;
	long fallback, before, after;
	char *p;

	team_start(25);
	before = free_pages();
	fd = sparse_file("sparse");
	most = teams();
	test_true(most >= 4 && most < NR, "%d teams of %d extents hold pages back", most, NR);
	after = free_pages();
	test_true(before - after >= most * 500L && before - after < (most + 2) * 512L,
		  "pages taken # %ld", before - after);
	file_write("/proc/sys/vm/drop_caches", "2");
	test_eq(teams(), 0, "teams that the shrinker left");
	test_min(free_pages() - after, most * 511L - 64, "pages that it freed");
	check_sparse(fd);
	test_eq(used_pages(huge_tmpfs()), NR, "pages of the mount");
	/* What isn't sparse stays. */
	if (ftruncate(fd, 0) || ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("ftruncate");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	file_write("/proc/sys/vm/drop_caches", "2");
	test_team(pfn_of(p), 512, 1, "a complete team and the shrinker");
	area_free(p, 1);
	close(fd);

	quiet_console();	/* of faults without memory, of an option that is none */
	/* No huge pages */
	fallback = vmstat("thp_file_fallback");
	fail_page_alloc_start(9, 0);
	file_write("/proc/self/make-it-fail", "1");
	fd = huge_file("small", 2 * HPAGE_SIZE, 1);
	file_write("/proc/self/make-it-fail", "0");
	fail_stop();
	test_vmstat_min("thp_file_fallback", fallback, 1);
	test_eq(teams(), 1, "teams: those of before");
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	test_data(p, 0, 2 * HPAGE_SIZE, 1, "small pages: data");
	area_free(p, 2);
	close(fd);

	/*
	 * One allocation of a fault fails, the first, the second and so on: before
	 * that of the 512 pages of the team, or behind it.
	 */
	for (i = 0; i < 40; i++) {
		fd = huge_file("fails", HPAGE_SIZE, 0);
		p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
		fail_page_alloc_start(0, i < 8 ? i : HPAGE_NR - 8 + i);
		file_write("/sys/kernel/debug/fail_page_alloc/times", "1");
		file_write("/proc/self/make-it-fail", "1");
		FORCE_READ(*p);
		file_write("/proc/self/make-it-fail", "0");
		failed += !file_number("/sys/kernel/debug/fail_page_alloc/times", NULL);
		fail_stop();
		pmds += team_of(pfn_of(p)).pmds;
		wrong += pattern_find_bad(p, 0, HPAGE_SIZE, 0) >= 0;
		area_free(p, 1);
		close(fd);
	}
	/* Or its 512 pages get into the cache in part: no memory for its nodes. */
	for (i = 0; i < 16; i++) {
		/* Memory that isn't zero when it is free */
		area_free(small_pages(4, 6), 4);
		fd = huge_file("part", HPAGE_SIZE, 0);
		p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
		read_failing(p, i * 300);
		if (team_of(pfn_of(p)).members % HPAGE_NR) {
			part++;
			early += smaps_kb(p, HPAGE_SIZE, "ShmemPmdMapped") != 0;
		}
		wrong += pattern_find_bad(p, 0, HPAGE_SIZE, 0) >= 0;
		area_free(p, 1);
		close(fd);
	}
	test_min(part, 1, "teams in the cache in part");
	test_eq(early, 0, "of them mapped by PMD");

	ksft_print_msg("40 faults, %d with a failure, %d mapped a team\n", failed, pmds);
	test_true(failed >= 5 && pmds >= 40 - failed, "faults that had no failure mapped a team");
	test_eq(wrong, 0, "faults with wrong data");

	/* A mount of 3 MB: the second team can't be completed. */
	mkdir(LIMITED, 0755);
	if (mount("team", LIMITED, "tmpfs", 0, "huge=team,size=3M"))
		ksft_exit_fail_perror("mount");
	fd = open(LIMITED "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 2 * HPAGE_SIZE))
		ksft_exit_fail_perror(LIMITED);
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	pattern_fill(p, HPAGE_SIZE, HPAGE_SIZE * 3 / 2, 1);
	test_smaps(p, 2 * HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	test_eq(used_pages(LIMITED), 3 * HPAGE_NR / 2, "pages of a full mount");
	test_eq(access_signal(p + HPAGE_SIZE * 3 / 2, true), SIGBUS, "signal for one more");
	test_data(p, 0, HPAGE_SIZE * 3 / 2, 1, "data");
	area_free(p, 2);
	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	test_eq(used_pages(LIMITED), 0, "pages of an empty mount");
	close(fd);
	test_eq(umount(LIMITED), 0, "umount");
	rmdir(LIMITED);

	/* Options */
	mkdir(LIMITED, 0755);
	test_true(mount("team", LIMITED, "tmpfs", 0, "huge=teams") == -1 &&
		  errno == EINVAL, "huge=teams is no option");
	test_true(!file_write("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
			      "team") && errno == EINVAL,
		  "shmem_enabled can't be team");
	if (mount("team", LIMITED, "tmpfs", 0, "huge=team"))
		ksft_exit_fail_perror("mount");
	fd = open("/proc/self/mounts", O_RDONLY);
	static char mounts[65536];
	if (read(fd, mounts, sizeof(mounts) - 1) < 0)
		ksft_exit_fail_perror("mounts");
	p = strstr(mounts, LIMITED);
	test_true(p && strstr(strtok(p, "\n"), "huge=team"), "mounts says huge=team");
	test_eq(umount(LIMITED), 0, "umount");
	rmdir(LIMITED);
	ksft_finished();
}
