// SPDX-License-Identifier: GPL-2.0
/*
 * Compaction migrates pages, behind PTE migration entries, while the
 * processes that share them read and write. (It never takes whole huge pages:
 * thp_migrate_longterm_pin has those.)
 */
#include "mmtest.h"

#define LEN		(8UL << 20)
#define NR_PAGES	(LEN / PAGE_SIZE)
#define NR_CHILDREN	3

struct shared {
	volatile bool stop;
	volatile unsigned long rounds[NR_CHILDREN];
	volatile unsigned long bad;
};

static unsigned long pfns[NR_PAGES];

/* The private copy-on-write view must stay; the own shared words must count */
static void toucher(char *cow, char *shared, struct shared *sh, int me)
{
	size_t i;

	while (!sh->stop) {
		for (i = 0; i < NR_PAGES; i += 2) {
			uint64_t *word = (uint64_t *)(shared + i * PAGE_SIZE) + me;

			if (*(volatile uint64_t *)word != sh->rounds[me])
				sh->bad++;
			*(volatile uint64_t *)word = sh->rounds[me] + 1;
		}
		sh->rounds[me]++;
		if (pattern_find_bad_user(cow, 0, HPAGE_SIZE, 1) >= 0)
			sh->bad++;
	}
}

int main(void)
{
	pid_t pid[NR_CHILDREN];
	size_t i, moved, bad;
	struct shared *sh;
	char *p, *shm;
	long migrated;
	int round, c;

	test_plan(5);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shm = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	p = small_pages(2 * LEN / HPAGE_SIZE, 1);
	/* Every second page goes: something to compact */
	madvise_each(p + LEN, LEN, 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	fflush(stdout);
	for (c = 0; c < NR_CHILDREN; c++) {
		pid[c] = fork();
		if (!pid[c]) {
			toucher(p, shm, sh, c);
			_exit(0);
		}
	}
	migrated = vmstat("pgmigrate_success");
	pfns_of(p, pfns, NR_PAGES);
	for (round = 0; round < 10; round++) {
		if (!file_write("/proc/sys/vm/compact_memory", "1"))
			ksft_exit_fail_perror("compact_memory");
		usleep(20000);
	}
	moved = pages_moved(p, pfns, NR_PAGES);
	sh->stop = true;
	for (c = 0, bad = 0; c < NR_CHILDREN; c++)
		bad += child_status(pid[c]) != 0;
	ksft_print_msg("rounds: %lu %lu %lu; of %lu pages %zu moved\n",
		       sh->rounds[0], sh->rounds[1], sh->rounds[2], NR_PAGES, moved);
	test_vmstat_min("pgmigrate_success", migrated, 1);
	test_eq(bad, 0, "children that died");
	test_eq(sh->bad, 0, "words or pages that children found changed");
	test_data(p, 0, LEN, 1, "every byte");
	for (c = 0, bad = 0; c < NR_CHILDREN; c++)
		for (i = 0; i < NR_PAGES; i += 2)
			bad += ((uint64_t *)(shm + i * PAGE_SIZE))[c] != sh->rounds[c];
	test_eq(bad, 0, "shared words that are wrong in the end");
	ksft_finished();
}
