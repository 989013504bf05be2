// SPDX-License-Identifier: GPL-2.0
/*
 * A hole punched into a file of HugeTLB pages that two processes have mapped:
 * whole pages go back to the pool, both find zeroes in them and in the bytes of
 * those that the hole covers only in part, and they share what is there next.
 */
#include <sys/stat.h>

#include "hugetlb.h"

#define NR	4
#define LEN	(NR * HPAGE_SIZE)
/* From inside page 0 over pages 1 and 2 into page 3 */
#define FROM	(HPAGE_SIZE - 3 * PAGE_SIZE)
#define TO	(3 * HPAGE_SIZE + 5 * PAGE_SIZE)
#define WORD	(HPAGE_SIZE + 300 * PAGE_SIZE)

static char *p;

static int child(void)
{
	volatile uint64_t *word = (uint64_t *)(p + WORD);

	if (pattern_find_bad(p, 0, LEN, 1) >= 0)
		return 1;
	turn_over();
	if (pattern_find_bad(p, FROM, TO, 0) >= 0)
		return 3;
	if (pattern_find_bad(p, 0, FROM, 1) >= 0 ||
	    pattern_find_bad(p, TO, LEN, 1) >= 0)
		return 4;
	*word = 1234;
	turn_over();
	return *word == 5678 ? 0 : 6;
}

int main(void)
{
	int fd;
	struct stat st;
	pid_t pid;

	hugetlb_start(19, NR + 1);
	fd = hugetlb_file(NR);
	p = map_file(fd, LEN, MAP_SHARED);
	test_pool(5, 5, 4, 0, "a file of 4 pages is mapped");
	pattern_fill(p, 0, LEN, 1);
	test_pool(5, 1, 0, 0, "and written");
	pid = turns_start(child);

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FROM,
		      TO - FROM))
		ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
	fstat(fd, &st);
	test_eq(st.st_blocks / 2, 2 * HPAGE_KB, "kB in the file");
	test_pool(5, 3, 0, 0, "both whole pages are free");
	test_true(!PAGEMAP_PRESENT(pagemap(p + HPAGE_SIZE)) &&
		  !PAGEMAP_PRESENT(pagemap(p + 2 * HPAGE_SIZE)), "and unmapped");
	test_data(p, 0, FROM, 1, "bytes before the hole");
	test_data(p, TO, LEN, 1, "bytes behind it");
	test_data(p, FROM, HPAGE_SIZE, 0, "zeroes in the page that it begins in");
	test_data(p, 3 * HPAGE_SIZE, TO, 0, "zeroes in the page that it ends in");
	test_pool(5, 3, 0, 0, "nothing was read in between");
	test_data(p, HPAGE_SIZE, 3 * HPAGE_SIZE, 0, "zeroes in between");
	test_pool(5, 1, 0, 0, "for them pages were taken");

	/* The child is not to see what it has mapped before. */
	turn_over();
	test_eq(*(volatile uint64_t *)(p + WORD), 1234, "what the child writes into the hole");
	*(volatile uint64_t *)(p + WORD) = 5678;
	turns_end();
	test_eq(child_status(pid), 0, "the child saw the hole and the answer");
	test_hugetlb(p, NR, "each is 512 pages of one HugeTLB page");
	pattern_fill(p, 0, LEN, 2);
	test_data(p, 0, LEN, 2, "all can be written again");

	/* The same through the address space */
	test_eq(madvise(p, HPAGE_SIZE, MADV_REMOVE), 0, "MADV_REMOVE of the first page");
	test_pool(5, 2, 0, 0, "it is free");
	area_free(p, NR);
	close(fd);
	test_pool(5, 5, 0, 0, "the end of the file");
	ksft_finished();
}
