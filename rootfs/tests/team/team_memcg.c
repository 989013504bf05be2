// SPDX-License-Identifier: GPL-2.0
/*
 * Teams and memory cgroups. Where there is no room to charge 512 pages, a file
 * has small pages, and nobody is killed. A cgroup that is slowed down, as it is
 * above memory.high, slows down nobody outside of it. Charged are the pages in
 * files and no others: not those that a team holds back, nor those that didn't
 * get into the file as the mount was full.
 */
#include <sys/mount.h>
#include <sys/statfs.h>

#include "hugetlb.h"
#include "team.h"

#define CGROUP	"/sys/fs/cgroup/team_memcg/"
#define FULL	"/tmp/team_memcg"
#define MB	(1L << 20)

static int fd;
static int advice;		/* madvise() for it, or 0 */
static struct {
	volatile double began, took;
	volatile long before, after;
} *shared;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static long charged(void)
{
	return file_number(CGROUP "memory.current", NULL);
}

static void limits(const char *max, const char *high)
{
	if (!file_write(CGROUP "memory.max", max) ||
	    !file_write(CGROUP "memory.high", high))
		ksft_exit_fail_perror(CGROUP);
}

static void enter(void)
{
	if (!file_write(CGROUP "cgroup.procs", "0"))
		ksft_exit_fail_perror(CGROUP "cgroup.procs");
}

/* In the cgroup: a page in the middle of 2 MB is read or written. */
static int touch(void *write)
{
	char *p = map_file(fd, HPAGE_SIZE, MAP_SHARED);

	enter();
	if (advice && madvise(p, HPAGE_SIZE, advice))
		return 1;
	shared->before = charged();
	shared->began = now();
	if (write)
		p[7 * PAGE_SIZE] = 1;
	else
		FORCE_READ(p[7 * PAGE_SIZE]);
	shared->took = now() - shared->began;
	shared->after = charged();
	return 0;
}

static int append(void *len)
{
	static char page[PAGE_SIZE] = { 1 };
	size_t off;

	enter();
	for (off = HPAGE_SIZE; off < HPAGE_SIZE + (size_t)len; off += PAGE_SIZE)
		if (pwrite(fd, page, PAGE_SIZE, off) != PAGE_SIZE)
			return 1;
	return 0;
}

static long file_pages(void)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_blocks / 8;
}

static void at_the_limit(void)
{
	long kills = file_number(CGROUP "memory.events", "oom_kill");
	int i;

	limits("1048576", "max");
	for (i = 0; i < 4; i++) {
		advice = i & 1 ? MADV_HUGEPAGE : 0;
		fd = huge_file("limit", HPAGE_SIZE, 0);
		test_eq(in_child(touch, (void *)(i & 2L)), 0,
			"a byte is %s%s with 1 MB left: status", i & 2 ? "written" : "read",
			advice ? " in huge pages" : "");
		test_eq(file_pages(), 1, "pages of the file");
		ftruncate(fd, 0);
		close(fd);
	}
	test_eq(file_number(CGROUP "memory.events", "oom_kill"), kills, "kills");
	advice = 0;
}

/* While the cgroup is slowed down, other writers don't wait for who has to. */
static void above_high(void)
{
	bool others_waited, same_waited;
	int others[64], i, slow;
	char name[16], *q;
	pid_t pid;

	limits("max", "131072");
	advice = MADV_HUGEPAGE;
	fd = slow = huge_file("slow", HPAGE_SIZE, 0);
	for (i = 0; i < (int)ARRAY_SIZE(others); i++) {
		snprintf(name, sizeof(name), "other%d", i);
		others[i] = huge_file(name, HPAGE_SIZE, 0);
	}
	shared->began = shared->took = 0;
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(touch((void *)1));
	while (!shared->began)
		usleep(1000);
	usleep(100000);
	for (i = 0; i < (int)ARRAY_SIZE(others); i++) {
		if (pwrite(others[i], "x", 1, 0) != 1)
			ksft_exit_fail_perror("pwrite");
	}
	others_waited = shared->took > 0;
	/* The same 2 MB, written and mapped */
	q = map_file(slow, HPAGE_SIZE, MAP_SHARED);
	q[9 * PAGE_SIZE] = 2;
	if (pwrite(slow, "x", 1, PAGE_SIZE) != 1)
		ksft_exit_fail_perror("pwrite");
	same_waited = shared->took > 0;
	test_eq(child_status(pid), 0, "the slow one");
	test_true(shared->took > 1, "it was slowed down");
	test_true(!others_waited, "others didn't wait for it");
	test_true(!same_waited, "nor who writes to the same 2 MB");
	test_true(q[7 * PAGE_SIZE] == 1 && q[9 * PAGE_SIZE] == 2 && q[PAGE_SIZE] == 'x',
		  "what they wrote");
	for (i = 0; i < (int)ARRAY_SIZE(others); i++) {
		ftruncate(others[i], 0);
		close(others[i]);
	}
	area_free(q, 1);
	ftruncate(slow, 0);
	close(slow);
	advice = 0;
}

/* A team is begun outside of the cgroup; then there is no space left for it. */
static void full_mount(void)
{
	struct statfs st;
	long before;

	limits("max", "max");
	mkdir(FULL, 0755);
	if (mount("team", FULL, "tmpfs", 0, "huge=team,nr_blocks=8"))
		ksft_exit_fail_perror("mount");
	fd = open(FULL "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, HPAGE_SIZE) || pwrite(fd, "x", 1, 0) != 1)
		ksft_exit_fail_perror(FULL);
	before = charged();
	test_eq(in_child(touch, (void *)1), 0, "a store with a full mount");
	test_true(shared->after - shared->before < MB / 2,
		  "it is charged for # %ld kB", (shared->after - shared->before) / 1024);
	test_true(charged() - before < MB / 2, "charged when it has ended # %ld kB",
		  (charged() - before) / 1024);
	test_eq(file_pages(), 2, "pages of the file");
	statfs(FULL, &st);
	test_eq(st.f_blocks - st.f_bfree, 2, "pages of the mount");
	close(fd);
	test_eq(umount(FULL), 0, "umount");
	rmdir(FULL);
}

/* Statistics may be two seconds old, if they differ by little. */
static long shmem_charged(long want)
{
	long n = -1;
	int i;

	for (i = 0; i < 40 && n != want; i++) {
		if (i)
			usleep(100000);
		n = file_number(CGROUP "memory.stat", "shmem") / (long)PAGE_SIZE;
	}
	return n;
}

/* Who brings a page in is charged for it; what is held back nobody is. */
static void who_is_charged(void)
{
	char *p;

	fd = huge_file("mixed", HPAGE_SIZE, 0);
	test_eq(shmem_charged(0), 0, "pages of shmem charged at first");
	test_eq(in_child(append, (void *)(100 * PAGE_SIZE)), 0, "100 pages appended");
	test_eq(team_of(file_pfn(fd, HPAGE_SIZE)).members, 100, "members");
	test_eq(shmem_charged(100), 100, "pages charged");
	if (ftruncate(fd, 2 * HPAGE_SIZE))
		ksft_exit_fail_perror("ftruncate");
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(p[HPAGE_SIZE]);
	test_team(pfn_of(p + HPAGE_SIZE), 512, 1, "the others mapped from outside");
	test_eq(shmem_charged(100), 100, "pages charged");
	punch(fd, HPAGE_SIZE + 3 * PAGE_SIZE, 80 * PAGE_SIZE);
	test_eq(shmem_charged(20), 20, "pages charged after a hole of 80");
	area_free(p, 2);
	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	test_eq(shmem_charged(0), 0, "pages charged when it is empty");

	/* A cgroup can go before its pages do. */
	test_eq(in_child(append, (void *)HPAGE_SIZE), 0, "2 MB appended");
	test_eq(shmem_charged(HPAGE_NR), HPAGE_NR, "pages charged");
	test_eq(rmdir(CGROUP), 0, "rmdir of the cgroup");
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(p[HPAGE_SIZE]);
	test_team(pfn_of(p + HPAGE_SIZE), 512, 1, "its team");
	area_free(p, 2);
	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	close(fd);
}

int main(void)
{
	team_start(34);
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared->began = 0; /* here: the cgroup isn't charged for its page */
	if (!file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory") ||
	    mkdir(CGROUP, 0755))
		ksft_exit_fail_perror(CGROUP);
	file_write(CGROUP "memory.swap.max", "0");
	at_the_limit();
	above_high();
	full_mount();
	who_is_charged();
	test_eq(teams(), 0, "teams left");
	test_eq(meminfo("ShmemPmdMapped:"), 0, "meminfo ShmemPmdMapped kB left");
	ksft_finished();
}
