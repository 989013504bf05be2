// SPDX-License-Identifier: GPL-2.0
/*
 * Processes map the huge zero page, write to it, drop, split, move and copy it
 * and exit, while the shrinker frees it whenever it can: they read nothing but
 * zeroes and what they wrote, and in the end only the shrinker's reference is
 * left. RACE_SECS says how long it takes, RACE_PROCESSES how many they are.
 */
#include "bench.h"
#include "huge_zero.h"

#define NR	4
#define FEW	4	/* processes that go on when the others pause */
#define H(i)	(p + (i) * HPAGE_SIZE)

static volatile struct {
	bool stop;
	bool pause;		/* for all but a few */
	bool paused[256];	/* each process */
	long rounds[256];
} *shared;

/* One byte of some pages; a whole huge page takes longer than all the rest. */
static bool zero(const char *h, size_t first)
{
	size_t i;

	for (i = first; i < HPAGE_NR; i += 73)
		if (*(volatile char *)(h + i * PAGE_SIZE + i))
			return false;
	return true;
}

static int run(int me)
{
	uint64_t seed = me + 1;
	char *p = huge_area(NR), *hole = hole_area(1), *h;
	pid_t pid;

	while (!shared->stop) {
		h = H(pick(&seed, NR));
		shared->rounds[me]++;
		while (shared->pause && !shared->stop) {
			/* Few map it, mostly none: the way from 0 and back */
			madvise(p, NR * HPAGE_SIZE, MADV_DONTNEED);
			shared->paused[me] = true;
			usleep(me < FEW ? pick(&seed, 2000) : 20000);
			if (me < FEW && !zero(h, 0))
				return 5;
		}
		switch (pick(&seed, 12)) {
		case 0:
			*(volatile char *)h = 1;
			if (*(volatile char *)h != 1 || !zero(h, 1))
				return 1;
			break;
		case 1:
			madvise(h + PAGE_SIZE * pick(&seed, HPAGE_NR), PAGE_SIZE,
				MADV_DONTNEED);
			break;
		case 2:
			if (mremap(h, HPAGE_SIZE, HPAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, hole) == MAP_FAILED ||
			    mremap(hole, HPAGE_SIZE, HPAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, h) == MAP_FAILED)
				return 2;
			break;
		case 3:
			pid = fork();
			if (!pid) {
				force_read_pages(h, 1, PAGE_SIZE);
				*(volatile char *)H(pick(&seed, NR)) = 2;
				_exit(0);
			}
			if (pid > 0 && child_status(pid))
				return 3;
			break;
		case 4:
			sched_yield();
			break;
		default:
			/* Empty, so that a read has to map zeroes */
			if (madvise(h, HPAGE_SIZE, MADV_DONTNEED) || !zero(h, 0))
				return 4;
			if (pick(&seed, 2))
				madvise(p, NR * HPAGE_SIZE, MADV_DONTNEED);
		}
	}
	return 0;
}

int main(void)
{
	long ms = race_ms(3000);
	long processes = number_from_env("RACE_PROCESSES", 40);
	long allocs, frees, end, late, turn, total = 0, least = -1, bad = 0;
	pid_t pid[ARRAY_SIZE(shared->paused)];
	int i;

	huge_zero_start(6);
	if (processes < 1 || processes > (long)ARRAY_SIZE(pid))
		ksft_exit_fail_msg("RACE_PROCESSES=%ld\n", processes);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	allocs = huge_zero("allocations");
	frees = huge_zero("frees");
	fflush(stdout);
	for (i = 0; i < processes; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			ksft_exit_fail_perror("fork");
		if (!pid[i]) {
			int ret = run(i);

			shared->stop = true;
			_exit(ret);
		}
	}
	end = now_ms() + ms;
	do {
		turn = now_ms();
		while (now_ms() < turn + 250) {
			huge_zero_shrink();
			usleep(1000);
		}
		shared->pause = true;
		for (i = 0; i < processes; i++)
			while (!shared->paused[i] && !shared->stop)
				usleep(1000);
		turn = now_ms();
		while (now_ms() < turn + 250) {
			huge_zero_shrink();
			usleep(300);
		}
		for (i = 0; i < processes; i++)
			shared->paused[i] = false;
		shared->pause = false;
		/* A slow machine gets time for the first to be freed. */
		late = now_ms() - end;
	} while (!shared->stop && late < (huge_zero("frees") == frees ? 4 * ms : 0));
	shared->stop = true;
	for (i = 0; i < processes; i++) {
		bad += child_status(pid[i]) != 0;
		total += shared->rounds[i];
		if (least < 0 || shared->rounds[i] < least)
			least = shared->rounds[i];
	}
	test_eq(bad, 0, "processes that read something else");
	ksft_print_msg("%ld rounds, %ld to each at least, %ld allocations\n", total,
		       least, huge_zero("allocations") - allocs);
	test_min(least, race_least(1), "rounds of each process");
	test_min(huge_zero("frees") - frees, race_least(1), "freed meanwhile");
	area_free(huge_zero_area(1), 1);
	test_mapped(0, "all have exited");
	huge_zero_shrink();
	test_eq(huge_zero("count"), 0, "and the shrinker came: count");
	test_eq(huge_zero("allocations") - allocs, huge_zero("frees") - frees,
		"allocated as often as freed");
	ksft_finished();
}
