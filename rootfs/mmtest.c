// SPDX-License-Identifier: GPL-2.0
/* See mmtest.h. */
#include <ctype.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>

#include "mmtest.h"

#define SWAP_DEVICE	"/dev/ram0"
#define SWAP_BYTES	(64UL << 20)
#define TMPFS		"/tmp/huge"
#define KUNIT		"/sys/kernel/debug/kunit/"
/* This process, since 6.14 */
#ifndef PIDFD_SELF
#define PIDFD_SELF	-10000
#endif

/* vmstat, sysfs, smaps, pagemap */

static int open_or_fail(const char *path, int flags)
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

#define PTE_AUDIT	"/sys/kernel/debug/pte_ref/audit"

static pid_t audit_owner;

/*
 * Whether the kernel's counts of page table entries are right while the test's
 * memory is still there; init looks again when it has gone.
 */
static void audit_at_exit(void)
{
	char line[256];
	bool right = false;
	FILE *f;

	if (audit_owner != getpid())
		return;
	f = fopen(PTE_AUDIT, "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		right = !strncmp(line, "tables ", 7) && strstr(line, " wrong 0\n");
		if (!right)
			ksft_print_msg("page table: %s", line);
	}
	fclose(f);
	if (!right) {
		fflush(stdout);
		_exit(KSFT_FAIL);
	}
}

/* Registered first, so it comes last. */
static __attribute__((constructor)) void audit_register(void)
{
	audit_owner = getpid();
	atexit(audit_at_exit);
}

/* Memory */

char *hole_area(size_t nr_huge)
{
	size_t len = nr_huge * HPAGE_SIZE;
	uintptr_t p;

	/* Reserve it with two huge pages more: one aligns, one keeps apart. */
	p = (uintptr_t)mmap(NULL, len + 2 * HPAGE_SIZE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((void *)p == MAP_FAILED)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	p = (p + HPAGE_SIZE) & ~(HPAGE_SIZE - 1UL);
	munmap((void *)p, len);
	return (char *)p;
}

static char *plain_area(size_t nr_huge)
{
	char *p = hole_area(nr_huge);

	if (mmap(p, nr_huge * HPAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	return p;
}

char *area_64k(size_t nr_huge)
{
	struct thp_settings set;

	thp_save_settings();
	thp_read_settings(&set);
	set.thp_enabled = THP_NEVER;
	set.hugepages[4].enabled = THP_ALWAYS;
	set.hugepages[9].enabled = THP_NEVER;
	thp_push_settings(&set);
	return plain_area(nr_huge);
}

static char *area(size_t nr_huge, int advice)
{
	size_t len = nr_huge * HPAGE_SIZE;
	char *p = plain_area(nr_huge);

	/* A kernel without THP refuses both; small pages it has. */
	if (madvise(p, len, advice) && advice == MADV_HUGEPAGE)
		ksft_exit_fail_msg("MADV_HUGEPAGE: %s\n", strerror(errno));
	return p;
}

char *huge_area(size_t nr_huge)
{
	return area(nr_huge, MADV_HUGEPAGE);
}

char *small_area(size_t nr_huge)
{
	return area(nr_huge, MADV_NOHUGEPAGE);
}

char *huge_pages(size_t nr_huge, unsigned int seed)
{
	size_t len = nr_huge * HPAGE_SIZE;
	char *p = huge_area(nr_huge);

	pattern_fill(p, 0, len, seed);
	if (smaps_kb(p, len, "AnonHugePages") != (long)(len / 1024))
		ksft_exit_fail_msg("%ld kB of %zu kB came as huge pages\n",
				   smaps_kb(p, len, "AnonHugePages"),
				   len / 1024);
	return p;
}

char *small_pages(size_t nr_huge, unsigned int seed)
{
	size_t len = nr_huge * HPAGE_SIZE;
	char *p = small_area(nr_huge);

	if (madvise(p, len, MADV_POPULATE_WRITE))
		ksft_exit_fail_perror("MADV_POPULATE_WRITE");
	pattern_fill(p, 0, len, seed);
	return p;
}

void madvise_each(char *p, size_t len, size_t step, size_t piece, int advice)
{
	struct iovec iov[1024];
	size_t off, n;

	for (off = 0; off < len;) {
		for (n = 0; n < ARRAY_SIZE(iov) && off < len; n++, off += step)
			iov[n] = (struct iovec){ p + off, piece };
		if (syscall(SYS_process_madvise, PIDFD_SELF, iov, n, advice, 0) !=
		    (ssize_t)(n * piece))
			ksft_exit_fail_perror("process_madvise");
	}
}

void area_free(char *p, size_t nr_huge)
{
	munmap(p, nr_huge * HPAGE_SIZE);
}

/* The pattern */

static inline uint64_t pattern_word(size_t off, unsigned int seed)
{
	if (!seed)
		return 0;
	/* Bytes differ between pages, words and seeds. */
	return ((uint64_t)seed << 56 | off) * 0x9e3779b97f4a7c15ULL | 1;
}

void pattern_fill(char *p, size_t from, size_t to, unsigned int seed)
{
	size_t off;

	for (off = from; off < to; off += 8)
		*(volatile uint64_t *)(p + off) = pattern_word(off, seed);
}

static long find_bad(const char *base, const char *buf, size_t from, size_t to,
		     unsigned int seed, const char *view)
{
	uint64_t got, want;
	size_t off;

	for (off = from; off < to; off += 8) {
		got = *(const volatile uint64_t *)(buf + off - from);
		want = pattern_word(off, seed);
		if (got != want) {
			ksft_print_msg("%p: %s 0x%016" PRIx64 ", want 0x%016" PRIx64 "\n",
				       base + off, view, got, want);
			return off + __builtin_ctzll(got ^ want) / 8;
		}
	}
	return -1;
}

long pattern_find_bad_user(const char *p, size_t from, size_t to,
			   unsigned int seed)
{
	return find_bad(p, p + from, from, to, seed, "the program sees");
}

long pattern_find_bad(const char *p, size_t from, size_t to, unsigned int seed)
{
	static char buf[16 * PAGE_SIZE];
	size_t off, len;
	long bad;
	int fd;

	bad = pattern_find_bad_user(p, from, to, seed);
	/* Not process_vm_readv(): its pin would unshare what a fork shares. */
	fd = open_or_fail("/proc/self/mem", O_RDONLY);
	for (off = from; bad < 0 && off < to; off += len) {
		len = to - off < sizeof(buf) ? to - off : sizeof(buf);
		if (pread(fd, buf, len, (off_t)(p + off)) != (ssize_t)len)
			ksft_exit_fail_msg("/proc/self/mem %p: %s\n", p + off,
					   strerror(errno));
		bad = find_bad(p, buf, off, off + len, seed, "the kernel sees");
	}
	close(fd);
	return bad;
}

/* Signals and children */

siginfo_t access_siginfo;
static sigjmp_buf access_env;

static void access_handler(int sig, siginfo_t *info, void *ctx)
{
	access_siginfo = *info;
	siglongjmp(access_env, sig);
}

int access_signal(char *p, bool write)
{
	struct sigaction sa = {
		.sa_sigaction = access_handler, .sa_flags = SA_SIGINFO,
	};
	struct sigaction old_segv, old_bus;
	int sig;

	sigaction(SIGSEGV, &sa, &old_segv);
	sigaction(SIGBUS, &sa, &old_bus);
	memset(&access_siginfo, 0, sizeof(access_siginfo));
	sig = sigsetjmp(access_env, 1);
	if (!sig) {
		char c = *(volatile char *)p;

		if (write)
			*(volatile char *)p = c;
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	return sig;
}

int child_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			ksft_exit_fail_msg("waitpid: %s\n", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

void run_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ksft_exit_fail_perror("sched_setaffinity");
}

int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_msg("fork: %s\n", strerror(errno));
	if (!pid) {
		int ret = fn(arg);

		fflush(stdout);
		_exit(ret);
	}
	return child_status(pid);
}

static int turn_in = -1, turn_out = -1;
static bool turn_of_child;

static void turn_wait(void)
{
	char c;

	if (read(turn_in, &c, 1) == 1)
		return;
	if (turn_of_child)
		_exit(KSFT_FAIL);
	ksft_exit_fail_msg("a child has ended before its time\n");
}

void turns_end(void)
{
	if (write(turn_out, "", 1) != 1)
		ksft_exit_fail_perror("write to the other process");
}

void turn_over(void)
{
	turns_end();
	turn_wait();
}

pid_t turns_start(int (*fn)(void))
{
	int up[2], down[2];
	pid_t pid;

	if (pipe(up) || pipe(down))
		ksft_exit_fail_perror("pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_msg("fork: %s\n", strerror(errno));
	/* Each keeps no end but its own, so that it notices the other's. */
	if (!pid) {
		turn_of_child = true;
		turn_in = down[0];
		turn_out = up[1];
		close(down[1]);
		close(up[0]);
		_exit(fn());
	}
	close(turn_in);
	close(turn_out);
	turn_in = up[0];
	turn_out = down[1];
	close(up[1]);
	close(down[0]);
	turn_wait();
	return pid;
}

int child_has_copy(char *p, unsigned long pfn, unsigned int seed)
{
	if (pattern_find_bad(p, 0, HPAGE_SIZE, seed) >= 0)
		return 1;
	if (pfn_of(p + 50 * PAGE_SIZE) == pfn + 50)
		return 2;
	pattern_fill(p, 0, HPAGE_SIZE, 2);
	return pattern_find_bad(p, 0, HPAGE_SIZE, 2) >= 0 ? 3 : 0;
}

/* Swap, memcg, tmpfs. Each ends at exit, in the process that began it. */

static pid_t swap_owner, memcg_owner, tmpfs_owner;

void swap_stop(void)
{
	uint64_t range[2] = { 0, SWAP_BYTES };
	int fd;

	if (swap_owner != getpid())
		return;
	swap_owner = 0;
	if (swapoff(SWAP_DEVICE)) {
		ksft_perror("swapoff");
		return;
	}
	/* Give the ramdisk's memory back, unless another one swaps to it by now. */
	fd = open(SWAP_DEVICE, O_WRONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKDISCARD, range))
		ksft_perror("discard " SWAP_DEVICE);
	close(fd);
}

void swap_start(void)
{
	uint32_t page[PAGE_SIZE / 4] = { 0 };
	int fd;

	/* What mkswap writes: version, last page, no bad pages; signature. */
	page[256] = 1;
	page[257] = SWAP_BYTES / PAGE_SIZE - 1;
	memcpy((char *)page + PAGE_SIZE - 10, "SWAPSPACE2", 10);

	swapoff(SWAP_DEVICE);	/* in case that a killed test left it on */
	fd = open_or_fail(SWAP_DEVICE, O_WRONLY | O_EXCL);
	if (pwrite(fd, page, sizeof(page), 0) != sizeof(page) || fsync(fd))
		ksft_exit_fail_msg("%s: %s\n", SWAP_DEVICE, strerror(errno));
	close(fd);
	if (swapon(SWAP_DEVICE, 0))
		ksft_exit_fail_msg("swapon %s: %s\n", SWAP_DEVICE,
				   strerror(errno));
	swap_owner = getpid();
	atexit(swap_stop);
}

static void memcg_leave(void)
{
	int i;

	if (memcg_owner != getpid())
		return;
	if (!file_write("/sys/fs/cgroup/cgroup.procs", "0"))
		ksft_perror("leave cgroup");
	/* Children that are about to be gone keep it busy. */
	for (i = 0; rmdir(MEMCG) && errno == EBUSY && i < 100; i++)
		usleep(10000);
}

void memcg_enter(void)
{
	if (!file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory"))
		ksft_exit_fail_msg("no cgroup2 memory controller: %s\n",
				   strerror(errno));
	if (mkdir(MEMCG, 0755) && errno != EEXIST)
		ksft_exit_fail_msg("%s: %s\n", MEMCG, strerror(errno));
	memcg_owner = getpid();
	atexit(memcg_leave);
	if (!file_write(MEMCG "cgroup.procs", "0"))
		ksft_exit_fail_msg("%s: %s\n", MEMCG, strerror(errno));
}

void memcg_reclaim(size_t bytes)
{
	char num[32];
	int i;

	snprintf(num, sizeof(num), "%zu", bytes);
	/*
	 * EAGAIN: it reclaimed less. What was used lately only became inactive,
	 * so try again; the caller looks at what became of it. Reclaim decides
	 * by statistics that may be two seconds old: a reader brings them up to
	 * date.
	 */
	for (i = 0; i < 4; i++) {
		file_number(MEMCG "memory.stat", "inactive_anon");
		if (file_write(MEMCG "memory.reclaim", num))
			break;
		if (errno != EAGAIN)
			ksft_exit_fail_msg("memory.reclaim: %s\n",
					   strerror(errno));
	}
}

static void huge_tmpfs_end(void)
{
	if (tmpfs_owner != getpid())
		return;
	umount2(TMPFS, MNT_DETACH);
	rmdir(TMPFS);
}

const char *tmpfs_huge = "always";

const char *huge_tmpfs(void)
{
	char option[32];

	if (tmpfs_owner)
		return TMPFS;
	if (mkdir(TMPFS, 0755) && errno != EEXIST)
		ksft_exit_fail_msg("%s: %s\n", TMPFS, strerror(errno));
	snprintf(option, sizeof(option), "huge=%s", tmpfs_huge);
	if (mount("mmtest", TMPFS, "tmpfs", 0, option))
		ksft_exit_fail_msg("mount tmpfs %s: %s\n", option,
				   strerror(errno));
	tmpfs_owner = getpid();
	atexit(huge_tmpfs_end);
	return TMPFS;
}

bool kpagecount_exact(void)
{
	int fd = huge_file("kpagecount", HPAGE_SIZE, 1);
	char *p = map_file(fd, PAGE_SIZE, MAP_SHARED);
	volatile char c = *p;
	bool exact;

	(void)c;
	exact = !kpagecount(pfn_of(p) + HPAGE_NR - 1);
	munmap(p, PAGE_SIZE);
	close(fd);
	return exact;
}

int huge_file(const char *name, size_t len, unsigned int seed)
{
	uint64_t buf[8192];
	char path[256];
	size_t off, i;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", huge_tmpfs(), name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, len))
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	for (off = 0; seed && off < len; off += sizeof(buf)) {
		for (i = 0; i < ARRAY_SIZE(buf); i++)
			buf[i] = pattern_word(off + i * 8, seed);
		if (pwrite(fd, buf, sizeof(buf), off) != sizeof(buf))
			ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	}
	return fd;
}

char *map_file(int fd, size_t len, int flags)
{
	char *p = hole_area((len + HPAGE_SIZE - 1) / HPAGE_SIZE);

	if (mmap(p, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) != p)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	return p;
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

/* Faults and KUnit */

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

int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		ksft_exit_fail_msg("userfaultfd: %s\n", strerror(errno));
	if (ioctl(fd, UFFDIO_API, &api))
		ksft_exit_fail_msg("UFFDIO_API 0x%llx: %s\n",
				   (unsigned long long)features,
				   strerror(errno));
	return fd;
}

long uffd_move(int uffd, char *dst, char *src, size_t len)
{
	struct uffdio_move mv = {
		.dst = (unsigned long)dst, .src = (unsigned long)src, .len = len,
	};

	return ioctl(uffd, UFFDIO_MOVE, &mv) ? -errno : mv.move;
}

/* Of linux/io_uring.h, whose older and newer forms don't go with the rest */
#define IORING_REGISTER_BUFFERS		0
#define IORING_UNREGISTER_BUFFERS	1
#define IORING_PARAMS_SIZE		120

int longterm_pin(void *p, size_t len)
{
	uint64_t params[IORING_PARAMS_SIZE / 8] = { 0 };
	struct iovec iov = { .iov_base = p, .iov_len = len };
	int ring = syscall(__NR_io_uring_setup, 4, params), tries = 100;

	if (ring < 0)
		ksft_exit_fail_msg("io_uring_setup: %s\n", strerror(errno));
	while (syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1)) {
		/* It can't be moved while another one has a reference. */
		if (errno != ENOMEM || !tries--)
			ksft_exit_fail_msg("IORING_REGISTER_BUFFERS: %s\n",
					   strerror(errno));
		usleep(1000);
	}
	return ring;
}

void longterm_unpin(int pin)
{
	if (syscall(__NR_io_uring_register, pin, IORING_UNREGISTER_BUFFERS, NULL, 0))
		ksft_exit_fail_msg("IORING_UNREGISTER_BUFFERS: %s\n",
				   strerror(errno));
	close(pin);
}
