// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a team that is mapped by PMD are pinned, each by references of its
 * own, none on the first page for the others: what page_ref's tracepoints see.
 * O_DIRECT and vmsplice() through such a mapping move the right bytes, and what
 * is pinned outlives its place in the file.
 */
#include "team.h"

#define EVENT	TRACING "events/page_ref/page_ref_mod/"
#define FAST_EVENT	TRACING "events/page_ref/page_ref_mod_unless/"
#define DEVICE	"/dev/ram1"
#define BIAS	1024	/* GUP_PIN_COUNTING_BIAS */

static unsigned int pins[HPAGE_NR];	/* of each page of the team */
static unsigned int others;		/* of other pages */

/*
 * Trace what adds @val to the references of a page. GUP-fast takes the first one by
 * another function, and the rest of a pin's by the same.
 */
static void trace_start(int val)
{
	char filter[64];

	snprintf(filter, sizeof(filter), "val == %d || val == %d", val,
		 val == 1 ? 1 : val - 1);
	trace_clear();
	if (!file_write(EVENT "filter", filter) || !file_write(EVENT "enable", "1") ||
	    !file_write(FAST_EVENT "filter", "val == 1") ||
	    !file_write(FAST_EVENT "enable", val == 1 ? "1" : "0"))
		ksft_exit_fail_perror(EVENT);
}

/* How many of the pages have been pinned so often */
static int pinned(unsigned int times)
{
	int i, n = 0;

	for (i = 0; i < HPAGE_NR; i++)
		n += pins[i] == times;
	return n;
}

static void trace_stop(unsigned long pfn)
{
	unsigned long at;
	char line[512];
	FILE *f;

	file_write(EVENT "enable", "0");
	file_write(FAST_EVENT "enable", "0");
	file_write(FAST_EVENT "filter", "0");
	file_write(EVENT "filter", "0");
	memset(pins, 0, sizeof(pins));
	others = 0;
	f = fopen(TRACING "trace", "re");
	if (!f)
		ksft_exit_fail_perror(TRACING "trace");
	while (fgets(line, sizeof(line), f)) {
		char *s = strstr(line, ": pfn=0x");

		if (!s || sscanf(s, ": pfn=%lx", &at) != 1)
			continue;
		if (at >= pfn && at < pfn + HPAGE_NR)
			pins[at - pfn]++;
		else
			others++;
	}
	fclose(f);
	ksft_print_msg("pins of the team's pages: %d none, %d one, %d two, others %u, of page 300 %u\n",
		       pinned(0), pinned(1), pinned(2), others, pins[300]);
}

int main(void)
{
	size_t off = 300 * PAGE_SIZE;
	unsigned long pfn;
	struct iovec from, to;
	char *p, *q, *copy;
	int fd, dev, out[2];

	team_start(16);
	fd = huge_file("file", HPAGE_SIZE, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	FORCE_READ(*p);
	pfn = pfn_of(p);
	test_team(pfn, 512, 1, "mapped");

	/* process_vm_readv() pins what it reads, 16 pages at a time. */
	copy = small_pages(1, 9);
	from = (struct iovec){ p, HPAGE_SIZE };
	to = (struct iovec){ copy, HPAGE_SIZE };
	trace_start(BIAS);
	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != HPAGE_SIZE)
		ksft_exit_fail_perror("process_vm_readv");
	trace_stop(pfn);
	test_eq(pinned(1), HPAGE_NR, "pages pinned once");
	test_data(copy, 0, HPAGE_SIZE, 1, "what was read");

	from = (struct iovec){ p + off, PAGE_SIZE };
	to = (struct iovec){ copy, PAGE_SIZE };
	trace_start(BIAS);
	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != PAGE_SIZE)
		ksft_exit_fail_perror("process_vm_readv");
	trace_stop(pfn);
	test_true(pins[300] == 1 && pinned(0) == HPAGE_NR - 1,
		  "one page is read: one pin of that page");
	test_team(pfn, 512, 1, "still mapped");

	/* O_DIRECT out of a team and into one, at an odd offset */
	dev = open(DEVICE, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (dev < 0)
		ksft_exit_fail_perror(DEVICE);
	trace_start(BIAS);
	if (pwrite(dev, p, HPAGE_SIZE, 0) != HPAGE_SIZE)
		ksft_exit_fail_perror("O_DIRECT write");
	trace_stop(pfn);
	test_eq(pinned(1), HPAGE_NR, "O_DIRECT write: pages pinned once");
	q = map_file(huge_file("other", 2 * HPAGE_SIZE, 2), 2 * HPAGE_SIZE,
		     MAP_SHARED);
	FORCE_READ(q[0]);
	FORCE_READ(q[HPAGE_SIZE]);
	trace_start(BIAS);
	if (pread(dev, q + off, HPAGE_SIZE, 0) != HPAGE_SIZE)
		ksft_exit_fail_perror("O_DIRECT read");
	trace_stop(pfn_of(q));
	test_eq(pinned(1), HPAGE_NR - 300, "O_DIRECT read: pages of the first team pinned");
	test_smaps(q, 2 * HPAGE_SIZE, "ShmemPmdMapped", 2 * HPAGE_KB);
	memcpy(copy, q + off, HPAGE_SIZE);
	test_data(copy, 0, HPAGE_SIZE, 1, "what was read");
	test_data(q, 0, off, 2, "bytes before it");
	test_data(q, off + HPAGE_SIZE, 2 * HPAGE_SIZE, 2, "bytes behind it");
	close(dev);

	/* A pipe has a reference of the page, which outlives its mapping. */
	if (pipe(out))
		ksft_exit_fail_perror("pipe");
	from = (struct iovec){ p + off, 4 * PAGE_SIZE };
	trace_start(1);
	if (vmsplice(out[1], &from, 1, 0) != 4 * PAGE_SIZE)
		ksft_exit_fail_perror("vmsplice");
	trace_stop(pfn);
	test_true(pins[300] == 1 && pins[301] == 1 && pins[302] == 1 &&
		  pins[303] == 1 && pinned(0) == HPAGE_NR - 4,
		  "vmsplice: one reference of each of its pages");
	test_team(pfn, 512, 1, "spliced");
	punch(fd, 0, HPAGE_SIZE);
	test_team(pfn, 0, 0, "punched");
	test_data(p, 0, HPAGE_SIZE, 0, "zeroes in the file");
	/* Take what was freed, so that it would show. */
	small_pages(16, 7);
	pattern_fill(copy, 0, HPAGE_SIZE, 1);
	q = small_area(1);
	if (read(out[0], q, 4 * PAGE_SIZE) != 4 * PAGE_SIZE)
		ksft_exit_fail_perror("read");
	test_true(!memcmp(q, copy + off, 4 * PAGE_SIZE), "the pipe has the bytes");
	ksft_finished();
}
