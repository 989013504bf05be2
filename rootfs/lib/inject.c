// SPDX-License-Identifier: GPL-2.0
/* What the kernel is told to do: to fail, to split, to test itself. See mmtest.h. */
#include "internal.h"

#define KUNIT	"/sys/kernel/debug/kunit/"

static pid_t fail_owner;

static bool fail_write(const char *kind, const char *name, long value)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kind, name);
	return number_write(path, value);
}

/* Allocations of @kind fail in a process that asks for it, @times of them (-1: all) */
static void fail_start(const char *kind, int times, long space)
{
	static bool at_exit;

	if (!at_exit)
		atexit(fail_stop);
	at_exit = true;
	fail_owner = getpid();
	if (!fail_write(kind, "task-filter", 1) ||
	    !fail_write(kind, "ignore-gfp-wait", 0) ||
	    !fail_write(kind, "verbose", 0) ||
	    !fail_write(kind, "times", times) ||
	    !fail_write(kind, "interval", 0) ||
	    /* What is left of it when it isn't more than what is asked for */
	    !fail_write(kind, "space", space + 1) ||
	    !fail_write(kind, "probability", 100))
		ksft_exit_fail_perror(kind);
}

void fail_stop(void)
{
	static const char * const kinds[] = { "fail_page_alloc", "failslab" };
	size_t i;

	if (fail_owner != getpid())
		return;
	fail_owner = 0;
	file_write("/proc/self/make-it-fail", "0");
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		fail_write(kinds[i], "probability", 0);
		fail_write(kinds[i], "space", 0);
		fail_write(kinds[i], "times", 1);
		fail_write(kinds[i], "task-filter", 0);
		fail_write(kinds[i], "ignore-gfp-wait", 1);
		fail_write(kinds[i], "verbose", 2);
	}
	fail_write("fail_page_alloc", "min-order", 1);
	fail_write("fail_page_alloc", "ignore-gfp-highmem", 1);
}

void fail_page_alloc_start(int order, long space)
{
	if (!fail_write("fail_page_alloc", "min-order", order) ||
	    !fail_write("fail_page_alloc", "ignore-gfp-highmem", 0))
		ksft_exit_fail_perror("fail_page_alloc");
	fail_start("fail_page_alloc", -1, space);
}

void failslab_start(int times, long space)
{
	fail_start("failslab", times, space);
}

FILE *kunit_results(const char *suite)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), KUNIT "%s/run", suite);
	if (!file_write(path, "1"))
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	snprintf(path, sizeof(path), KUNIT "%s/results", suite);
	f = fopen(path, "r");
	if (!f)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	return f;
}

void kunit_run(const char *suite, int *ok, int *not_ok)
{
	FILE *f = kunit_results(suite);
	char line[256], *p;

	*ok = 0;
	*not_ok = 0;
	while (fgets(line, sizeof(line), f)) {
		/* The cases are indented once, what they say twice. */
		p = line + strspn(line, " ");
		ksft_print_msg("%s", line);
		*ok += p - line == 4 && !strncmp(p, "ok ", 3);
		*not_ok += !strncmp(p, "not ok ", 7);
	}
	fclose(f);
}

void khugepaged_settings(unsigned int msecs)
{
	struct thp_settings set;

	thp_read_settings(&set);
	set.khugepaged.defrag = 1;
	set.khugepaged.alloc_sleep_millisecs = msecs;
	set.khugepaged.scan_sleep_millisecs = msecs;
	set.khugepaged.max_ptes_none = HPAGE_NR - 1;
	set.khugepaged.pages_to_scan = 8192;
	thp_push_settings(&set);
}

void debugfs_split(const void *p, size_t len, int order)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "%d,0x%lx,0x%lx,%d", getpid(),
		 (unsigned long)p, (unsigned long)p + len, order);
	if (!file_write("/sys/kernel/debug/split_huge_pages", cmd))
		ksft_exit_fail_msg("split_huge_pages '%s': %s\n", cmd,
				   strerror(errno));
}
