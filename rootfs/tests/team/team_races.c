// SPDX-License-Identifier: GPL-2.0
/*
 * Processes map, write, punch, truncate, swap, migrate, lock, protect and move
 * the same teams all the time, all at once. A word of a file is either zero or
 * what belongs there: a page that was freed while it was mapped, or mapped in
 * another's place, would show. RACE_SECS says how long it takes.
 */
#include <setjmp.h>

#include "hugetlb.h"
#include "team.h"

#define NR		3	/* huge pages of each file */
#define LEN		(NR * HPAGE_SIZE)
#define NR_FILES	2
#define NR_PROCESSES	6

static volatile struct {
	bool stop;
	long rounds[NR_PROCESSES];
	long wrong;
} *shared;

static int fds[NR_FILES];
static sigjmp_buf out;

static void on_sigbus(int sig)
{
	siglongjmp(out, 1);
}

/* What belongs to byte @off of file @file */
static uint64_t word(int file, size_t off)
{
	return (off + file * LEN) * 0x9e3779b97f4a7c15ULL | 1;
}

static volatile uint64_t *at(char *p, size_t off)
{
	return (volatile uint64_t *)(p + off);
}

/* Read and write some pages; a truncation ends that with SIGBUS. */
static void access_pages(char *p, int file, uint64_t *seed, bool write)
{
	volatile size_t off = pick(seed, LEN / PAGE_SIZE) * PAGE_SIZE +
			      pick(seed, 512) * 8;
	size_t step = (1 + pick(seed, 60)) * PAGE_SIZE;
	uint64_t got;

	if (sigsetjmp(out, 1))
		return;
	for (; off < LEN; off += step) {
		if (write)
			*at(p, off) = word(file, off);
		got = *at(p, off);
		if (got && got != word(file, off))
			__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_RELAXED);
	}
}

static int run(int me)
{
	uint64_t seed = me * 7919 + 12345;
	char *p[NR_FILES], *hole = hole_area(1), *q;
	uint64_t buf[64];
	int file, i, pipes[2];
	size_t off;
	pid_t pid;

	signal(SIGBUS, on_sigbus);
	if (pipe2(pipes, O_NONBLOCK))
		return 1;
	for (i = 0; i < NR_FILES; i++)
		p[i] = map_file(fds[i], LEN, i && me & 1 ? MAP_PRIVATE : MAP_SHARED);
	while (!shared->stop) {
		file = pick(&seed, NR_FILES);
		q = p[file] + pick(&seed, NR) * HPAGE_SIZE;
		off = pick(&seed, LEN / PAGE_SIZE) * PAGE_SIZE;
		shared->rounds[me]++;
		switch (pick(&seed, 24)) {
		case 0:
			punch(fds[file], off, (1 + pick(&seed, 4)) * PAGE_SIZE);
			break;
		case 1:
			if (!pick(&seed, 4)) {
				(void)!ftruncate(fds[file], off);
				(void)!ftruncate(fds[file], LEN);
			}
			break;
		case 2:
			punch(fds[file], q - p[file], HPAGE_SIZE);
			break;
		case 3:
			madvise(q, HPAGE_SIZE, MADV_PAGEOUT);
			break;
		case 4:
			madvise(p[file] + off, PAGE_SIZE * (1 + pick(&seed, 9)),
				MADV_DONTNEED);
			break;
		case 5:
			madvise(q, HPAGE_SIZE, MADV_DONTNEED);
			break;
		case 6:
			if (mremap(q, HPAGE_SIZE, HPAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, hole) == MAP_FAILED ||
			    mremap(hole, HPAGE_SIZE, HPAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED)
				return 2;
			break;
		case 7:
			mprotect(p[file] + off, PAGE_SIZE, PROT_READ);
			mprotect(p[file], LEN, PROT_READ | PROT_WRITE);
			break;
		case 8:
			mlock(q, HPAGE_SIZE);
			munlock(p[file], LEN);
			break;
		case 9:
			pid = fork();
			if (!pid) {
				access_pages(p[file], file, &seed, true);
				_exit(0);
			}
			if (pid > 0 && child_status(pid))
				return 3;
			break;
		case 10:
			munmap(p[file], LEN);
			if (mmap(p[file], LEN, PROT_READ | PROT_WRITE,
				 MAP_FIXED | (file && me & 1 ? MAP_PRIVATE : MAP_SHARED),
				 fds[file], 0) != p[file])
				return 4;
			break;
		case 11:
			for (i = 0; i < ARRAY_SIZE(buf); i++)
				buf[i] = word(file, off + i * 8);
			(void)!pwrite(fds[file], buf, sizeof(buf), off);
			break;
		case 12:
			if (pread(fds[file], buf, sizeof(buf), off) <= 0)
				break;
			for (i = 0; i < ARRAY_SIZE(buf); i++)
				if (buf[i] && buf[i] != word(file, off + i * 8))
					shared->wrong++;
			break;
		case 13:
			vmsplice(pipes[1], &(struct iovec){ p[file] + off, PAGE_SIZE },
				 1, SPLICE_F_NONBLOCK);
			if (pick(&seed, 2))
				(void)!read(pipes[0], (char[PAGE_SIZE]){}, PAGE_SIZE);
			break;
		case 14:
			(void)!fallocate(fds[file], FALLOC_FL_KEEP_SIZE,
					 q - p[file], HPAGE_SIZE);
			break;
		case 15:
			if (!pick(&seed, 8))
				file_write("/proc/sys/vm/compact_memory", "1");
			else if (!pick(&seed, 8))
				file_write("/proc/sys/vm/drop_caches", "3");
			break;
		case 16:
			madvise(q, HPAGE_SIZE, MADV_COLLAPSE);
			break;
		case 17:
			if (!pick(&seed, 4))
				madvise(p[file] + off, PAGE_SIZE, MADV_SOFT_OFFLINE);
			break;
		default:
			access_pages(p[file], file, &seed, pick(&seed, 2));
		}
	}
	return 0;
}

/* Soft offlining has taken pages out of use: give them back. */
static void unpoison_all(void)
{
	unsigned long pfn = 0, last = 1UL << 18, i;
	uint64_t flags[HPAGE_NR];

	for (; pfn < last; pfn += HPAGE_NR) {
		kpageflags_read(pfn, flags, HPAGE_NR);
		for (i = 0; i < HPAGE_NR; i++)
			if (flags[i] & KPF_HWPOISON)
				unpoison_memory(pfn + i);
	}
}

int main(void)
{
	pid_t pid[NR_PROCESSES];
	long rounds = 0, failed = 0, mapped;
	int i;

	team_start(5);
	restore_at_exit();
	swap_start();
	mapped = vmstat("thp_file_mapped");
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < NR_FILES; i++)
		fds[i] = huge_file(i ? "b" : "a", LEN, 0);
	fflush(stdout);
	for (i = 0; i < NR_PROCESSES; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(run(i));
	}
	sleep(number_from_env("RACE_SECS", 2));
	shared->stop = true;
	for (i = 0; i < NR_PROCESSES; i++) {
		failed += child_status(pid[i]) != 0;
		rounds += shared->rounds[i];
	}
	ksft_print_msg("%ld rounds, %ld teams mapped by PMD\n", rounds,
		       vmstat("thp_file_mapped") - mapped);
	test_eq(failed, 0, "processes that failed");
	test_eq(shared->wrong, 0, "words of another page");
	test_min(vmstat("thp_file_mapped") - mapped, 10, "mappings by PMD");
	unpoison_all();
	for (i = 0; i < NR_FILES; i++)
		if (ftruncate(fds[i], 0))
			ksft_exit_fail_perror("ftruncate");
	test_eq(teams(), 0, "teams left");
	test_eq(meminfo("ShmemPmdMapped:"), 0, "meminfo ShmemPmdMapped kB left");
	ksft_finished();
}
