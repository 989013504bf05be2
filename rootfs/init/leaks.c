// SPDX-License-Identifier: GPL-2.0
/* What a test leaves behind in the kernel's memory */
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

/* Have each CPU add its part to the counters; with one CPU there is none to add. */
static void refresh(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) != 1)
		fprintf(stderr, "init: stat_refresh: %s\n", strerror(errno));
	close(fd);
}

long leaked(void)
{
	static long before = -1;
	long now;
	int i;

	/* Some is freed after a grace period of RCU, or by a worker. */
	for (i = 0; i < 10; i++) {
		refresh();
		now = unaccounted();
		if (before < 0 || now <= before)
			break;
		usleep(10000);
	}
	i = before < 0 ? 0 : now - before;
	before = now;
	return i;
}
