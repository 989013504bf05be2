/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of HugeTLB, of its vmemmap optimization (HVO) and of memory
 * failure share. What a test changes of these goes back at its exit.
 */
#ifndef HUGETLB_H
#define HUGETLB_H

#include "mmtest.h"

#define POOL		"/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HVO		"/proc/sys/vm/hugetlb_optimize_vmemmap"
#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"
#define VMEMMAP		"/sys/kernel/debug/hugetlb_vmemmap"

#define KPF_BUDDY	KPF_BIT(10)
/* Pages of struct page that HVO saves: all of a huge page's but the first */
#define HVO_SAVED	(HPAGE_NR * 64 / PAGE_SIZE - 1)

static pid_t hugetlb_owner;
static long saved_nr, saved_overcommit, saved_hvo = -1;
static unsigned long poisoned[64];
static unsigned int nr_poisoned;

static inline long pool(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), POOL "%s", name);
	return file_number(path, NULL);
}

static inline void pool_resize(long nr)
{
	if (!number_write(POOL "nr_hugepages", nr))
		ksft_exit_fail_msg("nr_hugepages = %ld: %s\n", nr,
				   strerror(errno));
}

static inline void pool_overcommit(long nr)
{
	if (!number_write(POOL "nr_overcommit_hugepages", nr))
		ksft_exit_fail_msg("nr_overcommit_hugepages = %ld: %s\n", nr,
				   strerror(errno));
}

static inline void hvo_set(bool on)
{
	if (!number_write(HVO, on))
		ksft_exit_fail_msg(HVO ": %s\n", strerror(errno));
}

/* Also those pages that are freed later, by a worker, are free now. */
static inline void pool_settle(void)
{
	pool_resize(pool("nr_hugepages") - pool("surplus_hugepages"));
}

/*
 * Resize the pool while allocations fail once @space pages have been had. No
 * other system call is in between.
 */
static inline void pool_resize_failing(const char *nr, long space)
{
	static int inject, size;

	if (!inject) {
		inject = open("/proc/self/make-it-fail", O_RDWR);
		size = open(POOL "nr_hugepages", O_RDWR);
		if (inject < 0 || size < 0)
			ksft_exit_fail_perror("/proc/self/make-it-fail");
	}
	fail_page_alloc_start(0, space);
	if (pwrite(inject, "1", 1, 0) != 1 ||
	    pwrite(size, nr, strlen(nr), 0) != (ssize_t)strlen(nr) ||
	    pwrite(inject, "0", 1, 0) != 1)
		ksft_print_msg("nr_hugepages = %s: %s\n", nr, strerror(errno));
	fail_stop();
}

static void hugetlb_end(void)
{
	unsigned int i;

	if (hugetlb_owner != getpid())
		return;
	for (i = 0; i < nr_poisoned; i++)
		unpoison_memory(poisoned[i]);
	if (!access(POOL, F_OK)) {
		/* Surplus pages that are free go only as a part of the pool. */
		pool_resize(pool("nr_hugepages"));
		number_write(POOL "nr_hugepages", saved_nr);
		number_write(POOL "nr_overcommit_hugepages", saved_overcommit);
	}
	if (saved_hvo >= 0)
		number_write(HVO, saved_hvo);
}

static inline void restore_at_exit(void)
{
	hugetlb_owner = getpid();
	quiet_console();
	if (!access(POOL, F_OK)) {
		saved_nr = pool("nr_hugepages");
		saved_overcommit = pool("nr_overcommit_hugepages");
	}
	if (!access(HVO, F_OK))
		saved_hvo = file_number(HVO, NULL);
	atexit(hugetlb_end);
}

/* For test_plan(): a test that needs a pool of @nr huge pages, free, 2 MB each */
static inline void hugetlb_start(unsigned int plan, long nr)
{
	ksft_print_header();
	if (access(POOL, F_OK))
		ksft_exit_skip("no HugeTLB pages in this kernel\n");
	ksft_set_plan(plan);
	restore_at_exit();
	pool_resize(nr);
	if (pool("nr_hugepages") != nr || pool("free_hugepages") != nr)
		ksft_exit_fail_msg("asked for %ld huge pages, got %ld, of which %ld are free\n",
				   nr, pool("nr_hugepages"),
				   pool("free_hugepages"));
}

/* The same with HVO, which is off, and no pages yet */
static inline void hvo_start(unsigned int plan)
{
	ksft_print_header();
	if (access(HVO, F_OK))
		ksft_exit_skip("no HugeTLB vmemmap optimization in this kernel\n");
	ksft_set_plan(plan);
	restore_at_exit();
	pool_resize(0);
	hvo_set(false);
}

/* The same for a test that looks at the frames of struct pages, too */
static inline void hvo_frames_start(unsigned int plan)
{
	if (!access(HVO, F_OK) && access(VMEMMAP, F_OK)) {
		ksft_print_header();
		ksft_exit_skip("no frames of struct pages in debugfs\n");
	}
	hvo_start(plan);
}

/* The same for a test of memory failure; @huge: of huge pages (THP) */
static inline void poison_start(unsigned int plan, bool huge)
{
	ksft_print_header();
	if (access(UNPOISON, F_OK))
		ksft_exit_skip("no injection of memory failures in this kernel\n");
	if (huge && !thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	ksft_set_plan(plan);
	restore_at_exit();
}

/* The state of the pool, in one line */
#define test_pool(nr, free, rsvd, surplus, fmt, ...) do {		\
	long __n = pool("nr_hugepages"), __f = pool("free_hugepages");	\
	long __r = pool("resv_hugepages");				\
	long __s = pool("surplus_hugepages");				\
									\
	if (__n == (nr) && __f == (free) && __r == (rsvd) &&		\
	    __s == (surplus))						\
		ksft_test_result_pass(fmt				\
			" # pool %ld, free %ld, reserved %ld, surplus %ld\n", \
			##__VA_ARGS__, __n, __f, __r, __s);		\
	else								\
		ksft_test_result_fail(fmt				\
			" # pool %ld, free %ld, reserved %ld, surplus %ld, want %ld, %ld, %ld, %ld\n", \
			##__VA_ARGS__, __n, __f, __r, __s, (long)(nr),	\
			(long)(free), (long)(rsvd), (long)(surplus));	\
} while (0)

/* Map @nr huge pages where nothing is next to them; MAP_FAILED with errno */
static inline char *hugetlb_map(size_t nr, int flags)
{
	return mmap(hole_area(nr), nr * HPAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED | flags, -1, 0);
}

/* The same, and it must succeed; private, filled with pattern @seed unless 0 */
static inline char *hugetlb_pages(size_t nr, unsigned int seed)
{
	char *p = hugetlb_map(nr, MAP_PRIVATE);

	if (p == MAP_FAILED)
		ksft_exit_fail_msg("mmap of %zu huge pages: %s\n", nr,
				   strerror(errno));
	if (seed)
		pattern_fill(p, 0, nr * HPAGE_SIZE, seed);
	return p;
}

/* A file of @nr huge pages that are not there yet */
static inline int hugetlb_file(size_t nr)
{
	int fd = memfd_create("hugetlb", MFD_HUGETLB | MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, nr * HPAGE_SIZE))
		ksft_exit_fail_msg("memfd of %zu huge pages: %s\n", nr,
				   strerror(errno));
	return fd;
}

/* All 4 KB pages of the range: parts of one HugeTLB page each, pfn by pfn */
#define test_hugetlb(p, nr, fmt, ...)					\
	test_true(count_flagged(p, (nr) * HPAGE_SIZE, KPF_HUGE) ==	\
		  (nr) * HPAGE_NR && hugetlb_in_order(p, nr),		\
		  fmt, ##__VA_ARGS__)

static inline bool hugetlb_in_order(const char *p, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (pfn_of(p + i * HPAGE_SIZE) % HPAGE_NR ||
		    !pfns_follow(p + i * HPAGE_SIZE, HPAGE_SIZE))
			return false;
	return true;
}

/* Pages of struct page, wherever they came from */
static inline long memmap_pages(void)
{
	return vmstat("nr_memmap_pages") + vmstat("nr_memmap_boot_pages");
}

/* The page frames that the struct pages of a HugeTLB page are in */
struct hvo_page {
	unsigned long pfn;
	bool optimized;
	bool fake_heads;	/* with the tails in the head's frame */
	unsigned long frame[HVO_SAVED + 1];
	bool ro[HVO_SAVED + 1];
};

/* Those of up to @max of the HugeTLB pages that there are, by pfn; how many */
static inline size_t hvo_pages(struct hvo_page *pages, size_t max)
{
	char line[512], form[32], *s;
	FILE *f = fopen(VMEMMAP, "r");
	size_t nr = 0, i;
	int order, at;

	if (!f)
		ksft_exit_fail_perror(VMEMMAP);
	while (nr < max && fgets(line, sizeof(line), f)) {
		struct hvo_page *p = &pages[nr++];

		memset(p, 0, sizeof(*p));
		if (sscanf(line, "%lu %d %31s%n", &p->pfn, &order, form, &at) != 3 ||
		    order != 9)
			ksft_exit_fail_msg(VMEMMAP ": %s", line);
		p->optimized = strcmp(form, "-");
		p->fake_heads = !strcmp(form, "fake-heads");
		s = line + at;
		for (i = 0; i <= HVO_SAVED && *s == ' '; i++) {
			p->frame[i] = strtoul(s, &s, 10);
			p->ro[i] = *s == 'r';
			s += p->ro[i];
		}
		if (i != HVO_SAVED + 1 || *s != '\n')
			ksft_exit_fail_msg(VMEMMAP ": %s", line);
	}
	fclose(f);
	return nr;
}

/* Is this a kernel with fake heads? There has to be an optimized page. */
static inline bool hvo_fake_heads(void)
{
	struct hvo_page pages[64];
	size_t i, nr = hvo_pages(pages, ARRAY_SIZE(pages));

	for (i = 0; i < nr; i++)
		if (pages[i].optimized)
			return pages[i].fake_heads;
	ksft_exit_fail_msg("no optimized HugeTLB page to tell the form by\n");
}

/* Run a KUnit suite; true if the case passed, and @info is what it said last */
static inline bool kunit_case(const char *suite, const char *name, char *info,
			      size_t size)
{
	FILE *f = kunit_results(suite);
	char line[512], *p;
	bool ok = false;

	*info = '\0';
	while (fgets(line, sizeof(line), f)) {
		p = strstr(line, name);
		if (!p)
			continue;
		ksft_print_msg("%s", line);
		p += strlen(name);
		if (!strncmp(p, ": ", 2))
			snprintf(info, size, "%s", p + 2);
		ok |= !strncmp(line + strspn(line, " "), "ok ", 3);
	}
	fclose(f);
	return ok;
}

/* Pages that are free, wherever the allocator has them, or are slab */
static inline long free_pages(void)
{
	char line[256];
	long free = 0, n;
	FILE *f;

	/* With more than one CPU each has a part of the counters. */
	file_write("/proc/sys/vm/stat_refresh", "1");
	/* All from one file: the buffer of another one may be a slab more. */
	f = fopen("/proc/zoneinfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " pages free %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1 ||
		    sscanf(line, " nr_slab_reclaimable %ld", &n) == 1 ||
		    sscanf(line, " nr_slab_unreclaimable %ld", &n) == 1)
			free += n;
	}
	if (f)
		fclose(f);
	return free;
}

static inline long meminfo(const char *key)
{
	return file_number("/proc/meminfo", key);
}

/*
 * Memory failure. A page that was poisoned is as good as any when the test ends.
 */
static inline void poison_note(unsigned long pfn)
{
	if (nr_poisoned < ARRAY_SIZE(poisoned))
		poisoned[nr_poisoned++] = pfn;
}

/* What the kernel sends at once to the process that met the failure */
static siginfo_t poison_siginfo;

static void poison_handler(int sig, siginfo_t *info, void *ctx)
{
	poison_siginfo = *info;
}

/* MADV_HWPOISON or MADV_SOFT_OFFLINE; the signal that it caused, 0 if none */
static inline int poison(char *p, size_t len, int advice)
{
	struct sigaction sa = {
		.sa_sigaction = poison_handler, .sa_flags = SA_SIGINFO,
	};
	struct sigaction old;
	int ret;

	memset(&poison_siginfo, 0, sizeof(poison_siginfo));
	sigaction(SIGBUS, &sa, &old);
	poison_note(pfn_of(p));
	ret = madvise(p, len, advice);
	sigaction(SIGBUS, &old, NULL);
	if (ret)
		ksft_exit_fail_msg("%s: %s\n", advice == MADV_HWPOISON ?
				   "MADV_HWPOISON" : "MADV_SOFT_OFFLINE",
				   strerror(errno));
	return poison_siginfo.si_signo;
}

/* An access must end in SIGBUS that tells what is lost: 1 << @lsb bytes */
#define test_lost(p, write, lsb, fmt, ...) do {				\
	int __sig = access_signal(p, write);				\
									\
	ksft_test_result(__sig == SIGBUS &&				\
			 access_siginfo.si_code == BUS_MCEERR_AR &&	\
			 access_siginfo.si_addr == (p) &&		\
			 access_siginfo.si_addr_lsb == (lsb),		\
			 fmt " # signal %d, code %d, address off by %ld, lsb %d\n", \
			 ##__VA_ARGS__, __sig, access_siginfo.si_code,	\
			 (long)((char *)access_siginfo.si_addr - (p)),	\
			 access_siginfo.si_addr_lsb);			\
} while (0)

#endif /* HUGETLB_H */
