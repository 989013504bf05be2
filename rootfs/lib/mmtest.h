/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the mm tests here share beyond selftests/mm: memory with a pattern that
 * is compared byte by byte, in the user's view and in the kernel's; counters
 * as test results; swap, a memory cgroup and a huge tmpfs that go away again.
 *
 * A set-up that fails ends the test as failed: a kernel for mm work has it all.
 * Only a kernel that was configured without huge pages skips their tests.
 */
#ifndef MMTEST_H
#define MMTEST_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "kselftest.h"
#include "vm_util.h"
#include "hugepage_settings.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define PAGE_SIZE		4096UL
#define HPAGE_NR		(HPAGE_SIZE / PAGE_SIZE)
#define HPAGE_KB		(HPAGE_SIZE / 1024)

/* Bits of /proc/kpageflags that vm_util.h lacks */
#define KPF_BIT(n)		(1ULL << (n))
#define KPF_REFERENCED		KPF_BIT(2)
#define KPF_MMAP		KPF_BIT(11)
#define KPF_ANON		KPF_BIT(12)
#define KPF_SWAPBACKED		KPF_BIT(14)
#define KPF_HUGE		KPF_BIT(17)
#define KPF_ZERO_PAGE		KPF_BIT(24)

/* How many results the test is going to give */
static inline void test_plan(unsigned int plan)
{
	ksft_print_header();
	ksft_set_plan(plan);
}

/* The same for a test of huge pages, and of what the kernel shows in a file @path */
static inline void test_start_with(unsigned int plan, const char *path, const char *what)
{
	ksft_print_header();
	if (!thp_available())
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	if (path && access(path, F_OK))
		ksft_exit_skip("no %s in this kernel\n", what);
	ksft_set_plan(plan);
}

static inline void test_start(unsigned int plan)
{
	test_start_with(plan, NULL, NULL);
}

/* Two numbers must be equal; the result line shows both. */
#define test_eq(got, want, fmt, ...) do {				\
	long long __got = (got), __want = (want);			\
									\
	if (__got == __want)						\
		ksft_test_result_pass(fmt " # %lld\n", ##__VA_ARGS__,	\
				      __got);				\
	else								\
		ksft_test_result_fail(fmt " # %lld, want %lld\n",	\
				      ##__VA_ARGS__, __got, __want);	\
} while (0)

#define test_min(got, least, fmt, ...) do {				\
	long long __got = (got), __least = (least);			\
									\
	ksft_test_result(__got >= __least,				\
			 fmt " # %lld (at least %lld)\n",		\
			 ##__VA_ARGS__, __got, __least);		\
} while (0)

#define test_true(cond, fmt, ...)					\
	ksft_test_result(cond, fmt "\n", ##__VA_ARGS__)

#define TRACING			"/sys/kernel/tracing/"
#define MEMCG			"/sys/fs/cgroup/mmtest/"	/* see memcg_enter() */

/* A number that the kernel's command line gave the test, or another */
static inline long number_from_env(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : otherwise;
}

/* How long a race is run: RACE_SECS or RACE_MS of the command line, or else so long */
static inline long race_ms(long otherwise)
{
	return number_from_env("RACE_MS", 1000 * number_from_env("RACE_SECS", 0) ?: otherwise);
}

/* How much a race has to bring about: nothing if RACE_MS cuts it short, as for a seed */
static inline long race_least(long otherwise)
{
	return number_from_env("RACE_MS", 0) ? 0 : otherwise;
}

/* The next random number of a stream: Marsaglia's xorshift64. */
static inline uint64_t random_next(uint64_t *stream)
{
	*stream ^= *stream << 13;
	*stream ^= *stream >> 7;
	*stream ^= *stream << 17;
	return *stream;
}

/* One of 0 to @n - 1 */
static inline size_t pick(uint64_t *stream, size_t n)
{
	return random_next(stream) % n;
}

/* Empty the trace buffer. To write nothing to it isn't enough. */
void trace_clear(void);

/* One counter of /proc/vmstat */
long vmstat(const char *name);

/* A counter went from @before up by @want since */
static inline void test_vmstat(const char *name, long before, long want)
{
	long now = vmstat(name);

	ksft_test_result(now - before == want, "%s # %ld -> %ld, want %+ld\n",
			 name, before, now, want);
}

static inline void test_vmstat_min(const char *name, long before, long least)
{
	long now = vmstat(name);

	ksft_test_result(now - before >= least,
			 "%s # %ld -> %ld, want %+ld or more\n",
			 name, before, now, least);
}

/* Pages present in ZONE_MOVABLE, 0 if there is none */
unsigned long movable_pages(void);

/* A number of a sysfs or cgroup file; its line "@key N" if @key is given */
long file_number(const char *path, const char *key);
/* Write a string; false with errno when the kernel refuses it */
bool file_write(const char *path, const char *text);
bool number_write(const char *path, long n);
/*
 * Write a number that the file is to have until this process exits; what it had comes
 * back then, that of the file that was written last first.
 */
void set_until_exit(const char *path, long value);

/* Cores go to this file from now on until this process exits; then it is deleted. */
#define CORE_FILE	"/tmp/core.mmtest"
void core_dumps_start(void);

/* kB of page tables of this process */
long vmpte(void);

/* Sum of a field of /proc/self/smaps over the VMAs that meet the range */
long smaps_kb(const void *addr, size_t len, const char *field);

static inline void test_smaps(const void *addr, size_t len, const char *field,
			      long want_kb)
{
	test_eq(smaps_kb(addr, len, field), want_kb, "smaps %s kB", field);
}

/* /proc/self/pagemap, /proc/kpageflags, kpagecount and kpagecgroup */
uint64_t pagemap(const void *addr);
unsigned long pfn_of(const void *addr);
uint64_t kpageflags(unsigned long pfn);
uint64_t kpagecount(unsigned long pfn);
uint64_t kpagecgroup(unsigned long pfn);
/* Of @nr pages that follow each other, with one system call; pfn 0: not present */
void pagemap_read(const void *addr, uint64_t *entry, size_t nr);
void pfns_of(const void *addr, unsigned long *pfn, size_t nr);
/* How many of @nr pages aren't those of pfns_of() before */
size_t pages_moved(const void *addr, const unsigned long *pfn, size_t nr);
void kpageflags_read(unsigned long pfn, uint64_t *flags, size_t nr);
/* How many of @nr page frames have all of @flags, are mapped @count times */
size_t count_pfns(unsigned long pfn, size_t nr, uint64_t flags);
size_t count_pfns_mapped(unsigned long pfn, size_t nr, uint64_t count);
/* How many of the pages in the range have all of @flags, are mapped @count
 * times, have a pfn that follows the one before
 */
size_t count_flagged(const char *p, size_t len, uint64_t flags);
size_t count_mapped(const char *p, size_t len, uint64_t count);
bool pfns_follow(const char *p, size_t len);
/*
 * A page frame that is free may be somebody else's the next moment, so that it says
 * nothing about a page that was freed. These say whether it is still what it was:
 * anonymous memory that nothing maps, as only a pin keeps it; a page of a large folio
 * that is nothing of what others have large folios for.
 */
bool pfn_anon_unmapped(unsigned long pfn);
bool kpf_bare_folio(uint64_t flags);
/* Give back all pages that memory failure or soft offlining has taken out of use. */
void unpoison_all(void);
/*
 * Whether kpagecount() says of each page of a large folio how often it is mapped,
 * as without CONFIG_NO_PAGE_MAPCOUNT. With that it is the average, rounded, and 1
 * at least if any page is.
 */
bool kpagecount_exact(void);
/*
 * From now on until this process exits, the kernel's warnings and errors are lines of
 * this test instead of the console's: it provokes some.
 */
void quiet_console(void);
/* Minor faults of this thread so far */
long minor_faults(void);

/*
 * No CPU has a translation of a range any more, as it was moved away and back: the next
 * access is one that the page tables get to know. To make an entry old isn't enough.
 */
void tlb_forget(char *p, size_t len);

/* 2 MB aligned, anonymous, private, nothing next to it; nothing faulted in */
char *huge_area(size_t nr_huge);	/* MADV_HUGEPAGE */
char *small_area(size_t nr_huge);	/* MADV_NOHUGEPAGE */
/* Anonymous folios of 64 KB and no others, from now on until exit */
char *area_64k(size_t nr_huge);
/* A huge_area() of huge pages, filled with pattern @seed */
char *huge_pages(size_t nr_huge, unsigned int seed);
/* A small_area() of pages that are present, the same */
char *small_pages(size_t nr_huge, unsigned int seed);
/* madvise() for the first @piece bytes of each @step, many in one system call */
void madvise_each(char *p, size_t len, size_t step, size_t piece, int advice);
/* An address range like that with nothing mapped in it */
char *hole_area(size_t nr_huge);
void area_free(char *p, size_t nr_huge);

/*
 * The pattern @seed that starts at @p differs in every 8 bytes; seed 0 stands
 * for zeroes. Of it, fill or compare the bytes from @from up to @to.
 */
void pattern_fill(char *p, size_t from, size_t to, unsigned int seed);
/*
 * Compare with what the program sees, then with what the kernel sees through
 * its own page table walk: on UML they can differ. Returns the offset of the
 * first wrong byte, or -1, and says which view had it.
 */
long pattern_find_bad(const char *p, size_t from, size_t to, unsigned int seed);
/* The program's view only */
long pattern_find_bad_user(const char *p, size_t from, size_t to,
			   unsigned int seed);

#define test_data(p, from, to, seed, fmt, ...) do {			\
	long __bad = pattern_find_bad(p, from, to, seed);		\
									\
	if (__bad < 0)							\
		ksft_test_result_pass(fmt "\n", ##__VA_ARGS__);		\
	else								\
		ksft_test_result_fail(fmt " # wrong at page %ld + 0x%lx\n",\
				      ##__VA_ARGS__, __bad / PAGE_SIZE,	\
				      __bad % PAGE_SIZE);		\
} while (0)

/* The signal that a read or a write of one byte meets, 0 if none */
int access_signal(char *p, bool write);
extern siginfo_t access_siginfo;

/* Run @fn in a child; its return value, or 128 + the signal it died of */
int in_child(int (*fn)(void *), void *arg);
/* Wait for a child, same values */
int child_status(pid_t pid);
/* From now on the calling process runs on that CPU only */
void run_on_cpu(int cpu);

/*
 * A child that takes turns with its parent. It starts, with @fn; the parent goes
 * on when it calls turn_over(), which waits for the other to do the same. The
 * parent ends with turns_end(), and waits for child_status().
 */
pid_t turns_start(int (*fn)(void));
void turn_over(void);
void turns_end(void);

/*
 * For a child: it finds pattern @seed in the huge page at @p, whose first page
 * isn't @pfn, and can write to it: 0. Otherwise which of these isn't so, 1 to 3.
 */
int child_has_copy(char *p, unsigned long pfn, unsigned int seed);

/*
 * Have khugepaged scan a lot every @msecs, and collapse whatever has one page: pushed
 * over the settings that there are.
 */
void khugepaged_settings(unsigned int msecs);

#define KSM	"/sys/kernel/mm/ksm/"

/*
 * Have ksmd sleep @msecs between scans of @pages pages, none of them skipped, once it is
 * told to run. At exit it takes all apart and stops.
 */
void ksm_settings(long msecs, long pages);

/* Swap on /dev/ram0, in a memory cgroup of its own: both end at exit */
void swap_start(void);
void swap_stop(void);
void memcg_enter(void);
/* Reclaim up to @bytes from the cgroup entered */
void memcg_reclaim(size_t bytes);

/*
 * A tmpfs with huge=always, or what tmpfs_huge was set to before, on a folder
 * under /tmp, gone at exit; its path
 */
extern const char *tmpfs_huge;
const char *huge_tmpfs(void);
/* A file of @len bytes on it, filled with pattern @seed (0: just this size) */
int huge_file(const char *name, size_t len, unsigned int seed);
/* Map it shared (or MAP_PRIVATE) at a 2 MB boundary with nothing next to it */
char *map_file(int fd, size_t len, int flags);

/* Split through debugfs what is in the range, to folios of @order */
void debugfs_split(const void *p, size_t len, int order);

/*
 * Page allocations of @order or more fail from now on in a process that writes
 * 1 to its make-it-fail, once @space pages have been had. The end comes with
 * fail_stop(), at exit at the latest.
 */
void fail_page_alloc_start(int order, long space);
/* The same for @times slab allocations (-1: all), after @space bytes */
void failslab_start(int times, long space);
void fail_stop(void);

/* Run a KUnit suite of the kernel; its results are to be read and closed. */
FILE *kunit_results(const char *suite);
/* The same and print them; @ok and @not_ok cases */
void kunit_run(const char *suite, int *ok, int *not_ok);

/* The same as two results */
static inline void test_kunit(const char *suite)
{
	int ok, not_ok;

	/* Its framework does, and some warnings that a suite waits for come once. */
	ksft_print_msg("keeps-memory: KUnit\n");
	kunit_run(suite, &ok, &not_ok);
	test_min(ok, 1, "cases passed");
	test_eq(not_ok, 0, "cases failed");
}

int uffd_open(uint64_t features);
/* UFFDIO_MOVE; how many bytes it moved, or -errno */
long uffd_move(int uffd, char *dst, char *src, size_t len);

/*
 * Pin memory for long, as a buffer registered with io_uring: that moves it out
 * of ZONE_MOVABLE first. Returns what to give to longterm_unpin().
 */
int longterm_pin(void *p, size_t len);
void longterm_unpin(int pin);

#endif /* MMTEST_H */
