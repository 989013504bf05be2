// SPDX-License-Identifier: GPL-2.0
/* A shell in the guest */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "init.h"

/*
 * A shell on ttyS0, which is the stdin and stdout of ./linux, with job
 * control. "sh -c COMMAND..." needs no terminal and stays on the console.
 */
int run_shell(char **argv, int argc)
{
	static char command[4096];
	char *args[] = { "sh", NULL, NULL, NULL };
	int status, fd, i;
	pid_t pid, got;

	if (access("/bin/busybox", X_OK))
		usage("no shell: this rootfs was built without a static busybox (Debian: apt-get install busybox-static)\n");
	if (argc && !strcmp(argv[0], "-c")) {
		/* The kernel has split the words. */
		for (i = 1; i < argc; i++)
			snprintf(command + strlen(command),
				 sizeof(command) - strlen(command), "%s%s",
				 i > 1 ? " " : "", argv[i]);
		args[1] = "-c";
		args[2] = command;
	}
	mkdir("/tmp/bin", 0755);
	pid = fork();
	if (!pid) {
		/* Its applets, as commands. */
		execl("/bin/busybox", "busybox", "--install", "-s", "/tmp/bin",
		      NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	setenv("PATH", "/tmp/bin:/bin:/tests:/bench", 1);
	setenv("HOME", "/tmp", 1);
	setenv("PS1", "uml:\\w\\$ ", 1);

	pid = fork();
	if (!pid) {
		setsid();
		if (!args[1]) {
			fd = open("/dev/ttyS0", O_RDWR);
			if (fd < 0) {
				fprintf(stderr, "init: /dev/ttyS0: %s\n",
					strerror(errno));
				_exit(EXIT_USAGE);
			}
			ioctl(fd, TIOCSCTTY, 0);
			dup2(fd, STDIN_FILENO);
			dup2(fd, STDOUT_FILENO);
			dup2(fd, STDERR_FILENO);
		}
		execv("/bin/busybox", args);
		_exit(127);
	}
	while ((got = waitpid(-1, &status, 0)) != pid)
		if (got < 0 && errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}
