// SPDX-License-Identifier: GPL-2.0
/*
 * Processes map, write, punch, truncate, swap, migrate, lock, protect and move
 * the same teams all the time, all at once. A word of a file is what belongs
 * there, or zero where pages are punched and truncated: some pages of one file
 * never are, and have all their words always. A word that was written to a
 * private mapping is seen in this mapping, and in no other and no file. So a page
 * that was freed while it was mapped, or lost, or mapped in another's place, would
 * show. RACE_SECS says how long it takes, RACE_SEED what is done (an order of the
 * processes it doesn't say).
 */
#include <setjmp.h>

#include "hugetlb.h"
#include "team.h"

#define NR		3	/* huge pages of each file */
#define LEN		(NR * HPAGE_SIZE)
#define NR_FILES	2
#define NR_PROCESSES	6
#define KEPT_FILE	0	/* never truncated, nor punched as a whole */
#define KEPT_EACH	16	/* one in so many pages of it stays */

static volatile struct {
	bool stop;
	long rounds[NR_PROCESSES];
	long wrong, lost;
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

/* What process @me writes there into its private mapping */
static uint64_t private_word(int me, int file, size_t off)
{
	return word(file, off) ^ (me + 1) << 8;
}

/* A page that nobody takes data away from; its first 512 bytes are written */
static bool kept(int file, size_t off)
{
	return file == KEPT_FILE && off / PAGE_SIZE % KEPT_EACH == 5;
}

/* A word of the file, or of the private mapping of @me if that isn't -1 */
static void check(uint64_t got, int file, size_t off, int me)
{
	if (got == word(file, off) || (me >= 0 && got == private_word(me, file, off)))
		return;
	if (got)
		__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_RELAXED);
	else if (kept(file, off) && off % PAGE_SIZE < 512)
		__atomic_add_fetch(&shared->lost, 1, __ATOMIC_RELAXED);
}

/* A hole, but not of what is kept */
static void punch_some(int file, size_t off, size_t len)
{
	size_t end = off + len;

	for (; off < end; off += PAGE_SIZE)
		if (!kept(file, off))
			punch(fds[file], off, PAGE_SIZE);
}

static volatile uint64_t *at(char *p, size_t off)
{
	return (volatile uint64_t *)(p + off);
}

/* Read and write some pages; a truncation ends that with SIGBUS. */
static void access_pages(char *p, int file, int me, uint64_t *seed, bool write)
{
	volatile size_t off = pick(seed, LEN / PAGE_SIZE) * PAGE_SIZE +
			      pick(seed, 512) * 8;
	size_t step = (1 + pick(seed, 60)) * PAGE_SIZE;

	if (sigsetjmp(out, 1))
		return;
	for (; off < LEN; off += step) {
		if (write)
			*at(p, off) = me < 0 ? word(file, off) : private_word(me, file, off);
		check(*at(p, off), file, off, me);
	}
}

/* @file is mapped privately by it */
static bool is_private(int me, int file)
{
	return file && me & 1;
}

static int run(int me, uint64_t seed)
{
	char *p[NR_FILES], *hole = hole_area(1), *q;
	uint64_t buf[64];
	int file, i, pipes[2];
	size_t off;
	pid_t pid;

	signal(SIGBUS, on_sigbus);
	if (pipe2(pipes, O_NONBLOCK))
		return 1;
	for (i = 0; i < NR_FILES; i++)
		p[i] = map_file(fds[i], LEN, is_private(me, i) ? MAP_PRIVATE : MAP_SHARED);
	while (!shared->stop) {
		file = pick(&seed, NR_FILES);
		q = p[file] + pick(&seed, NR) * HPAGE_SIZE;
		off = pick(&seed, LEN / PAGE_SIZE) * PAGE_SIZE;
		shared->rounds[me]++;
		switch (pick(&seed, 24)) {
		case 0:
			punch_some(file, off, (1 + pick(&seed, 4)) * PAGE_SIZE);
			break;
		case 1:
			if (file != KEPT_FILE && !pick(&seed, 4)) {
				(void)!ftruncate(fds[file], off);
				(void)!ftruncate(fds[file], LEN);
			}
			break;
		case 2:
			if (file != KEPT_FILE)
				punch(fds[file], q - p[file], HPAGE_SIZE);
			else if (!pick(&seed, 8))
				punch_some(file, q - p[file], HPAGE_SIZE);
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
				access_pages(p[file], file,
					     is_private(me, file) ? me : -1, &seed, true);
				_exit(0);
			}
			if (pid > 0 && child_status(pid))
				return 3;
			break;
		case 10:
			munmap(p[file], LEN);
			if (mmap(p[file], LEN, PROT_READ | PROT_WRITE,
				 MAP_FIXED | (is_private(me, file) ? MAP_PRIVATE : MAP_SHARED),
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
				check(buf[i], file, off + i * 8, -1);
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
			access_pages(p[file], file, is_private(me, file) ? me : -1,
				     &seed, pick(&seed, 2));
		}
	}
	return 0;
}

/* The words of the pages that are kept */
static void fill_kept(void)
{
	uint64_t buf[64];
	size_t off, i;

	for (off = 0; off < LEN; off += PAGE_SIZE) {
		if (!kept(KEPT_FILE, off))
			continue;
		for (i = 0; i < ARRAY_SIZE(buf); i++)
			buf[i] = word(KEPT_FILE, off + i * 8);
		if (pwrite(fds[KEPT_FILE], buf, sizeof(buf), off) != sizeof(buf))
			ksft_exit_fail_perror("pwrite");
	}
}

/* Whether they are all there at the end */
static void check_kept(void)
{
	uint64_t buf[64];
	size_t off, i;

	for (off = 0; off < LEN; off += PAGE_SIZE) {
		if (!kept(KEPT_FILE, off))
			continue;
		if (pread(fds[KEPT_FILE], buf, sizeof(buf), off) != sizeof(buf))
			ksft_exit_fail_perror("pread");
		for (i = 0; i < ARRAY_SIZE(buf); i++)
			check(buf[i], KEPT_FILE, off + i * 8, -1);
	}
}

int main(void)
{
	pid_t pid[NR_PROCESSES];
	uint64_t seed = number_from_env("RACE_SEED", time(NULL));
	long rounds = 0, failed = 0, mapped;
	uint64_t stream;
	int i;

	team_start(6);
	ksft_print_msg("RACE_SEED=%lu\n", seed);
	stream = seed | 1ULL << 40;
	restore_at_exit();
	swap_start();
	mapped = vmstat("thp_file_mapped");
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < NR_FILES; i++)
		fds[i] = huge_file(i ? "b" : "a", LEN, 0);
	fill_kept();
	fflush(stdout);
	for (i = 0; i < NR_PROCESSES; i++) {
		random_next(&stream);
		pid[i] = fork();
		if (!pid[i])
			_exit(run(i, stream));
	}
	usleep(1000 * race_ms(2000));
	shared->stop = true;
	for (i = 0; i < NR_PROCESSES; i++) {
		failed += child_status(pid[i]) != 0;
		rounds += shared->rounds[i];
	}
	ksft_print_msg("%ld rounds, %ld teams mapped by PMD\n", rounds,
		       vmstat("thp_file_mapped") - mapped);
	test_eq(failed, 0, "processes that failed");
	check_kept();
	test_eq(shared->wrong, 0, "words of another page, or another mapping");
	test_eq(shared->lost, 0, "words that got lost");
	test_min(vmstat("thp_file_mapped") - mapped, race_least(10), "mappings by PMD");
	/* Soft offlining has taken pages out of use. */
	unpoison_all();
	for (i = 0; i < NR_FILES; i++)
		if (ftruncate(fds[i], 0))
			ksft_exit_fail_perror("ftruncate");
	test_eq(teams(), 0, "teams left");
	test_eq(meminfo("ShmemPmdMapped:"), 0, "meminfo ShmemPmdMapped kB left");
	ksft_finished();
}
