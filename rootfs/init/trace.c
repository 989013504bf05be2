// SPDX-License-Identifier: GPL-2.0
/* The events of a test, left on the host */
#include <sys/mount.h>
#include <sys/stat.h>

#include "init.h"

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
void start_trace(void)
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
void save_trace(void)
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
