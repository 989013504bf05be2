// SPDX-License-Identifier: GPL-2.0
/*
 * A hole punched into a mapped huge page of tmpfs: the hole reads as zeroes in
 * each process and through read(), every other byte keeps its value.
 */
#include <sys/stat.h>

#include "mmtest.h"

#define FROM	(100 * PAGE_SIZE)
#define TO	(103 * PAGE_SIZE)

static char *p;
static int fd;

static int child(int go)
{
	char c;

	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	if (read(go, &c, 1) != 1)
		return 1;
	if (pattern_find_bad(p, FROM, TO, 0) >= 0)
		return 2;
	if (pattern_find_bad(p, 0, FROM, 1) >= 0 ||
	    pattern_find_bad(p, TO, HPAGE_SIZE, 1) >= 0)
		return 3;
	return 0;
}

int main(void)
{
	char buf[PAGE_SIZE] = { 1 };
	struct stat st;
	long blocks;
	int go[2];
	pid_t pid;

	test_start(9);
	fd = huge_file("file", HPAGE_SIZE, 1);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	force_read_pages(p, HPAGE_NR, PAGE_SIZE);
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", HPAGE_KB);
	if (pipe(go))
		ksft_exit_fail_perror("pipe");
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(child(go[0]));
	usleep(10000);	/* let it map the page */
	fstat(fd, &st);
	blocks = st.st_blocks;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FROM,
		      TO - FROM))
		ksft_exit_fail_perror("FALLOC_FL_PUNCH_HOLE");
	fstat(fd, &st);
	test_eq((blocks - st.st_blocks) / 2, (TO - FROM) / 1024, "kB given back");
	test_smaps(p, HPAGE_SIZE, "ShmemPmdMapped", 0);
	if (pread(fd, buf, 1, FROM) != 1)
		ksft_exit_fail_perror("pread");
	test_eq(buf[0], 0, "read() of the hole");
	test_data(p, FROM, TO, 0, "zeroes in the hole");
	test_data(p, 0, FROM, 1, "bytes before it");
	test_data(p, TO, HPAGE_SIZE, 1, "bytes behind it");
	if (write(go[1], "", 1) != 1)
		ksft_exit_fail_perror("write");
	test_eq(child_status(pid), 0, "a child that had it mapped sees the same");
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	test_data(p, 0, HPAGE_SIZE, 2, "all can be written again");
	ksft_finished();
}
