// SPDX-License-Identifier: GPL-2.0
/*
 * The tests in random order, some at a time, killed at random, short of memory,
 * with allocations that fail: see scripts/judge/stress.py. What the tests say doesn't
 * matter here; what the kernel says does, and init reads that.
 *
 * STRESS_SEED decides everything, STRESS_SECS says how long it takes. The same
 * seed starts the tests in the same order and does the same in each tick; how
 * far a test has come by then isn't in its power.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PARALLEL	4
#define TICK_MS		20
#define MAX_TICKS	500	/* for a test, then it is killed */

static struct dirent **tests;
static int nr_tests;
static struct {
	pid_t pid;
	long since;
} slots[PARALLEL];
static pid_t hog_pid;
static long tick;

/* Two streams: the end of a test shall not change what else happens. */
static unsigned long order, events;

/* A number below @n: Marsaglia's xorshift64*. */
static unsigned int pick(unsigned long *stream, unsigned int n)
{
	*stream ^= *stream >> 12;
	*stream ^= *stream << 25;
	*stream ^= *stream >> 27;
	return (*stream * 2685821657736338717UL >> 32) % n;
}

/*
 * Tests that run KUnit, which wants the kernel for itself, and memory to say so;
 * one that raises min_free_kbytes until nothing is left for others; and one that
 * lets free pages fail, which are somebody's by then: to declare a page good that
 * memory failure could do nothing about drops a reference of its owner's. One opens
 * consoles: where that fails for want of memory, um has the next one's file under the
 * number of a file whose interrupt is still there, and warns.
 */
static const char * const alone[] = {
	"huge_zero_kunit", "hvo_struct_pages", "hvo_tail_write_faults", "pte_kunit",
	"tail_kunit", "um_kunit_tlb", "huge_zero_shrinker", "hwpoison_free_page",
	"um_console_reopen",
};

static int wanted(const struct dirent *de)
{
	size_t i;

	for (i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
		if (!strcmp(de->d_name, alone[i]))
			return 0;
	return de->d_name[0] != '.';
}

/* The next one of all tests in a random order, and then in another. */
static const char *next_test(void)
{
	static int at;
	struct dirent *tmp;
	int i, j;

	if (at % nr_tests == 0) {
		for (i = nr_tests; i > 1; i--) {
			j = pick(&order, i);
			tmp = tests[i - 1];
			tests[i - 1] = tests[j];
			tests[j] = tmp;
		}
	}
	return tests[at++ % nr_tests]->d_name;
}

/* Short of memory this may fail, and nothing depends on it. */
static void put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	write(fd, value, strlen(value));
	close(fd);
}

/* Who is killed, or has no memory to do so, doesn't put back what it set for all. */
static struct {
	const char *path;
	char value[32];
} saved[] = {
	{ .path = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" },
	{ .path = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages" },
};

static void save_settings(void)
{
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(saved); i++) {
		fd = open(saved[i].path, O_RDONLY);
		if (fd < 0)
			continue;
		read(fd, saved[i].value, sizeof(saved[i].value) - 1);
		close(fd);
	}
}

static void restore_settings(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(saved); i++)
		put(saved[i].path, saved[i].value);
}

/* A child that the OOM killer takes first, and whose allocations may fail. */
static pid_t fork_victim(void)
{
	pid_t pid;

	fflush(stdout);
	while ((pid = fork()) < 0)
		usleep(1000);
	if (!pid) {
		setsid();
		put("/proc/self/oom_score_adj", "1000");
		put("/proc/self/make-it-fail", "1");
	}
	return pid;
}

static void start_test(int i)
{
	const char *name = next_test();
	char path[512];

	printf("# %ld: slot %d %s\n", tick, i, name);
	slots[i].since = tick;
	slots[i].pid = fork_victim();
	if (slots[i].pid)
		return;
	if (!freopen("/dev/null", "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		_exit(1);
	snprintf(path, sizeof(path), "/tests/%s", name);
	execl(path, path, NULL);
	_exit(1);
}

/* Take most of the memory, give some back, take it again. */
static void hog(size_t len, bool huge)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t off, step = 4096;

	if (p == MAP_FAILED)
		_exit(1);
	if (huge)
		madvise(p, len, MADV_HUGEPAGE);
	for (;;) {
		for (off = 0; off < len; off += step)
			*(volatile char *)(p + off) = 1;
		usleep(200000);
		madvise(p + len / 4, len / 3, MADV_DONTNEED);
	}
}

static void toggle_hog(void)
{
	unsigned int percent = 40 + pick(&events, 60);
	bool huge = pick(&events, 2);
	size_t pages = sysconf(_SC_PHYS_PAGES);

	printf("# %ld: hog %u %%%s\n", tick, percent, huge ? " huge" : "");
	if (hog_pid)
		kill(hog_pid, SIGKILL);
	hog_pid = fork_victim();
	if (!hog_pid)
		hog(pages * 4096 / 100 * percent, huge);
}

/*
 * Mostly only the tests' allocations fail; some of those of all others' once in
 * a while, few enough for init.
 */
static void set_faults(bool on)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc" };
	static const char * const files[] = {
		"verbose", "space", "interval", "ignore-gfp-wait",
		"ignore-gfp-highmem", "min-order", "task-filter", "probability",
		"times",
	};
	size_t kind, file;
	bool all;

	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		all = !pick(&events, 4);
		int values[] = {
			0, 0, 1, 0, 0, 0, !all, all ? 1 : 1 + pick(&events, 10),
			on && pick(&events, 3) ? 1 + pick(&events, all ? 10 : 100) : 0,
		};

		for (file = 0; file < ARRAY_SIZE(files); file++) {
			char path[128], value[16];

			snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s",
				 kinds[kind], files[file]);
			snprintf(value, sizeof(value), "%d", values[file]);
			put(path, value);
		}
		printf("# %ld: %s %s %d %%, %d times\n", tick, kinds[kind],
		       all ? "everybody" : "tests", values[7], values[8]);
	}
}

static void reap(void)
{
	pid_t pid;
	int i;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		restore_settings();
		if (pid == hog_pid)
			hog_pid = 0;
		for (i = 0; i < PARALLEL; i++) {
			if (pid != slots[i].pid)
				continue;
			kill(-pid, SIGKILL);
			slots[i].pid = 0;
		}
	}
}

static void kill_test(int i)
{
	if (slots[i].pid)
		kill(-slots[i].pid, SIGKILL);
}

int main(int argc, char **argv)
{
	const char *seed = getenv("STRESS_SEED"), *secs = getenv("STRESS_SECS");
	struct timespec now;
	unsigned int event;
	long end;
	int i;

	order = (seed ? strtoul(seed, NULL, 10) : 1) * 2 + 1;
	events = ~order;
	nr_tests = scandir("/tests", &tests, wanted, alphasort);
	if (nr_tests <= 0)
		return 1;
	put("/proc/self/oom_score_adj", "-1000");
	save_settings();
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + (secs ? atoi(secs) : 20);
	for (tick = 0; now.tv_sec < end; tick++) {
		reap();
		for (i = 0; i < PARALLEL; i++) {
			if (!slots[i].pid)
				start_test(i);
			else if (tick - slots[i].since > MAX_TICKS)
				kill_test(i);
		}
		event = pick(&events, 200);
		if (event < 6)
			kill_test(pick(&events, PARALLEL));
		else if (event < 8)
			toggle_hog();
		else if (event < 10)
			set_faults(true);
		usleep(TICK_MS * 1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	set_faults(false);
	for (i = 0; i < PARALLEL; i++)
		kill_test(i);
	if (hog_pid)
		kill(hog_pid, SIGKILL);
	return 0;
}
