// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of a process pin its memory by GUP-fast, for direct I/O and vmsplice(),
 * while another one changes what maps it: splits and collapses huge pages, zaps
 * them, frees page tables, moves them, forks, swaps, and disbands page teams.
 *
 * Each word of a page is the page's number, or zero where it was zapped. Where
 * nothing is zapped, a page has what direct I/O has read into it. Pages that come
 * fresh are zero, and stay so. In the end no reference is left.
 *
 * RACE_SECS= makes it last longer, RACE_ONLY= chooses one of the changes.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "gup_fast.h"

#define NR		2
#define LEN		(NR * HPAGE_SIZE)
#define NR_PAGES	(NR * HPAGE_NR)
#define WORDS		(PAGE_SIZE / sizeof(uint64_t))
#define BATCH		16
#define FRESH		64
#define CHILDS		0xdeadUL
#define HOT		32	/* pages that are used more often */
/* To a walk of a page table that was freed too early, a page of UML's, but none */
#define FRESH_WORD	0x5a5a5a5a5a5a51e1UL

/* A word of page @i, in its version @n */
#define WORD(i, n)	((uint64_t)(n) << 32 | ((i) + 1))

enum kind { ANON, TMPFS, TEAM };

struct change {
	const char *name;
	void (*change)(uint64_t *seed);
	const char *counter;	/* of /proc/vmstat, that has to go up */
	enum kind kind;
	bool keeps;		/* every byte, and what maps a page maps it still */
};

static volatile bool stop;
static const struct change *now;
static char *p, *fresh, *fresh_huge;
static int file = -1, device;
static volatile long foreign, lost, stale, children, rounds[3], failed;

static uint64_t *page_at(size_t i)
{
	return (uint64_t *)(p + i * PAGE_SIZE);
}

static size_t some_page(uint64_t *seed)
{
	return pick(seed, pick(seed, 2) ? HOT : NR_PAGES);
}

static void fill(size_t i, unsigned long version)
{
	volatile uint64_t *word = page_at(i);
	size_t w;

	for (w = 0; w < WORDS; w++)
		word[w] = WORD(i, version);
}

/* What was read of @nr pages from page @i on */
static void check(const uint64_t *buf, size_t i, size_t nr, const char *how)
{
	size_t w;

	for (w = 0; w < nr * WORDS; w++) {
		uint64_t got = buf[w];
		size_t page = i + w / WORDS;

		if ((uint32_t)got == page + 1 && got >> 32 != CHILDS)
			continue;
		if (!got && !now->keeps)
			continue;
		if (!foreign++)
			ksft_print_msg("%s: page %zu has %llx\n", how, page,
				       (unsigned long long)got);
		return;
	}
}

/*
 * Thread 0. Odd pages are its own: nobody else writes them where nothing is zapped.
 * Some of the time many pages at once, as the walk takes longer.
 */
static void *direct_io(void *arg)
{
	size_t max = 256 * PAGE_SIZE;
	uint64_t *buf = aligned_alloc(PAGE_SIZE, max), *own = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	uint64_t seed = 77;
	unsigned long n = 0;
	size_t i, nr, w;

	while (!stop) {
		i = pick(&seed, NR_PAGES);
		nr = pick(&seed, 4) ? 1 + pick(&seed, BATCH) : 256;
		if (nr > NR_PAGES - i)
			nr = NR_PAGES - i;
		/* Fails where nothing is mapped */
		if (pwrite(device, page_at(i), nr * PAGE_SIZE, 0) == (ssize_t)(nr * PAGE_SIZE) &&
		    pread(device, buf, nr * PAGE_SIZE, 0) == (ssize_t)(nr * PAGE_SIZE))
			check(buf, i, nr, "direct I/O");
		else
			failed++;

		i = some_page(&seed) | 1;
		n = (n + 1) % 0x8000;
		for (w = 0; w < WORDS; w++)
			own[w] = WORD(i, n);
		if (pwrite(device, own, PAGE_SIZE, max) != PAGE_SIZE)
			ksft_exit_fail_perror("pwrite");
		if (pread(device, page_at(i), PAGE_SIZE, max) != PAGE_SIZE) {
			failed++;
		} else if (now->keeps) {
			volatile uint64_t *word = page_at(i);

			if (word[0] != WORD(i, n) || word[WORDS - 1] != WORD(i, n)) {
				if (!lost++)
					ksft_print_msg("page %zu has %llx, not %llx\n", i,
						       (unsigned long long)word[0],
						       (unsigned long long)WORD(i, n));
			}
		}
		rounds[0]++;
	}
	free(buf);
	free(own);
	return NULL;
}

/* Thread 1: FOLL_GET, and its pages are used much later */
static void *vmsplicer(void *arg)
{
	uint64_t *buf = aligned_alloc(PAGE_SIZE, BATCH * PAGE_SIZE);
	uint64_t seed = 78;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		ksft_exit_fail_perror("pipe");
	while (!stop) {
		size_t i = pick(&seed, NR_PAGES - BATCH);
		struct iovec iov = { page_at(i), (1 + pick(&seed, BATCH)) * PAGE_SIZE };
		ssize_t len = vmsplice(ends[1], &iov, 1, SPLICE_F_NONBLOCK);

		if (len < 0) {
			failed++;
			continue;
		}
		sched_yield();
		if (read(ends[0], buf, len) != len)
			ksft_exit_fail_perror("read from a pipe");
		check(buf, i, len / PAGE_SIZE, "vmsplice");
		rounds[1]++;
	}
	close(ends[0]);
	close(ends[1]);
	free(buf);
	return NULL;
}

/* Thread 2: nothing but pins and unpins, of all and without another system call */
static void *pin(void *arg)
{
	static const unsigned int batches[] = { 1, 7, 64, 512 };
	uint64_t seed = 79;
	int fd = gup_open();

	while (!stop) {
		unsigned int batch = batches[pick(&seed, 4)];

		/* gup_test doesn't expect zero pages, which aren't pinned. */
		if (pick(&seed, 2))
			gup_pages(fd, PIN_FAST_BENCHMARK, p, NR_PAGES, batch, FOLL_WRITE);
		else
			gup_pages(fd, GUP_FAST_BENCHMARK, p, NR_PAGES, batch,
				  pick(&seed, 2) ? FOLL_WRITE : 0);
		rounds[2]++;
	}
	close(fd);
	return NULL;
}

/* @nr pages that were just freed, perhaps: nobody but this has them now. */
static void use_pages(char *area, size_t nr)
{
	volatile uint64_t *word = (uint64_t *)area;
	size_t i;

	madvise(area, nr * PAGE_SIZE, MADV_POPULATE_WRITE);
	for (i = 0; i < nr * WORDS; i += WORDS / 2)
		stale += word[i] != 0;
	for (i = 0; i < nr * WORDS; i++)
		word[i] = FRESH_WORD;
	for (i = 0; i < nr * WORDS; i += WORDS / 2)
		stale += word[i] != FRESH_WORD;
	madvise(area, nr * PAGE_SIZE, MADV_DONTNEED);
}

static void use_freed_pages(void)
{
	use_pages(fresh, FRESH);
}

static char *some_huge(uint64_t *seed)
{
	return p + pick(seed, NR) * HPAGE_SIZE;
}

static void refill(char *h)
{
	size_t i = (h - p) / PAGE_SIZE, end = i + HPAGE_NR;

	for (; i < end; i++)
		fill(i, 0);
}

static void split_collapse(uint64_t *seed)
{
	static const int orders[] = { 0, 0, 2, 4 };
	char *h = some_huge(seed);

	debugfs_split(h, HPAGE_SIZE, orders[pick(seed, 4)]);
	madvise(h, HPAGE_SIZE, MADV_COLLAPSE);
}

static void split_pmd(uint64_t *seed)
{
	char *h = some_huge(seed);
	size_t off = pick(seed, HPAGE_NR) * PAGE_SIZE;

	mprotect(h + off, PAGE_SIZE, PROT_READ);
	mprotect(h + off, PAGE_SIZE, PROT_READ | PROT_WRITE);
	madvise(h, HPAGE_SIZE, MADV_COLLAPSE);
}

static void zap(uint64_t *seed)
{
	char *h = some_huge(seed);

	if (pick(seed, 2)) {
		madvise(h, HPAGE_SIZE, MADV_DONTNEED);
		use_pages(fresh_huge, HPAGE_NR);
	} else {
		size_t off = pick(seed, HPAGE_NR - FRESH) * PAGE_SIZE;

		madvise(h + off, FRESH * PAGE_SIZE, MADV_DONTNEED);
	}
	use_freed_pages();
	refill(h);
}

static void zap_small(uint64_t *seed)
{
	size_t i = pick(seed, NR_PAGES - FRESH), end = i + FRESH;

	madvise(page_at(i), FRESH * PAGE_SIZE, MADV_DONTNEED);
	use_freed_pages();
	for (; i < end; i++)
		fill(i, 0);
}

/* Page tables are freed: empty ones, with their area, and below an area that moves. */
static void free_tables(uint64_t *seed)
{
	char *h = some_huge(seed), *away;

	switch (pick(seed, 3)) {
	case 0:
		madvise(h, HPAGE_SIZE, MADV_DONTNEED);
		break;
	case 1:
		if (mmap(h, HPAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != h)
			ksft_exit_fail_perror("mmap");
		madvise(h, HPAGE_SIZE, MADV_NOHUGEPAGE);
		break;
	default:
		away = hole_area(1);
		if (mremap(h, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   away) != away ||
		    mremap(away, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   h) != h)
			ksft_exit_fail_perror("mremap");
	}
	use_freed_pages();
	refill(h);
}

static void fork_and_write(uint64_t *seed)
{
	size_t i = pick(seed, NR_PAGES / 2) * 2;
	volatile uint64_t *word = page_at(i | 1);
	pid_t pid = fork();
	uint64_t was;
	int n;

	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid) {
		was = *word;
		fill(i, CHILDS);
		for (n = 0; n < 20; n++) {
			if (*word != was)
				_exit(1);
			sched_yield();
		}
		fill(i | 1, CHILDS);
		_exit(0);
	}
	/* Shared until then: these are copied. */
	fill(i, 0);
	children += child_status(pid) != 0;
	if (!pick(seed, 8))
		madvise(p, LEN, MADV_COLLAPSE);
}

static void swap_out(uint64_t *seed)
{
	size_t i = pick(seed, HOT - 8), end = i + 8;

	madvise(page_at(i), 8 * PAGE_SIZE, MADV_PAGEOUT);
	/* What direct I/O reads into them may come before or after it. */
	for (; i < end; i++)
		((volatile uint64_t *)page_at(i))[1] = WORD(i, 0);
	if (!pick(seed, 8))
		use_freed_pages();
}

static void punch(uint64_t *seed)
{
	char *h = some_huge(seed);
	size_t off = pick(seed, 3) ? pick(seed, HPAGE_NR) * PAGE_SIZE : 0;
	size_t len = off ? PAGE_SIZE : HPAGE_SIZE;

	if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, h - p + off, len))
		ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
	use_freed_pages();
	refill(h);
	if (!pick(seed, 2))
		madvise(h, HPAGE_SIZE, MADV_COLLAPSE);
	/* A team that is complete is mapped by PMD if nothing is there yet. */
	if (!off)
		madvise(h, HPAGE_SIZE, MADV_DONTNEED);
}

static const struct change changes[] = {
	{ "split and collapse", split_collapse, "thp_split_page", ANON, true },
	{ "split of PMDs", split_pmd, "thp_split_pmd", ANON, true },
	{ "zap of huge pages", zap, "thp_fault_alloc", ANON, false },
	{ "zap of small pages", zap_small, "pgfree", ANON, false },
	{ "freeing of page tables", free_tables, "pgfree", ANON, false },
	{ "fork", fork_and_write, "pgfault", ANON, true },
	{ "swap", swap_out, "pswpout", ANON, true },
	{ "holes in tmpfs", punch, "pgfree", TMPFS, false },
	{ "holes in page teams", punch, "pgfree", TEAM, false },
};

static void make_area(void)
{
	const char *dir = "/tmp/gup_races";
	size_t i;

	if (now->kind == ANON) {
		p = now->change == zap_small || now->change == free_tables ||
		    now->change == swap_out ? small_area(NR) : huge_area(NR);
	} else {
		mkdir(dir, 0755);
		if (mount("mmtest", dir, "tmpfs", 0,
			  now->kind == TEAM ? "huge=team" : "huge=always"))
			ksft_exit_fail_perror("mount");
		file = open("/tmp/gup_races/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		umount2(dir, MNT_DETACH);
		rmdir(dir);
		if (file < 0 || ftruncate(file, LEN))
			ksft_exit_fail_perror("a file");
		p = map_file(file, LEN, MAP_SHARED);
	}
	for (i = 0; i < NR_PAGES; i++)
		fill(i, 0);
}

/* With a reference too many pages aren't collapsed, and a huge page isn't split. */
static long held_pages(void)
{
	long before = vmstat("thp_split_page"), n = 0;
	char *h;

	if (now->kind != ANON)
		return 0;
	madvise(p, LEN, MADV_HUGEPAGE);
	for (h = p; h < p + LEN; h += HPAGE_SIZE)
		n += madvise(h, HPAGE_SIZE, MADV_COLLAPSE) != 0;
	debugfs_split(p, LEN, 0);
	return n + NR - (vmstat("thp_split_page") - before);
}

static void run(const struct change *change, double secs)
{
	void *(*const fn[])(void *) = { direct_io, vmsplicer, pin };
	long before, held, refs, count = 0;
	uint64_t seed = time(NULL) | 1;
	struct timespec begin, t;
	pthread_t thread[3];
	size_t i;

	now = change;
	foreign = lost = stale = children = failed = 0;
	memset((void *)rounds, 0, sizeof(rounds));
	if (change->kind == TEAM && access("/sys/kernel/debug/shmem_teams", F_OK)) {
		ksft_test_result_skip("%s: not in this kernel\n", change->name);
		return;
	}
	if (change->change == swap_out)
		swap_start();
	make_area();
	held = vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
	before = vmstat(change->counter);
	stop = false;
	for (i = 0; i < 3; i++)
		if (pthread_create(&thread[i], NULL, fn[i], NULL))
			ksft_exit_fail_msg("pthread_create\n");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		change->change(&seed);
		count++;
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while (t.tv_sec - begin.tv_sec + (t.tv_nsec - begin.tv_nsec) / 1e9 < secs ||
		 !rounds[0] || !rounds[1] || !rounds[2]);
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < NR_PAGES; i++)
		check(page_at(i), i, 1, "memory");
	held -= vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
	before = vmstat(change->counter) - before;
	ksft_print_msg("%s: %ld times, %s %ld; direct I/O %ld, vmsplice %ld, pins %ld, %ld failed\n",
		       change->name, count, change->counter, before, rounds[0], rounds[1],
		       rounds[2], failed);
	refs = held_pages();
	ksft_test_result(!foreign && !lost && !stale && !children && !held && !refs &&
			 before >= race_least(1),
			 "%s # %ld with foreign data, %ld lost, %ld fresh pages in use, %ld children, %ld pins left, %ld huge pages held\n",
			 change->name, foreign, lost, stale, children, -held, refs);
	area_free(p, NR);
	if (file >= 0)
		close(file);
	file = -1;
}

int main(void)
{
	double secs = race_ms(120 * ARRAY_SIZE(changes)) / 1e3 / ARRAY_SIZE(changes);
	long only = number_from_env("RACE_ONLY", -1);
	size_t i;

	test_start_with(only < 0 ? ARRAY_SIZE(changes) : 1, GUP_TEST, "gup_test");
	device = open("/dev/ram1", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (device < 0)
		ksft_exit_fail_perror("/dev/ram1");
	fresh = small_area(1);
	fresh_huge = huge_area(1);
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		if (only < 0 || only == (long)i)
			run(&changes[i], secs);
	ksft_finished();
}
