// SPDX-License-Identifier: GPL-2.0
/*
 * A file with teams is read, written, mapped, truncated, punched, preallocated
 * and swapped at random, in the manner of fsx, and compared with a model in
 * ordinary memory. FSX_OPS says how many operations, FSX_SEED repeats a run.
 */
#include <time.h>

#include "team.h"

#define NR	4
#define MAX	(NR * HPAGE_SIZE)
#define WHOLE	1000	/* compare the whole file once in so many operations */

static uint64_t state;
static char *model, *p, *buf;
static size_t size;
static int fd;
static unsigned long ops, op;

static size_t below(size_t n)
{
	return pick(&state, n);
}

/* Some place in the first @end bytes, mostly of some pages, sometimes of many */
static void range(size_t end, size_t *off, size_t *len)
{
	size_t most = below(100) ? 4 * PAGE_SIZE : 3 * HPAGE_SIZE / 2;

	*off = below(end);
	if (!below(3))
		*off &= -PAGE_SIZE;
	if (!below(12))
		*off &= -HPAGE_SIZE;
	*len = 1 + below(most);
	if (!below(3))
		*len = (*len + PAGE_SIZE - 1) & -PAGE_SIZE;
	if (*off + *len > end)
		*len = end - *off;
}

static void bad(const char *what, const char *got, size_t off, size_t len)
{
	size_t i = 0;

	while (i < len && got[i] == model[off + i])
		i++;
	ksft_print_msg("operation %lu, %s: 0x%02x at 0x%zx instead of 0x%02x, size 0x%zx\n",
		       op, what, (unsigned char)got[i], off + i,
		       (unsigned char)model[off + i], size);
}

static bool same(const char *what, const char *got, size_t off, size_t len)
{
	if (!memcmp(got, model + off, len))
		return true;
	bad(what, got, off, len);
	return false;
}

static void noise(char *to, size_t len)
{
	uint64_t x = random_next(&state);

	for (; len >= sizeof(x); to += sizeof(x), len -= sizeof(x)) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		memcpy(to, &x, sizeof(x));
	}
	memset(to, x >> 56, len);
}

static void map(void)
{
	if (p)
		area_free(p, NR);
	p = map_file(fd, MAX, MAP_SHARED);
}

static void resize(size_t to)
{
	if (ftruncate(fd, to))
		ksft_exit_fail_perror("ftruncate");
	if (to < size)
		memset(model + to, 0, size - to);
	size = to;
}

/* One operation; false if the file isn't what it should be */
static bool step(void)
{
	size_t off, len;

	switch (below(20)) {
	case 0 ... 3:
		range(MAX, &off, &len);
		noise(model + off, len);
		if (pwrite(fd, model + off, len, off) != (ssize_t)len)
			ksft_exit_fail_perror("pwrite");
		if (size < off + len)
			size = off + len;
		return true;
	case 4 ... 6:
		if (!size)
			return true;
		range(size, &off, &len);
		if (pread(fd, buf, len, off) != (ssize_t)len)
			ksft_exit_fail_perror("pread");
		return same("read", buf, off, len);
	case 7 ... 9:
		if (!size)
			return true;
		range(size, &off, &len);
		noise(model + off, len);
		memcpy(p + off, model + off, len);
		return true;
	case 10 ... 12:
		if (!size)
			return true;
		range(size, &off, &len);
		return same("mapped read", p + off, off, len);
	case 13:
		if (!below(4))
			resize(below(MAX));
		else if (size < MAX)
			resize(size + below(MAX - size));
		return true;
	case 14:
		if (!size || below(3))
			return true;
		range(size, &off, &len);
		punch(fd, off, len);
		memset(model + off, 0, len);
		return true;
	case 15:
		range(MAX, &off, &len);
		if (fallocate(fd, 0, off, len))
			ksft_exit_fail_perror("fallocate");
		if (size < off + len)
			size = off + len;
		return true;
	case 16:
		if (!size)
			return true;
		range(size, &off, &len);
		off &= -PAGE_SIZE;
		madvise(p + off, len, below(3) ? MADV_DONTNEED : MADV_PAGEOUT);
		return true;
	case 17:
		if (!below(8))
			map();
		return true;
	case 18:
		/* A new start, with all teams there can be */
		if (!below(40)) {
			resize(0);
			resize(MAX);
		}
		return true;
	default:
		if (!size || below(8))
			return true;
		range(size, &off, &len);
		off &= -PAGE_SIZE;
		mprotect(p + off, len, PROT_READ);
		if (!same("read-only", p + off, off, len))
			return false;
		mprotect(p, MAX, PROT_READ | PROT_WRITE);
		return true;
	}
}

int main(void)
{
	unsigned long pmds = 0, samples = 0;
	long split = vmstat("thp_split_page"), out = vmstat("pswpout");
	long mapped = vmstat("thp_file_mapped"), pmd = vmstat("thp_split_pmd");
	size_t off;
	bool ok = true;

	team_start(3);
	ops = number_from_env("FSX_OPS", 5000);
	state = number_from_env("FSX_SEED", time(NULL)) | 1ULL << 40;
	ksft_print_msg("FSX_SEED=%lu FSX_OPS=%lu\n",
		       (unsigned long)(state & ~(1ULL << 40)), ops);
	swap_start();
	model = small_area(NR);
	buf = small_area(NR);
	memset(model, 0, MAX);
	fd = huge_file("fsx", 0, 0);
	map();
	resize(MAX);
	for (op = 0; op < ops && ok; op++) {
		ok = step();
		if (ok && op % WHOLE == 0) {
			for (off = 0; off + HPAGE_SIZE <= size; off += HPAGE_SIZE)
				pmds += team_of(file_pfn(fd, off)).pmds;
			samples += size / HPAGE_SIZE;
			ok = same("all of it", p, 0, size);
		}
	}
	ok = ok && same("all of it", p, 0, size);
	ksft_print_msg("%lu of %lu extents looked at were mapped by PMD\n", pmds,
		       samples);
	ksft_print_msg("teams mapped %ld, mappings split %ld, pages swapped %ld, folios split %ld\n",
		       vmstat("thp_file_mapped") - mapped,
		       vmstat("thp_split_pmd") - pmd, vmstat("pswpout") - out,
		       vmstat("thp_split_page") - split);
	test_true(ok, "%lu operations", op);
	test_min(vmstat("thp_file_mapped") - mapped, ops / 1000,
		 "teams were mapped by PMD");
	area_free(p, NR);
	resize(0);
	test_eq(teams(), 0, "teams left");
	ksft_finished();
}
