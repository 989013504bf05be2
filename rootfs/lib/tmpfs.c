// SPDX-License-Identifier: GPL-2.0
/* A tmpfs with huge pages, and its files. See mmtest.h. */
#include <sys/mount.h>
#include <sys/stat.h>

#include "internal.h"

#define TMPFS	"/tmp/huge"

/* It ends at exit, in the process that began it. */
static pid_t tmpfs_owner;

static void huge_tmpfs_end(void)
{
	if (tmpfs_owner != getpid())
		return;
	umount2(TMPFS, MNT_DETACH);
	rmdir(TMPFS);
}

const char *tmpfs_huge = "always";

const char *huge_tmpfs(void)
{
	char option[32];

	if (tmpfs_owner)
		return TMPFS;
	if (mkdir(TMPFS, 0755) && errno != EEXIST)
		ksft_exit_fail_msg("%s: %s\n", TMPFS, strerror(errno));
	snprintf(option, sizeof(option), "huge=%s", tmpfs_huge);
	if (mount("mmtest", TMPFS, "tmpfs", 0, option))
		ksft_exit_fail_msg("mount tmpfs %s: %s\n", option,
				   strerror(errno));
	tmpfs_owner = getpid();
	atexit(huge_tmpfs_end);
	return TMPFS;
}

bool kpagecount_exact(void)
{
	int fd = huge_file("kpagecount", HPAGE_SIZE, 1);
	char *p = map_file(fd, PAGE_SIZE, MAP_SHARED);
	volatile char c = *p;
	bool exact;

	(void)c;
	exact = !kpagecount(pfn_of(p) + HPAGE_NR - 1);
	munmap(p, PAGE_SIZE);
	close(fd);
	return exact;
}

int huge_file(const char *name, size_t len, unsigned int seed)
{
	uint64_t buf[8192];
	char path[256];
	size_t off, i;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", huge_tmpfs(), name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, len))
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	for (off = 0; seed && off < len; off += sizeof(buf)) {
		for (i = 0; i < ARRAY_SIZE(buf); i++)
			buf[i] = pattern_word(off + i * 8, seed);
		if (pwrite(fd, buf, sizeof(buf), off) != sizeof(buf))
			ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	}
	return fd;
}

char *map_file(int fd, size_t len, int flags)
{
	char *p = hole_area((len + HPAGE_SIZE - 1) / HPAGE_SIZE);

	if (mmap(p, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) != p)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	return p;
}
