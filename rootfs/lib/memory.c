// SPDX-License-Identifier: GPL-2.0
/* Areas, and the pattern in them. See mmtest.h. */
#include <inttypes.h>

#include "internal.h"

/* This process, since 6.14 */
#ifndef PIDFD_SELF
#define PIDFD_SELF	-10000
#endif

char *hole_area(size_t nr_huge)
{
	size_t len = nr_huge * HPAGE_SIZE;
	uintptr_t p;

	/* Reserve it with two huge pages more: one aligns, one keeps apart. */
	p = (uintptr_t)mmap(NULL, len + 2 * HPAGE_SIZE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((void *)p == MAP_FAILED)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	p = (p + HPAGE_SIZE) & ~(HPAGE_SIZE - 1UL);
	munmap((void *)p, len);
	return (char *)p;
}

void tlb_forget(char *p, size_t len)
{
	char *q = hole_area((len + HPAGE_SIZE - 1) / HPAGE_SIZE);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (mremap(p, len, len, flags, q) != q || mremap(q, len, len, flags, p) != p)
		ksft_exit_fail_perror("mremap");
}

static char *plain_area(size_t nr_huge)
{
	char *p = hole_area(nr_huge);

	if (mmap(p, nr_huge * HPAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	return p;
}

char *area_64k(size_t nr_huge)
{
	struct thp_settings set;

	thp_save_settings();
	thp_read_settings(&set);
	set.thp_enabled = THP_NEVER;
	set.hugepages[4].enabled = THP_ALWAYS;
	set.hugepages[9].enabled = THP_NEVER;
	thp_push_settings(&set);
	return plain_area(nr_huge);
}

static char *area(size_t nr_huge, int advice)
{
	size_t len = nr_huge * HPAGE_SIZE;
	char *p = plain_area(nr_huge);

	/* A kernel without THP refuses both; small pages it has. */
	if (madvise(p, len, advice) && advice == MADV_HUGEPAGE)
		ksft_exit_fail_msg("MADV_HUGEPAGE: %s\n", strerror(errno));
	return p;
}

char *huge_area(size_t nr_huge)
{
	return area(nr_huge, MADV_HUGEPAGE);
}

char *small_area(size_t nr_huge)
{
	return area(nr_huge, MADV_NOHUGEPAGE);
}

char *huge_pages(size_t nr_huge, unsigned int seed)
{
	size_t len = nr_huge * HPAGE_SIZE;
	char *p = huge_area(nr_huge);

	pattern_fill(p, 0, len, seed);
	if (smaps_kb(p, len, "AnonHugePages") != (long)(len / 1024))
		ksft_exit_fail_msg("%ld kB of %zu kB came as huge pages\n",
				   smaps_kb(p, len, "AnonHugePages"),
				   len / 1024);
	return p;
}

char *small_pages(size_t nr_huge, unsigned int seed)
{
	size_t len = nr_huge * HPAGE_SIZE;
	char *p = small_area(nr_huge);

	if (madvise(p, len, MADV_POPULATE_WRITE))
		ksft_exit_fail_perror("MADV_POPULATE_WRITE");
	pattern_fill(p, 0, len, seed);
	return p;
}

void madvise_each(char *p, size_t len, size_t step, size_t piece, int advice)
{
	struct iovec iov[1024];
	size_t off, n;

	for (off = 0; off < len;) {
		for (n = 0; n < ARRAY_SIZE(iov) && off < len; n++, off += step)
			iov[n] = (struct iovec){ p + off, piece };
		if (syscall(SYS_process_madvise, PIDFD_SELF, iov, n, advice, 0) !=
		    (ssize_t)(n * piece))
			ksft_exit_fail_perror("process_madvise");
	}
}

void area_free(char *p, size_t nr_huge)
{
	munmap(p, nr_huge * HPAGE_SIZE);
}

void pattern_fill(char *p, size_t from, size_t to, unsigned int seed)
{
	size_t off;

	for (off = from; off < to; off += 8)
		*(volatile uint64_t *)(p + off) = pattern_word(off, seed);
}

static long find_bad(const char *base, const char *buf, size_t from, size_t to,
		     unsigned int seed, const char *view)
{
	uint64_t got, want;
	size_t off;

	for (off = from; off < to; off += 8) {
		got = *(const volatile uint64_t *)(buf + off - from);
		want = pattern_word(off, seed);
		if (got != want) {
			ksft_print_msg("%p: %s 0x%016" PRIx64 ", want 0x%016" PRIx64 "\n",
				       base + off, view, got, want);
			return off + __builtin_ctzll(got ^ want) / 8;
		}
	}
	return -1;
}

long pattern_find_bad_user(const char *p, size_t from, size_t to,
			   unsigned int seed)
{
	return find_bad(p, p + from, from, to, seed, "the program sees");
}

long pattern_find_bad(const char *p, size_t from, size_t to, unsigned int seed)
{
	static char buf[16 * PAGE_SIZE];
	size_t off, len;
	long bad;
	int fd;

	bad = pattern_find_bad_user(p, from, to, seed);
	/* Not process_vm_readv(): its pin would unshare what a fork shares. */
	fd = open_or_fail("/proc/self/mem", O_RDONLY);
	for (off = from; bad < 0 && off < to; off += len) {
		len = to - off < sizeof(buf) ? to - off : sizeof(buf);
		if (pread(fd, buf, len, (off_t)(p + off)) != (ssize_t)len)
			ksft_exit_fail_msg("/proc/self/mem %p: %s\n", p + off,
					   strerror(errno));
		bad = find_bad(p, buf, off, off + len, seed, "the kernel sees");
	}
	close(fd);
	return bad;
}
