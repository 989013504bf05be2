// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the host's program HOST_PROGRAM, whose root is the host's, through hostfs and
 * read-only, with the guest's own /proc and /dev. It starts in an empty tmpfs.
 * For tests/test_host_programs.py.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mmtest.h"

#define HOST	"/tmp/host"

static int run(void *program)
{
	char * const args[] = { program, NULL };
	static char * const env[] = {
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/dev/shm", NULL
	};

	if (chroot(HOST) || chdir("/dev/shm"))
		return 126;
	execve(program, args, env);
	return 127;
}

int main(void)
{
	char *program = getenv("HOST_PROGRAM");

	test_plan(1);
	if (!program)
		ksft_exit_skip("HOST_PROGRAM=<its path> says which\n");

	mkdir(HOST, 0755);
	if (mount("none", HOST, "hostfs", MS_RDONLY, "/") ||
	    mount("none", HOST "/proc", "proc", 0, NULL) ||
	    mount("none", HOST "/dev", "devtmpfs", 0, NULL) ||
	    (mkdir(HOST "/dev/shm", 0755) && errno != EEXIST) ||
	    mount("none", HOST "/dev/shm", "tmpfs", 0, NULL))
		ksft_exit_fail_perror("mount");

	test_eq(in_child(run, program), 0, "status of %s", program);
	ksft_finished();
}
