// SPDX-License-Identifier: GPL-2.0
/*
 * Who reads the trace buffer beside a writer that fills it again and again sees
 * whole entries, though it takes no lock: the timestamp of each page tells when
 * a writer has been there. For that timestamps have to differ.
 */
#include "bench.h"
#include "mmtest.h"

#define MARKS		20
#define MS		1000L
#define TEXT		"a mark that fills a page of the buffer soon "

static long saved_kb;

static void trace_end(void)
{
	number_write(TRACING "buffer_size_kb", saved_kb);
	trace_clear();
}

/* Calls @fn for each entry; how many there are */
static long entries(bool (*fn)(const char *line, void *arg), void *arg)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[4096];
	long n = 0;

	if (!f)
		ksft_exit_fail_perror(TRACING "trace");
	while (fgets(line, sizeof(line), f))
		if (*line != '#' && strncmp(line, "CPU:", 4))
			n += fn(line, arg);
	fclose(f);
	return n;
}

/* An entry with a time that the one before it hadn't */
static bool new_time(const char *line, void *last)
{
	const char *at = strstr(line, ": tracing_mark_write: mark");
	double *seconds = last, was = *seconds;

	if (!at)
		return false;
	while (at > line && at[-1] != ' ')
		at--;
	*seconds = strtod(at, NULL);
	return *seconds > was;
}

/* An entry that is none of the marks, which are all there is */
static bool bad(const char *line, void *read)
{
	++*(long *)read;
	if (strstr(line, ": tracing_mark_write: " TEXT) || *line == '\n')
		return false;
	ksft_print_msg("%s", line);
	return true;
}

int main(void)
{
	int marker = open(TRACING "trace_marker", O_WRONLY), i;
	long end, wrong = 0, read = 0;
	double last = 0;
	char text[512];
	pid_t pid;

	test_plan(3);
	if (marker < 0)
		ksft_exit_skip("a kernel without tracing\n");
	saved_kb = file_number(TRACING "buffer_size_kb", NULL);
	atexit(trace_end);
	trace_clear();
	for (i = 0; i < MARKS; i++) {
		if (write(marker, "mark", 4) != 4)
			ksft_exit_fail_perror("trace_marker");
		usleep(1000);
	}
	test_eq(entries(new_time, &last), MARKS, "marks, 1 ms apart, each with its time");

	trace_clear();
	number_write(TRACING "buffer_size_kb", 4);
	for (i = 0; i + sizeof(TEXT) < sizeof(text); i += sizeof(TEXT) - 1)
		memcpy(text + i, TEXT, sizeof(TEXT));
	fflush(stdout);
	end = now_ms() + MS;
	pid = fork();
	while (!pid) {
		/* So that no page has its entries where it had them before */
		write(marker, text, sizeof(TEXT) - 1 + rand() % (i - sizeof(TEXT)));
		if (now_ms() > end)
			_exit(0);
	}
	while (now_ms() < end)
		wrong += entries(bad, &read);
	test_eq(child_status(pid), 0, "the writer");
	ksft_print_msg("%ld entries read\n", read);
	test_eq(wrong, 0, "entries that nobody wrote");
	ksft_finished();
}
