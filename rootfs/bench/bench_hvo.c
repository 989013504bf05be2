// SPDX-License-Identifier: GPL-2.0
/*
 * Nanoseconds for each HugeTLB page of a pool of as many as fit, to allocate and
 * to free them, optimized and not; and for 2^20 calls of compound_head(), before
 * there has been an optimized page and while there is one. Medians.
 */
#include "bench.h"
#include "hugetlb.h"

#define ROUNDS	7

static long times[2][2][ROUNDS];	/* optimized or not; allocate, free */

/* "border" is of a HugeTLB page, so only while there is one */
static void compound_head_cost(const char *when, size_t want)
{
	static const char * const what[] = { "small", "tail", "head", "border" };
	FILE *f = kunit_results("hugetlb_vmemmap_bench");
	char line[512], name[32], *p;
	size_t i, found = 0;
	long ns;

	while (fgets(line, sizeof(line), f)) {
		for (i = 0; i < ARRAY_SIZE(what); i++) {
			snprintf(name, sizeof(name), ": %s_ns ", what[i]);
			p = strstr(line, name);
			if (p && sscanf(p + strlen(name), "%ld", &ns) == 1) {
				printf("%s_%s_ns %ld\n", when, what[i], ns);
				found++;
			}
		}
	}
	fclose(f);
	if (found != want)
		ksft_exit_fail_msg("%zu of the results of KUnit\n", found);
}

int main(void)
{
	static const char * const names[] = { "off", "on" };
	long t0, t1, t2, nr;
	int i, hvo;

	hvo_start(0);
	compound_head_cost("off", 3);
	number_write(POOL "nr_hugepages", 100000);
	nr = pool("nr_hugepages") * 9 / 10;	/* in each round */
	pool_resize(0);
	for (i = 0; i < ROUNDS; i++) {
		for (hvo = 0; hvo < 2; hvo++) {
			hvo_set(hvo);
			t0 = now_ns();
			pool_resize(nr);
			t1 = now_ns();
			if (pool("nr_hugepages") != nr)
				ksft_exit_fail_msg("%ld of %ld huge pages came\n",
						   pool("nr_hugepages"), nr);
			t2 = now_ns();
			pool_resize(0);
			times[hvo][0][i] = (t1 - t0) / nr;
			times[hvo][1][i] = (now_ns() - t2) / nr;
		}
	}
	printf("pages %ld\n", nr);
	for (hvo = 0; hvo < 2; hvo++) {
		printf("%s_alloc_ns %ld\n", names[hvo], median(times[hvo][0], ROUNDS));
		printf("%s_free_ns %ld\n", names[hvo], median(times[hvo][1], ROUNDS));
	}
	hvo_set(true);
	pool_resize(1);
	compound_head_cost("on", 4);
	pool_resize(0);
	return 0;
}
