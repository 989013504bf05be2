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
 * the kernel complained meanwhile (see splats[]), unless it prints
 * "# expects-splat: SUBSTRING" for that complaint: then it fails when the
 * complaint stays away.
 *
 * Two more verbs exist for the tests of the runner outside: "panic" and "hang".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define KSFT_SKIP	4
#define EXIT_USAGE	2
#define MAX_TESTS	1024
#define MAX_EXPECTED	8
#define __noreturn	__attribute__((__noreturn__))
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Kernel messages that fail the test that met them. */
static const char * const splats[] = {
	"BUG:", "kernel BUG at", "WARNING:", "Oops", "Kernel panic", "KASAN:",
	"UBSAN:", "Bad page", "possible circular locking dependency",
	"possible recursive locking", "possible irq lock inversion",
	"inconsistent lock state", "suspicious RCU usage",
	"bad unlock balance", "held lock freed", "blocked for more than",
	"shmem_evict_inode:",
};

struct test {
	const char *dir;
	char *name;
	bool selected;
};

static struct test tests[MAX_TESTS];
static int nr_tests;
static int kmsg = -1;
static int timeout_secs = 60;
static const char *coverage_dir, *trace_dir;

/* What one test has said and met. */
struct run {
	char expected[MAX_EXPECTED][128];
	bool met[MAX_EXPECTED];
	int nr_expected;
	int nr_splats;
	char skip[256];
};

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
		return 0;	/* not wanted: see scripts/gcov.py */
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
static void save_coverage(void)
{
	mkdir(GCOV_OUT, 0755);
	if (mount("none", GCOV_OUT, "hostfs", 0, coverage_dir))
		fprintf(stderr, "init: mount %s: %s\n", coverage_dir,
			strerror(errno));
	else if (nftw(GCOV, copy_coverage, 16, FTW_PHYS))
		fprintf(stderr, "init: " GCOV ": %s\n", strerror(errno));
	umount(GCOV_OUT);
}

static void reset_coverage(void)
{
	int fd = open(GCOV "/reset", O_WRONLY);

	if (fd < 0 || write(fd, "0", 1) != 1)
		fprintf(stderr, "init: " GCOV "/reset: %s\n", strerror(errno));
	close(fd);
}

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

static __noreturn __printf(1, 2) void usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	power_off(EXIT_USAGE);
}

#define TRACING "/sys/kernel/tracing"
#define TRACE_OUT "/tmp/trace"

static void tracing(const char *file, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	close(fd);
}

/*
 * trace=DIR: while tests run, record the events that DIR/events on the host
 * names, a group a line, each event with its stack, and leave them in DIR/trace.
 * Groups that this kernel doesn't have are left out.
 */
static void start_trace(void)
{
	char line[64], path[128];
	FILE *f;

	mkdir(TRACE_OUT, 0755);
	if (mount("none", TRACE_OUT, "hostfs", 0, trace_dir))
		usage("trace=%s: %s\n", trace_dir, strerror(errno));
	tracing("tracing_on", "0");
	tracing("buffer_size_kb", "65536");
	tracing("trace_clock", "mono");
	tracing("options/stacktrace", "1");
	tracing("options/hash-ptr", "0");
	tracing("options/overwrite", "0");
	f = fopen(TRACE_OUT "/events", "r");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		snprintf(path, sizeof(path), TRACING "/events/%s", line);
		if (!access(path, F_OK)) {
			snprintf(path, sizeof(path), "events/%s/enable", line);
			tracing(path, "1");
		}
	}
	if (f)
		fclose(f);
	tracing("tracing_on", "1");
}

static bool append_file(int out, const char *path)
{
	static char data[1 << 16];
	int in = open(path, O_RDONLY);
	ssize_t len;

	while ((len = read(in, data, sizeof(data))) > 0)
		if (write(out, data, len) != len)
			break;
	close(in);
	return !len;
}

/* With what was dropped for want of room, from the statistics of each CPU */
static void save_trace(void)
{
	char path[64];
	int out, cpu;

	tracing("tracing_on", "0");
	out = open(TRACE_OUT "/trace", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (!append_file(out, TRACING "/trace"))
		fprintf(stderr, "init: trace: %s\n", strerror(errno));
	for (cpu = 0; cpu < 64; cpu++) {
		snprintf(path, sizeof(path), TRACING "/per_cpu/cpu%d/stats", cpu);
		if (!append_file(out, path))
			break;
	}
	close(out);
	umount(TRACE_OUT);
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

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct test *)a)->name,
		      ((const struct test *)b)->name);
}

static void find_tests(const char *dir)
{
	int first = nr_tests;
	struct dirent *de;
	DIR *d = opendir(dir);

	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.' || nr_tests == MAX_TESTS)
			continue;
		tests[nr_tests].dir = dir;
		tests[nr_tests].name = strdup(de->d_name);
		nr_tests++;
	}
	if (d)
		closedir(d);
	qsort(tests + first, nr_tests - first, sizeof(tests[0]), by_name);
}

/*
 * How many letters to insert, drop or change to make of @word the name, or the
 * beginning of a longer one (Levenshtein).
 */
static int distance(const char *word, const char *name)
{
	int row[256] = { 0 }, i, j, diag, up, best, len = strlen(name);

	if (len > 255)
		return 255;
	for (j = 0; j <= len; j++)
		row[j] = j;
	for (i = 1; word[i - 1]; i++) {
		diag = row[0];
		row[0] = i;
		for (j = 1; j <= len; j++) {
			up = row[j];
			row[j] = diag + (word[i - 1] != name[j - 1]);
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			diag = up;
		}
	}
	for (best = row[len], j = 0; j < len; j++)
		if (row[j] < best)
			best = row[j];
	return best;
}

/* Name those that contain the word, else those that begin almost like it. */
static __noreturn void unknown_test(const char *word)
{
	int i, n = 0, d, best = strlen(word) / 3;
	bool contained = false;

	for (i = 0; i < nr_tests; i++) {
		contained |= !!strstr(tests[i].name, word);
		d = distance(word, tests[i].name);
		if (d < best)
			best = d;
	}
	fprintf(stderr, "no test '%s'", word);
	for (i = 0; i < nr_tests && n < 6; i++)
		if (contained ? !!strstr(tests[i].name, word) :
				distance(word, tests[i].name) <= best)
			fprintf(stderr, "%s%s", n++ ? ", " : "; near: ",
				tests[i].name);
	usage("; '-- list' lists all\n");
}

/* The kernel hands on 128 words at most: "a,b,c" are three names. */
static int split_names(char **names, int nr)
{
	char *words[MAX_TESTS], *name;
	int i, n = 0;

	memcpy(words, names, nr * sizeof(*words));
	for (i = 0; i < nr; i++)
		while (n < MAX_TESTS && (name = strsep(&words[i], ",")))
			names[n++] = name;
	return n;
}

static void select_tests(char **names, int nr)
{
	bool bench, hit;
	int i, j;

	for (j = 0; j < nr; j++) {
		hit = false;
		for (i = 0; i < nr_tests; i++) {
			bench = !strncmp(tests[i].name, "bench_", 6);
			if (bench && strncmp(names[j], "bench_", 6))
				continue;
			if (fnmatch(names[j], tests[i].name, 0))
				continue;
			tests[i].selected = true;
			hit = true;
		}
		if (!hit)
			unknown_test(names[j]);
	}
	for (i = 0; !nr && i < nr_tests; i++)
		tests[i].selected = strncmp(tests[i].name, "bench_", 6);
}

/* The kernel turns THP off at boot below 512 MB of usable memory. */
static void check_memory(void)
{
	long kb = 0;
	bool thp = false;
	char line[128];
	FILE *f;
	int i;

	for (i = 0; i < nr_tests; i++)
		thp |= tests[i].selected &&
		       (!strncmp(tests[i].name, "thp_", 4) ||
			!strncmp(tests[i].name, "shmem_", 6));
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemTotal: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	if (thp && kb && kb < 512 * 1024 &&
	    !access("/sys/kernel/mm/transparent_hugepage", F_OK))
		usage("mem= too small: the kernel turns huge pages off below 512 MB and has %ld MB; start it with mem=600M or more\n",
		      kb / 1024);
}

static const char *splat_in(const char *line)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(splats); i++)
		if (strstr(line, splats[i]))
			return splats[i];
	return NULL;
}

/* Take what the kernel logged since the last call, count the complaints. */
static void read_kmsg(struct run *run)
{
	char rec[8192], *text, *end;
	bool expected;
	ssize_t len;
	int i;

	for (;;) {
		len = read(kmsg, rec, sizeof(rec) - 1);
		if (len < 0 && (errno == EPIPE || errno == EINTR))
			continue;	/* EPIPE: the ring overtook us, go on */
		if (len <= 0)
			return;
		rec[len] = '\0';
		/* "prio,seq,time,flags;text\n": facility 0 is the kernel */
		text = strchr(rec, ';');
		if (!text || strtoul(rec, NULL, 10) >> 3)
			continue;
		end = strchr(++text, '\n');
		if (end)
			*end = '\0';
		if (!splat_in(text))
			continue;
		expected = false;
		for (i = 0; i < run->nr_expected; i++) {
			if (strstr(text, run->expected[i])) {
				run->met[i] = true;
				expected = true;
			}
		}
		if (expected)
			continue;
		run->nr_splats++;
		printf("  # kernel: %s\n", text);
	}
}

/* One line of a test's output: indent it, and note what it tells init. */
static void take_line(struct run *run, const char *line)
{
	static const char expects[] = "# expects-splat: ";
	const char *p;

	printf("  %s\n", line);
	if (!strncmp(line, expects, strlen(expects)) &&
	    run->nr_expected < MAX_EXPECTED)
		snprintf(run->expected[run->nr_expected++],
			 sizeof(run->expected[0]), "%s",
			 line + strlen(expects));
	p = strstr(line, "# SKIP ");
	if (p)
		snprintf(run->skip, sizeof(run->skip), "%s", p + 7);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/*
 * Relay the test's output until it has ended or its time is up. A pipe that
 * stays open doesn't mean that the test runs: its leftovers may hold it.
 * Returns false when the time is up.
 */
static bool relay(struct run *run, int fd, pid_t pid, int *status)
{
	long long end = now_ms() + timeout_secs * 1000LL;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	bool ended = false, intime = true;
	char line[4096], c[4096];
	size_t len = 0;
	ssize_t n, i;
	pid_t got;

	for (;;) {
		while (!ended && (got = waitpid(-1, status, WNOHANG)) > 0)
			ended = got == pid;
		if (!ended && now_ms() >= end) {
			intime = false;
			break;
		}
		n = poll(&pfd, 1, ended ? 0 : pfd.fd < 0 ? 1 : 20);
		if (n > 0) {
			n = read(fd, c, sizeof(c));
			if (n <= 0)
				pfd.fd = -1;	/* wait for its end */
			for (i = 0; i < n; i++) {
				if (c[i] != '\n')
					line[len++] = c[i];
				if (c[i] == '\n' || len == sizeof(line) - 1) {
					line[len] = '\0';
					take_line(run, line);
					len = 0;
				}
			}
		} else if (ended) {
			break;
		}
	}
	if (len) {
		line[len] = '\0';
		take_line(run, line);
	}
	return intime;
}

/* Everything but pid 1 goes, whatever session it went to. */
static int kill_leftovers(void)
{
	int n = 0, status;
	pid_t pid;

	while (waitpid(-1, &status, WNOHANG) > 0)
		;	/* orphans that have ended by themselves */
	kill(-1, SIGKILL);
	while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
		n += pid > 0;
	return n;
}

#define PTE_AUDIT "/sys/kernel/debug/pte_ref/audit"

/*
 * With CONFIG_FREE_USER_PTE the kernel compares its count of each PTE page table
 * with the table's entries. How many are wrong; each has a line.
 */
static int audit_page_tables(void)
{
	unsigned long wrong = 1;
	char line[256];
	FILE *f = fopen(PTE_AUDIT, "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "tables %*u entries %*u wrong %lu", &wrong) != 1)
			printf("  # page table: %s", line);
	fclose(f);
	return wrong;
}

static __noreturn void exec_test(const struct test *t, int fd)
{
	char path[512];
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	snprintf(path, sizeof(path), "%s/%s", t->dir, t->name);
	execl(path, path, NULL);
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(1);
}

enum verdict { PASS, FAIL, SKIP };

static enum verdict run_test(const struct test *t, int nr)
{
	int fds[2], status = 0, i, left, wrong;
	enum verdict verdict = FAIL;
	struct run run = { 0 };
	bool intime;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC)) {
		printf("not ok %d %s # pipe: %s\n", nr, t->name, strerror(errno));
		return FAIL;
	}
	pid = fork();
	if (pid < 0) {
		printf("not ok %d %s # fork: %s\n", nr, t->name, strerror(errno));
		close(fds[0]);
		close(fds[1]);
		return FAIL;
	}
	if (!pid)
		exec_test(t, fds[1]);
	close(fds[1]);
	intime = relay(&run, fds[0], pid, &status);
	close(fds[0]);
	left = kill_leftovers();
	wrong = audit_page_tables();
	read_kmsg(&run);

	if (!intime)
		printf("  # timed out after %d s, killed\n", timeout_secs);
	else if (left)
		printf("  # left %d process%s behind, killed\n", left,
		       left > 1 ? "es" : "");
	if (intime && WIFSIGNALED(status))
		printf("  # died of signal %d (%s)\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	if (intime && WIFEXITED(status)) {
		if (WEXITSTATUS(status) == 0)
			verdict = PASS;
		else if (WEXITSTATUS(status) == KSFT_SKIP)
			verdict = SKIP;
		else if (WEXITSTATUS(status) != 1)
			printf("  # exit status %d\n", WEXITSTATUS(status));
	}
	if (run.nr_splats) {
		printf("  # %d kernel complaint%s\n", run.nr_splats,
		       run.nr_splats > 1 ? "s" : "");
		verdict = FAIL;
	}
	if (wrong) {
		printf("  # %d page table%s with a wrong count\n", wrong,
		       wrong > 1 ? "s" : "");
		verdict = FAIL;
	}
	for (i = 0; i < run.nr_expected; i++) {
		if (run.met[i])
			continue;
		printf("  # expected this of the kernel, but it never came: %s\n",
		       run.expected[i]);
		verdict = FAIL;
	}
	if (verdict == SKIP)
		printf("ok %d %s # SKIP %s\n", nr, t->name, run.skip);
	else
		printf("%s %d %s\n", verdict == PASS ? "ok" : "not ok", nr,
		       t->name);
	return verdict;
}

#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* How often khugepaged has been through all there is to scan; -1 without it. */
static long khugepaged_scans(void)
{
	long scans = -1;
	FILE *f = fopen(KHUGEPAGED "full_scans", "r");

	if (f) {
		if (fscanf(f, "%ld", &scans) != 1)
			scans = -1;
		fclose(f);
	}
	return scans;
}

/* Wait until khugepaged has made @least scans and is asleep again. */
static void settle_khugepaged(long least)
{
	long before, now = khugepaged_scans();
	int i;

	for (i = 0; i < 200 && now >= 0; i++) {
		before = now;
		usleep(2000);
		now = khugepaged_scans();
		if (now >= least && now == before)
			break;
	}
}

/*
 * khugepaged would collapse what a test has split just then: every ten seconds,
 * and at once when there is something to scan for the first time. Let it sleep
 * long, and have something to scan all the time: 2 MB of init that stay empty,
 * with a page before them, without which they don't count. The tests that want
 * khugepaged wake it themselves.
 */
static void quiet_khugepaged(void)
{
	int fd = open(KHUGEPAGED "scan_sleep_millisecs", O_WRONLY);
	const size_t huge = 2 << 20, page = 4096;
	char *p;

	if (fd < 0)
		return;
	if (write(fd, "1000000000", 10) == 10)
		close(fd);
	p = mmap(NULL, 3 * huge, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	p = (char *)(((uintptr_t)p + 2 * huge - 1) & ~(huge - 1)) - page;
	*p = 1;
	if (!madvise(p, page + huge, MADV_HUGEPAGE))
		settle_khugepaged(1);
}

static int run_selected(void)
{
	int i, nr = 0, count[3] = { 0 };
	struct run boot = { 0 };

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		fprintf(stderr, "init: /dev/kmsg: %s; kernel complaints go unseen\n",
			strerror(errno));
	for (i = 0; i < nr_tests; i++)
		nr += tests[i].selected;
	quiet_khugepaged();
	printf("KTAP version 1\n1..%d\n", nr);
	read_kmsg(&boot);
	if (boot.nr_splats)
		printf("# the kernel complained before the first test\n");
	if (coverage_dir)
		reset_coverage();
	if (trace_dir)
		start_trace();

	for (i = 0, nr = 0; i < nr_tests; i++) {
		long scans;

		if (!tests[i].selected)
			continue;
		scans = khugepaged_scans();
		count[run_test(&tests[i], ++nr)]++;
		if (khugepaged_scans() != scans)
			settle_khugepaged(0);
	}
	if (trace_dir)
		save_trace();
	printf("# totals: %d passed, %d failed, %d skipped\n",
	       count[PASS], count[FAIL], count[SKIP]);
	return count[FAIL] || boot.nr_splats;
}

/*
 * A shell on ttyS0, which is the stdin and stdout of ./linux, with job
 * control. "sh -c COMMAND..." needs no terminal and stays on the console.
 */
static int run_shell(char **argv, int argc)
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

int main(int argc, char **argv)
{
	char *limit = getenv("TEST_TIMEOUT");
	char *names[MAX_TESTS];
	int i, fd, nr = 0;

	mount_all();
	setup_console();
	setenv("PATH", "/bin:/tests:/bench", 1);

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
