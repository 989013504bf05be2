// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_COLLAPSE makes a huge page at once: of small pages, of a huge page that
 * was split, of pages that a child shares.
 */
#include "mmtest.h"

static char *p;

static int child(void *arg)
{
	if (madvise(p, HPAGE_SIZE, MADV_COLLAPSE))
		return 1;
	if (smaps_kb(p, HPAGE_SIZE, "AnonHugePages") != HPAGE_KB)
		return 2;
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 3) >= 0)
		return 3;
	pattern_fill(p, 0, HPAGE_SIZE, 4);
	return pattern_find_bad(p, 0, HPAGE_SIZE, 4) >= 0 ? 4 : 0;
}

int main(void)
{
	long collapse;

	test_start(15);
	p = small_pages(1, 1);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	/* It ignores "enabled", not MADV_NOHUGEPAGE. */
	test_true(madvise(p, HPAGE_SIZE, MADV_COLLAPSE) && errno == EINVAL,
		  "MADV_NOHUGEPAGE forbids it");
	madvise(p, HPAGE_SIZE, MADV_HUGEPAGE);
	collapse = vmstat("thp_collapse_alloc");
	test_eq(madvise(p, HPAGE_SIZE, MADV_COLLAPSE), 0, "MADV_COLLAPSE");
	test_vmstat("thp_collapse_alloc", collapse, 1);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(p, 0, HPAGE_SIZE, 1, "every byte of small pages");

	/* Split it, lose a part, collapse what is left */
	madvise(p + 100 * PAGE_SIZE, 50 * PAGE_SIZE, MADV_DONTNEED);
	pattern_fill(p, 0, 10 * PAGE_SIZE, 2);
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", 0);
	test_eq(madvise(p, HPAGE_SIZE, MADV_COLLAPSE), 0, "MADV_COLLAPSE of a split one");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	test_data(p, 0, 10 * PAGE_SIZE, 2, "bytes written after the split");
	test_data(p, 10 * PAGE_SIZE, 100 * PAGE_SIZE, 1, "bytes from before");
	test_data(p, 100 * PAGE_SIZE, 150 * PAGE_SIZE, 0, "zeroes in the hole");
	test_data(p, 150 * PAGE_SIZE, HPAGE_SIZE, 1, "bytes behind it");

	/* A child collapses what it shares with its parent */
	madvise(p, PAGE_SIZE, MADV_DONTNEED);
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	test_eq(in_child(child, NULL), 0, "a child collapses shared pages, writes its own");
	test_data(p, 0, HPAGE_SIZE, 3, "the parent's bytes");
	ksft_finished();
}
