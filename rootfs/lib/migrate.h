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

static pid_t toucher[NR_TOUCHERS];
static pthread_t toucher_thread;

/* A thread in @a from now on, processes in @p, which they share */
static void touchers_start(char *a, char *p)
{
	int i;

	if (!sh)
		sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(sh, 0, sizeof(*sh));
	fflush(stdout);
	for (i = 1; i < NR_TOUCHERS; i++) {
		toucher[i] = fork();
		if (!toucher[i]) {
			touch(p, i);
			_exit(0);
		}
	}
	if (pthread_create(&toucher_thread, NULL, thread_fn, a))
		ksft_exit_fail_msg("pthread_create\n");
	usleep(30000);
}

/* Returns how many of the processes have died. */
static size_t touchers_stop(void)
{
	size_t died = 0;
	int i;

	usleep(30000);
	sh->stop = true;
	pthread_join(toucher_thread, NULL);
	for (i = 1; i < NR_TOUCHERS; i++)
		died += child_status(toucher[i]) != 0;
	return died;
}

/* How many words don't have their last value */
static size_t words_wrong(char *a, char *p)
{
	size_t off, wrong = 0;
	int i;

	for (off = 0; off < LEN; off += STEP) {
		wrong += *word(a, off, 0) != sh->count[0];
		for (i = 1; i < NR_TOUCHERS; i++)
			wrong += *word(p, off, i) != sh->count[i];
	}
	return wrong;
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
