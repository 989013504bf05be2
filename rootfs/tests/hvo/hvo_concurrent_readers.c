// SPDX-License-Identifier: GPL-2.0
/*
 * HugeTLB pages come and go, optimized and restored, in the pool and as surplus,
 * while others look at every pfn without holding anything: kpageflags, kpagecount,
 * kpagecgroup, idle page tracking, which takes references, and compaction, which
 * isolates; while the same pages are small ones of a process in between, and then
 * while memory fails. Who holds a HugeTLB page sees it whole all the time.
 */
#include "hugetlb.h"

#define MSECS		2000	/* for each of two phases */
#define IDLE		"/sys/kernel/mm/page_idle/bitmap"

enum { POOL_SIZE, SURPLUS, FLAGS, COUNTS, IDLE_PAGES, FRAMES, COMPACTION, FAILURE,
	SMALL, NR_ACTORS };

static const char * const names[NR_ACTORS] = {
	[POOL_SIZE] = "the pool's size changed",
	[SURPLUS] = "a surplus page used and seen whole",
	[FLAGS] = "kpageflags read",
	[COUNTS] = "kpagecount and kpagecgroup read",
	[IDLE_PAGES] = "all pages marked as idle and looked at",
	[FRAMES] = "frames of struct pages read",
	[COMPACTION] = "memory compacted",
	[FAILURE] = "a part of a HugeTLB page failed",
	[SMALL] = "a process of small pages",
};

static struct shared {
	volatile bool failing, stop;
	volatile long done[NR_ACTORS], wrong[NR_ACTORS];
} *sh;

static uint64_t entries[1 << 20];

/* Read all of a /proc file with 8 bytes a pfn; returns how many, -1 if it can't */
static long read_all(const char *path, uint64_t *buf, size_t max)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;
	size_t nr = 0;

	while (fd >= 0 && nr < max && (n = read(fd, buf + nr, (max - nr) * 8)) > 0)
		nr += n / 8;
	close(fd);
	return fd < 0 ? -1 : nr;
}

/* A HugeTLB head at a pfn where none can be, twice in a row: it isn't a race. */
static bool false_head(unsigned long pfn, uint64_t flags)
{
	int tries = 3;

	while (tries-- && pfn % HPAGE_NR && flags & KPF_HUGE &&
	       (flags & KPF_COMPOUND_HEAD || !(flags & KPF_COMPOUND_TAIL)))
		flags = kpageflags(pfn);
	return tries < 0;
}

static void read_pfns(int me)
{
	long i, nr;

	nr = read_all(me == FLAGS ? "/proc/kpageflags" : "/proc/kpagecount", entries,
		      ARRAY_SIZE(entries));
	if (nr <= 0)
		sh->wrong[me]++;
	if (me == COUNTS) {
		read_all("/proc/kpagecgroup", entries, ARRAY_SIZE(entries));
		return;
	}
	for (i = 0; i < nr; i++)
		sh->wrong[me] += false_head(i, entries[i]);
}

static void idle_pages(void)
{
	static uint64_t buf[1 << 13];
	int fd = open(IDLE, O_RDWR);
	ssize_t n;
	off_t pos;

	memset(buf, 0xff, sizeof(buf));
	for (pos = 0; (n = pwrite(fd, buf, sizeof(buf), pos)) > 0; pos += n)
		;
	for (pos = 0; (n = pread(fd, buf, sizeof(buf), pos)) > 0; pos += n)
		;
	close(fd);
	sh->wrong[IDLE_PAGES] += !pos;
}

static void surplus_page(unsigned int seed)
{
	char *p = hugetlb_map(1, MAP_PRIVATE);

	if (p == MAP_FAILED) {	/* all that there may be are in use */
		usleep(100);
		return;
	}
	pattern_fill(p, 0, HPAGE_SIZE, seed);
	sh->wrong[SURPLUS] += !(kpageflags(pfn_of(p)) & KPF_COMPOUND_HEAD) ||
		count_flagged(p, HPAGE_SIZE, KPF_HUGE | KPF_COMPOUND_TAIL) != HPAGE_NR - 1 ||
		!hugetlb_in_order(p, 1) || pattern_find_bad_user(p, 0, HPAGE_SIZE, seed) >= 0;
	area_free(p, 1);
}

static void fail(unsigned int round)
{
	struct sigaction sa = { .sa_sigaction = poison_handler, .sa_flags = SA_SIGINFO };
	char *p = hugetlb_map(1, MAP_PRIVATE), *bad;
	unsigned long pfn;
	int tries = 10;

	if (p == MAP_FAILED) {
		usleep(100);
		return;
	}
	*p = 1;
	bad = p + round * 64 % HPAGE_NR * PAGE_SIZE;
	pfn = pfn_of(bad);
	sigaction(SIGBUS, &sa, NULL);
	/*
	 * It may be refused, since others look at the page. Not MADV_SOFT_OFFLINE:
	 * the page that it moves to counts for a moment, and becomes a surplus
	 * that nobody takes away again if the pool shrinks just then.
	 */
	madvise(bad, PAGE_SIZE, MADV_HWPOISON);
	area_free(p, 1);
	/* As long as the huge page isn't freed yet, this may be refused, too: see the end */
	while (kpageflags(pfn) & KPF_HWPOISON && unpoison_memory(pfn) && tries--)
		usleep(1000);
}

static void small_round(unsigned int seed)
{
	char *p = small_pages(16, seed);

	sh->wrong[SMALL] += pattern_find_bad_user(p, 0, 16 * HPAGE_SIZE, seed) >= 0;
	area_free(p, 16);
}

static void act(int me)
{
	struct hvo_page pages[64];
	unsigned int i;

	for (i = 1; !sh->stop; i++) {
		switch (me) {
		case POOL_SIZE:
			number_write(HVO, i % 8 != 0);
			number_write(POOL "nr_hugepages", i % 2 ? 1 + i * 7 % 24 : 0);
			break;
		case SURPLUS:
			surplus_page(i);
			break;
		case FLAGS:
		case COUNTS:
			read_pfns(me);
			break;
		case IDLE_PAGES:
			idle_pages();
			break;
		case FRAMES:
			hvo_pages(pages, ARRAY_SIZE(pages));
			break;
		case COMPACTION:
			file_write("/proc/sys/vm/compact_memory", "1");
			usleep(2000);
			break;
		case FAILURE:
			if (!sh->failing) {
				usleep(1000);
				continue;
			}
			fail(i);
			break;
		case SMALL:
			if (sh->failing)
				return;
			small_round(i);
			break;
		}
		sh->done[me]++;
	}
}

int main(void)
{
	pid_t pid[NR_ACTORS];
	long before, kb, nr;
	int i;

	hvo_frames_start(2 * NR_ACTORS + 3);
	before = memmap_pages();
	/* Of pages that fail while they are freed; whose fault it is is unknown. */
	ksft_print_msg("keeps-memory: pages that have failed\n");
	kb = meminfo("HardwareCorrupted:");
	pool_overcommit(4);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	for (i = 0; i < NR_ACTORS; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			act(i);
			fflush(stdout);
			_exit(0);
		}
	}
	usleep(MSECS * 1000);
	sh->failing = true;
	usleep(MSECS * 1000);
	sh->stop = true;
	for (i = 0; i < NR_ACTORS; i++) {
		test_eq(child_status(pid[i]), 0, "%s: status", names[i]);
		ksft_test_result(sh->done[i] && !sh->wrong[i], "times # %ld, wrong %ld\n",
				 sh->done[i], sh->wrong[i]);
	}
	nr = read_all("/proc/kpageflags", entries, ARRAY_SIZE(entries));
	while (--nr >= 0)
		if (entries[nr] & KPF_HWPOISON)
			unpoison_memory(nr);
	/* Surplus pages that are free go only as a part of the pool. */
	pool_overcommit(0);
	pool_resize(pool("nr_hugepages"));
	pool_resize(0);
	test_pool(0, 0, 0, 0, "an end to all");
	test_eq(before - memmap_pages(), 0, "pages of struct page saved");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	ksft_finished();
}
