/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of migration: memory of NR huge pages that a thread and processes
 * count in all the time, while a long-term pin moves it out of ZONE_MOVABLE.
 * Define NR first.
 */
#ifndef MIGRATE_H
#define MIGRATE_H

#include "mmtest.h"

#define LEN		(NR * HPAGE_SIZE)
#define STEP		(37 * PAGE_SIZE)
#define NR_TOUCHERS	3

static struct shared {
	volatile bool stop;
	volatile uint64_t count[NR_TOUCHERS];
	volatile unsigned long bad;
} *sh;

static volatile uint64_t *word(char *p, size_t off, int who)
{
	return (uint64_t *)(p + off) + 8 + who;
}

/* Add one to the own word of many pages all the time; none may be lost. */
static void touch(char *p, int who)
{
	size_t off;

	while (!sh->stop) {
		for (off = 0; off < LEN; off += STEP) {
			if (*word(p, off, who) != sh->count[who])
				sh->bad++;
			*word(p, off, who) = sh->count[who] + 1;
		}
		sh->count[who]++;
	}
}

static void *thread_fn(void *p)
{
	touch(p, 0);
	return NULL;
}

/* Returns how many of the huge pages have moved. */
static unsigned long pin(char *p)
{
	unsigned long pfn[NR], moved = 0;
	int i;

	for (i = 0; i < NR; i++)
		pfn[i] = pfn_of(p + i * HPAGE_SIZE);
	longterm_unpin(longterm_pin(p, LEN));
	for (i = 0; i < NR; i++)
		moved += pfn_of(p + i * HPAGE_SIZE) != pfn[i];
	return moved;
}

#endif /* MIGRATE_H */
