// SPDX-License-Identifier: GPL-2.0
/*
 * One system call takes a page table away and puts a new one in its place: no
 * old page shows through. (um's pmd_populate() dropped the mark that pmd_clear()
 * had left for the next sync, so the host kept mapping the old pages.)
 */
#include "mmtest.h"

/* Move small pages at @s, the first one present, onto what fills @t. */
static void move_onto(const char *what, char *t)
{
	char *s = small_area(1);

	pattern_fill(s, 0, PAGE_SIZE, 2);
	if (mremap(s, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, t) != t)
		ksft_exit_fail_perror("mremap");
	test_data(t, 0, PAGE_SIZE, 2, "%s: the page that moved there", what);
	test_data(t, PAGE_SIZE, HPAGE_SIZE, 0, "%s: zeroes behind it", what);
	area_free(t, 1);
}

int main(void)
{
	char *t;

	test_plan(thp_available() ? 4 : 2);
	t = small_area(1);
	pattern_fill(t, 0, HPAGE_SIZE, 1);
	move_onto("small pages", t);

	if (thp_available()) {
		t = huge_pages(1, 1);
		move_onto("a huge page", t);
	}
	ksft_finished();
}
