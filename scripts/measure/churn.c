// SPDX-License-Identifier: GPL-2.0
/*
 * Pid 1 of a guest that shows what an allocator does to page tables, see
 * bench.py: threads that allocate, use and free blocks of all sizes, in waves.
 * Prints "MS VMPTE_KB RSS_KB" ten times a second. The allocator is preloaded.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#define THREADS	4
#define BLOCKS	1200
#define OPS	8000		/* of each thread, however long that takes */
#define WAVE	2000		/* up for a half of this, then down */
#define IDLE_MS	3000L		/* in the end, when all is freed */

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

/* tcmalloc gives back what is free when it is told to, as servers do now and then. */
void MallocExtension_ReleaseFreeMemory(void) __attribute__((weak));

static long start;
static atomic_ulong wrong;
static atomic_int running = THREADS;

/* Mostly small, some of up to 4 MB, of which a page here and there is used */
static size_t size_of(unsigned int *seed)
{
	unsigned int kind = rand_r(seed) % 10;

	if (kind < 6)
		return 16 + rand_r(seed) % 2000;
	if (kind < 9)
		return 4096 + rand_r(seed) % 200000;
	return (256 << 10) + rand_r(seed) % (4 << 20);
}

static void *churn(void *arg)
{
	static __thread struct { char *p; size_t len; } block[BLOCKS];
	unsigned int seed = (size_t)arg, i, op;
	size_t off;

	for (op = 0; op < OPS; op++) {
		i = rand_r(&seed) % BLOCKS;
		if (block[i].p) {
			for (off = 0; off < block[i].len; off += 65536)
				if (block[i].p[off] != (char)(i + off / 65536))
					atomic_fetch_add(&wrong, 1);
			free(block[i].p);
			block[i].p = NULL;
		}
		/* Going down, most of it is freed and little comes back. */
		if (op % WAVE > WAVE / 2 && rand_r(&seed) % 50) {
			if (op % 50 == 0)
				usleep(10000);
			continue;
		}
		block[i].len = size_of(&seed);
		block[i].p = malloc(block[i].len);
		for (off = 0; block[i].p && off < block[i].len; off += 65536)
			block[i].p[off] = i + off / 65536;
	}
	for (i = 0; i < BLOCKS; i++)
		free(block[i].p);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void sample(void)
{
	long pte = 0, rss = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "VmPTE: %ld", &pte);
		sscanf(line, "VmRSS: %ld", &rss);
	}
	if (f)
		fclose(f);
	printf("%ld %ld %ld\n", now_ms() - start, pte, rss);
}

int main(void)
{
	pthread_t thread[THREADS];
	long idle = 0;
	size_t i;
	FILE *f;

	if (mount("proc", "/proc", "proc", 0, NULL))
		perror("mount /proc");
	setvbuf(stdout, NULL, _IOLBF, 0);
	start = now_ms();
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, churn, (void *)(i + 1)))
			perror("pthread_create");
	while (!idle || now_ms() - idle < IDLE_MS) {
		if (!idle && !atomic_load(&running))
			idle = now_ms();
		sample();
		usleep(100000);
		if (MallocExtension_ReleaseFreeMemory && ++i % 10 == 0)
			MallocExtension_ReleaseFreeMemory();
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("wrong %lu\n", atomic_load(&wrong));
	f = fopen("/proc/exitcode", "w");
	if (f) {
		fprintf(f, "%d\n", atomic_load(&wrong) != 0);
		fclose(f);
	}
	reboot(RB_POWER_OFF);
	return 1;
}
