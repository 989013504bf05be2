// SPDX-License-Identifier: GPL-2.0
/*
 * 64 MB of tmpfs as small pages, as large folios and as page teams: faulted,
 * mapped a second time, unmapped, written, punched; and what is left in memory
 * when every other page of each 2 MB is punched, once with a reference on one
 * page of each 2 MB by somebody else.
 */
#include <sys/mount.h>

#include "bench.h"
#include "mmtest.h"

#define NR	32
#define LEN	(NR * HPAGE_SIZE)
#define CHUNK	(1UL << 20)

static const char *kind;

static void say(const char *what, const char *unit, long n)
{
	printf("%s_%s_%s %ld\n", kind, what, unit, n);
}

static long begin;

static void start(void)
{
	begin = now_ns();
}

static void stop(const char *what)
{
	say(what, "ns", now_ns() - begin);
}

static void touch(char *p, bool write)
{
	size_t off;

	for (off = 0; off < LEN; off += PAGE_SIZE) {
		if (write)
			*(volatile char *)(p + off) = 1;
		else
			FORCE_READ(p[off]);
	}
}

static void punch_half(int fd)
{
	size_t off;

	for (off = 0; off < LEN; off += 2 * PAGE_SIZE)
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      off, PAGE_SIZE))
			ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
}

static void measure(void)
{
	static char buf[CHUNK];
	int fd = huge_file(kind, LEN, 0), out[2];
	long shmem = vmstat("nr_shmem");
	size_t i;
	char *p;

	p = map_file(fd, LEN, MAP_SHARED);
	start();
	touch(p, true);
	stop("fault");
	start();
	munmap(p, LEN);
	stop("unmap");
	p = map_file(fd, LEN, MAP_SHARED);
	start();
	touch(p, false);
	stop("again");
	start();
	punch_half(fd);
	stop("punch");
	say("half", "kb", (vmstat("nr_shmem") - shmem) * 4);
	munmap(p, LEN);

	if (ftruncate(fd, 0) || ftruncate(fd, LEN))
		ksft_exit_fail_perror("ftruncate");
	start();
	for (i = 0; i < LEN; i += CHUNK)
		if (pwrite(fd, buf, CHUNK, i) != CHUNK)
			ksft_exit_fail_perror("pwrite");
	stop("write");

	/* A page of each 2 MB that something else has a reference on */
	p = map_file(fd, LEN, MAP_SHARED);
	touch(p, false);
	if (pipe(out))
		ksft_exit_fail_perror("pipe");
	fcntl(out[1], F_SETPIPE_SZ, 64 * PAGE_SIZE);
	for (i = 0; i < LEN; i += HPAGE_SIZE)
		if (vmsplice(out[1], &(struct iovec){ p + i + PAGE_SIZE, PAGE_SIZE },
			     1, 0) != PAGE_SIZE)
			ksft_exit_fail_perror("vmsplice");
	punch_half(fd);
	say("pinned", "kb", (vmstat("nr_shmem") - shmem) * 4);
	close(out[0]);
	close(out[1]);
	munmap(p, LEN);
	start();
	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	stop("truncate");
	close(fd);
}

int main(void)
{
	static const char * const kinds[] = { "never", "always", "team" };
	char option[32];
	size_t i;

	test_start(1);
	huge_tmpfs();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		kind = kinds[i];
		snprintf(option, sizeof(option), "huge=%s", kind);
		if (mount(NULL, huge_tmpfs(), NULL, MS_REMOUNT, option))
			ksft_exit_fail_perror(option);
		measure();
	}
	ksft_test_result_pass("measured\n");
	ksft_finished();
}
