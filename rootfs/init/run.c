// SPDX-License-Identifier: GPL-2.0
/* Run the tests that were selected: KTAP on the console, and a verdict */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "init.h"

/* Kernel messages that fail the test that met them */
static const char * const splats[] = {
#define SPLAT(text) text,
#include "splats.h"
#undef SPLAT
};

static int kmsg = -1;

#define WARNING		4	/* KERN_WARNING */
#define MAX_EXPECTED	8

/* What one test has said and met. */
struct run {
	char expected[MAX_EXPECTED][128];
	bool met[MAX_EXPECTED];
	int nr_expected;
	int nr_splats;
	bool quiet;		/* its messages aren't on the console */
	bool keeps;		/* the kernel keeps memory of it for good, each time */
	char skip[256];
};

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
	int i, prio;

	for (;;) {
		len = read(kmsg, rec, sizeof(rec) - 1);
		if (len < 0 && (errno == EPIPE || errno == EINTR))
			continue;	/* EPIPE: the ring overtook us, go on */
		if (len <= 0)
			return;
		rec[len] = '\0';
		/* "prio,seq,time,flags;text\n": facility 0 is the kernel */
		text = strchr(rec, ';');
		prio = strtoul(rec, NULL, 10);
		if (!text || prio >> 3)
			continue;
		end = strchr(++text, '\n');
		if (end)
			*end = '\0';
		if (!splat_in(text)) {
			if (run->quiet && prio <= WARNING)
				printf("  # kernel: %s\n", text);
			continue;
		}
		expected = false;
		for (i = 0; i < run->nr_expected; i++) {
			if (strstr(text, run->expected[i])) {
				run->met[i] = true;
				expected = true;
			}
		}
		run->nr_splats += !expected;
		if (!expected || run->quiet)
			printf("  # kernel: %s\n", text);
	}
}

/* One line of a test's output: indent it, and note what it tells init. */
static void take_line(struct run *run, const char *line)
{
	static const char expects[] = "# expects-splat: ", quiet[] = "# quiet-console",
		keeps[] = "# keeps-memory: ";
	const char *p;

	printf("  %s\n", line);
	if (!strncmp(line, expects, strlen(expects)) &&
	    run->nr_expected < MAX_EXPECTED)
		snprintf(run->expected[run->nr_expected++],
			 sizeof(run->expected[0]), "%s",
			 line + strlen(expects));
	run->quiet |= !strcmp(line, quiet);
	run->keeps |= !strncmp(line, keeps, strlen(keeps));
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

#define PTE_REF "/sys/kernel/debug/pte_ref/"

/*
 * With CONFIG_FREE_USER_PTE the kernel compares its count of each PTE page table
 * with the table's entries, and looks for those that are empty and won't be freed.
 * How many are wrong; each has a line.
 */
static int audit_page_tables(void)
{
	unsigned long wrong = 1, lost = 0;
	char line[256];
	FILE *f;
	int fd;

	fd = open(PTE_REF "flush", O_WRONLY);
	if (fd >= 0 && write(fd, "1", 1) != 1)
		fprintf(stderr, "init: " PTE_REF "flush: %s\n", strerror(errno));
	close(fd);
	f = fopen(PTE_REF "audit", "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "tables %*u entries %*u wrong %lu lost %lu",
			   &wrong, &lost) != 2)
			printf("  # page table: %s", line);
	fclose(f);
	return wrong + lost;
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

#define CONSOLE_LEVEL "/proc/sys/kernel/printk"

/* A test that was killed hasn't set it back. */
static void restore_console(const char *level, ssize_t len)
{
	int fd = open(CONSOLE_LEVEL, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, level, len) != len)
		fprintf(stderr, "init: " CONSOLE_LEVEL ": %s\n", strerror(errno));
	close(fd);
}

/* Run a test and say what was wrong with it, but not yet the verdict. */
static enum verdict run_once(const struct test *t, struct run *run)
{
	static char level[64];
	static ssize_t level_len;
	int fds[2], status = 0, i, left, wrong;
	enum verdict verdict = FAIL;
	bool intime;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC)) {
		printf("  # pipe: %s\n", strerror(errno));
		return FAIL;
	}
	if (!level_len) {
		int fd = open(CONSOLE_LEVEL, O_RDONLY | O_CLOEXEC);

		level_len = read(fd, level, sizeof(level));
		close(fd);
	}
	pid = fork();
	if (pid < 0) {
		printf("  # fork: %s\n", strerror(errno));
		close(fds[0]);
		close(fds[1]);
		return FAIL;
	}
	if (!pid)
		exec_test(t, fds[1]);
	close(fds[1]);
	intime = relay(run, fds[0], pid, &status);
	close(fds[0]);
	left = kill_leftovers();
	wrong = audit_page_tables();
	refresh_counters();
	read_kmsg(run);
	if (run->quiet)
		restore_console(level, level_len);

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
	if (run->nr_splats) {
		printf("  # %d kernel complaint%s\n", run->nr_splats,
		       run->nr_splats > 1 ? "s" : "");
		verdict = FAIL;
	}
	if (wrong) {
		printf("  # %d page table%s with a wrong count, or lost\n", wrong,
		       wrong > 1 ? "s" : "");
		verdict = FAIL;
	}
	for (i = 0; i < run->nr_expected; i++) {
		if (run->met[i])
			continue;
		printf("  # expected this of the kernel, but it never came: %s\n",
		       run->expected[i]);
		verdict = FAIL;
	}
	return verdict;
}

/*
 * Run a test, and say how it went. A test that leaves something in the kernel runs again,
 * twice: the first time it may have been what the kernel keeps for good. What measures, or
 * kills tests, may leave what it likes.
 */
static enum verdict run_test(const struct test *t, int nr)
{
	struct run run = { 0 };
	enum verdict verdict = run_once(t, &run);
	bool less;
	const char *left = leaked(&less);
	int i;

	if (!strncmp(t->name, "bench_", 6))
		left = NULL;
	for (i = 0; i < 2 && verdict == PASS && left && !less && !run.keeps; i++) {
		printf("  # leaves %s: again, to see whether it does so each time\n", left);
		memset(&run, 0, sizeof(run));
		verdict = run_once(t, &run);
		left = leaked(&less);
	}
	if (verdict == PASS && left && !run.keeps) {
		printf("  # leaves %s\n", left);
		verdict = FAIL;
	}
	if (verdict == SKIP)
		printf("ok %d %s # SKIP %s\n", nr, t->name, run.skip);
	else
		printf("%s %d %s\n", verdict == PASS ? "ok" : "not ok", nr,
		       t->name);
	return verdict;
}

bool run_selected(void)
{
	int i, nr = 0, count[3] = { 0 };
	struct run boot = { 0 };
	bool less;

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

	leaked(&less);
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
