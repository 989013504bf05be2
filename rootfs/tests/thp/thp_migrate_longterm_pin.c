// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages migrate whole, behind PMD migration entries, while others read
 * and write them: anonymous ones under a second thread, shmem ones under
 * other processes.
 *
 * Compaction leaves whole huge pages alone and there are no NUMA nodes to move
 * them between, but a long-term pin moves memory out of ZONE_MOVABLE.
 */
#define NR		8
#define ROUNDS		4
#include "migrate.h"

static void round_trip(void)
{
	long ok = vmstat("thp_migration_success");
	long split = vmstat("thp_migration_split");
	char *a, *p;

	a = huge_area(NR);
	/* A child's share would make a private copy of what is to be moved. */
	madvise(a, LEN, MADV_DONTFORK);
	p = map_file(huge_file("pinned", LEN, 0), LEN, MAP_SHARED);
	memset(a, 0, LEN);
	memset(p, 0, LEN);
	touchers_start(a, p);
	test_eq(pin(a), NR, "anonymous huge pages that moved");
	test_eq(pin(p), NR, "shmem huge pages that moved");
	test_eq(touchers_stop(), 0, "children that died");
	test_vmstat("thp_migration_success", ok, 2 * NR);
	test_vmstat("thp_migration_split", split, 0);
	test_smaps(a, LEN, "AnonHugePages", LEN / 1024);
	test_smaps(p, LEN, "ShmemPmdMapped", LEN / 1024);
	test_eq(sh->bad, 0, "words that were found changed");
	test_eq(words_wrong(a, p), 0, "words that are wrong in the end");
	ksft_print_msg("counted to %lu, %lu, %lu\n", sh->count[0], sh->count[1],
		       sh->count[2]);
	area_free(a, NR);
	area_free(p, NR);
}

int main(void)
{
	int i;

	if (movable_pages() < 4 * LEN / PAGE_SIZE)
		ksft_exit_skip("no ZONE_MOVABLE of 64 MB: boot with movablecore=256M\n");
	test_start(ROUNDS * 9);
	for (i = 0; i < ROUNDS; i++)
		round_trip();
	ksft_finished();
}
