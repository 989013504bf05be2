/* SPDX-License-Identifier: GPL-2.0 */
/* The clock, and times of benchmarks */
#ifndef BENCH_H
#define BENCH_H

#include <stdlib.h>
#include <time.h>

static inline long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static inline long now_ms(void)
{
	return now_ns() / 1000000;
}

static inline int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* The median of @n times, which end up sorted */
static inline long median(long *times, int n)
{
	qsort(times, n, sizeof(*times), by_value);
	return times[n / 2];
}

#endif
