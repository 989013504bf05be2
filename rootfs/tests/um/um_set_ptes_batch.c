// SPDX-License-Identifier: GPL-2.0
/*
 * Many PTEs set at once map consecutive pages: 16 at a 64 kB fault, 512 at the
 * split of a PMD. (um's set_ptes() advanced the page frame by what was left to
 * do, not by one, so that from the third on they were others'.)
 */
#include "mmtest.h"

static bool check(const char *what, char *p, size_t len)
{
	bool ok = pfns_follow(p, len);

	test_true(ok, "%s: pfns follow one another", what);
	return ok;
}

int main(void)
{
	struct thp_settings set;
	size_t nr;
	char *p;
	int order;

	test_start(2 + 7);
	thp_save_settings();

	/* The wrong pages are other people's: look before writing to them. */
	p = huge_pages(1, 1);
	mprotect(p, PAGE_SIZE, PROT_READ);
	if (!check("PMD split", p, HPAGE_SIZE))
		ksft_exit_fail();
	test_data(p, 0, HPAGE_SIZE, 1, "PMD split: every byte");

	thp_read_settings(&set);
	for (order = 2; order <= 8; order++) {
		memset(set.hugepages, 0, sizeof(set.hugepages));
		set.thp_enabled = THP_NEVER;
		set.hugepages[order].enabled = THP_ALWAYS;
		thp_write_settings(&set);	/* exit restores */
		nr = 1UL << order;
		p = hole_area(1);
		mmap(p, HPAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		p[0] = 1;
		ksft_print_msg("folio of %zu pages\n", nr);
		if (!check("fault", p, nr * PAGE_SIZE))
			ksft_exit_fail();
		area_free(p, 1);
	}
	ksft_finished();
}
