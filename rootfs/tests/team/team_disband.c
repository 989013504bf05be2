// SPDX-License-Identifier: GPL-2.0
/*
 * What disbands a team that three processes have mapped by PMD, one of them
 * privately: a hole, truncation, swap, migration, memory failure and soft
 * offlining of one page. Nobody finds a wrong byte then or later, and all that
 * was not taken away is still there.
 */
#include "hugetlb.h"
#include "team.h"

#define BAD	(100 * PAGE_SIZE)
#define NR	3

enum what { HOLE, TRUNCATE, SWAP, MIGRATE, FAIL, OFFLINE, NR_WHAT };
static const char * const name[] = {
	"hole", "truncate", "swap", "migrate", "memory failure", "soft offline",
};

static struct shared {
	volatile int mapped;
	volatile int done;
} *sh;

static char *p;
static int fd;

static bool lost(enum what what, char *q)
{
	if (what == FAIL)
		return access_signal(q + BAD + 3, false) == SIGBUS;
	if (what == TRUNCATE)
		return access_signal(q + HPAGE_SIZE / 2, false) == SIGBUS &&
		       access_signal(q + HPAGE_SIZE - 1, false) == SIGBUS;
	if (what == HOLE)
		return pattern_find_bad(q, BAD, BAD + PAGE_SIZE, 0) < 0;
	return pattern_find_bad(q, BAD, BAD + PAGE_SIZE, 1) < 0;
}

static bool kept(enum what what, char *q)
{
	size_t end = what == TRUNCATE ? HPAGE_SIZE / 2 : HPAGE_SIZE;

	return pattern_find_bad(q, 0, BAD, 1) < 0 &&
	       pattern_find_bad(q, BAD + PAGE_SIZE, end, 1) < 0;
}

static int child(enum what what, int flags)
{
	char *q = map_file(fd, HPAGE_SIZE, flags);

	FORCE_READ(*q);
	__atomic_fetch_add(&sh->mapped, 1, __ATOMIC_RELAXED);
	while (sh->done <= what)
		usleep(500);
	if (!lost(what, q))
		return 1;
	if (!kept(what, q))
		return 2;
	return 0;
}

static void take(enum what what)
{
	switch (what) {
	case HOLE:
		punch(fd, BAD, PAGE_SIZE);
		break;
	case TRUNCATE:
		if (ftruncate(fd, HPAGE_SIZE / 2))
			ksft_exit_fail_perror("ftruncate");
		break;
	case SWAP:
		memcg_reclaim(4 * HPAGE_SIZE);
		break;
	case MIGRATE:
		longterm_unpin(longterm_pin(p + BAD, PAGE_SIZE));
		break;
	case FAIL:
		poison(p + BAD, PAGE_SIZE, MADV_HWPOISON);
		break;
	default:
		poison(p + BAD, PAGE_SIZE, MADV_SOFT_OFFLINE);
	}
}

static void disband(enum what what)
{
	unsigned long pfn, bad, now[HPAGE_NR];
	pid_t pid[NR];
	long out = vmstat("pswpout"), moved, mapped = meminfo("ShmemPmdMapped:");
	int i, same = 0;

	fd = huge_file(name[what], HPAGE_SIZE, 1);
	pfn = file_pfn(fd, 0);
	bad = pfn + BAD / PAGE_SIZE;
	sh->mapped = 0;
	fflush(stdout);
	for (i = 0; i < NR; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(child(what, i ? MAP_SHARED : MAP_PRIVATE));
	}
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	while (sh->mapped < NR)
		usleep(500);
	test_team(pfn, 512, NR + 1, "%s: before", name[what]);
	test_eq(team_mapped(pfn, NR + 1), HPAGE_NR, "pages mapped %d times", NR + 1);

	take(what);
	test_team(pfn, 0, 0, "%s: after", name[what]);
	test_eq(team_flags(pfn), 0, "pages flagged as a team's");
	test_eq(meminfo("ShmemPmdMapped:"), mapped, "meminfo ShmemPmdMapped kB");
	pfns_of(p, now, HPAGE_NR);
	for (i = 0; i < HPAGE_NR; i++)
		same += now[i] == pfn + i;
	out = vmstat("pswpout") - out;
	if (what == SWAP) {
		test_min(out, HPAGE_NR / 2, "pages written to swap");
	} else {
		moved = what == TRUNCATE ? HPAGE_NR / 2 : 1;
		test_eq(same, HPAGE_NR - moved, "pages still mapped in place");
	}
	sh->done = what + 1;
	test_true(lost(what, p) && kept(what, p), "data");
	for (i = 0; i < NR; i++)
		test_eq(child_status(pid[i]), 0, "data that process %d has%s", i,
			i ? "" : " mapped privately");
	if (what == FAIL) {
		punch(fd, BAD, PAGE_SIZE);
		unpoison_memory(bad);
	} else if (what == OFFLINE) {
		unpoison_memory(bad);
	}
	area_free(p, 1);
	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	close(fd);
}

/* What only a PMD knows to be dirty is not lost when the page is reclaimed. */
static void written_by_mapping(void)
{
	long out = vmstat("pswpout");

	fd = huge_file("written", HPAGE_SIZE, 0);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 4);
	test_team(pfn_of(p), 512, 1, "written through a mapping");
	munmap(p, HPAGE_SIZE);
	memcg_reclaim(4 * HPAGE_SIZE);
	test_min(vmstat("pswpout") - out, HPAGE_NR / 2, "pages written to swap");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	test_data(p, 0, HPAGE_SIZE, 4, "read back");
}

int main(void)
{
	enum what what;

	team_start(NR_WHAT * (7 + NR) + 4);
	restore_at_exit();
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	swap_start();
	memcg_enter();
	for (what = 0; what < NR_WHAT; what++)
		disband(what);
	test_eq(teams(), 0, "teams");
	written_by_mapping();
	ksft_finished();
}
