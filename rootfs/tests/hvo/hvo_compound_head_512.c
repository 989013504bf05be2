// SPDX-License-Identifier: GPL-2.0
/*
 * Each of the 512 struct pages of a HugeTLB page leads to its head, also where
 * 448 of them are the same memory: in /proc/kpageflags and kpagecount, and in
 * get_user_pages(), which counts references and pins of each in the head. The
 * counts are exact, and those of an optimized page are those of any.
 */
#include "hugetlb.h"
#include "../../../../mm/gup_test.h"

#define NR_DUMP	GUP_TEST_MAX_PAGES_TO_DUMP

/* What dump_page() says about a page */
struct dump {
	unsigned long pfn;
	int refcount, order, mapcount, pincount;
};

static int kmsg, gup;

/* What the page_ref tracepoints saw of a huge page */
struct trace {
	long taken, dropped, last;	/* references to the head */
	long elsewhere;			/* events of a tail */
};

static void trace_stop(void)
{
	file_write(TRACING "events/page_ref/enable", "0");
	file_write(TRACING "events/page_ref/filter", "0");
	trace_clear();
}

static void trace_start(unsigned long head)
{
	char filter[64];

	snprintf(filter, sizeof(filter), "pfn >= %lu && pfn < %lu", head,
		 head + HPAGE_NR);
	trace_clear();
	if (!file_write(TRACING "events/page_ref/filter", filter) ||
	    !file_write(TRACING "events/page_ref/enable", "1"))
		ksft_exit_fail_perror(TRACING "events/page_ref");
}

static struct trace trace_read(unsigned long head)
{
	char line[512], *pfn, *count, *val;
	struct trace t = { 0 };
	FILE *f;
	long n;

	file_write(TRACING "events/page_ref/enable", "0");
	f = fopen(TRACING "trace", "r");
	while (f && fgets(line, sizeof(line), f)) {
		pfn = strstr(line, " pfn=");
		count = strstr(line, " count=");
		val = strstr(line, " val=");
		if (!pfn || !count || !val)
			continue;
		n = atol(val + 5);
		if (strtoul(pfn + 5, NULL, 16) != head) {
			t.elsewhere++;
			continue;
		}
		if (n > 0)
			t.taken += n;
		else
			t.dropped -= n;
		t.last = atol(count + 7);
	}
	if (f)
		fclose(f);
	trace_stop();
	return t;
}

static void test_trace(unsigned long head, const char *what)
{
	struct trace t = trace_read(head);

	ksft_test_result(t.taken == HPAGE_NR && t.dropped == HPAGE_NR &&
			 t.last == 1 && !t.elsewhere,
			 "%s: references to the head taken # %ld, dropped %ld, left %ld, to tails %ld\n",
			 what, t.taken, t.dropped, t.last, t.elsewhere);
}

/* Pin @nr pages and unpin them; the kernel warns of one that isn't then. */
static bool pin_pages(char *p, size_t nr)
{
	struct gup_test test = {
		.addr = (unsigned long)p, .size = nr * PAGE_SIZE,
		.nr_pages_per_call = nr,
		.gup_flags = 1,	/* FOLL_WRITE */
	};

	return !ioctl(gup, PIN_BASIC_TEST, &test) && test.size == nr * PAGE_SIZE;
}

/* Take @nr pages, dump some (numbers from 1) meanwhile; returns how many */
static int dump_pages(char *p, size_t nr, bool pin, const unsigned int *which,
		      struct dump *d)
{
	struct gup_test test = {
		.addr = (unsigned long)p, .size = nr * PAGE_SIZE,
		.nr_pages_per_call = nr,
		.gup_flags = 1,	/* FOLL_WRITE */
		.test_flags = pin ? GUP_TEST_FLAG_DUMP_PAGES_USE_PIN : 0,
	};
	char rec[4096], *text;
	int mapcount, n = 0;
	ssize_t len;

	memcpy(test.which_pages, which, sizeof(test.which_pages));
	lseek(kmsg, 0, SEEK_END);
	if (ioctl(gup, DUMP_USER_PAGES_TEST, &test))
		ksft_exit_fail_perror("DUMP_USER_PAGES_TEST");
	while ((len = read(kmsg, rec, sizeof(rec) - 1)) > 0) {
		rec[len] = '\0';
		text = strchr(rec, ';') + 1;
		if (sscanf(text, "page: refcount:%d mapcount:%d", &d->refcount,
			   &mapcount) == 2 && strstr(text, " pfn:")) {
			d->pfn = strtoul(strstr(text, " pfn:") + 5, NULL, 16);
			d->order = d->mapcount = d->pincount = -1;
		} else if (sscanf(text, "head: order:%d mapcount:%d",
				  &d->order, &d->mapcount) == 2 &&
			   strstr(text, " pincount:")) {
			d->pincount = atoi(strstr(text, " pincount:") + 10);
			n++;
			if (n == NR_DUMP)
				break;
			d++;
		} else if (strstr(text, "does not match folio")) {
			ksft_print_msg("%s", text);
			return -1;
		}
	}
	return n;
}

/* The references to a huge page that is mapped once, by nobody else */
static void test_idle(char *p, const char *when)
{
	static const unsigned int which[NR_DUMP] = { 1 };
	struct dump d = { 0 };

	if (dump_pages(p + 300 * PAGE_SIZE, 1, false, which, &d) != 1)
		ksft_exit_fail_msg("the kernel dumped no page\n");
	ksft_test_result(d.refcount == 2 && d.pincount == 0 && d.mapcount == 1,
			 "%s: references of the mapping and of the look # %d, pins %d, mapped %d\n",
			 when, d.refcount, d.pincount, d.mapcount);
}

static void look_at(bool hvo)
{
	/* The borders of the 4 KB that hold their struct pages, and others */
	static const unsigned int which[NR_DUMP] = {
		1, 64, 65, 128, 256, 257, 449, 512
	};
	unsigned long head;
	uint64_t flags[HPAGE_NR];
	struct iovec local, remote;
	struct dump d[NR_DUMP];
	size_t i, good = 0, bad = 0;
	char *p, *buf;
	long before;

	hvo_set(hvo);
	before = memmap_pages();
	pool_resize(1);
	ksft_print_msg("hugetlb_optimize_vmemmap = %d\n", hvo);
	test_eq(before - memmap_pages(), hvo ? HVO_SAVED : 0, "pages of struct page saved");
	p = hugetlb_pages(1, 1);
	head = pfn_of(p);

	test_hugetlb(p, 1, "512 pages in a row are of one HugeTLB page");
	test_true(kpageflags(head) & KPF_COMPOUND_HEAD, "the first is its head");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_COMPOUND_TAIL), HPAGE_NR - 1, "tails");
	test_eq(count_flagged(p, HPAGE_SIZE, KPF_HUGE | KPF_BIT(12) | KPF_BIT(11)),
		HPAGE_NR, "flags of the head's (anonymous, mapped) in each");
	test_eq(count_mapped(p, HPAGE_SIZE, 1), HPAGE_NR, "mapped once");

	test_idle(p, "before");
	if (dump_pages(p, HPAGE_NR, true, which, d) == NR_DUMP)
		for (i = 0, good = 0; i < NR_DUMP; i++)
			good += d[i].pfn == head + which[i] - 1 &&
				d[i].order == 9 && d[i].mapcount == 1 &&
				d[i].refcount == 1 + HPAGE_NR &&
				d[i].pincount == HPAGE_NR;
	test_eq(good, NR_DUMP, "all pinned: pages that see 513 references and 512 pins");
	test_idle(p, "after");

	trace_start(head);
	good = pin_pages(p, HPAGE_NR);
	test_trace(head, "all pinned at once");
	trace_start(head);
	for (i = 0; i < HPAGE_NR; i++)
		good += pin_pages(p + i * PAGE_SIZE, 1);
	test_trace(head, "one after the other");
	test_eq(good, 1 + HPAGE_NR, "pins that worked");
	buf = small_area(1);
	for (i = 0; i < HPAGE_NR; i++) {
		local = (struct iovec){ buf + i * PAGE_SIZE, PAGE_SIZE };
		remote = (struct iovec){ p + i * PAGE_SIZE, PAGE_SIZE };
		bad += process_vm_readv(getpid(), &local, 1, &remote, 1, 0) !=
		       PAGE_SIZE;
	}
	test_eq(bad, 0, "pages that process_vm_readv() can't read");
	test_data(buf, 0, HPAGE_SIZE, 1, "bytes that it read");
	test_data(p, 0, HPAGE_SIZE, 1, "every byte");
	test_idle(p, "at last");
	area_free(buf, 1);
	area_free(p, 1);
	test_pool(1, 1, 0, 0, "munmap()");
	test_eq(kpageflags(head + 400) & (KPF_HUGE | KPF_BIT(11)), KPF_HUGE, "in the pool: unmapped");
	pool_resize(0);
	kpageflags_read(head, flags, HPAGE_NR);
	for (i = 0, bad = 0; i < HPAGE_NR; i++)
		bad += flags[i] & KPF_HUGE || kpf_bare_folio(flags[i]);
	test_eq(bad, 0, "freed: pages that still look like a part of it");
}

int main(void)
{
	hvo_start(2 * 19);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	gup = open("/sys/kernel/debug/gup_test", O_RDWR);
	if (kmsg < 0 || gup < 0)
		ksft_exit_fail_perror("/dev/kmsg, /sys/kernel/debug/gup_test");
	atexit(trace_stop);
	look_at(true);
	look_at(false);
	ksft_finished();
}
