// SPDX-License-Identifier: GPL-2.0
/*
 * Memory whose neighbours are far apart needs a mapping of the host for each
 * page, and the host has a limit (vm.max_map_count, 65530 by default). A process
 * with 300,000 such pages goes on all the same, and so does its child: the host
 * forgets what it had mapped, huge pages as well, and maps it again when it is
 * used. No page is taken for another, and none stays behind. So it is for threads.
 */
#include "threads.h"

#define DROPS		"/sys/kernel/debug/um/tlb_drops"
#define FILE_PAGES	8192UL
#define NR_MAPS		37UL
#define NR		(FILE_PAGES * NR_MAPS)		/* 303104 */
#define MAP_LEN		(FILE_PAGES * PAGE_SIZE)
/* Odd, so that its multiples modulo FILE_PAGES are all pages */
#define STRIDE		2973UL
/* A prime that doesn't divide NR, so that its multiples modulo NR are all */
#define NR_STRIDE	100003UL
#define NR_SCATTERED	6000UL

static unsigned long pfn[FILE_PAGES];
static char *p, *huge;

/* The word of page @i that tells it from all others of the file */
static volatile uint64_t *word(size_t i)
{
	return (uint64_t *)(p + i * PAGE_SIZE) + i % FILE_PAGES % 512;
}

static uint64_t value(size_t i)
{
	return (i % FILE_PAGES + 1) * 0x9e3779b97f4a7c15ULL;
}

static int child(void *arg)
{
	size_t i, bad = 0;

	/* Far more at once than the host takes */
	if (madvise(p, NR * PAGE_SIZE, MADV_POPULATE_READ))
		return 2;
	for (i = 0; i < NR_SCATTERED; i++)
		bad += *word(i) != value(i);
	if (bad)
		return 1;
	if (pattern_find_bad(huge, 0, HPAGE_SIZE, 1) >= 0)
		return 3;
	/* The parent is to see this. */
	*word(NR - 1) = 1;
	return 0;
}

/* Every other page of the first half */
static void *read_pages(void *arg)
{
	size_t i, bad = 0;

	for (i = (long)arg; i < NR / 2; i += 2)
		bad += *word(i) != value(i);
	return (void *)bad;
}

int main(void)
{
	size_t i, page, bad, breaks;
	void *bad_of_thread[2];
	pthread_t thread[2];
	long drops, after;
	uint64_t val;
	int fd;

	ksft_print_header();
	if (access(DROPS, F_OK))
		ksft_exit_skip("no " DROPS " in this kernel\n");
	ksft_set_plan(14);
	drops = file_number(DROPS, NULL);

	/* Neighbours in the file are allocated at different times. */
	fd = memfd_create("scattered", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, MAP_LEN))
		ksft_exit_fail_perror("memfd_create");
	for (i = 0; i < FILE_PAGES; i++) {
		page = i * STRIDE % FILE_PAGES;
		val = value(page);
		if (pwrite(fd, &val, 8, page * PAGE_SIZE + page % 512 * 8) != 8)
			ksft_exit_fail_perror("pwrite");
	}
	p = hole_area(NR_MAPS * MAP_LEN / HPAGE_SIZE);
	for (i = 0; i < NR_MAPS; i++)
		if (mmap(p + i * MAP_LEN, MAP_LEN, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			ksft_exit_fail_perror("mmap");

	if (thp_available()) {
		huge = huge_pages(1, 1);
	} else {
		huge = small_pages(1, 1);
	}

	for (i = 0, bad = 0; i < NR; i++)
		bad += *word(i) != value(i);
	test_eq(bad, 0, "pages of %lu that are wrong, one after the other", NR);
	pfns_of(p, pfn, FILE_PAGES);
	for (i = 1, breaks = 1; i < FILE_PAGES; i++)
		breaks += pfn[i] != pfn[i - 1] + 1;
	test_min(breaks * NR_MAPS, 300000, "mappings that this takes");
	for (i = 0, page = 0, bad = 0; i < NR_SCATTERED; i++) {
		bad += *word(page) != value(page);
		page = (page + NR_STRIDE) % NR;
	}
	test_eq(bad, 0, "pages of %lu that are wrong, far apart", NR_SCATTERED);
	test_data(huge, 0, HPAGE_SIZE, 1, "bytes of a huge page");
	after = file_number(DROPS, NULL);
	if (after > drops)
		test_min(after - drops, NR / (1 << 16), "times that the host was full");
	else
		ksft_test_result_skip("the host took all %lu mappings\n", NR);

	after = file_number(DROPS, NULL);
	for (i = 0; i < 2; i++)
		thread[i] = thread_start(read_pages, (void *)i);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], &bad_of_thread[i]);
	test_eq((long)bad_of_thread[0] + (long)bad_of_thread[1], 0,
		"pages of %lu that are wrong for two threads", NR / 2);
	if (after > drops)
		test_min(file_number(DROPS, NULL) - after, 1, "times that the host was full");
	else
		ksft_test_result_skip("the host took all %lu mappings\n", NR);

	test_eq(in_child(child, NULL), 0, "a child sees the same");
	test_eq(*word(NR - 1), 1, "what it wrote");
	*word(NR - 1) = value(NR - 1);

	/* What is taken away isn't there because the host missed it. */
	munmap(p + 18 * MAP_LEN, MAP_LEN);
	for (i = 0, bad = 0; i < FILE_PAGES; i += 61)
		bad += access_signal(p + 18 * MAP_LEN + i * PAGE_SIZE, i % 2) != SIGSEGV;
	test_eq(bad, 0, "pages without a SIGSEGV after munmap()");
	mprotect(p + 36 * MAP_LEN, MAP_LEN, PROT_READ);
	for (i = 0, bad = 0; i < FILE_PAGES; i += 61)
		bad += access_signal(p + 36 * MAP_LEN + i * PAGE_SIZE, true) != SIGSEGV;
	test_eq(bad, 0, "pages without a SIGSEGV for a write after mprotect()");
	for (i = 36 * FILE_PAGES, bad = 0; i < NR; i++)
		bad += *word(i) != value(i);
	test_eq(bad, 0, "pages there that are wrong");
	for (i = 0, bad = 0; i < FILE_PAGES; i++) {
		*word(i) = ~value(i);
		bad += *word(i + 17 * FILE_PAGES) != ~value(i);
	}
	test_eq(bad, 0, "pages where one mapping misses what another wrote");
	munmap(p, NR_MAPS * MAP_LEN);
	test_eq(access_signal(p + 7 * MAP_LEN, false), SIGSEGV, "signal after munmap() of all");
	ksft_finished();
}
