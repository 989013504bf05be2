// SPDX-License-Identifier: GPL-2.0
/*
 * What the freeing of empty PTE page tables costs and gives: nanoseconds that
 * 64 MB of small pages take, medians, then VmPTE in the case of the posting.
 */
#include "pte_ref.h"

#define NR	32
#define LEN	(NR * HPAGE_SIZE)
#define SPARSE	512UL
#define ROUNDS	7
#define CASE	(50UL << 30)

enum { FAULT, FORK, MREMAP, DONTNEED, MUNMAP, SPARSE_FAULT, SPARSE_DONTNEED, NR_TIMES };
static const char * const names[] = {
	"fault", "fork", "mremap", "dontneed", "munmap", "sparsefault", "sparsedontneed",
};

static long times[NR_TIMES][ROUNDS];

static int nothing(void *arg)
{
	return 0;
}

static void touch(char *p, size_t len, size_t step)
{
	size_t off;

	for (off = 0; off < len; off += step)
		*(volatile char *)(p + off) = 1;
}

/* The time since @from, which becomes now */
static long lap(long *from)
{
	long now = now_ns(), t = now - *from;

	*from = now;
	return t;
}

static void one_round(int r)
{
	char *p = small_area(NR), *to = hole_area(NR);
	long t = now_ns();

	touch(p, LEN, PAGE_SIZE);
	times[FAULT][r] = lap(&t);
	in_child(nothing, NULL);
	times[FORK][r] = lap(&t);
	if (mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		ksft_exit_fail_perror("mremap");
	times[MREMAP][r] = lap(&t);
	madvise(to, LEN, MADV_DONTNEED);
	times[DONTNEED][r] = lap(&t);
	touch(to, LEN, PAGE_SIZE);
	lap(&t);
	munmap(to, LEN);
	times[MUNMAP][r] = lap(&t);

	p = hole_area(SPARSE);
	if (mmap(p, SPARSE * HPAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != p)
		ksft_exit_fail_perror("mmap");
	madvise(p, SPARSE * HPAGE_SIZE, MADV_NOHUGEPAGE);
	lap(&t);
	touch(p, SPARSE * HPAGE_SIZE, HPAGE_SIZE);
	times[SPARSE_FAULT][r] = lap(&t);
	madvise(p, SPARSE * HPAGE_SIZE, MADV_DONTNEED);
	times[SPARSE_DONTNEED][r] = lap(&t);
	area_free(p, SPARSE);
	usleep(200000);		/* what the worker does is not part of the next */
}

/* kB of what the kernel may allocate beside the page tables */
static long beside(void)
{
	return file_number("/proc/meminfo", "Slab:") +
	       file_number("/proc/meminfo", "Percpu:");
}

/* VmPTE with 50 GB, before and a second after they were given back */
static void the_case(size_t step)
{
	char *p = mmap(NULL, CASE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const char *how = step == CASE ? "once" : "pieces";
	long kb = beside();
	size_t off;

	if (p == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	madvise(p, CASE, MADV_NOHUGEPAGE);
	touch(p, CASE, HPAGE_SIZE);
	printf("%s_before_kb %ld\n", how, vmpte());
	printf("%s_beside_bytes %ld\n", how, (beside() - kb) * 1024 / (CASE / HPAGE_SIZE));
	for (off = 0; off < CASE; off += step)
		madvise(p + off, step == CASE ? CASE : PAGE_SIZE, MADV_DONTNEED);
	sleep(1);
	printf("%s_after_kb %ld\n", how, vmpte());
	munmap(p, CASE);
}

int main(void)
{
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < ROUNDS; i++)
		one_round(i);
	for (i = 0; i < NR_TIMES; i++)
		printf("%s_ns %ld\n", names[i], median(times[i], ROUNDS));
	the_case(CASE);
	the_case(HPAGE_SIZE);
	return 0;
}
