/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of pinned huge pages share: which pages are pinned, as debugfs
 * says, and a pin as RDMA has it, through gup_test.
 */
#ifndef TAIL_H
#define TAIL_H

#include "../../../../mm/gup_test.h"
#include "mmtest.h"

#define SUBPAGE_PINS	"/sys/kernel/debug/subpage_pins"

/* Page @n of the test's huge page */
#define AT(n)		(p + (n) * PAGE_SIZE)

struct pins {
	int order;	/* of the folio that a page is in; -1 if that has no pins */
	int folio;	/* its pins, */
	int page;	/* those of the page, */
	int opaque;	/* and those that aren't any page's */
};

/* The pins of page @pfn; of all pages for ~0UL, then in .folio */
static inline struct pins pins_of_pfn(unsigned long pfn)
{
	struct pins pins = { .order = -1 };
	unsigned long head, first, last;
	int order, n, len, nr;
	char line[8192], *s;
	FILE *f = fopen(SUBPAGE_PINS, "re");

	if (!f)
		ksft_exit_fail_perror(SUBPAGE_PINS);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "pfn %lu order %d pins %d%n", &head, &order, &n, &len) != 3)
			ksft_exit_fail_msg(SUBPAGE_PINS ": %s", line);
		if (pfn == ~0UL) {
			pins.folio += n;
			continue;
		}
		if (pfn < head || pfn >= head + (1UL << order))
			continue;
		pins = (struct pins) { order, n, order ? 0 : n, 0 };
		s = line + len;
		if (sscanf(s, " of the folio %d%n", &pins.opaque, &len) == 1)
			s += len;
		if (strncmp(s, " subpages", 9))
			continue;
		for (s += 9; sscanf(s, " %lu%n", &first, &len) == 1;) {
			last = first;
			s += len;
			if (sscanf(s, "-%lu%n", &last, &len) == 1)
				s += len;
			if (sscanf(s, ":%d%n", &nr, &len) != 1)
				ksft_exit_fail_msg(SUBPAGE_PINS ": %s", line);
			s += len;
			if (pfn - head >= first && pfn - head <= last)
				pins.page = nr;
		}
	}
	fclose(f);
	return pins;
}

static inline struct pins pins_of(const void *p)
{
	return pins_of_pfn(pfn_of(p));
}

static inline int pins_all(void)
{
	return pins_of_pfn(~0UL).folio;
}

/* Pins of any page, taken by anybody, that haven't been given back */
static inline long pins_held(void)
{
	return vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
}

/* The page at @p, of a folio of @order, is pinned @page times, that in all @folio */
#define test_pins(p, want_order, want_folio, want_page, fmt, ...) do {	\
	struct pins __pins = pins_of(p);				\
									\
	ksft_test_result(__pins.order == (want_order) &&		\
			 __pins.folio == (want_folio) &&		\
			 __pins.page == (want_page),			\
			 fmt " # order %d, %d pins, of the page %d, want %d %d %d\n", \
			 ##__VA_ARGS__, __pins.order, __pins.folio,	\
			 __pins.page, want_order, want_folio, want_page); \
} while (0)

/* How many pins of its folio the page at @p shares with the others */
#define test_opaque(p, want, fmt, ...) \
	test_eq(pins_of(p).opaque, want, fmt, ##__VA_ARGS__)

static inline bool in_swap(const void *p)
{
	return pagemap(p) >> 62 & 1;
}

/* For test_start(): a test of pins that are counted for each page */
static inline void tail_start(unsigned int plan)
{
	test_start_with(plan, SUBPAGE_PINS, "pins of subpages");
}

static inline int gup_pin_flags(void *p, size_t len, unsigned int flags)
{
	struct pin_longterm_test args = {
		.addr = (unsigned long)p, .size = len,
		.flags = PIN_LONGTERM_TEST_FLAG_USE_WRITE | flags,
	};
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, PIN_LONGTERM_TEST_START, &args))
		ksft_exit_fail_perror("PIN_LONGTERM_TEST_START");
	return fd;
}

/* Pin the range for long; end it with gup_unpin() */
static inline int gup_pin(void *p, size_t len)
{
	return gup_pin_flags(p, len, 0);
}

/* The same as who has never heard of pins of single pages, RDMA for instance */
static inline int gup_pin_opaque(void *p, size_t len)
{
	return gup_pin_flags(p, len, PIN_LONGTERM_TEST_FLAG_OPAQUE);
}

/* What is in the pinned pages, wherever they are mapped now */
static inline void gup_read(int fd, void *buf)
{
	uint64_t addr = (uintptr_t)buf;

	if (ioctl(fd, PIN_LONGTERM_TEST_READ, &addr))
		ksft_exit_fail_perror("PIN_LONGTERM_TEST_READ");
}

static inline void gup_unpin(int fd)
{
	if (ioctl(fd, PIN_LONGTERM_TEST_STOP))
		ksft_exit_fail_perror("PIN_LONGTERM_TEST_STOP");
	close(fd);
}

/*
 * MADV_COLD of one page of a huge page wants to split it. It says nothing if it
 * can't, and gives up if somebody has the folio locked just then: try again.
 */
static inline void madvise_cold(char *at)
{
	long split = vmstat("thp_split_page"), failed = vmstat("thp_split_page_failed");
	int tries;

	for (tries = 0; tries < 3; tries++) {
		madvise(at, PAGE_SIZE, MADV_COLD);
		if (vmstat("thp_split_page") != split ||
		    vmstat("thp_split_page_failed") != failed)
			break;
		usleep(10000);
	}
}

#endif /* TAIL_H */
