// SPDX-License-Identifier: GPL-2.0
/*
 * vmalloc memory of the kernel whose pages are far apart needs a mapping of the
 * host for each page, and the host has a limit (vm.max_map_count, 65530 by
 * default). File tables of 8 MB, more of them than that has room for, work all the
 * same, each entry: those of a table that is used again and again, and of those
 * that weren't for long.
 */
#include "mmtest.h"

#define DROPS		"/sys/kernel/debug/um/kernel_tlb_drops"
#define FDS		(1u << 20)
#define NR_TABLES	39	/* of 2048 pages each */
#define NR_ENTRIES	(1UL << 14)
/* Pages that stay free and in one piece, for stacks above all: 20 MB for each CPU */
#define SPARE		((20UL << 8) * sysconf(_SC_NPROCESSORS_ONLN))
#define STEP		4099u	/* a prime: another place in each page */
#define BOOST		"/proc/sys/vm/watermark_boost_factor"
#define COMPACT		"/proc/sys/vm/compact_unevictable_allowed"
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

/* Each page is free between two that aren't, so no two free ones are neighbours. */
static size_t scatter_free_memory(void)
{
	static uint64_t entry[NR_ENTRIES];
	size_t nr, i, freed = 0, at;
	char *p;

	nr = file_number("/proc/meminfo", "MemAvailable:") / 4 - SPARE;
	p = mmap(NULL, nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || madvise(p, nr * PAGE_SIZE, MADV_NOHUGEPAGE) ||
	    madvise(p, nr * PAGE_SIZE, MADV_POPULATE_WRITE) || mlock(p, nr * PAGE_SIZE))
		ksft_exit_fail_perror("populate");
	for (at = 0; at < nr; at += NR_ENTRIES) {
		size_t len = nr - at < NR_ENTRIES ? nr - at : NR_ENTRIES;

		pagemap_read(p + at * PAGE_SIZE, entry, len);
		for (i = 0; i < len; i++) {
			if (!(entry[i] & 1))
				continue;
			madvise(p + (at + i) * PAGE_SIZE, PAGE_SIZE,
				MADV_DONTNEED_LOCKED);
			freed++;
		}
	}
	return freed;
}

/* Which numbers from @from on are wrong: each STEPth is open, those before aren't */
static int wrong_fds(unsigned int from)
{
	unsigned int fd;
	int bad = 0;

	for (fd = from; fd < FDS; fd += STEP) {
		bad += fcntl(fd, F_GETFD) < 0;
		bad += fcntl(fd - 1, F_GETFD) >= 0;
	}
	return bad;
}

/* Grows its table when it is told so, and checks it each time after that. */
static void table(int in, int out)
{
	unsigned int fd, from = STEP + in;
	int bad = 0;
	char c;

	/* The parent's ends of all pipes */
	for (fd = 3; fd < 4 * NR_TABLES + 16; fd++)
		if (fd != in && fd != out)
			close(fd);
	if (read(in, &c, 1) != 1)
		_exit(1);
	for (fd = FDS - 1 - (FDS - 1 - from) % STEP; fd >= from; fd -= STEP)
		bad += dup2(out, fd) < 0;
	do {
		bad += wrong_fds(from);
		if (write(out, &bad, sizeof(bad)) != sizeof(bad))
			_exit(1);
	} while (read(in, &c, 1) == 1);
	_exit(0);
}

static long ask(int to, int from)
{
	int bad = 0;

	if (write(to, "", 1) != 1 || read(from, &bad, sizeof(bad)) != sizeof(bad))
		return 1;
	return bad;
}

int main(void)
{
	struct rlimit limit = { FDS, FDS }, locked = { RLIM_INFINITY, RLIM_INFINITY };
	int to[NR_TABLES][2], from[NR_TABLES][2], i, round;
	long drops = -1, after = -1, bad = 0, again = 0, one = 0;
	size_t freed;

	ksft_print_header();
	if (file_number("/proc/meminfo", "MemTotal:") < 900 << 10)
		ksft_exit_skip("it takes 1 GB of memory\n");
	ksft_set_plan(6);
	ksft_print_msg("keeps-memory: page tables of the kernel's own mappings\n");
	if (!access(DROPS, F_OK))
		drops = file_number(DROPS, NULL);
	setrlimit(RLIMIT_MEMLOCK, &locked);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		ksft_exit_fail_perror("RLIMIT_NOFILE");
	for (i = 0; i < NR_TABLES; i++) {
		if (pipe(to[i]) || pipe(from[i]))
			ksft_exit_fail_perror("pipe");
		if (!fork())
			table(to[i][0], from[i][1]);
		close(to[i][0]);
		close(from[i][1]);
	}
	/* Free memory in pieces isn't to be kept free for that, nor put together. */
	set_until_exit(BOOST, 0);
	set_until_exit(COMPACT, 0);
	freed = scatter_free_memory();
	test_min(freed, NR_TABLES * 2048, "free pages without a neighbour");

	for (i = 0; i < NR_TABLES; i++)
		bad += ask(to[i][1], from[i][0]);
	test_eq(bad, 0, "entries that are wrong in %d new tables", NR_TABLES);
	for (round = 0; round < 3; round++)
		for (i = 0; i < NR_TABLES; i++)
			again += ask(to[i][1], from[i][0]);
	test_eq(again, 0, "in all, three times over");
	for (round = 0; round < 20; round++)
		one += ask(to[7][1], from[7][0]);
	test_eq(one, 0, "in one, twenty times over");
	if (drops >= 0)
		after = file_number(DROPS, NULL);
	if (after > drops)
		test_min(after - drops, 1, "times that the host was full");
	else
		ksft_test_result_skip("the host took all mappings\n");
	for (i = 0, bad = 0; i < NR_TABLES; i++)
		close(to[i][1]);
	while (wait(&i) > 0)
		bad += !!i;
	test_eq(bad, 0, "processes that ended badly");
	ksft_finished();
}
