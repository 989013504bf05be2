// SPDX-License-Identifier: GPL-2.0
/*
 * Nanoseconds that it takes to pin 64 MB and to unpin them, of huge and of small
 * pages, by calls for 1, 8 and 512 pages, as who unpins them page by page and as
 * who doesn't say so ("whole"); to fault them in; and to read them by direct I/O of
 * 1 MB each. Medians.
 */
#include "../../../../mm/gup_test.h"
#include "bench.h"
#include "mmtest.h"

#define NR	32
#define LEN	(NR * HPAGE_SIZE)
#define ROUNDS	11
#define IO	(1UL << 20)

#define FOLL_WRITE	1
#define FOLL_SUBPAGE	(1 << 13)

static long times[16][ROUNDS];
static const char *names[16];
static int nr_times;

static void note(int *at, const char *name, int round, long ns)
{
	names[*at] = name;
	times[(*at)++][round] = ns;
	nr_times = *at;
}

static void gup(char *p, int per_call, int flags, long *get, long *put)
{
	struct gup_test test = {
		.addr = (unsigned long)p, .size = LEN,
		.nr_pages_per_call = per_call, .gup_flags = FOLL_WRITE | flags,
	};
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, PIN_BASIC_TEST, &test) || test.size != LEN)
		ksft_exit_fail_perror("PIN_BASIC_TEST");
	close(fd);
	*get = test.get_delta_usec * 1000;
	*put = test.put_delta_usec * 1000;
}

static void direct(int *at, const char *name, int round, char *p)
{
	int fd = open("/dev/ram1", O_RDWR | O_DIRECT | O_CLOEXEC);
	long t = now_ns();
	size_t off;

	for (off = 0; off < LEN; off += IO)
		if (pread(fd, p + off, IO, off) != IO)
			ksft_exit_fail_perror("/dev/ram1");
	note(at, name, round, now_ns() - t);
	close(fd);
}

static void one_round(int r, bool huge)
{
	static const int per_call[] = { 1, 8, 512 };
	static const char * const gets[][6] = {
		{ "smallpin1", "smallpin8", "smallpin512",
		  "smallwhole1", "smallwhole8", "smallwhole512" },
		{ "hugepin1", "hugepin8", "hugepin512",
		  "hugewhole1", "hugewhole8", "hugewhole512" },
	};
	static const char * const puts[][6] = {
		{ "smallunpin1", "smallunpin8", "smallunpin512",
		  "smallunwhole1", "smallunwhole8", "smallunwhole512" },
		{ "hugeunpin1", "hugeunpin8", "hugeunpin512",
		  "hugeunwhole1", "hugeunwhole8", "hugeunwhole512" },
	};
	char *p = huge ? huge_area(NR) : small_area(NR);
	long t = now_ns(), get, put;
	int at = 0;
	size_t i;

	for (i = 0; i < LEN; i += PAGE_SIZE)
		*(volatile char *)(p + i) = 1;
	note(&at, huge ? "hugefault" : "smallfault", r, now_ns() - t);
	for (i = 0; i < 6; i++) {
		gup(p, per_call[i % 3], i < 3 ? FOLL_SUBPAGE : 0, &get, &put);
		note(&at, gets[huge][i], r, get);
		note(&at, puts[huge][i], r, put);
	}
	direct(&at, huge ? "hugedirect" : "smalldirect", r, p);
	area_free(p, NR);
}

int main(void)
{
	int i, huge;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (huge = 0; huge < 2; huge++) {
		for (i = 0; i < ROUNDS; i++)
			one_round(i, huge);
		for (i = 0; i < nr_times; i++)
			printf("%s_ns %ld\n", names[i], median(times[i], ROUNDS));
	}
	return 0;
}
