// SPDX-License-Identifier: GPL-2.0
/* Which lines of the kernel ran, left on the host */
#include <ftw.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "init.h"

#define GCOV "/sys/kernel/debug/gcov"
#define GCOV_OUT "/tmp/gcov"

static int copy_coverage(const char *path, const struct stat *st, int type,
			 struct FTW *ftw)
{
	static char to[4096], data[1 << 16];
	ssize_t len = strlen(path);
	int in, out;

	if (type != FTW_F || strcmp(path + len - 5, ".gcda"))
		return 0;
	snprintf(to, sizeof(to), GCOV_OUT "%s", path + strlen(GCOV));
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (out < 0)
		return 0;	/* not wanted: see scripts/judge/coverage.py */
	in = open(path, O_RDONLY);
	while ((len = read(in, data, sizeof(data))) > 0)
		if (write(out, data, len) != len)
			fprintf(stderr, "init: %s: %s\n", to, strerror(errno));
	close(in);
	close(out);
	return 0;
}

/*
 * gcov=DIR, with a kernel of the variant gcov: leave what was executed since
 * the first test began in folders below DIR on the host, as far as they exist.
 */
void save_coverage(void)
{
	mkdir(GCOV_OUT, 0755);
	if (mount("none", GCOV_OUT, "hostfs", 0, coverage_dir))
		fprintf(stderr, "init: mount %s: %s\n", coverage_dir,
			strerror(errno));
	else if (nftw(GCOV, copy_coverage, 16, FTW_PHYS))
		fprintf(stderr, "init: " GCOV ": %s\n", strerror(errno));
	umount(GCOV_OUT);
}

void reset_coverage(void)
{
	int fd = open(GCOV "/reset", O_WRONLY);

	if (fd < 0 || write(fd, "0", 1) != 1)
		fprintf(stderr, "init: " GCOV "/reset: %s\n", strerror(errno));
	close(fd);
}
