// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that allocate, grow and free blocks of all sizes and hand each other some
 * of them, and look whether each is filled as it was. The allocator is malloc, or
 * what LD_PRELOAD says. Prints a sum over all that was seen.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS	4
#define BLOCKS	512
#define ROUNDS	60000

struct block {
	size_t len;
	unsigned char fill, data[];
};

static _Atomic(struct block *) shared[64];
static atomic_ulong bad;

static unsigned int pick(unsigned long *seed)
{
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return *seed >> 33;
}

static void check(struct block *block)
{
	size_t i;

	for (i = 0; i < block->len; i += i < 256 ? 1 : 509)
		bad += block->data[i] != block->fill;
}

static void *work(void *arg)
{
	unsigned long seed = (unsigned long)arg, sum = 0;
	struct block *mine[BLOCKS] = {}, **slot, *new;
	bool grow;
	size_t len;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		slot = &mine[pick(&seed) % BLOCKS];
		grow = pick(&seed) % 4 == 0;
		len = pick(&seed) % (pick(&seed) % 64 ? 2000 : 1 << 20);
		if (*slot)
			check(*slot);
		if (grow) {
			new = realloc(*slot, sizeof(*new) + len);
		} else {
			free(*slot);
			new = malloc(sizeof(*new) + len);
		}
		if (!new)
			abort();
		new->len = len;
		new->fill = pick(&seed);
		memset(new->data, new->fill, len);
		sum += len + new->fill;
		*slot = new;
		if (pick(&seed) % 8 == 0) {
			/* Another thread frees it. */
			*slot = atomic_exchange(&shared[pick(&seed) % 64], new);
		}
	}

	for (i = 0; i < BLOCKS; i++) {
		if (mine[i])
			check(mine[i]);
		free(mine[i]);
	}
	return (void *)sum;
}

int main(void)
{
	pthread_t threads[THREADS];
	unsigned long sum = 0;
	void *ret;
	long i;

	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)(i + 1));
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &ret);
		sum += (unsigned long)ret;
	}
	printf("result: %lu, %lu bytes wrong\n", sum, (unsigned long)bad);
	return !!bad;
}
