// SPDX-License-Identifier: GPL-2.0
/*
 * init - pid 1 of the test guest
 *
 *   ./linux -- [timeout=SECS] [NAME|GLOB]...   run tests, KTAP on the console
 *   ./linux -- list                            print their names
 *   ./linux -- sh [-c COMMAND...]              busybox shell, or one command
 *
 * Without a name every test in /tests runs; /bench holds programs that run
 * only when named. The verdict leaves the guest through /proc/exitcode:
 * 0 nothing failed, 1 something failed, 2 usage.
 *
 * A test is any program that ends with kselftest's exit codes. It runs in its
 * own session; what it leaves running is killed. It fails as well when it
 * takes too long, when the kernel has miscounted page table entries, and when
 * the kernel complained meanwhile (see splats.h), unless it prints
 * "# expects-splat: SUBSTRING" for that complaint: then it fails when the
 * complaint stays away. One that provokes other messages lowers the console's level and
 * prints "# quiet-console": what the kernel said is shown as lines of the test.
 *
 * Two more verbs exist for the tests of the runner outside: "panic" and "hang".
 */
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>

#include "init.h"

int timeout_secs = 60;
const char *coverage_dir, *trace_dir;

static __noreturn void power_off(int status)
{
	char buf[16];
	int fd, len;

	/* The kernel doesn't terminate what it reads. */
	len = snprintf(buf, sizeof(buf), "%d\n", status);
	fd = open("/proc/exitcode", O_WRONLY);
	if (fd < 0 || write(fd, buf, len) != len)
		fprintf(stderr, "init: /proc/exitcode: %s\n", strerror(errno));
	if (coverage_dir)
		save_coverage();
	fflush(NULL);
	tcdrain(STDOUT_FILENO);
	/* Not the kernel's "Power down" as the last line; a panic still shows. */
	fd = open("/proc/sys/kernel/printk", O_WRONLY);
	if (fd >= 0 && write(fd, "0", 1) == 1)
		close(fd);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

__noreturn __printf(1, 2) void usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	power_off(EXIT_USAGE);
}

static void mount_all(void)
{
	static const struct {
		const char *type, *dir, *opts;
		unsigned long flags;
	} mnt[] = {
		{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID },
		{ "devpts", "/dev/pts", "ptmxmode=0666", MS_NOSUID | MS_NOEXEC },
		{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV },
		{ "tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV },
		{ "debugfs", "/sys/kernel/debug", NULL, MS_NOSUID },
		{ "tracefs", "/sys/kernel/tracing", NULL, MS_NOSUID },
		{ "cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mnt); i++) {
		/* Only the two inside /dev don't exist beforehand. */
		if (!strncmp(mnt[i].dir, "/dev/", 5))
			mkdir(mnt[i].dir, 0755);
		/*
		 * A kernel without one of these is fine (ENODEV, ENOENT): a
		 * test that needs it says so. EBUSY: CONFIG_DEVTMPFS_MOUNT.
		 */
		if (mount(mnt[i].type, mnt[i].dir, mnt[i].type, mnt[i].flags,
			  mnt[i].opts) && errno != EBUSY && errno != ENODEV &&
		    errno != ENOENT)
			fprintf(stderr, "init: mount %s: %s\n", mnt[i].dir,
				strerror(errno));
	}
}

/*
 * /dev/console is file 0 to 2 already, but with an embedded rootfs only if it
 * holds the node. Output goes out as it is: no carriage returns.
 */
static void setup_console(void)
{
	struct termios t;
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) < 0) {
		fd = open("/dev/console", O_RDWR);
		for (; fd >= 0 && fd < STDERR_FILENO; fd = dup(fd))
			;
	}
	if (!tcgetattr(STDOUT_FILENO, &t)) {
		t.c_oflag &= ~OPOST;
		tcsetattr(STDOUT_FILENO, TCSANOW, &t);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/*
 * The kernel hands on as a variable what it doesn't know before "--". Those for
 * tests are in capitals; the rest was meant for the kernel, which says so only
 * where nobody looks.
 */
static void report_unknown_options(void)
{
	char **var;

	for (var = environ; *var; var++)
		if (**var >= 'a' && **var <= 'z')
			fprintf(stderr, "uml-mm: this kernel ignores %s\n", *var);
}

int main(int argc, char **argv)
{
	char *limit = getenv("TEST_TIMEOUT");
	char *names[MAX_TESTS];
	int i, fd, nr = 0;

	mount_all();
	setup_console();
	setenv("PATH", "/bin:/tests:/bench", 1);
	report_unknown_options();

	for (i = 1; i < argc && nr < MAX_TESTS; i++) {
		/* UML appends these to any command line. */
		if (!strncmp(argv[i], "root=", 5) ||
		    !strncmp(argv[i], "console=", 8))
			continue;
		/* UML reads it, and the kernel hands it on as a stray word. */
		if (!strcmp(argv[i], "noreboot"))
			continue;
		if (!strncmp(argv[i], "timeout=", 8))
			limit = argv[i] + 8;
		else if (!strncmp(argv[i], "gcov=", 5))
			coverage_dir = argv[i] + 5;
		else if (!strncmp(argv[i], "trace=", 6))
			trace_dir = argv[i] + 6;
		else
			names[nr++] = argv[i];
	}
	if (limit) {
		timeout_secs = atoi(limit);
		if (timeout_secs <= 0)
			usage("timeout=%s: want seconds, more than 0\n", limit);
	}
	if (nr && !strcmp(names[0], "sh"))
		power_off(run_shell(names + 1, nr - 1));

	find_tests("/tests");
	find_tests("/bench");
	if (nr == 1 && !strcmp(names[0], "list")) {
		for (i = 0; i < nr_tests; i++)
			puts(tests[i].name);
		power_off(0);
	}
	if (nr == 1 && !strcmp(names[0], "hang"))
		for (;;)
			;
	if (nr == 1 && !strcmp(names[0], "panic")) {
		fd = open("/proc/sysrq-trigger", O_WRONLY);
		if (write(fd, "c", 1) != 1)
			usage("/proc/sysrq-trigger: %s\n", strerror(errno));
	}
	nr = split_names(names, nr);
	select_tests(names, nr);
	check_memory();
	power_off(run_selected());
}
