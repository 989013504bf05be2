// SPDX-License-Identifier: GPL-2.0
/*
 * The frames that the struct pages of HugeTLB pages are in, as debugfs shows them:
 * eight of its own for a plain page, and for an optimized one its head's and
 * seven times one that can only be read: the same frame for all pages, or the
 * head's own.
 */
#include "hugetlb.h"

#define NR		4
#define NR_FRAMES	(HVO_SAVED + 1)

static struct hvo_page pages[NR + 1];

static size_t look(void)
{
	size_t i, j, nr = hvo_pages(pages, ARRAY_SIZE(pages));

	for (i = 0; i < nr; i++) {
		ksft_print_msg("pfn %lu%s:", pages[i].pfn,
			       pages[i].optimized ? ", optimized" : "");
		for (j = 0; j < NR_FRAMES; j++)
			printf(" %lu%s", pages[i].frame[j], pages[i].ro[j] ? "r" : "");
		printf("\n");
	}
	return nr;
}

/* How many different frames pages @from up to @to have, of those @first to @last */
static size_t frames(size_t from, size_t to, size_t first, size_t last)
{
	unsigned long seen[NR * NR_FRAMES];
	size_t i, j, k, nr = 0;

	for (i = from; i < to; i++) {
		for (j = first; j <= last; j++) {
			for (k = 0; k < nr && seen[k] != pages[i].frame[j]; k++)
				;
			if (k == nr)
				seen[nr++] = pages[i].frame[j];
		}
	}
	return nr;
}

static size_t read_only(size_t nr)
{
	size_t i, j, ro = 0;

	for (i = 0; i < nr; i++)
		for (j = 0; j < NR_FRAMES; j++)
			ro += pages[i].ro[j] && j;
	return ro;
}

/* Frames that aren't struct pages at all: in user space, or free */
static size_t strange(size_t nr)
{
	size_t i, j, n = 0;

	for (i = 0; i < nr; i++)
		for (j = 0; j < NR_FRAMES; j++)
			n += !!(kpageflags(pages[i].frame[j]) &
				(KPF_BUDDY | KPF_HUGE | KPF_BIT(11) | KPF_BIT(12)));
	return n;
}

static size_t optimized(size_t nr)
{
	size_t i, n = 0;

	for (i = 0; i < nr; i++)
		n += pages[i].optimized;
	return n;
}

int main(void)
{
	size_t i, nr, good;
	bool fake;
	char *p;

	hvo_frames_start(20);
	test_eq(look(), 0, "no HugeTLB page");

	pool_resize(NR);
	nr = look();
	test_eq(nr, NR, "HugeTLB pages");
	test_eq(optimized(nr), 0, "optimized");
	test_eq(frames(0, nr, 0, HVO_SAVED), NR * NR_FRAMES, "frames of struct pages");
	test_eq(read_only(nr), 0, "that can't be written");
	test_eq(strange(nr), 0, "that are something else");
	pool_resize(0);

	hvo_set(true);
	pool_resize(NR);
	p = hugetlb_pages(1, 1);
	nr = look();
	test_eq(nr, NR, "HugeTLB pages, one in use");
	for (i = 0, good = 0; i < nr; i++)
		good += pages[i].pfn % HPAGE_NR == 0 &&
			(!i || pages[i].pfn > pages[i - 1].pfn) &&
			(kpageflags(pages[i].pfn) & (KPF_HUGE | KPF_COMPOUND_HEAD)) ==
			(KPF_HUGE | KPF_COMPOUND_HEAD);
	test_eq(good, NR, "whose pfn is right");
	for (i = 0; i < nr && pages[i].pfn != pfn_of(p); i++)
		;
	test_true(i < nr, "the one in use is there");
	test_eq(optimized(nr), NR, "optimized");
	fake = hvo_fake_heads();
	test_eq(frames(0, nr, 0, 0), NR, "frames of heads");
	test_eq(read_only(nr), NR * HVO_SAVED, "vmemmap pages that can't be written");
	test_eq(pages[0].ro[0] + pages[NR - 1].ro[0], 0, "of heads");
	test_eq(frames(0, nr, 0, HVO_SAVED), fake ? NR : NR + 1, "frames in all");
	test_eq(frames(0, nr, 1, HVO_SAVED), fake ? NR : 1, "frames of the others (%s)",
		fake ? "fake heads" : "shared tail");
	test_eq(frames(0, 1, 0, HVO_SAVED), fake ? 1 : 2, "frames of the first HugeTLB page");
	test_eq(strange(nr), 0, "that are something else");

	/* Both kinds side by side */
	pool_resize(2);
	hvo_set(false);
	pool_resize(3);
	nr = look();
	test_eq(optimized(nr), 2, "optimized, of 3");
	test_eq(read_only(nr), 2 * HVO_SAVED, "vmemmap pages that can't be written");
	area_free(p, 1);
	pool_resize(0);
	test_eq(look(), 0, "no HugeTLB page");
	ksft_finished();
}
