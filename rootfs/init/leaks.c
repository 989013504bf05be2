// SPDX-License-Identifier: GPL-2.0
/* What a test leaves behind in the kernel's memory */
#include <limits.h>
#include <sched.h>

#include "init.h"

/*
 * Where the kernel counts memory that may be in use when a test has ended: the cache of
 * files, and what it keeps for itself. No process has any but init, so what is anonymous, in
 * a tmpfs or a page table is a leak as well as what isn't counted at all.
 */
static const char *const counted[] = {
	"MemFree", "Active(file)", "Inactive(file)", "Slab", "KernelStack", "Percpu",
	"VmallocUsed", "Hugetlb", "HardwareCorrupted",
};

/* What is missing of all memory, in kB */
static long unaccounted(void)
{
	char line[256], name[64];
	long total = 0, sum = 0, kb;
	unsigned int i;
	FILE *f;

	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^:]: %ld", name, &kb) != 2)
			continue;
		if (!strcmp(name, "MemTotal"))
			total = kb;
		for (i = 0; i < ARRAY_SIZE(counted); i++)
			if (!strcmp(name, counted[i]))
				sum += kb;
	}
	if (f)
		fclose(f);
	/* Free ones that a CPU keeps */
	f = fopen("/proc/zoneinfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %ld", &kb) == 1)
			sum += 4 * kb;
	if (f)
		fclose(f);
	return total - sum;
}

/* Each CPU adds its part to the kernel's counters, which complains of negative ones. */
void refresh_counters(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) != 1)
		fprintf(stderr, "init: stat_refresh: %s\n", strerror(errno));
	close(fd);
}

/*
 * What is as many after a test as it was before, and how many that is. There are never fewer
 * than at the start: at most, some of an earlier test go late.
 */
struct count {
	const char *name;
	long before, now, least;
};

#define COUNT(text)	{ .name = text, .least = LONG_MAX }

/*
 * What an address space is made of. Each is gone with the last process that had it; init's
 * own stay the same.
 */
static struct count caches[] = {
	COUNT("mm_struct"), COUNT("vm_area_struct"), COUNT("anon_vma"), COUNT("anon_vma_chain"),
	COUNT("pte_ref"), COUNT("page->ptl"), COUNT("mm_slot"), COUNT("ksm_rmap_item"),
	COUNT("ksm_stable_node"), COUNT("userfaultfd_ctx_cache"), COUNT("shmem_inode_cache"),
	COUNT("hugetlbfs_inode_cache"),
};

/* Pages, as the kernel counts them: no process has any but init, and no file in memory */
static struct count pages[] = {
	COUNT("nr_anon_pages"),		/* but init's */
	COUNT("nr_anon_transparent_hugepages"), COUNT("nr_shmem"),
	COUNT("nr_shmem_hugepages"), COUNT("nr_shmem_pmdmapped"), COUNT("nr_file_hugepages"),
	COUNT("nr_file_pmdmapped"), COUNT("nr_isolated_anon"), COUNT("nr_isolated_file"),
	COUNT("nr_swapcached"), COUNT("nr_page_table_pages"), COUNT("nr_hugetlb"),
};

static struct count pins = COUNT("pins"), uncounted = COUNT("pages that nr_file_pages lacks");

/* How many objects a slab cache has, without those that are free; 0 if nobody says. */
static long objects(const char *cache)
{
	char path[128], text[32] = "";
	int fd;

	/* Free ones that a CPU keeps count as well. */
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (write(fd, "1", 1) != 1)
		fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	close(fd);
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	close(fd);
	return strtol(text, NULL, 10);
}

/* Anonymous pages of init itself */
static long own_pages(void)
{
	char line[128];
	long kb = 0;
	FILE *f;

	f = fopen("/proc/self/smaps_rollup", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Anonymous: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb / 4;
}

static void count_pages(void)
{
	static long unevictable = -1;
	char line[128], name[64];
	unsigned int i;
	FILE *f;
	long n;

	pins.now = uncounted.now = 0;
	f = fopen("/proc/vmstat", "re");
	while (f && fgets(line, sizeof(line), f)) {
		/* Some kernels show what is below zero as a large number. */
		if (sscanf(line, "%63s %lu", name, (unsigned long *)&n) != 2)
			continue;
		for (i = 0; i < ARRAY_SIZE(pages); i++)
			if (!strcmp(name, pages[i].name))
				pages[i].now = n;
		if (!strcmp(name, "nr_foll_pin_acquired"))
			pins.now += n;
		if (!strcmp(name, "nr_foll_pin_released"))
			pins.now -= n;
		if (!strcmp(name, "nr_active_file") || !strcmp(name, "nr_inactive_file"))
			uncounted.now += n;
		/* The first root's files; later a CPU may still have some that were mlocked. */
		if (!strcmp(name, "nr_unevictable") && unevictable < 0)
			unevictable = n;
		if (!strcmp(name, "nr_file_pages"))
			uncounted.now -= n;
	}
	if (f)
		fclose(f);
	pages[0].now -= own_pages();
	uncounted.now += unevictable;
	/* A CPU keeps some on its way to a list or from one. */
	if (uncounted.now < 64 * sysconf(_SC_NPROCESSORS_ONLN))
		uncounted.now = 0;
}

/* A CPU that is idle may still have the mm that it ran last. */
static void visit_cpus(void)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all) || CPU_COUNT(&all) < 2)
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	sched_setaffinity(0, sizeof(all), &all);
}

static bool differs(const struct count *count, size_t nr)
{
	for (; nr; count++, nr--)
		if (count->now > count->before || count->now < count->least)
			return true;
	return false;
}

/*
 * Add what there is more of to @text, and what there is less of than ever, and make it what
 * was before. Whether there is less of something.
 */
static bool tell(struct count *count, size_t nr, char *text, size_t size)
{
	bool less = false;
	size_t len;

	for (; nr; count++, nr--) {
		len = strlen(text);
		if (count->now > count->before || count->now < count->least)
			snprintf(text + len, size - len, "%s%+ld %s", len ? ", " : "",
				 count->now - count->before, count->name);
		if (count->now < count->least) {
			count->least = count->now;
			less = true;
		}
		count->before = count->now;
	}
	return less;
}

const char *leaked(bool *less)
{
	/* What is free may become more. */
	static struct count memory = { .name = "kB of memory", .least = LONG_MIN };
	static const struct {
		struct count *count;
		size_t nr;
	} all[] = {
		{ caches, ARRAY_SIZE(caches) }, { pages, ARRAY_SIZE(pages) },
		{ &pins, 1 }, { &uncounted, 1 }, { &memory, 1 },
	};
	static char text[512];
	static bool known;
	unsigned int i;
	bool differ;
	int tries;

	/* Some is freed after a grace period of RCU, or by a worker. */
	for (tries = 0; tries < 20; tries++) {
		visit_cpus();
		refresh_counters();
		for (i = 0; i < ARRAY_SIZE(caches); i++)
			caches[i].now = objects(caches[i].name);
		count_pages();
		/* Not all tests are fit for that yet. */
		if (getenv("LEAKS"))
			memory.now = unaccounted();
		for (differ = false, i = 0; i < ARRAY_SIZE(all); i++)
			differ |= differs(all[i].count, all[i].nr);
		if (!differ || !known)
			break;
		usleep(10000);
	}
	text[0] = '\0';
	*less = false;
	for (i = 0; i < ARRAY_SIZE(all); i++)
		*less |= tell(all[i].count, all[i].nr, text, sizeof(text));
	if (!known) {
		text[0] = '\0';
		*less = false;
	}
	known = true;
	return text[0] ? text : NULL;
}
