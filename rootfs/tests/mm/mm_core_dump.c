// SPDX-License-Identifier: GPL-2.0
/*
 * The core of a process that dies has its memory as it was: huge pages, of which
 * some small ones were dropped, the huge zero page, HugeTLB pages, and pages that
 * are in swap. What MADV_DONTDUMP names is left out.
 */
#include <elf.h>

#include "mmtest.h"
#include "hugetlb.h"

/* The offset in the core of an address, -1 if its bytes aren't there */
static off_t in_core(int fd, unsigned long addr)
{
	Elf64_Ehdr header;
	Elf64_Phdr ph;
	int i;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_type != ET_CORE)
		return -1;
	for (i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), header.e_phoff + i * sizeof(ph)) != sizeof(ph))
			return -1;
		if (ph.p_type == PT_LOAD && addr >= ph.p_vaddr &&
		    addr < ph.p_vaddr + ph.p_filesz)
			return ph.p_offset + (addr - ph.p_vaddr);
	}
	return -1;
}

/* A copy in this process of what the core has of a range, NULL if it hasn't */
static char *from_core(int fd, const char *p, size_t len)
{
	off_t offset = in_core(fd, (unsigned long)p);
	char *copy = small_area((len + HPAGE_SIZE - 1) / HPAGE_SIZE);

	if (offset < 0 || pread(fd, copy, len, offset) != (ssize_t)len)
		return NULL;
	return copy;
}

#define test_core(fd, p, from, to, seed, what) do {				\
	char *__copy = from_core(fd, p, HPAGE_SIZE);				\
										\
	if (__copy)								\
		test_data(__copy, from, to, seed, what);			\
	else									\
		ksft_test_result_fail(what " # isn't in the core\n");		\
} while (0)

int main(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char *huge, *zero, *small, *hidden, *tlb;
	int status, fd;
	pid_t pid;

	if (!thp_available()) {
		ksft_print_header();
		ksft_exit_skip("no transparent huge pages in this kernel\n");
	}
	hugetlb_start(10, 2);	/* the child takes another */
	core_dumps_start();
	swap_start();
	memcg_enter();
	huge = huge_pages(1, 1);
	madvise(huge + 7 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	zero = huge_area(1);
	*(volatile char *)zero;
	small = small_pages(1, 2);
	madvise(small, HPAGE_SIZE, MADV_PAGEOUT);
	hidden = huge_pages(1, 3);
	madvise(hidden, HPAGE_SIZE, MADV_DONTDUMP);
	tlb = hugetlb_pages(1, 4);
	test_min(smaps_kb(small, HPAGE_SIZE, "Swap"), HPAGE_KB / 2, "kB in swap");

	/* MADV_DONTDUMP and all else is inherited; so the child only has to die. */
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &unlimited);
		pattern_fill(tlb, 0, HPAGE_SIZE, 5);
		abort();
	}
	waitpid(pid, &status, 0);
	test_eq(WTERMSIG(status), SIGABRT, "signal");
	test_true(WCOREDUMP(status), "a core was written");
	fd = open(CORE_FILE, O_RDONLY);
	test_core(fd, huge, 0, 7 * PAGE_SIZE, 1, "a huge page");
	test_core(fd, huge, 7 * PAGE_SIZE, 8 * PAGE_SIZE, 0, "the page of it that was dropped");
	test_core(fd, huge, 8 * PAGE_SIZE, HPAGE_SIZE, 1, "what is behind that");
	test_core(fd, zero, 0, HPAGE_SIZE, 0, "the huge zero page");
	test_core(fd, small, 0, HPAGE_SIZE, 2, "pages in swap");
	test_true(!from_core(fd, hidden, PAGE_SIZE), "MADV_DONTDUMP is left out");
	test_core(fd, tlb, 0, HPAGE_SIZE, 5, "a HugeTLB page");
	ksft_finished();
}
