// SPDX-License-Identifier: GPL-2.0
/* What /proc, sysfs and cgroup files say. See mmtest.h. */
#include <ctype.h>
#include <inttypes.h>

#include "internal.h"

#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"

int open_or_fail(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	return fd;
}

/* The number after @key and a blank at the start of a line of a file; -1 if absent */
static long keyed_number(const char *path, const char *key)
{
	size_t len = strlen(key);
	char line[256];
	long value = -1;
	FILE *f;

	f = fopen(path, "r");
	if (!f)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len) && isspace(line[len])) {
			value = strtol(line + len, NULL, 10);
			break;
		}
	}
	fclose(f);
	return value;
}

unsigned long movable_pages(void)
{
	unsigned long present = 0;
	char line[256];
	bool in = false;
	FILE *f = fopen("/proc/zoneinfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "zone "))
			in = strstr(line, "Movable");
		if (in && sscanf(line, " present %lu", &present) == 1)
			break;
	}
	if (f)
		fclose(f);
	return present;
}

long file_number(const char *path, const char *key)
{
	char buf[64] = "";
	long value;
	int fd;

	if (key) {
		value = keyed_number(path, key);
		if (value < 0)
			ksft_exit_fail_msg("%s: no line '%s'\n", path, key);
		return value;
	}
	fd = open_or_fail(path, O_RDONLY);
	if (read(fd, buf, sizeof(buf) - 1) <= 0)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	close(fd);
	return strtol(buf, NULL, 10);
}

bool file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), saved;
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

bool number_write(const char *path, long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", n);
	return file_write(path, text);
}

#define MAX_SETTINGS	16

static struct {
	const char *path;
	long before;
} settings[MAX_SETTINGS];
static int nr_settings;
static pid_t settings_owner;

static void restore_settings(void)
{
	if (settings_owner != getpid())
		return;
	while (nr_settings--)
		number_write(settings[nr_settings].path, settings[nr_settings].before);
}

void set_until_exit(const char *path, long value)
{
	if (nr_settings == MAX_SETTINGS)
		ksft_exit_fail_msg("%s: more than %d settings\n", path, MAX_SETTINGS);
	if (!nr_settings) {
		settings_owner = getpid();
		atexit(restore_settings);
	}
	settings[nr_settings].path = path;
	settings[nr_settings].before = file_number(path, NULL);
	nr_settings++;
	if (!number_write(path, value))
		ksft_exit_fail_perror(path);
}

static char old_core_pattern[256];

static void restore_core_pattern(void)
{
	file_write(CORE_PATTERN, old_core_pattern);
	unlink(CORE_FILE);
}

void core_dumps_start(void)
{
	int fd = open_or_fail(CORE_PATTERN, O_RDONLY);
	ssize_t len = read(fd, old_core_pattern, sizeof(old_core_pattern) - 1);

	if (len < 0)
		ksft_exit_fail_perror(CORE_PATTERN);
	close(fd);
	old_core_pattern[len] = 0;
	atexit(restore_core_pattern);
	if (!file_write(CORE_PATTERN, CORE_FILE))
		ksft_exit_fail_perror(CORE_PATTERN);
}

void trace_clear(void)
{
	close(open_or_fail(TRACING "trace", O_WRONLY | O_TRUNC));
}

long vmstat(const char *name)
{
	/* Of numbers of pages each CPU may have a part; events are summed up. */
	if (!strncmp(name, "nr_", 3))
		file_write("/proc/sys/vm/stat_refresh", "1");
	return file_number("/proc/vmstat", name);
}

long vmpte(void)
{
	return file_number("/proc/self/status", "VmPTE:");
}

long smaps_kb(const void *addr, size_t len, const char *field)
{
	unsigned long from = (unsigned long)addr, to = from + len, start, end;
	size_t flen = strlen(field);
	bool inside = false;
	char line[512];
	long sum = 0;
	FILE *f;

	f = fopen("/proc/self/smaps", "r");
	if (!f)
		ksft_exit_fail_msg("/proc/self/smaps: %s\n", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < to && end > from;
		else if (inside && !strncmp(line, field, flen) &&
			 line[flen] == ':')
			sum += strtol(line + flen + 1, NULL, 10);
	}
	fclose(f);
	return sum;
}

static int pagemap_fd(void)
{
	static pid_t pid;
	static int fd;

	if (pid != getpid()) {	/* a child has a pagemap of its own */
		pid = getpid();
		fd = open_or_fail("/proc/self/pagemap", O_RDONLY);
	}
	return fd;
}

uint64_t pagemap(const void *addr)
{
	return pagemap_get_entry(pagemap_fd(), (char *)addr);
}

/* Of a page that is present; fails the test for one that isn't */
unsigned long pfn_of(const void *addr)
{
	uint64_t entry = pagemap(addr);
	int tries;

	/* A migration entry shows as one of swap, until the page is back. */
	for (tries = 0; tries < 1000 && entry & PM_SWAP; tries++) {
		usleep(1000);
		entry = pagemap(addr);
	}
	if (!PAGEMAP_PRESENT(entry))
		ksft_exit_fail_msg("%p: no page, pagemap 0x%" PRIx64 "\n", addr,
				   entry);
	return PAGEMAP_PFN(entry);
}

void pagemap_read(const void *addr, uint64_t *entry, size_t nr)
{
	off_t first = (uintptr_t)addr / PAGE_SIZE;
	ssize_t len = nr * sizeof(*entry);

	if (pread(pagemap_fd(), entry, len, first * sizeof(*entry)) != len)
		ksft_exit_fail_msg("/proc/self/pagemap: %s\n", strerror(errno));
}

void pfns_of(const void *addr, unsigned long *pfn, size_t nr)
{
	uint64_t entry[nr];
	size_t i;

	pagemap_read(addr, entry, nr);
	for (i = 0; i < nr; i++)
		pfn[i] = PAGEMAP_PRESENT(entry[i]) ? PAGEMAP_PFN(entry[i]) : 0;
}

size_t pages_moved(const void *addr, const unsigned long *pfn, size_t nr)
{
	unsigned long now[nr];
	size_t i, moved = 0;

	pfns_of(addr, now, nr);
	for (i = 0; i < nr; i++)
		moved += now[i] != pfn[i];
	return moved;
}

enum kpage { KPAGEFLAGS, KPAGECOUNT, KPAGECGROUP };

/* From a file that has 64 bits for each page frame */
static void kpage_read(enum kpage which, unsigned long pfn, uint64_t *entry, size_t nr)
{
	static const char * const path[] = {
		"/proc/kpageflags", "/proc/kpagecount", "/proc/kpagecgroup",
	};
	static int fd[ARRAY_SIZE(path)];
	ssize_t len = nr * sizeof(*entry);

	if (!fd[which])
		fd[which] = open_or_fail(path[which], O_RDONLY);
	if (pread(fd[which], entry, len, pfn * sizeof(*entry)) != len)
		ksft_exit_fail_msg("%s: pfn 0x%lx: %s\n", path[which], pfn,
				   strerror(errno));
}

uint64_t kpageflags(unsigned long pfn)
{
	uint64_t entry;

	kpage_read(KPAGEFLAGS, pfn, &entry, 1);
	return entry;
}

void kpageflags_read(unsigned long pfn, uint64_t *flags, size_t nr)
{
	kpage_read(KPAGEFLAGS, pfn, flags, nr);
}

uint64_t kpagecount(unsigned long pfn)
{
	uint64_t entry;

	kpage_read(KPAGECOUNT, pfn, &entry, 1);
	return entry;
}

uint64_t kpagecgroup(unsigned long pfn)
{
	uint64_t entry;

	kpage_read(KPAGECGROUP, pfn, &entry, 1);
	return entry;
}

/* How many of @nr page frames have @want in the bits of @mask */
static size_t count_kpage(enum kpage which, unsigned long pfn, size_t nr,
			  uint64_t mask, uint64_t want)
{
	uint64_t entry[nr];
	size_t i, n = 0;

	kpage_read(which, pfn, entry, nr);
	for (i = 0; i < nr; i++)
		n += (entry[i] & mask) == want;
	return n;
}

size_t count_pfns(unsigned long pfn, size_t nr, uint64_t flags)
{
	return count_kpage(KPAGEFLAGS, pfn, nr, flags, flags);
}

size_t count_pfns_mapped(unsigned long pfn, size_t nr, uint64_t count)
{
	return count_kpage(KPAGECOUNT, pfn, nr, -1, count);
}

/* The same of the pages in a range that are present: neighbours in one go */
static size_t count_range(enum kpage which, const char *p, size_t len,
			  uint64_t mask, uint64_t want)
{
	size_t off, nr, i, to, n = 0;
	unsigned long pfn[HPAGE_NR];

	for (off = 0; off < len; off += nr * PAGE_SIZE) {
		nr = (len - off) / PAGE_SIZE;
		if (nr > HPAGE_NR)
			nr = HPAGE_NR;
		pfns_of(p + off, pfn, nr);
		for (i = 0; i < nr; i = to) {
			for (to = i + 1; to < nr && pfn[to] == pfn[i] + to - i; to++)
				;
			if (pfn[i])
				n += count_kpage(which, pfn[i], to - i, mask, want);
		}
	}
	return n;
}

size_t count_flagged(const char *p, size_t len, uint64_t flags)
{
	return count_range(KPAGEFLAGS, p, len, flags, flags);
}

size_t count_mapped(const char *p, size_t len, uint64_t count)
{
	return count_range(KPAGECOUNT, p, len, -1, count);
}

#define CONSOLE_LEVEL	"/proc/sys/kernel/printk"

void quiet_console(void)
{
	/* For init, which reads the log when the test has ended */
	ksft_print_msg("quiet-console\n");
	set_until_exit(CONSOLE_LEVEL, 1);
}

bool pfn_anon_unmapped(unsigned long pfn)
{
	return (kpageflags(pfn) & (KPF_ANON | KPF_MMAP)) == KPF_ANON;
}

bool kpf_bare_folio(uint64_t flags)
{
	/* Locked, in the LRU, slab; page tables */
	const uint64_t others = KPF_BIT(0) | KPF_BIT(5) | KPF_BIT(7) | KPF_BIT(26) |
				KPF_MMAP | KPF_ANON | KPF_SWAPBACKED | KPF_HUGE;

	return flags & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL) && !(flags & others);
}

void unpoison_all(void)
{
	unsigned long pfn = 0, last = 1UL << 18, i;
	uint64_t flags[HPAGE_NR];

	for (; pfn < last; pfn += HPAGE_NR) {
		kpageflags_read(pfn, flags, HPAGE_NR);
		for (i = 0; i < HPAGE_NR; i++)
			if (flags[i] & KPF_HWPOISON)
				unpoison_memory(pfn + i);
	}
}

bool pfns_follow(const char *p, size_t len)
{
	size_t i, nr = len / PAGE_SIZE;
	unsigned long pfn[nr];

	pfns_of(p, pfn, nr);
	for (i = 0; i < nr; i++) {
		if (!pfn[i] || pfn[i] != pfn[0] + i) {
			ksft_print_msg("page 0 has pfn 0x%lx, page %zu 0x%lx\n",
				       pfn[0], i, pfn[i]);
			return false;
		}
	}
	return true;
}

long minor_faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_minflt;
}
