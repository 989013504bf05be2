// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit asks the kernel about each of the 512 struct pages of each HugeTLB page,
 * optimized or not, free or in use, and of other pages: which is the head, which
 * are tails, which head they lead to, what a snapshot says, whether a reference
 * can be taken.
 */
#include "hugetlb.h"

#define NR	6

static long found, optimized, used, fake;

static bool ask(void)
{
	char info[256];
	bool ok = kunit_case("hugetlb_vmemmap", "struct_pages_of_hugetlb", info,
			     sizeof(info));

	found = optimized = used = fake = -1;
	sscanf(info, "%ld pages, %ld optimized, %ld in use, %ld fake heads",
	       &found, &optimized, &used, &fake);
	return ok;
}

#define test_asked(nr, nr_hvo, nr_used, what) do {			\
	bool __ok = ask();						\
									\
	ksft_test_result(__ok && found == (nr) &&			\
			 optimized == (nr_hvo) && used == (nr_used) &&	\
			 fake == (heads ? HVO_SAVED * (nr_hvo) : 0),	\
			 what ": %s # pages %ld, optimized %ld, in use %ld, fake heads %ld\n", \
			 __ok ? "as they should be" : "not as they should be", \
			 found, optimized, used, fake);			\
} while (0)

int main(void)
{
	bool heads = false;
	char info[256], *p;

	hvo_frames_start(9);
	test_asked(0, 0, 0, "no HugeTLB page");
	pool_resize(NR);
	p = hugetlb_pages(2, 1);
	test_asked(NR, 0, 2, "plain, some in use");
	area_free(p, 2);
	pool_resize(0);

	hvo_set(true);
	pool_resize(NR);
	heads = hvo_fake_heads();
	test_asked(NR, NR, 0, "optimized");
	p = hugetlb_pages(2, 2);
	test_asked(NR, NR, 2, "some in use");
	test_data(p, 0, 2 * HPAGE_SIZE, 2, "every byte of them");
	hvo_set(false);
	pool_resize(NR + 2);
	test_asked(NR + 2, NR, 2, "with some plain ones");
	test_true(kunit_case("hugetlb_vmemmap", "struct_pages_of_others", info,
			     sizeof(info)), "pages that aren't HugeTLB");
	area_free(p, 2);
	pool_resize(0);
	test_asked(0, 0, 0, "all freed");
	test_true(kunit_case("hugetlb_vmemmap", "struct_pages_of_others", info,
			     sizeof(info)), "pages that aren't HugeTLB");
	ksft_finished();
}
