// SPDX-License-Identifier: GPL-2.0
/*
 * A file gets shorter by a page while two processes are about to complete and map
 * its team: both have seen the old size, and are slowed down by their memory cgroup
 * before they can add pages. What they add beyond the end goes again, though one
 * may have mapped the team by then; nothing of it stays in the file or mapped.
 */
#include <sys/statfs.h>

#include "hugetlb.h"
#include "team.h"

#define CGROUP	"/sys/fs/cgroup/team_truncate/"
#define LAST	(HPAGE_SIZE - PAGE_SIZE)

static volatile int *at_work;
static int fd;

static int fault(void *unused)
{
	char *p = map_file(fd, HPAGE_SIZE, MAP_SHARED);

	if (!file_write(CGROUP "cgroup.procs", "0"))
		return 1;
	/* Large charges wait. */
	if (madvise(p, HPAGE_SIZE, MADV_HUGEPAGE))
		return 2;
	__atomic_add_fetch(at_work, 1, __ATOMIC_SEQ_CST);
	FORCE_READ(p[7 * PAGE_SIZE]);
	if (pattern_find_bad(p, 0, PAGE_SIZE, 1) >= 0)
		return 3;
	if (pattern_find_bad(p, PAGE_SIZE, LAST, 0) >= 0)
		return 4;
	if (access_signal(p + LAST, false) != SIGBUS)
		return 5;
	return 0;
}

int main(void)
{
	char first[PAGE_SIZE], *p;
	struct statfs fs;
	struct stat st;
	long left;
	pid_t pid[2];
	int i, tries, status[2];

	team_start(10);
	at_work = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory") ||
	    mkdir(CGROUP, 0755) || !file_write(CGROUP "memory.high", "131072"))
		ksft_exit_fail_perror(CGROUP);
	file_write(CGROUP "memory.swap.max", "0");
	fd = huge_file("file", HPAGE_SIZE, 0);
	pattern_fill(first, 0, PAGE_SIZE, 1);
	if (pwrite(fd, first, PAGE_SIZE, 0) != PAGE_SIZE)
		ksft_exit_fail_perror("pwrite");
	test_eq(teams(), 1, "a team with one page");
	/* Where this process waits too long for a CPU, they are done before it is. */
	for (tries = 0; tries < 5; tries++) {
		*at_work = 0;
		fflush(stdout);
		for (i = 0; i < 2; i++) {
			pid[i] = fork();
			if (!pid[i])
				_exit(fault(NULL));
			while (*at_work <= i)
				usleep(1000);
			usleep(50000);
		}
		fstat(fd, &st);
		if (ftruncate(fd, LAST))
			ksft_exit_fail_perror("ftruncate");
		for (i = 0; i < 2; i++)
			status[i] = child_status(pid[i]);
		if (st.st_blocks / 8 == 1)
			break;
		ksft_print_msg("too late: once more\n");
		if (ftruncate(fd, 0) || ftruncate(fd, HPAGE_SIZE) ||
		    pwrite(fd, first, PAGE_SIZE, 0) != PAGE_SIZE)
			ksft_exit_fail_perror("again");
	}
	test_eq(st.st_blocks / 8, 1, "pages of the file while both are slowed down");
	test_eq(status[0], 0, "a process that mapped it");
	test_eq(status[1], 0, "another one");
	fstat(fd, &st);
	test_eq(st.st_blocks / 8, HPAGE_NR - 1, "pages of the file");
	statfs(huge_tmpfs(), &fs);
	test_eq(fs.f_blocks - fs.f_bfree, HPAGE_NR - 1, "pages of the mount");
	test_eq(teams(), 0, "teams");
	test_eq(meminfo("ShmemPmdMapped:"), 0, "meminfo ShmemPmdMapped kB");
	if (ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("ftruncate");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	test_data(p, LAST, HPAGE_SIZE, 0, "longer again: zeroes");
	area_free(p, 1);
	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	left = file_number(CGROUP "memory.current", NULL);
	test_true(left < 1 << 20, "charged for nothing # %ld kB", left / 1024);
	close(fd);
	rmdir(CGROUP);
	ksft_finished();
}
