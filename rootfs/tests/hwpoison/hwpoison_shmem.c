// SPDX-License-Identifier: GPL-2.0
/*
 * A page of a shared memory file fails, a small one, and one in a huge page of
 * tmpfs: that page is lost to all who map it, read() says EIO; who asked for it
 * has a signal before it touches the page. A hole gets rid of it.
 */
#include <sys/prctl.h>

#include "hugetlb.h"

#define BAD	(55 * PAGE_SIZE)

static char *p;

static struct shared {
	volatile int step;
	volatile int early_sig, early_code, early_lsb;
	volatile long early_off;
} *sh;

static void wait_for(int at)
{
	while (sh->step < at)
		usleep(500);
}

static void early_handler(int sig, siginfo_t *info, void *ctx)
{
	sh->early_sig = sig;
	sh->early_code = info->si_code;
	sh->early_lsb = info->si_addr_lsb;
	sh->early_off = (char *)info->si_addr - p;
}

static int child(void)
{
	struct sigaction sa = {
		.sa_sigaction = early_handler, .sa_flags = SA_SIGINFO,
	};

	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	sigaction(SIGBUS, &sa, NULL);
	if (pattern_find_bad(p, 0, HPAGE_SIZE, 1) >= 0)
		return 1;
	sh->step = 1;
	wait_for(2);
	if (access_signal(p + BAD + 9, false) != SIGBUS ||
	    access_siginfo.si_code != BUS_MCEERR_AR ||
	    access_siginfo.si_addr_lsb != 12)
		return 2;
	if (pattern_find_bad(p, 0, BAD, 1) >= 0 ||
	    pattern_find_bad(p, BAD + PAGE_SIZE, HPAGE_SIZE, 1) >= 0)
		return 3;
	return 0;
}

/* @early: those who have it mapped are told at once */
static void fail_in_file(const char *what, int fd, bool early)
{
	long kb = meminfo("HardwareCorrupted:");
	unsigned long pfn;
	pid_t pid;
	char c;

	memset(sh, 0, sizeof(*sh));
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	pfn = pfn_of(p + BAD);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(child());
	wait_for(1);
	test_eq(poison(p + BAD, PAGE_SIZE, MADV_HWPOISON), early ? SIGBUS : 0,
		"%s: signal at once", what);
	if (early)
		test_true(poison_siginfo.si_code == BUS_MCEERR_AR &&
			  poison_siginfo.si_addr == p + BAD &&
			  poison_siginfo.si_addr_lsb == 12,
			  "it names the 4 KB page");
	test_lost(p + BAD + 3, false, 12, "a read");
	test_lost(p + BAD + 4, true, 12, "a write");
	sh->step = 2;
	test_eq(child_status(pid), 0, "a child has lost it, and nothing else");
	if (early)
		test_true(sh->early_sig == SIGBUS &&
			  sh->early_code == BUS_MCEERR_AO &&
			  sh->early_lsb == 12 && sh->early_off == BAD,
			  "it was told so early: signal %d, code %d, lsb %d, offset 0x%lx",
			  sh->early_sig, sh->early_code, sh->early_lsb,
			  sh->early_off);
	test_true(pread(fd, &c, 1, BAD + 17) == -1 && errno == EIO, "EIO for read() of it");
	test_true(pread(fd, &c, 1, BAD + PAGE_SIZE) == 1, "the page behind it can be read");
	test_data(p, 0, BAD, 1, "bytes before it");
	test_data(p, BAD + PAGE_SIZE, HPAGE_SIZE, 1, "bytes behind it");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BAD,
		      PAGE_SIZE))
		ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
	/* This mapping knows that there was something else. */
	madvise(p, HPAGE_SIZE, MADV_DONTNEED);
	test_data(p, BAD, BAD + PAGE_SIZE, 0, "zeroes in a hole in its place");
	test_true(pfn_of(p + BAD) != pfn && kpageflags(pfn) & KPF_HWPOISON,
		  "which is another page");
	test_eq(unpoison_memory(pfn), 0, "the bad one can be declared good");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	area_free(p, 1);
	close(fd);
}

int main(void)
{
	int fd;

	poison_start(15 + 13 + 1, true);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd = memfd_create("small", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("memfd_create");
	fail_in_file("small pages", fd, true);
	fd = huge_file("huge", HPAGE_SIZE, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	area_free(p, 1);
	/* The split unmaps it, so nobody has it mapped any more. */
	fail_in_file("a huge page", fd, false);
	ksft_finished();
}
