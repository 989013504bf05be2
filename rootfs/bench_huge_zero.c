// SPDX-License-Identifier: GPL-2.0
/*
 * How often 40 processes in parallel map the huge zero page in a second: by
 * reading, and without leaving the kernel by MADV_POPULATE_READ.
 */
#include <time.h>

#include "mmtest.h"

#define PROCESSES	40
#define NR		64		/* mappings until all are dropped */
#define SECS		1.0

static volatile struct {
	bool go, stop;
	long faults[PROCESSES];
} *shared;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void run(int me, bool populate)
{
	char *p = huge_area(NR);
	size_t i;

	while (!shared->go)
		usleep(1000);
	while (!shared->stop) {
		if (populate)
			madvise(p, NR * HPAGE_SIZE, MADV_POPULATE_READ);
		for (i = 0; i < NR && !populate; i++)
			(void)*(volatile char *)(p + i * HPAGE_SIZE);
		madvise(p, NR * HPAGE_SIZE, MADV_DONTNEED);
		shared->faults[me] += NR;
	}
	_exit(0);
}

static double faults_per_second(bool populate)
{
	double begin, end;
	long sum = 0;
	int i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	for (i = 0; i < PROCESSES; i++)
		if (!fork())
			run(i, populate);
	usleep(100000);
	begin = now();
	shared->go = true;
	while ((end = now()) < begin + SECS)
		usleep(10000);
	for (i = 0; i < PROCESSES; i++)
		sum += shared->faults[i];
	shared->stop = true;
	while (wait(NULL) > 0)
		;
	return sum / (end - begin);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	printf("read_per_s %.0f\n", faults_per_second(false));
	printf("populate_per_s %.0f\n", faults_per_second(true));
	return 0;
}
