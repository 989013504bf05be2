// SPDX-License-Identifier: GPL-2.0
/*
 * A HugeTLB page in which a page failed while it was pinned can't be taken apart.
 * It is declared good by its head, and not by a tail, whose struct page has no
 * mark and can't be written, though a fake head shows the mark of its head.
 */
#include "hugetlb.h"

static void fail_pinned(bool hvo, size_t bad)
{
	struct sigaction sa = { .sa_sigaction = poison_handler, .sa_flags = SA_SIGINFO };
	long kb = meminfo("HardwareCorrupted:"), map;
	unsigned long head;
	char *p;
	int pin;

	hvo_set(hvo);
	map = memmap_pages();
	pool_resize(2);
	p = hugetlb_pages(1, 1);
	pin = longterm_pin(p, HPAGE_SIZE);
	head = pfn_of(p);
	/* It says that the page is busy: it stays as it is, with a mark. */
	sigaction(SIGBUS, &sa, NULL);
	madvise(p + bad * PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON);
	area_free(p, 1);
	longterm_unpin(pin);
	ksft_print_msg("hugetlb_optimize_vmemmap = %d, page %zu failed\n", hvo, bad);
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_eq(count_pfns(head, HPAGE_NR, KPF_HUGE | KPF_HWPOISON), HPAGE_NR, "pages of one that failed");
	test_true(unpoison_memory(head + bad) < 0, "the tail doesn't make it good");
	test_eq(unpoison_memory(head), 0, "the head does");
	test_eq(count_pfns(head, HPAGE_NR, KPF_HWPOISON), 0, "pages that failed");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	pool_resize(0);
	pool_settle();
	test_eq(memmap_pages(), map, "pages of struct page");
}

int main(void)
{
	hvo_start(3 * 7);
	fail_pinned(true, 64);
	fail_pinned(true, 77);
	fail_pinned(false, 64);
	ksft_finished();
}
