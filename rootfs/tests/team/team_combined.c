// SPDX-License-Identifier: GPL-2.0
/*
 * Teams together with what else the kernel offers for files and memory: one at a
 * time, and after each all is as it was before: no team, no page of the mount, no
 * huge mapping and no locked page is left.
 */
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statfs.h>

#include "hugetlb.h"
#include "team.h"

#define PART	(10 * PAGE_SIZE)
#define ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"
#define CORRUPT	"/sys/kernel/debug/hwpoison/corrupt-pfn"
#ifndef PR_SET_THP_DISABLE
#define PR_SET_THP_DISABLE 41
#endif

static long locked;

static void begin(void)
{
	locked = vmstat("nr_mlock");
}

/* 1 result: nothing is left of a file */
static void ended(const char *what, int fd)
{
	struct statfs st;
	long blocks;

	if (ftruncate(fd, 0))
		ksft_exit_fail_perror("ftruncate");
	close(fd);
	if (statfs(huge_tmpfs(), &st))
		ksft_exit_fail_perror("statfs");
	blocks = st.f_blocks - st.f_bfree;
	ksft_test_result(!teams() && !blocks && vmstat("nr_mlock") == locked &&
			 !meminfo("ShmemPmdMapped:"),
			 "%s: left are %d teams, %ld pages of the mount, %ld locked, %ld kB mapped by PMD\n",
			 what, teams(), blocks, vmstat("nr_mlock") - locked,
			 meminfo("ShmemPmdMapped:"));
}

static char *map(int fd, int flags)
{
	char *p = map_file(fd, HPAGE_SIZE, flags);

	FORCE_READ(*p);
	return p;
}

static void nohugepage(void)
{
	int fd = huge_file("file", HPAGE_SIZE, 1);
	char *p, *q;

	begin();
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	madvise(p, HPAGE_SIZE, MADV_NOHUGEPAGE);
	FORCE_READ(*p);
	test_team(pfn_of(p), 512, 0, "MADV_NOHUGEPAGE");
	q = map(fd, MAP_SHARED);
	test_team(pfn_of(p), 512, 1, "another mapping without it");
	madvise(q, HPAGE_SIZE, MADV_NOHUGEPAGE);
	test_team(pfn_of(p), 512, 1, "what is mapped stays so");
	pattern_fill(q, PART, 2 * PART, 2);
	test_data(p, PART, 2 * PART, 2, "one writes, the other reads");
	madvise(q, HPAGE_SIZE, MADV_HUGEPAGE);
	area_free(p, 1);
	area_free(q, 1);

	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		ksft_exit_fail_perror("PR_SET_THP_DISABLE");
	p = map(fd, MAP_SHARED);
	test_team(pfn_of(p), 512, 0, "PR_SET_THP_DISABLE");
	area_free(p, 1);
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	ended("no huge pages", fd);
}

/* The word in brackets of a sysfs file */
static void selected(const char *path, char *word, size_t size)
{
	char line[256], *at, *end;
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, line, sizeof(line) - 1);

	close(fd);
	line[n > 0 ? n : 0] = 0;
	at = strchr(line, '[');
	end = strchr(line, ']');
	if (!at || !end)
		ksft_exit_fail_msg("%s: %s\n", path, line);
	*end = 0;
	snprintf(word, size, "%s", at + 1);
}

static void deny(void)
{
	int fd = huge_file("file", HPAGE_SIZE, 1), other;
	char before[32], *p, *q;

	begin();
	selected(ENABLED, before, sizeof(before));
	p = map(fd, MAP_SHARED);
	if (!file_write(ENABLED, "deny"))
		ksft_exit_fail_perror(ENABLED);
	test_team(pfn_of(p), 512, 1, "deny: what was mapped");
	q = map(fd, MAP_SHARED);
	test_team(pfn_of(p), 512, 1, "deny: mapped anew");
	test_data(q, 0, HPAGE_SIZE, 1, "its data");
	other = huge_file("other", HPAGE_SIZE, 1);
	test_eq(teams(), 1, "teams with another file");
	punch(fd, PART, PAGE_SIZE);
	test_team(pfn_of(p), 0, 0, "deny: a hole");
	if (!file_write(ENABLED, before))
		ksft_exit_fail_perror(ENABLED);
	area_free(p, 1);
	area_free(q, 1);
	ftruncate(other, 0);
	close(other);
	ended("deny", fd);
}

static void remount(void)
{
	int fd = huge_file("file", 2 * HPAGE_SIZE, 0);
	char *p;

	begin();
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	if (mount("mmtest", huge_tmpfs(), "tmpfs", MS_REMOUNT, "huge=never"))
		ksft_exit_fail_perror("remount");
	test_team(pfn_of(p), 512, 1, "huge=never: what was mapped");
	pattern_fill(p, HPAGE_SIZE, 2 * HPAGE_SIZE, 1);
	test_team(pfn_of(p + HPAGE_SIZE), 0, 0, "huge=never: the next 2 MB");
	if (mount("mmtest", huge_tmpfs(), "tmpfs", MS_REMOUNT, "huge=always"))
		ksft_exit_fail_perror("remount");
	area_free(p, 2);
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	test_data(p, 0, 2 * HPAGE_SIZE, 1, "huge=always: data");
	test_team(pfn_of(p), 512, 0, "huge=always: a team of before");
	area_free(p, 2);
	if (mount("mmtest", huge_tmpfs(), "tmpfs", MS_REMOUNT, "huge=team"))
		ksft_exit_fail_perror("remount");
	p = map_file(fd, 2 * HPAGE_SIZE, MAP_SHARED);
	test_data(p, 0, 2 * HPAGE_SIZE, 1, "huge=team: data");
	test_team(pfn_of(p), 512, 1, "huge=team: it again");
	area_free(p, 2);
	ended("remount", fd);
}

/* A page fails that is held back: it is in no file, and won't be. */
static void poison_held_back(void)
{
	int fd = huge_file("file", HPAGE_SIZE, 0);
	unsigned long pfn, bad;
	char *p;

	begin();
	if (pwrite(fd, "x", 1, 0) != 1)
		ksft_exit_fail_perror("pwrite");
	pfn = file_pfn(fd, 0);
	bad = pfn + 77;
	test_team(pfn, 1, 0, "a page of a team");
	poison_note(bad);
	/* Whether it is called recovered or not doesn't matter. */
	number_write(CORRUPT, bad);
	test_eq(kpageflags(bad) & KPF_HWPOISON, KPF_HWPOISON,
		"another one, held back, fails");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", 0);
	test_true(pfn_of(p + 77 * PAGE_SIZE) != bad && pfn_of(p) == pfn,
		  "another one is in its place");
	test_data(p, 0, HPAGE_SIZE, 1, "data");
	area_free(p, 1);
	ended("a bad page", fd);
	test_eq(kpageflags(bad) & (KPF_HWPOISON | KPF_BUDDY | KPF_OWNER_2),
		KPF_HWPOISON, "it is a team's no more, and not free");
	test_eq(unpoison_memory(bad), 0, "it is good again");
	nr_poisoned--;
}

static void userfaultfd_minor(void)
{
	int fd = huge_file("file", HPAGE_SIZE, 1);
	struct uffdio_continue cont;
	struct uffdio_register reg;
	char *p, *q;
	int uffd;

	begin();
	q = map(fd, MAP_SHARED);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	uffd = uffd_open(UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_SIGBUS);
	reg = (struct uffdio_register) {
		.range = { (uintptr_t)p, HPAGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MINOR,
	};
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	test_eq(access_signal(p + PART, false), SIGBUS, "a minor fault: signal");
	test_eq(access_signal(p + PART, true), SIGBUS, "one of a write: signal");
	cont = (struct uffdio_continue) { .range = { (uintptr_t)p + PART, PART } };
	test_eq(ioctl(uffd, UFFDIO_CONTINUE, &cont), 0, "UFFDIO_CONTINUE");
	test_data(p, PART, 2 * PART, 1, "its pages");
	test_eq(access_signal(p, false), SIGBUS, "those before it: signal");
	test_team(pfn_of(q), 512, 1, "mapped by PMD elsewhere");
	test_eq(team_mapped(pfn_of(q), 2), PART / PAGE_SIZE, "pages mapped twice");
	area_free(p, 1);
	close(uffd);
	area_free(q, 1);
	ended("userfaultfd minor", fd);
}

static void dontunmap(void)
{
	int fd = huge_file("file", HPAGE_SIZE, 1);
	char *p = map(fd, MAP_SHARED), *q = hole_area(1);

	begin();
	if (mremap(p, HPAGE_SIZE, HPAGE_SIZE,
		   MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, q) != q)
		ksft_exit_fail_perror("MREMAP_DONTUNMAP");
	test_team(pfn_of(q), 512, 1, "MREMAP_DONTUNMAP");
	test_smaps(p, HPAGE_SIZE, "Rss", 0);
	test_data(p, 0, HPAGE_SIZE, 1, "what was left");
	test_team(pfn_of(q), 512, 2, "both mapped");
	pattern_fill(p, PART, 2 * PART, 2);
	test_data(q, PART, 2 * PART, 2, "one writes, the other reads");
	area_free(p, 1);
	area_free(q, 1);
	ended("MREMAP_DONTUNMAP", fd);
}

/* The debugger's way to write: to a private mapping without permission */
static void write_by_force(void)
{
	int fd = huge_file("file", HPAGE_SIZE, 1), mem;
	char *p = map_file(fd, HPAGE_SIZE, MAP_PRIVATE), *q;
	unsigned long pfn;

	begin();
	mprotect(p, HPAGE_SIZE, PROT_READ);
	FORCE_READ(*p);
	pfn = pfn_of(p);
	test_team(pfn, 512, 1, "private, read only");
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	test_eq(pwrite(mem, "by force", 8, (uintptr_t)p + PART), 8, "written to /proc/self/mem");
	test_true(!memcmp(p + PART, "by force", 8), "what was written is there");
	test_smaps(p, HPAGE_SIZE, "Anonymous", PAGE_SIZE / 1024);
	test_team(pfn, 512, 0, "by PTEs now");
	q = map(fd, MAP_SHARED);
	test_data(q, 0, HPAGE_SIZE, 1, "the file is as it was");
	/* A shared mapping without permission is not for writing. */
	mprotect(q, HPAGE_SIZE, PROT_READ);
	test_true(pwrite(mem, "shared", 6, (uintptr_t)q + PART) == 6 || errno == EIO,
		  "a shared one: written to or refused");
	close(mem);
	area_free(p, 1);
	area_free(q, 1);
	ended("FOLL_FORCE", fd);
}

/* What SEEK_DATA and SEEK_HOLE find from page to page; as text */
static void layout(int fd, size_t len, char *text, size_t size)
{
	off_t at = 0, data, hole;
	size_t n = 0;

	*text = 0;
	while (at < (off_t)len) {
		data = lseek(fd, at, SEEK_DATA);
		if (data < 0)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		n += snprintf(text + n, size - n, " %lu-%lu", data / PAGE_SIZE,
			      hole / PAGE_SIZE);
		at = hole;
	}
}

static void written_in_parts(int fd)
{
	static char page[3 * PAGE_SIZE] = { 1 };

	if (pwrite(fd, page, PAGE_SIZE, 5 * PAGE_SIZE) < 0 ||
	    pwrite(fd, page, sizeof(page), 100 * PAGE_SIZE) < 0 ||
	    pwrite(fd, page, PAGE_SIZE, HPAGE_SIZE - PAGE_SIZE) < 0 ||
	    pwrite(fd, page, PAGE_SIZE, HPAGE_SIZE) < 0 ||
	    fallocate(fd, 0, 200 * PAGE_SIZE, 10 * PAGE_SIZE))
		ksft_exit_fail_perror("pwrite");
	punch(fd, 101 * PAGE_SIZE, PAGE_SIZE);
}

static void seek(void)
{
	int fd = huge_file("file", 2 * HPAGE_SIZE, 0), small;
	char got[256], want[256];

	begin();
	mkdir("/tmp/team_combined", 0755);
	if (mount("small", "/tmp/team_combined", "tmpfs", 0, "huge=never"))
		ksft_exit_fail_perror("mount");
	small = open("/tmp/team_combined/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (small < 0 || ftruncate(small, 2 * HPAGE_SIZE))
		ksft_exit_fail_perror("/tmp/team_combined/file");
	written_in_parts(fd);
	written_in_parts(small);
	layout(fd, 2 * HPAGE_SIZE, got, sizeof(got));
	layout(small, 2 * HPAGE_SIZE, want, sizeof(want));
	test_true(*want && !strcmp(got, want), "SEEK_DATA finds%s, with small pages%s", got, want);
	close(small);
	umount("/tmp/team_combined");
	rmdir("/tmp/team_combined");
	ended("SEEK_DATA", fd);
}

static void by_splice(void)
{
	int fd = huge_file("file", HPAGE_SIZE, 1), other, pipes[2];
	char *p = map(fd, MAP_SHARED), *q, buf[PAGE_SIZE];
	unsigned long pfn = pfn_of(p);
	loff_t in = PART, out = 0;
	ssize_t n, sum;

	begin();
	if (pipe2(pipes, O_CLOEXEC))
		ksft_exit_fail_perror("pipe");
	other = huge_file("other", HPAGE_SIZE, 0);
	for (sum = 0; sum < (ssize_t)PART; sum += n) {
		n = splice(fd, &in, pipes[1], NULL, PAGE_SIZE, 0);
		if (n <= 0 || splice(pipes[0], NULL, other, &out, n, 0) != n)
			ksft_exit_fail_perror("splice");
	}
	q = mmap(NULL, PART, PROT_READ, MAP_SHARED, other, 0);
	test_true(!memcmp(q, p + PART, PART), "spliced to another file");
	munmap(q, PART);
	test_team(pfn, 512, 1, "spliced from");

	/* A page in a pipe, which leaves the file */
	in = PART;
	if (splice(fd, &in, pipes[1], NULL, PAGE_SIZE, 0) != PAGE_SIZE)
		ksft_exit_fail_perror("splice");
	memcpy(buf, p + PART, 8);
	punch(fd, PART, PAGE_SIZE);
	test_data(p, PART, PART + PAGE_SIZE, 0, "a hole there");
	test_true(read(pipes[0], buf + 8, PAGE_SIZE - 8) == PAGE_SIZE - 8 &&
		  !memcmp(buf, buf + 8, 8), "the page in the pipe is as it was");
	test_data(p, PART + PAGE_SIZE, HPAGE_SIZE, 1, "the others");
	area_free(p, 1);
	close(pipes[0]);
	close(pipes[1]);
	ftruncate(other, 0);
	close(other);
	ended("splice", fd);
}

static void unnamed(void)
{
	int fd = open(huge_tmpfs(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	char *p;

	begin();
	if (fd < 0 || ftruncate(fd, HPAGE_SIZE))
		ksft_exit_fail_perror("O_TMPFILE");
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	pattern_fill(p, 0, HPAGE_SIZE, 1);
	test_team(pfn_of(p), 512, 1, "O_TMPFILE");
	mlock(p, HPAGE_SIZE);
	close(fd);
	test_data(p, 0, HPAGE_SIZE, 1, "closed, locked and mapped");
	area_free(p, 1);
	fd = huge_file("file", 0, 0);
	ended("O_TMPFILE", fd);
}

int main(void)
{
	team_start(60);
	/* One each time; which one, and whose fault it is, is unknown. */
	ksft_print_msg("keeps-memory: a page\n");
	restore_at_exit();
	nohugepage();
	deny();
	remount();
	poison_held_back();
	userfaultfd_minor();
	dontunmap();
	write_by_force();
	seek();
	by_splice();
	unnamed();
	ksft_finished();
}
