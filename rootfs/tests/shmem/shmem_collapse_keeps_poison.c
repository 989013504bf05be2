// SPDX-License-Identifier: GPL-2.0
/*
 * A page of a shared file that userfaultfd has poisoned in one mapping stays so
 * when the file is collapsed through another one. The registration was for missing
 * pages only, and may have ended. Other mappings get the huge page.
 */
#include "mmtest.h"

#define PAGE	5

static char *p, *other;

/* Map a file twice, all of it there; poison a page in the first. */
static void poison(bool unregister)
{
	struct uffdio_poison poison = { 0 };
	int uffd = uffd_open(UFFD_FEATURE_POISON);
	int fd = memfd_create("small", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("memfd_create");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	other = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	close(fd);
	madvise(other, HPAGE_SIZE, MADV_NOHUGEPAGE);
	pattern_fill(other, 0, HPAGE_SIZE, 1);
	if (uffd_register(uffd, p, HPAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	poison.range.start = (unsigned long)p + PAGE * PAGE_SIZE;
	poison.range.len = PAGE_SIZE;
	if (ioctl(uffd, UFFDIO_POISON, &poison))
		ksft_exit_fail_perror("UFFDIO_POISON");
	if (unregister) {
		uffd_unregister(uffd, p, HPAGE_SIZE);
		close(uffd);
	}
	madvise(other, HPAGE_SIZE, MADV_HUGEPAGE);
}

int main(void)
{
	int unregister;

	test_start(12);
	for (unregister = 0; unregister < 2; unregister++) {
		poison(unregister);
		test_eq(madvise(other, HPAGE_SIZE, MADV_COLLAPSE), 0,
			"MADV_COLLAPSE, registration %s", unregister ? "ended" : "lives");
		test_smaps(other, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
		test_eq(access_signal(p + PAGE * PAGE_SIZE, false), SIGBUS,
			"signal for a read of the poisoned page");
		test_eq(access_siginfo.si_code, BUS_MCEERR_AR, "its si_code");
		test_data(other, 0, HPAGE_SIZE, 1, "the other mapping has all of it");
		test_data(p, 0, PAGE * PAGE_SIZE, 1, "the first has what is before it");
		munmap(p, HPAGE_SIZE);
		munmap(other, HPAGE_SIZE);
	}
	ksft_finished();
}
