// SPDX-License-Identifier: GPL-2.0
/*
 * A file of small pages is collapsed while it is truncated, and pinned as soon
 * as it is a huge page: what the truncation finds then can't be split. It ends
 * all the same, what is before the new end stays, and the rest is gone.
 */
#include <sys/stat.h>
#include <sys/uio.h>

#include "bench.h"
#include "mmtest.h"

#define CUT		(200 * PAGE_SIZE)
#define NR_MAPPINGS	16	/* unmapping the rest takes its time */
#define ROUNDS		40	/* ten times that, until they have met */

static int fd, pipes[2];
static char *p[NR_MAPPINGS], *q;

static void refill(bool hole)
{
	static char *data;
	int i;

	if (!data)
		data = small_pages(1, 1);
	if (ftruncate(fd, 0) || ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("ftruncate");
	if (pwrite(fd, data, HPAGE_SIZE, 0) != HPAGE_SIZE)
		ksft_exit_fail_perror("pwrite");
	for (i = 0; i < NR_MAPPINGS; i++)
		force_read_pages(p[i] + CUT, HPAGE_NR - CUT / PAGE_SIZE,
				 PAGE_SIZE);
	if (hole && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      CUT, PAGE_SIZE))
		ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
}

/* Call @fn, @ns from now */
static pid_t after(long ns, int (*fn)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (pid)
		return pid;
	usleep(ns / 1000);
	_exit(fn());
}

static int cut(void)
{
	return ftruncate(fd, CUT);
}

static int pin(void)
{
	struct iovec page = { q, PAGE_SIZE };

	return vmsplice(pipes[1], &page, 1, 0) != PAGE_SIZE;
}

int main(void)
{
	long collapsed = 0, unsplit = 0, failed = 0, lost = 0, left = 0;
	pid_t cuts, pins;
	struct stat st;
	uint64_t seed = 1;
	long took = 0, t;
	int i;

	test_start(4);
	fd = memfd_create("small", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, HPAGE_SIZE) || pipe(pipes))
		ksft_exit_fail_perror("memfd_create, pipe");
	for (i = 0; i < NR_MAPPINGS; i++)
		p[i] = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	q = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	fflush(stdout);

	/* How long it takes when it isn't for the first time, and alone */
	for (i = 0; i < 5; i++) {
		refill(false);
		t = now_ns();
		if (madvise(p[0], HPAGE_SIZE, MADV_COLLAPSE))
			ksft_exit_fail_perror("MADV_COLLAPSE");
		t = now_ns() - t;
		if (!took || t < took)
			took = t;
	}

	for (i = 0; i < ROUNDS || (!unsplit && i < 10 * ROUNDS); i++) {
		/* Without a page at the cut it is behind it that they meet. */
		refill(i % 4);
		cuts = after(pick(&seed, took), cut);
		pins = after(pick(&seed, took), pin);
		collapsed += !madvise(p[0], HPAGE_SIZE, MADV_COLLAPSE);
		failed += child_status(cuts) + child_status(pins);
		lost += pattern_find_bad(q, 0, CUT, 1) >= 0;
		if (fstat(fd, &st))
			ksft_exit_fail_perror("fstat");
		unsplit += st.st_blocks * 512 > CUT;
		if (ftruncate(fd, HPAGE_SIZE))
			ksft_exit_fail_perror("ftruncate");
		left += pattern_find_bad(q, CUT, HPAGE_SIZE, 0) >= 0;
		if (read(pipes[0], (char[PAGE_SIZE]){}, PAGE_SIZE) != PAGE_SIZE)
			ksft_exit_fail_perror("read");
	}
	ksft_print_msg("%ld of %d collapsed\n", collapsed, i);
	test_eq(failed, 0, "truncations and pins that failed");
	test_eq(lost, 0, "files that lost bytes before the cut");
	test_eq(left, 0, "files that had bytes left behind it");
	test_min(unsplit, 1, "files that couldn't be split");
	ksft_finished();
}
