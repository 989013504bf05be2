// SPDX-License-Identifier: GPL-2.0
/*
 * Compaction migrates pages, behind PTE migration entries, while the
 * processes that share them read and write. (It never takes whole huge pages:
 * thp_migrate_longterm_pin has those.)
 */
#include "mmtest.h"

#define LEN		(8UL << 20)
#define AREA		(160UL << 20)
#define NR_PAGES	(LEN / PAGE_SIZE)
#define NR_CHILDREN	3

struct shared {
	volatile bool stop;
	volatile unsigned long rounds[NR_CHILDREN];
	volatile unsigned long bad;
};

static unsigned long pfns[NR_PAGES], shm_pfns[NR_PAGES];

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

/*
 * Compaction moves what comes first in a zone to the holes that come last. Of an
 * area of memory the part with the first page frames, without holes; of that with
 * the last ones every second page stays as well, of the rest nothing.
 */
static char *first_of_zone(void)
{
	unsigned long sum, least = ~0UL, most = 0;
	char *area = small_area(AREA / HPAGE_SIZE), *first = area, *last = area, *p;
	size_t i;

	if (madvise(area, AREA, MADV_POPULATE_WRITE))
		ksft_exit_fail_perror("MADV_POPULATE_WRITE");
	for (p = area; p < area + AREA; p += LEN) {
		pfns_of(p, pfns, NR_PAGES);
		for (i = 0, sum = 0; i < NR_PAGES; i++)
			sum += pfns[i];
		if (sum < least) {
			least = sum;
			first = p;
		}
		if (sum > most) {
			most = sum;
			last = p;
		}
	}
	for (p = area; p < area + AREA; p += LEN)
		if (p != first && p != last)
			madvise(p, LEN, MADV_DONTNEED);
	madvise_each(last, LEN, 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	pattern_fill(first, 0, LEN, 1);
	return first;
}

int main(void)
{
	pid_t pid[NR_CHILDREN];
	size_t i, moved, bad;
	struct shared *sh;
	char *p, *shm;
	long migrated;
	int round, c;

	test_plan(6);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shm = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	p = first_of_zone();
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
	pfns_of(shm, shm_pfns, NR_PAGES);
	for (round = 0; round < 10; round++) {
		if (!file_write("/proc/sys/vm/compact_memory", "1"))
			ksft_exit_fail_perror("compact_memory");
		usleep(20000);
	}
	moved = pages_moved(p, pfns, NR_PAGES) + pages_moved(shm, shm_pfns, NR_PAGES);
	sh->stop = true;
	for (c = 0, bad = 0; c < NR_CHILDREN; c++)
		bad += child_status(pid[c]) != 0;
	ksft_print_msg("rounds: %lu %lu %lu\n", sh->rounds[0], sh->rounds[1], sh->rounds[2]);
	test_min(moved, NR_PAGES / 4, "pages moved of %lu", 2 * NR_PAGES);
	test_vmstat_min("pgmigrate_success", migrated, NR_PAGES / 4);
	test_eq(bad, 0, "children that died");
	test_eq(sh->bad, 0, "words or pages that children found changed");
	test_data(p, 0, LEN, 1, "every byte");
	for (c = 0, bad = 0; c < NR_CHILDREN; c++)
		for (i = 0; i < NR_PAGES; i += 2)
			bad += ((uint64_t *)(shm + i * PAGE_SIZE))[c] != sh->rounds[c];
	test_eq(bad, 0, "shared words that are wrong in the end");
	ksft_finished();
}
