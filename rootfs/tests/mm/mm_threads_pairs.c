// SPDX-License-Identifier: GPL-2.0
/*
 * Threads read and write memory while another thread of the same process has the kernel
 * do something with it, one pair after the other of what it does and of a kind of memory.
 *
 * Each worker has a word of its own in each page, and knows what it wrote there last. The
 * operator notes for each page which operation on it has begun and which is done. So
 * - a word is what its worker wrote last, or zero (what userfaultfd filled in) if an
 *   operation that takes data away is under way or has been since;
 * - once such an operation is done that began after the store, it is zero: an older value
 *   would be seen by a translation that should be gone;
 * - while the operator says that pages are read-only, or gone, no access gets through,
 *   and no word changes that can still be seen elsewhere: the page that was moved away,
 *   the child's page after fork(), or the pages that have been freed, and that the
 *   operator has taken for itself by then (the canary);
 * - an access that no operation can have been beside meets no signal.
 *
 * RACE_SECS says how long all pairs take together, beside what it takes to set them up,
 * RACE_SEED what is done (an order of the threads it doesn't say), RACE_PAIRS which pairs,
 * by a glob of the names that are printed.
 */
#include <fnmatch.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "hugetlb.h"
#include "threads.h"

#define MAX_UNITS	(2 * HPAGE_NR)	/* pages of 4 KB, whatever they are parts of */
#define MAX_WORKERS	3
#define OPERATOR	MAX_WORKERS	/* it has words, too */
#define NR_SLOTS	(MAX_WORKERS + 1)
#define POOL_PAGES	12L
#define CANARY		0xcafe000000000000ULL
#define FILL		0xf111000000000000ULL
#define EXTRA_MS	3000L		/* for what has to happen once and takes its time */

enum { SMALL, MTHP, THP, SHMEM, SHMEM_HUGE, TEAM, HUGETLB, HUGETLB_FILE, NR_KINDS };

#define K(kind)		(1U << (kind))
#define PRIVATE_4K	(K(SMALL) | K(MTHP) | K(THP))	/* or parts of 4 KB */
#define PRIVATE		(PRIVATE_4K | K(HUGETLB))
#define SHMEMS		(K(SHMEM) | K(SHMEM_HUGE) | K(TEAM))
#define ALL		(PRIVATE | SHMEMS | K(HUGETLB_FILE))

static const char * const kind_names[NR_KINDS] = {
	"4k", "64k", "thp", "shmem", "shmem-huge", "team", "hugetlb", "hugetlb-file",
};

/* What becomes of data, of private memory and of shared */
enum fate { KEEPS, MAY_ZERO, ZEROES };

struct op {
	const char *name;
	void (*run)(size_t from, size_t nr);
	unsigned int kinds;
	enum fate private, shared;
	bool segv, bus;		/* accesses may meet these */
	bool closed;		/* its window is one for reads as well */
	bool uffd;
	bool one;		/* of a single page each time */
	int write_one_in;	/* workers write that often; 0: every other time */
	const char *counter;	/* of vmstat: what has to happen at least once */
	unsigned int counted;	/* with these kinds */
	void (*start)(void);
	void (*end)(void);
};

static const struct op *op;
static int kind;
static char *mem, *other, *canary, *fills;
static size_t units, step;	/* of step units each, an operation has whole ones */
static int fd, uffd;
static bool at_once;		/* threads run at once, so nobody needs to make room */
static uint64_t operator_seed;

/* Which operation on each page has begun, is done, has left it closed */
static struct {
	atomic_uint begun, done, window;
} unit_log[MAX_UNITS];
static unsigned int op_nr;
static atomic_size_t hot_from, hot_nr;	/* where it is at */

static atomic_bool stop, stop_handler;
static atomic_int ready;

/* What went wrong, by its kind */
enum { LOST, OLD, FOREIGN, THROUGH, CHANGED, STRAY, CHILD, SIGNAL, NR_BAD };
static const char * const bad_names[NR_BAD] = {
	"lost", "old", "foreign", "got through", "changed while nobody could",
	"stray writes to freed pages", "children that saw changes", "signals without a cause",
};
static atomic_ulong bad[NR_BAD], nr_ops, nr_checks, nr_faults;

struct worker {
	int who;
	uint64_t seed, sequence;
	int pipe[2];
	volatile bool accessing, faulted;
	volatile size_t unit;
	volatile unsigned int done_before;
	struct {
		uint64_t value;
		unsigned int done_before, begun_after;	/* around the store */
	} model[MAX_UNITS];
};

static struct worker workers[NR_SLOTS];
static __thread struct worker *me;

static volatile uint64_t *word(char *p, size_t unit, int who)
{
	return (volatile uint64_t *)(p + unit * PAGE_SIZE + 64 * who + 8);
}

static void make_room(void)
{
	int i;

	if (!at_once)
		sched_yield();
	for (i = 0; at_once && i < 100; i++)
		asm volatile("pause");
}

static void found(int what, size_t unit, uint64_t got, uint64_t want)
{
	if (atomic_fetch_add(&bad[what], 1) < 3)
		ksft_print_msg("%s/%s: %s: page %zu: 0x%llx, want 0x%llx\n", op->name,
			       kind_names[kind], bad_names[what], unit,
			       (unsigned long long)got, (unsigned long long)want);
}

/* ---- Workers */

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	size_t unit = ((char *)info->si_addr - mem) / PAGE_SIZE;
	struct worker *w = me;
	int saved = errno;

	atomic_fetch_add(&nr_faults, 1);
	if (w)
		w->faulted = true;
	/* A memory failure is told to whom the kernel likes. */
	if (sig == SIGBUS && op->bus) {
		make_room();
		errno = saved;
		return;
	}
	if (!w || !w->accessing || unit != w->unit || sig != SIGSEGV || !op->segv ||
	    atomic_load(&unit_log[unit].begun) == w->done_before) {
		static const char text[] = "# a signal without a cause\n";

		if (atomic_fetch_add(&bad[SIGNAL], 1) < 3)
			(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
		if (atomic_load(&bad[SIGNAL]) > 1000)
			_exit(KSFT_FAIL);
	}
	make_room();
	errno = saved;
}

/* Load a word as a system call would, once it can be read at all */
static uint64_t load_by_kernel(struct worker *w, volatile uint64_t *p)
{
	uint64_t got = 0;

	while (write(w->pipe[1], (void *)p, sizeof(got)) != sizeof(got)) {
		if (errno != EFAULT)
			ksft_exit_fail_perror("write to a pipe");
		if (!op->bus && (!op->segv ||
				 atomic_load(&unit_log[w->unit].begun) == w->done_before))
			found(SIGNAL, w->unit, EFAULT, 0);
		w->faulted = true;
		make_room();
	}
	if (read(w->pipe[0], &got, sizeof(got)) != sizeof(got))
		ksft_exit_fail_perror("read from a pipe");
	return got;
}

static enum fate fate(void)
{
	return K(kind) & PRIVATE ? op->private : op->shared;
}

/* What a page has that the operation has taken the data from */
static uint64_t base_of(size_t unit)
{
	return op->uffd && fate() == ZEROES ? FILL | unit : 0;
}

static uint64_t new_value(struct worker *w, size_t unit)
{
	/* For KSM many pages have to be the same. */
	if (op->write_one_in)
		return 1 + pick(&w->seed, 2);
	return ++w->sequence << 24 | unit << 8 | w->who << 4 | 1;
}

static void store(struct worker *w, size_t unit)
{
	uint64_t value = new_value(w, unit);
	unsigned int window;

	w->unit = unit;
	w->done_before = atomic_load(&unit_log[unit].done);
	w->faulted = false;
	window = atomic_load(&unit_log[unit].window);
	w->accessing = true;
	*word(mem, unit, w->who) = value;
	atomic_thread_fence(memory_order_seq_cst);
	w->accessing = false;
	w->model[unit].value = value;
	w->model[unit].done_before = w->done_before;
	w->model[unit].begun_after = atomic_load(&unit_log[unit].begun);
	if (window && !w->faulted && atomic_load(&unit_log[unit].window) == window)
		found(THROUGH, unit, value, 0);
}

static void load(struct worker *w, size_t unit)
{
	uint64_t got, value = w->model[unit].value, base = base_of(unit);
	unsigned int window, begun;

	w->unit = unit;
	w->done_before = atomic_load(&unit_log[unit].done);
	w->faulted = false;
	window = op->closed ? atomic_load(&unit_log[unit].window) : 0;
	w->accessing = true;
	if (pick(&w->seed, 32))
		got = *word(mem, unit, w->who);
	else
		got = load_by_kernel(w, word(mem, unit, w->who));
	atomic_thread_fence(memory_order_seq_cst);
	w->accessing = false;
	begun = atomic_load(&unit_log[unit].begun);
	if (window && !w->faulted && atomic_load(&unit_log[unit].window) == window)
		found(THROUGH, unit, got, 0);
	if (got == value) {
		if (fate() == ZEROES && value != base &&
		    w->done_before > w->model[unit].begun_after)
			found(OLD, unit, got, base);
	} else {
		if (got != base)
			found(FOREIGN, unit, got, value);
		else if (fate() == KEEPS || begun == w->model[unit].done_before)
			found(LOST, unit, got, value);
		w->model[unit].value = got;
	}
}

static void access_some(struct worker *w, int n)
{
	size_t unit;

	for (; n; n--) {
		unit = pick(&w->seed, units);
		/* Mostly where something happens */
		if (pick(&w->seed, 4))
			unit = atomic_load(&hot_from) +
			       pick(&w->seed, atomic_load(&hot_nr) ?: 1);
		if (unit >= units)
			unit = 0;
		load(w, unit);
		if (!pick(&w->seed, op->write_one_in ?: 2))
			store(w, unit);
	}
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	unsigned long checks = 0;
	size_t unit;

	if (nr_cpus() > 1)
		run_on_cpu((w->who + 1) % nr_cpus());
	me = w;
	for (unit = 0; unit < units; unit++)
		store(w, unit);
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&stop)) {
		access_some(w, 64);
		checks += 64;
		/* Else the others would wait for the timer. */
		if (!at_once)
			sched_yield();
	}
	atomic_fetch_add(&nr_checks, checks);
	return NULL;
}

/* ---- The operator */

static void begin(size_t from, size_t nr)
{
	size_t i;

	atomic_store(&hot_from, from);
	atomic_store(&hot_nr, nr);
	op_nr++;
	for (i = from; i < from + nr; i++)
		atomic_store_explicit(&unit_log[i].begun, op_nr, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static void done(size_t from, size_t nr)
{
	size_t i;

	for (i = from; i < from + nr; i++)
		atomic_store_explicit(&unit_log[i].done, op_nr, memory_order_release);
}

/* From now on nobody can write to it, or (op->closed) access it, until it is closed. */
static void window(size_t from, size_t nr, bool open)
{
	size_t i;

	for (i = from; i < from + nr; i++)
		atomic_store(&unit_log[i].window, open ? op_nr : 0);
}

/* How often to look at what mustn't change: for some 50 us, or two turns of the others */
static int looks(size_t nr)
{
	return at_once ? 4 + 2000 / nr : 3;
}

/* The words of pages, of which none may change as nobody can write to them */
static void must_stay(char *p, size_t from, size_t nr)
{
	static uint64_t seen[MAX_UNITS][NR_SLOTS];
	size_t i, who;
	int look;

	for (i = 0; i < nr; i++)
		for (who = 0; who < NR_SLOTS; who++)
			seen[i][who] = *word(p, from + i, who);
	for (look = looks(nr); look; look--) {
		make_room();
		for (i = 0; i < nr; i++)
			for (who = 0; who < NR_SLOTS; who++)
				if (*word(p, from + i, who) != seen[i][who]) {
					found(CHANGED, from + i, *word(p, from + i, who),
					      seen[i][who]);
					seen[i][who] = *word(p, from + i, who);
				}
	}
}

/* The same of what can't be accessed: the kernel can. */
static void must_stay_closed(size_t from, size_t nr)
{
	static char buf[PAGE_SIZE], again[PAGE_SIZE];
	static int self = -1;
	int look;

	if (self < 0)
		self = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	from += pick(&operator_seed, nr);
	if (pread(self, buf, PAGE_SIZE, (off_t)(mem + from * PAGE_SIZE)) != PAGE_SIZE)
		return;
	for (look = 3; look; look--) {
		make_room();
		if (pread(self, again, PAGE_SIZE, (off_t)(mem + from * PAGE_SIZE)) == PAGE_SIZE &&
		    memcmp(buf, again, PAGE_SIZE))
			found(CHANGED, from, *word(again, 0, 0), *word(buf, 0, 0));
	}
}

/* Take the pages that were freed last: nobody else may write to them. */
static void watch_freed(size_t nr)
{
	size_t i, who;
	int look;

	if (step == 1 && nr > 64 && !(kind == THP && nr == units))
		nr = 64;
	for (i = 0; i < nr; i++)
		for (who = 0; who < NR_SLOTS; who++)
			*word(canary, i, who) = CANARY | i;
	for (look = looks(nr); look; look--) {
		make_room();
		for (i = 0; i < nr; i++)
			for (who = 0; who < NR_SLOTS; who++)
				if (*word(canary, i, who) != (CANARY | i)) {
					found(STRAY, i, *word(canary, i, who), CANARY | i);
					*word(canary, i, who) = CANARY | i;
				}
	}
	madvise(canary, units * PAGE_SIZE, MADV_DONTNEED);
}

static void advise(char *p, size_t from, size_t nr, int advice, const char *name)
{
	if (madvise(p + from * PAGE_SIZE, nr * PAGE_SIZE, advice))
		ksft_exit_fail_perror(name);
}

/* The memory of this kind at @p, empty, in place of what was there */
static void map_at(char *p, size_t from, size_t nr)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (K(kind) & ~PRIVATE)
		flags = MAP_SHARED;
	if (kind == HUGETLB)
		flags |= MAP_HUGETLB;
	p += from * PAGE_SIZE;
	if (mmap(p, nr * PAGE_SIZE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
		 fd < 0 ? 0 : from * PAGE_SIZE) != p)
		ksft_exit_fail_perror("mmap");
	if (kind == THP && madvise(p, nr * PAGE_SIZE, MADV_HUGEPAGE))
		ksft_exit_fail_perror("MADV_HUGEPAGE");
}

static void do_touch(size_t from, size_t nr)
{
	begin(from, nr);
	advise(mem, from, nr, MADV_DONTNEED, "MADV_DONTNEED");
	done(from, nr);
}

static void do_dontneed(size_t from, size_t nr)
{
	begin(from, nr);
	advise(mem, from, nr, MADV_DONTNEED, "MADV_DONTNEED");
	if (fate() == ZEROES)
		watch_freed(nr);
	done(from, nr);
}

/* The same where all of it is freed for sure */
static void drop(size_t from, size_t nr, int advice, const char *what)
{
	begin(from, nr);
	advise(mem, from, nr, advice, what);
	watch_freed(nr);
	done(from, nr);
}

static void do_remove(size_t from, size_t nr)
{
	drop(from, nr, MADV_REMOVE, "MADV_REMOVE");
}

static void do_free(size_t from, size_t nr)
{
	begin(from, nr);
	advise(mem, from, nr, MADV_FREE, "MADV_FREE");
	madvise(mem + from * PAGE_SIZE, nr * PAGE_SIZE, MADV_PAGEOUT);
	watch_freed(nr);
	done(from, nr);
}

static void do_protect(size_t from, size_t nr, int prot)
{
	char *p = mem + from * PAGE_SIZE;

	begin(from, nr);
	if (mprotect(p, nr * PAGE_SIZE, prot))
		ksft_exit_fail_perror("mprotect");
	window(from, nr, true);
	if (prot == PROT_READ)
		must_stay(mem, from, nr);
	else
		must_stay_closed(from, nr);
	window(from, nr, false);
	if (mprotect(p, nr * PAGE_SIZE, PROT_READ | PROT_WRITE))
		ksft_exit_fail_perror("mprotect");
	done(from, nr);
}

static void do_readonly(size_t from, size_t nr)
{
	do_protect(from, nr, PROT_READ);
}

static void do_none(size_t from, size_t nr)
{
	do_protect(from, nr, PROT_NONE);
}

static void move(char *from, char *to, size_t len)
{
	if (mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		ksft_exit_fail_perror("mremap");
}

static void do_mremap(size_t from, size_t nr)
{
	size_t off = from * PAGE_SIZE, len = nr * PAGE_SIZE;

	begin(from, nr);
	move(mem + off, other + off, len);
	window(from, nr, true);
	must_stay(other, from, nr);
	window(from, nr, false);
	move(other + off, mem + off, len);
	done(from, nr);
}

static void do_munmap(size_t from, size_t nr)
{
	begin(from, nr);
	if (munmap(mem + from * PAGE_SIZE, nr * PAGE_SIZE))
		ksft_exit_fail_perror("munmap");
	window(from, nr, true);
	if (fate() == ZEROES)
		watch_freed(nr);
	else
		make_room();
	window(from, nr, false);
	map_at(mem, from, nr);
	done(from, nr);
}

/* A new mapping in place of the old one, which isn't unmapped before */
static void do_replace(size_t from, size_t nr)
{
	begin(from, nr);
	map_at(mem, from, nr);
	if (fate() == ZEROES)
		watch_freed(nr);
	done(from, nr);
}

/* A child: what it has is what its parent's workers wrote, and stays so. */
static int look_as_child(size_t from, size_t nr)
{
	size_t i, unit, who;
	uint64_t got;

	for (i = 0; i < nr; i++) {
		unit = from + i;
		for (who = 0; who < NR_SLOTS; who++) {
			got = *word(mem, unit, who);
			if (got && got % (1 << 24) != (unit << 8 | who << 4 | 1))
				return 1;
		}
	}
	must_stay(mem, from, nr);
	return atomic_load(&bad[CHANGED]) != 0;
}

static void do_fork(size_t from, size_t nr)
{
	unsigned long before = atomic_load(&bad[CHANGED]);
	pid_t pid;

	begin(from, nr);
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid) {
		atomic_fetch_sub(&bad[CHANGED], before);
		_exit(look_as_child(from, nr));
	}
	if (child_status(pid))
		found(CHILD, from, 1, 0);
	done(from, nr);
}

static void do_collapse(size_t from, size_t nr)
{
	begin(0, units);
	debugfs_split(mem, units * PAGE_SIZE, 0);
	/* Pages that are isolated by somebody else are a reason to refuse it. */
	madvise(mem, units * PAGE_SIZE, MADV_COLLAPSE);
	done(0, units);
}

static void khugepaged_start(void)
{
	khugepaged_settings(1);
	advise(mem, 0, units, MADV_HUGEPAGE, "MADV_HUGEPAGE");
}

static void do_khugepaged(size_t from, size_t nr)
{
	long before = vmstat("thp_collapse_alloc");
	int i;

	begin(0, units);
	debugfs_split(mem, units * PAGE_SIZE, 0);
	for (i = 0; i < 10 && vmstat("thp_collapse_alloc") == before; i++)
		usleep(2000);
	done(0, units);
}

static void ksm_on(void)
{
	static bool set;

	if (!set)
		ksm_settings(0, 2048);
	set = true;
	advise(mem, 0, units, MADV_MERGEABLE, "MADV_MERGEABLE");
	file_write(KSM "run", "1");
}

static void ksm_off(void)
{
	file_write(KSM "run", "2");
	file_write(KSM "run", "0");
}

static void do_ksm(size_t from, size_t nr)
{
	begin(from, nr);
	usleep(2000);
	if (!pick(&operator_seed, 8)) {
		advise(mem, from, nr, MADV_UNMERGEABLE, "MADV_UNMERGEABLE");
		advise(mem, from, nr, MADV_MERGEABLE, "MADV_MERGEABLE");
	}
	done(from, nr);
}

/* ---- userfaultfd */

static void copy_in(char *to)
{
	struct uffdio_copy copy = {
		.dst = (unsigned long)to, .src = (unsigned long)fills + (to - mem),
		.len = step * PAGE_SIZE,
	};
	struct uffdio_range range = { copy.dst, copy.len };

	while (ioctl(uffd, UFFDIO_COPY, &copy)) {
		if (errno == EEXIST) {
			ioctl(uffd, UFFDIO_WAKE, &range);
			return;
		}
		if (errno != EAGAIN)
			ksft_exit_fail_perror("UFFDIO_COPY");
		copy.copy = 0;
	}
}

static void continue_with(char *to)
{
	struct uffdio_continue cont = {
		.range = { (unsigned long)to, step * PAGE_SIZE },
	};

	while (ioctl(uffd, UFFDIO_CONTINUE, &cont)) {
		if (errno == EEXIST) {
			ioctl(uffd, UFFDIO_WAKE, &cont.range);
			return;
		}
		if (errno != EAGAIN)
			ksft_exit_fail_perror("UFFDIO_CONTINUE");
		cont.mapped = 0;
	}
}

static bool minor;

static void *uffd_handler(void *arg)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;
	unsigned long addr;

	while (!atomic_load(&stop_handler)) {
		if (poll(&pfd, 1, 5) <= 0 || read(uffd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		addr = msg.arg.pagefault.address & -(step * PAGE_SIZE);
		if (minor)
			continue_with((char *)addr);
		else
			copy_in((char *)addr);
	}
	return NULL;
}

static pthread_t handler_thread;

static void uffd_begin(uint64_t features, bool is_minor)
{
	size_t unit, who;

	minor = is_minor;
	uffd = uffd_open(features);
	if (uffd_register(uffd, mem, units * PAGE_SIZE, !minor, false, minor))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
	for (unit = 0; unit < units; unit++)
		for (who = 0; who < NR_SLOTS; who++)
			*word(fills, unit, who) = FILL | unit;
	atomic_store(&stop_handler, false);
	handler_thread = thread_start(uffd_handler, NULL);
}

static void uffd_end(void)
{
	atomic_store(&stop_handler, true);
	pthread_join(handler_thread, NULL);
	close(uffd);
}

static void missing_start(void)
{
	uffd_begin(0, false);
}

static void minor_start(void)
{
	uffd_begin(kind == HUGETLB_FILE ? UFFD_FEATURE_MINOR_HUGETLBFS :
					  UFFD_FEATURE_MINOR_SHMEM, true);
}

/* What is in its place is up to the handler, as soon as somebody looks. */
static void do_missing(size_t from, size_t nr)
{
	if (K(kind) & SHMEMS)
		drop(from, nr, MADV_REMOVE, "MADV_REMOVE");
	else
		drop(from, nr, MADV_DONTNEED, "MADV_DONTNEED");
}

static void do_minor(size_t from, size_t nr)
{
	do_touch(from, nr);
}

static void move_start(void)
{
	uffd = uffd_open(UFFD_FEATURE_MOVE);
	/* Nothing is missing for longer than the operator has it away. */
	advise(mem, 0, units, MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE");
	map_at(other, 0, units);
	if (uffd_register(uffd, mem, units * PAGE_SIZE, true, false, false) ||
	    uffd_register(uffd, other, units * PAGE_SIZE, true, false, false))
		ksft_exit_fail_perror("UFFDIO_REGISTER");
}

static void move_end(void)
{
	close(uffd);
	munmap(other, units * PAGE_SIZE);
}

/* How many bytes it moved until it was refused */
static size_t move_all(char *dst, char *src, size_t len, bool insist)
{
	size_t moved = 0;

	while (moved < len) {
		struct uffdio_move mv = {
			.dst = (unsigned long)dst + moved, .src = (unsigned long)src + moved,
			.len = len - moved,
		};

		if (!ioctl(uffd, UFFDIO_MOVE, &mv))
			return len;
		if (mv.move > 0)
			moved += mv.move;
		else if (errno != EAGAIN && !(insist && errno == EBUSY))
			break;
	}
	return moved;
}

static void do_move(size_t from, size_t nr)
{
	size_t off = from * PAGE_SIZE, len = nr * PAGE_SIZE, moved;

	begin(from, nr);
	moved = move_all(other + off, mem + off, len, false);
	if (moved) {
		window(from, moved / PAGE_SIZE, true);
		must_stay(other, from, moved / PAGE_SIZE);
		window(from, nr, false);
		if (move_all(mem + off, other + off, moved, true) != moved)
			ksft_exit_fail_perror("UFFDIO_MOVE back");
	}
	done(from, nr);
}

/* ---- Pages that fail, or go to swap */

static void unpoison(unsigned long pfn)
{
	if (pfn && kpageflags(pfn) & KPF_HWPOISON)
		unpoison_memory(pfn);
}

static void poison_end(void)
{
	unpoison_all();
	if (K(kind) & (K(HUGETLB) | K(HUGETLB_FILE)))
		pool_resize(POOL_PAGES);
}

static void do_poison(size_t from, size_t nr)
{
	char *p = mem + from * PAGE_SIZE;
	unsigned long pfn;

	begin(from, nr);
	(void)*(volatile char *)p;	/* that it has a number */
	pfns_of(p, &pfn, 1);
	madvise(p, PAGE_SIZE, MADV_HWPOISON);
	make_room();
	if (K(kind) & SHMEMS)
		advise(mem, from, nr, MADV_REMOVE, "MADV_REMOVE");
	advise(mem, from, nr, MADV_DONTNEED, "MADV_DONTNEED");
	unpoison(pfn);
	if (step > 1)
		pool_resize(POOL_PAGES);
	done(from, nr);
	if (kind != SHMEM_HUGE || !pfn || !(kpageflags(pfn) & KPF_HWPOISON))
		return;

	/* A huge page that couldn't be split, with others' faults under way, goes as one. */
	begin(0, units);
	advise(mem, 0, units, MADV_REMOVE, "MADV_REMOVE");
	unpoison(pfn);
	done(0, units);
}

static void do_soft_offline(size_t from, size_t nr)
{
	char *p = mem + from * PAGE_SIZE;
	unsigned long pfn;

	begin(from, nr);
	pfns_of(p, &pfn, 1);
	madvise(p, PAGE_SIZE, MADV_SOFT_OFFLINE);
	unpoison(pfn);
	if (step > 1)
		pool_resize(POOL_PAGES);
	done(from, nr);
}

static void do_pageout(size_t from, size_t nr)
{
	begin(from, nr);
	advise(mem, from, nr, MADV_PAGEOUT, "MADV_PAGEOUT");
	done(from, nr);
}

/*
 * What there is to be beside. Of the kinds that are left out:
 * - MADV_FREE, KSM and UFFDIO_MOVE are for private anonymous memory of pages that can be
 *   4 KB, MADV_REMOVE is for shared files;
 * - after fork() the child shares what is shared, so that nothing of it has to stay;
 * - HugeTLB pages aren't collapsed and don't go to swap; a team isn't made by collapsing,
 *   and khugepaged is for huge pages, which memory that may only have 64 KB refuses;
 * - with userfaultfd a fault is served by 4 KB, so that 64 KB and huge anonymous pages
 *   would be small ones; private memory has no minor faults;
 * - the memory failure of a page of HugeTLB files and of teams stays with the file.
 */
static const struct op ops[] = {
	{ "touch", do_touch, ALL, .private = ZEROES },
	{ "dontneed", do_dontneed, ALL, .private = ZEROES },
	{ "remove", do_remove, SHMEMS, .private = ZEROES, .shared = ZEROES },
	{ "free", do_free, PRIVATE_4K, .private = MAY_ZERO,
	  .counter = "pglazyfreed", .counted = PRIVATE_4K },
	{ "readonly", do_readonly, ALL, .segv = true },
	{ "none", do_none, ALL, .segv = true, .closed = true },
	{ "mremap", do_mremap, ALL, .segv = true, .closed = true },
	{ "munmap", do_munmap, ALL, .private = ZEROES, .segv = true, .closed = true },
	{ "replace", do_replace, ALL, .private = ZEROES, .segv = true },
	{ "fork", do_fork, PRIVATE, .private = KEEPS },
	{ "collapse", do_collapse, PRIVATE_4K | K(SHMEM) | K(SHMEM_HUGE),
	  .counter = "thp_collapse_alloc", .counted = PRIVATE_4K },
	{ "khugepaged", do_khugepaged, K(SMALL) | K(THP),
	  .start = khugepaged_start, .end = thp_pop_settings,
	  .counter = "thp_collapse_alloc", .counted = K(SMALL) | K(THP) },
	{ "ksm", do_ksm, PRIVATE_4K, .write_one_in = 64,
	  .start = ksm_on, .end = ksm_off, .counter = "cow_ksm", .counted = PRIVATE_4K },
	{ "uffd-missing", do_missing, K(SMALL) | SHMEMS | K(HUGETLB),
	  .private = ZEROES, .shared = ZEROES, .uffd = true, .start = missing_start, .end = uffd_end },
	{ "uffd-minor", do_minor, SHMEMS | K(HUGETLB_FILE), .uffd = true,
	  .start = minor_start, .end = uffd_end },
	{ "uffd-move", do_move, PRIVATE_4K, .closed = true, .uffd = true,
	  .start = move_start, .end = move_end },
	{ "poison", do_poison, PRIVATE | K(SHMEM) | K(SHMEM_HUGE),
	  .private = MAY_ZERO, .shared = MAY_ZERO, .bus = true, .one = true, .end = poison_end },
	{ "soft-offline", do_soft_offline, ALL, .one = true,
	  .end = poison_end },
	{ "pageout", do_pageout, PRIVATE_4K | SHMEMS,
	  .counter = "pswpout", .counted = PRIVATE_4K | SHMEMS },
};

/* A file of tmpfs whose mount is gone with it */
static int tmpfs_file(const char *huge, size_t len)
{
	static const char dir[] = "/tmp/threads", path[] = "/tmp/threads/file";
	char option[32];
	int file;

	snprintf(option, sizeof(option), "huge=%s", huge);
	mkdir(dir, 0755);
	if (mount("mmtest", dir, "tmpfs", 0, option))
		ksft_exit_fail_perror(option);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, len))
		ksft_exit_fail_perror(path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return file;
}

/* Why there is no such memory in this kernel; NULL: there is. */
static const char *missing_kind(int which)
{
	if (K(which) & (K(MTHP) | K(THP) | K(SHMEM_HUGE)) && !thp_available())
		return "no transparent huge pages in this kernel";
	if (which == TEAM && access("/sys/kernel/debug/shmem_teams", F_OK))
		return "no page teams in this kernel";
	if (K(which) & (K(HUGETLB) | K(HUGETLB_FILE)) && access(POOL, F_OK))
		return "no HugeTLB pages in this kernel";
	return NULL;
}

static const char *missing_op(void)
{
	if (op->bus || op->run == do_soft_offline)
		return access(UNPOISON, F_OK) ? "no injection of memory failures in this kernel" :
						NULL;
	if ((op->run == do_collapse || op->run == do_khugepaged) && !thp_available())
		return "no transparent huge pages in this kernel";
	if (op->run == do_ksm && access(KSM, F_OK))
		return "no KSM in this kernel";
	return NULL;
}

/* The memory of the kind that is to be next, and what goes with it */
static void kind_start(void)
{
	static const char * const huge[NR_KINDS] = {
		[SHMEM] = "never", [SHMEM_HUGE] = "always", [TEAM] = "team",
	};
	struct thp_settings set;

	step = K(kind) & (K(HUGETLB) | K(HUGETLB_FILE)) ? HPAGE_NR : 1;
	units = step > 1 ? 2 * HPAGE_NR : HPAGE_NR;
	fd = huge[kind] ? tmpfs_file(huge[kind], units * PAGE_SIZE) : -1;
	if (step > 1)
		pool_resize(POOL_PAGES);
	if (kind == HUGETLB_FILE)
		fd = hugetlb_file(units / HPAGE_NR);
	if (kind == MTHP) {
		thp_read_settings(&set);
		set.thp_enabled = THP_NEVER;
		set.hugepages[4].enabled = THP_ALWAYS;
		set.hugepages[9].enabled = THP_NEVER;
		thp_push_settings(&set);
	}
	mem = hole_area(units / HPAGE_NR);
	map_at(mem, 0, units);
	other = hole_area(units / HPAGE_NR);
	fills = small_area(units / HPAGE_NR);
	if (kind == THP)
		canary = huge_area(1);
	else if (step > 1)
		canary = hugetlb_pages(units / HPAGE_NR, 0);
	else
		canary = mmap(hole_area(1), HPAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void kind_end(void)
{
	munmap(mem, units * PAGE_SIZE);
	munmap(canary, units * PAGE_SIZE);
	munmap(fills, units * PAGE_SIZE);
	close(fd);
	if (kind == MTHP)
		thp_pop_settings();
	if (step > 1)
		pool_resize(0);
}

static void one_operation(void)
{
	size_t pieces = units / step, from = 0, nr = pieces;

	/* Mostly a part of it */
	if (op->one || pick(&operator_seed, 8)) {
		nr = op->one ? 1 : 1 + pick(&operator_seed, pieces < 64 ? pieces : 64);
		from = pick(&operator_seed, pieces - nr + 1);
	}
	op->run(from * step, nr * step);
	atomic_fetch_add(&nr_ops, 1);
	/* Be one of those who fault it in again. */
	me = &workers[OPERATOR];
	access_some(me, 16);
	me = NULL;
	/* What is in pieces by now can be a huge page again, which is no loss either. */
	if (kind == THP && !op->uffd && op_nr % 8 == 0)
		madvise(mem, HPAGE_SIZE, MADV_COLLAPSE);
	if (!at_once)
		sched_yield();
}

static void run_pair(uint64_t *seed, long ms)
{
	long before = 0, now, end, last;
	int nr_workers = nr_cpus() > 2 ? nr_cpus() - 1 : nr_cpus() > 1 ? 1 : 2;
	pthread_t thread[MAX_WORKERS];
	unsigned long wrong = 0;
	bool counted = K(kind) & op->counted;
	char text[256] = "";
	size_t unit;
	int i, n;

	if (nr_workers > MAX_WORKERS)
		nr_workers = MAX_WORKERS;
	/* What the pair before has left of it isn't wanted. */
	map_at(mem, 0, units);
	if (K(kind) & SHMEMS)
		advise(mem, 0, units, MADV_REMOVE, "MADV_REMOVE");
	memset(unit_log, 0, sizeof(unit_log));
	op_nr = 0;
	for (i = 0; i < NR_BAD; i++)
		atomic_store(&bad[i], 0);
	atomic_store(&nr_ops, 0);
	atomic_store(&nr_checks, 0);
	atomic_store(&nr_faults, 0);
	atomic_store(&ready, 0);
	atomic_store(&stop, false);
	atomic_store(&hot_from, 0);
	atomic_store(&hot_nr, units);
	random_next(seed);
	operator_seed = *seed;
	for (i = 0; i < NR_SLOTS; i++) {
		random_next(seed);
		workers[i].who = i;
		workers[i].seed = *seed;
		memset(workers[i].model, 0, sizeof(workers[i].model));
		/* Of those who don't run, the words are zero. */
	}
	if (op->counter)
		before = vmstat(op->counter);
	if (op->start)
		op->start();
	for (i = 0; i < nr_workers; i++)
		thread[i] = thread_start(worker, &workers[i]);
	me = &workers[OPERATOR];
	for (unit = 0; unit < units; unit++)
		store(me, unit);
	me = NULL;
	while (atomic_load(&ready) < nr_workers)
		sched_yield();
	end = now_ms() + ms;
	last = end + EXTRA_MS;
	do {
		one_operation();
		now = now_ms();
	} while (now < end || (counted && now < last && vmstat(op->counter) == before));
	atomic_store(&stop, true);
	for (i = 0; i < nr_workers; i++)
		pthread_join(thread[i], NULL);
	/* And at rest */
	for (i = 0; i < NR_SLOTS; i++) {
		if (i >= nr_workers && i != OPERATOR)
			continue;
		me = &workers[i];
		for (unit = 0; unit < units; unit++)
			load(me, unit);
	}
	me = NULL;
	if (op->end)
		op->end();
	for (i = 0, n = 0; i < NR_BAD; i++) {
		wrong += atomic_load(&bad[i]);
		if (atomic_load(&bad[i]))
			n += snprintf(text + n, sizeof(text) - n, ", %s %lu", bad_names[i],
				      atomic_load(&bad[i]));
	}
	if (counted && vmstat(op->counter) == before) {
		wrong++;
		snprintf(text + n, sizeof(text) - n, ", no %s", op->counter);
	}
	ksft_test_result(!wrong && atomic_load(&nr_ops) && atomic_load(&nr_checks),
			 "%s/%s # %lu operations, %lu words, %lu signals%s\n", op->name,
			 kind_names[kind], atomic_load(&nr_ops), atomic_load(&nr_checks),
			 atomic_load(&nr_faults), text);
}

static bool selected(int which, const struct op *o)
{
	const char *glob = getenv("RACE_PAIRS");
	char name[64];

	snprintf(name, sizeof(name), "%s/%s", o->name, kind_names[which]);
	return o->kinds & K(which) && (!glob || !fnmatch(glob, name, 0));
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	uint64_t seed = number_from_env("RACE_SEED", time(NULL)), stream;
	struct thp_settings set;
	const char *why;
	long n = 0, ms;
	size_t i;

	for (kind = 0; kind < NR_KINDS; kind++)
		for (i = 0; i < ARRAY_SIZE(ops); i++)
			n += selected(kind, &ops[i]);
	test_plan(n);
	ksft_print_msg("RACE_SEED=%lu\n", seed);
	stream = seed | 1ULL << 40;
	ms = race_ms(2000) / (n ?: 1);
	restore_at_exit();
	swap_start();
	if (thp_available()) {
		thp_save_settings();
		thp_read_settings(&set);
		thp_push_settings(&set);	/* what is pushed later goes back to these */
	}
	at_once = threads_run_at_once();
	ksft_print_msg("%ld ms each, threads run %s\n", ms, at_once ? "at once" : "in turns");
	if (nr_cpus() > 1)
		run_on_cpu(0);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	for (i = 0; i < NR_SLOTS; i++)
		if (pipe(workers[i].pipe))
			ksft_exit_fail_perror("pipe");
	for (kind = 0; kind < NR_KINDS; kind++) {
		why = missing_kind(kind);
		for (i = 0; i < ARRAY_SIZE(ops) && !selected(kind, &ops[i]); i++)
			;
		if (i == ARRAY_SIZE(ops))
			continue;
		if (!why)
			kind_start();
		for (; i < ARRAY_SIZE(ops); i++) {
			const char *no;

			op = &ops[i];
			if (!selected(kind, op))
				continue;
			no = why ?: missing_op();
			if (no)
				ksft_test_result_skip("%s/%s # %s\n", op->name, kind_names[kind], no);
			else
				run_pair(&stream, ms);
		}
		if (!why)
			kind_end();
	}
	ksft_finished();
}
