// SPDX-License-Identifier: GPL-2.0
/*
 * A tree of processes does at random what there is to do with anonymous memory, and
 * each page of each of them is compared with a model of what it must read: bytes that
 * are known, or after MADV_FREE either these or zeroes, a signal, EFAULT. Besides
 * there are reclaim, swapoff, KSM, khugepaged, compaction and soft offlining.
 *
 * FUZZ_SEED repeats a run, FUZZ_OPS says how many operations, FUZZ_SECS for how long
 * other seeds follow, FUZZ_CHECK after how many operations all pages of all processes
 * are compared, FUZZ_LEAVE=free,move leaves these out. Only one process runs at a time,
 * so a seed does the same operations again; what ksmd and khugepaged have done by then
 * isn't in its power, though on one CPU it mostly is the same.
 */
#include <poll.h>
#include <sys/prctl.h>
#include <time.h>

#include "hugetlb.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define NR		(3 * HPAGE_NR)	/* pages of the window, the same in each process */
#define MAX_PROCS	6
#define HALF		(PAGE_SIZE / 2)
#define LOG		2048	/* operations that are remembered */
#define SHOW		40	/* of them shown; earlier ones if about the wrong page */
#define WINDOW		((char *)0x100000000000UL)	/* where nothing else comes */
#define DEVICE		"/dev/ram1"
#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

enum {
	MAPPED = 1, READABLE = 2, WRITABLE = 4,		/* what mmap() and mprotect() said */
	GUARD = 8,
	DONTFORK = 16, WIPE = 32,
	LAZY = 64,		/* the bytes, or zeroes */
	PINNED = 128,		/* by this process, at pfn, and still what it maps */
	SAME = 256,		/* its VMA has an advice that keeps it apart from others */
};
/* What a VMA has, not a page: pages that differ in it are in different ones. */
#define VMA_FLAGS	(MAPPED | READABLE | WRITABLE | DONTFORK | WIPE)

/* Each half of a page has bytes that its tag says. Tag 0: zeroes */
struct page {
	uint32_t tag[2];
	uint32_t flags;
	uint32_t pfn;
};

struct proc {
	pid_t pid;		/* 0: nobody */
	struct page page[NR];
};

static struct shared {
	uint64_t random;
	uint32_t tags;
	unsigned long op, nr_log;
	char log[LOG][128];
	char fail[256];
	int fail_slot, fail_page;
	pid_t forked;
	struct proc proc[MAX_PROCS];
	/* Seen, to show that a run is worth something */
	unsigned long dropped, faulted, refused, moved, offlined, pins;
	_Alignas(PAGE_SIZE) char buf[NR * PAGE_SIZE];
} *sh;

static int command[MAX_PROCS][2], reply[2];
static int slot;			/* of this process */
static struct proc *me;
static int pin = -1, pagemap_file = -1, device;
static const char *leave;

#define ADDR(i)		(WINDOW + (i) * PAGE_SIZE)

static size_t below(size_t n)
{
	return pick(&sh->random, n);
}

__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	char *line = sh->log[sh->nr_log++ % LOG];
	int at = snprintf(line, sizeof(sh->log[0]), "%lu: %d ", sh->op, slot);
	va_list args;

	va_start(args, fmt);
	vsnprintf(line + at, sizeof(sh->log[0]) - at, fmt, args);
	va_end(args);
}

__attribute__((format(printf, 3, 4)))
static bool bad(int of, size_t page, const char *fmt, ...)
{
	va_list args;

	if (*sh->fail)
		return false;
	sh->fail_slot = of;
	sh->fail_page = page;
	va_start(args, fmt);
	vsnprintf(sh->fail, sizeof(sh->fail), fmt, args);
	va_end(args);
	return false;
}

/* Pages and their bytes */

static bool can_read(const struct proc *proc, size_t i)
{
	return (proc->page[i].flags & (MAPPED | READABLE | GUARD)) == (MAPPED | READABLE);
}

static bool can_write(const struct proc *proc, size_t i)
{
	return can_read(proc, i) && proc->page[i].flags & WRITABLE;
}

static uint64_t word(uint32_t tag, size_t n)
{
	return tag ? (tag + 1) * 0x9e3779b97f4a7c15UL + n : 0;
}

static void fill(char *p, uint32_t tag)
{
	uint64_t *to = (uint64_t *)p;
	size_t n;

	for (n = 0; n < HALF / 8; n++)
		to[n] = word(tag, n);
}

/* The first wrong byte's offset in half a page, or -1 */
static long half_bad(const char *p, uint32_t tag)
{
	const uint64_t *from = (const uint64_t *)p;
	size_t n;

	for (n = 0; n < HALF / 8; n++)
		if (from[n] != word(tag, n))
			return n * 8;
	return -1;
}

/* A tag that is nobody's, or one of a few, for pages that KSM can merge */
static uint32_t new_tag(void)
{
	size_t n = below(8);

	if (n < 3)
		return 1 + n;
	return below(40) ? ++sh->tags : 0;
}

/* Compare what was read of a page, both halves or (@which) one. */
static bool same(int of, size_t i, const char *p, const char *how, int which)
{
	struct page *page = &sh->proc[of].page[i];
	bool zero = true, old = true;
	long at = -1;
	int half;

	for (half = 0; half < 2; half++) {
		long off;

		if (which >= 0 && which != half)
			continue;
		off = half_bad(p + half * HALF, page->tag[half]);
		if (off >= 0 && at < 0)
			at = half * HALF + off;
		old &= off < 0;
		zero &= half_bad(p + half * HALF, 0) < 0;
	}
	if (old)
		return true;
	if (page->flags & LAZY && zero) {
		page->flags &= ~LAZY;
		page->tag[0] = page->tag[1] = 0;
		sh->dropped++;
		return true;
	}
	return bad(of, i, "%s: 0x%016lx instead of 0x%016lx at 0x%lx of page %zu%s%s", how,
		   *(const uint64_t *)(p + at),
		   word(page->tag[at / HALF], at % HALF / 8), at, i,
		   page->flags & LAZY ? ", lazily freed" : "", zero ? ", all zeroes" : "");
}

/* What is there becomes zeroes for certain, as a fresh page. */
static void dropped(size_t i)
{
	me->page[i].tag[0] = me->page[i].tag[1] = 0;
	me->page[i].flags &= ~(LAZY | PINNED);
}

/* Write a page, or half of it; the rest is compared, and from then on it is known. */
static bool write_page(size_t i)
{
	int half = below(3);

	if (half == 2) {
		me->page[i].tag[0] = new_tag();
		me->page[i].tag[1] = below(2) ? me->page[i].tag[0] : new_tag();
		fill(ADDR(i), me->page[i].tag[0]);
		fill(ADDR(i) + HALF, me->page[i].tag[1]);
	} else {
		uint32_t tag = new_tag();

		/* In two steps: the page is its owner's from the first byte on. */
		*(uint64_t *)(ADDR(i) + half * HALF) = word(tag, 0);
		if (!same(slot, i, ADDR(i), "beside a write", !half))
			return false;
		fill(ADDR(i) + half * HALF, tag);
		me->page[i].tag[half] = tag;
	}
	me->page[i].flags &= ~LAZY;
	return true;
}

static uint64_t pagemap_entry(size_t i)
{
	uint64_t entry = 0;

	if (pagemap_file < 0)
		pagemap_file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pread(pagemap_file, &entry, 8, (uintptr_t)ADDR(i) / PAGE_SIZE * 8) != 8)
		return 0;
	return entry;
}

/* What is pinned is what the process maps, whatever happens. */
static bool pins_right(void)
{
	uint64_t entry = 0;
	size_t i;
	int try;

	for (i = 0; i < NR; i++) {
		if (!(me->page[i].flags & PINNED))
			continue;
		/* It may be behind a migration entry for a while. */
		for (try = 0; try < 1000; try++) {
			entry = pagemap_entry(i);
			if (entry >> 63 && (uint32_t)entry == me->page[i].pfn)
				break;
			usleep(1000);
		}
		if (try == 1000)
			return bad(slot, i, "page %zu is pinned at pfn %u, and mapped is 0x%lx", i,
				   me->page[i].pfn, entry);
	}
	return true;
}

static bool all_right(void)
{
	size_t i;

	for (i = 0; i < NR; i++)
		if (can_read(me, i) && !same(slot, i, ADDR(i), "in the end", -1))
			return false;
	return pins_right();
}

/* Ranges */

/* Mostly some pages, sometimes many; often where a huge page begins */
static void range(size_t *from, size_t *nr)
{
	size_t most = below(12) ? 24 : below(2) ? HPAGE_NR : NR;

	*from = below(NR);
	*nr = 1 + below(most);
	if (!below(6)) {
		*from &= -HPAGE_NR;
		if (below(3))
			*nr = HPAGE_NR;
	} else if (!below(6)) {
		*from &= -16UL;
		*nr = (*nr + 15) & -16UL;
	}
	if (*from + *nr > NR)
		*nr = NR - *from;
}

/* The same, cut where the pages aren't as the first one in @flags any more */
static void range_alike(size_t *from, size_t *nr, uint32_t flags)
{
	size_t i;

	range(from, nr);
	for (i = 1; i < *nr; i++)
		if ((me->page[*from + i].flags ^ me->page[*from].flags) & flags)
			break;
	*nr = i;
}

static bool has_hole(size_t from, size_t nr)
{
	while (nr--)
		if (!(me->page[from + nr].flags & MAPPED))
			return true;
	return false;
}

static bool advise(const char *name, int advice, size_t from, size_t nr, bool may_fail)
{
	int ret = madvise(ADDR(from), nr * PAGE_SIZE, advice), err = errno;

	say("%s %zu+%zu = %d", name, from, nr, ret ? -err : 0);
	if (!ret || may_fail || (err == ENOMEM && has_hole(from, nr)))
		return true;
	return bad(slot, from, "%s of %zu+%zu: %s", name, from, nr, strerror(err));
}

static bool advise_some(const char *name, int advice, bool may_fail)
{
	size_t from, nr;

	range(&from, &nr);
	return advise(name, advice, from, nr, may_fail);
}

/* Operations; false if something isn't as it should be */

static bool op_write(void)
{
	size_t from, nr, i;

	range(&from, &nr);
	say("write %zu+%zu", from, nr);
	for (i = from; i < from + nr; i++)
		if (can_write(me, i) && !write_page(i))
			return false;
	return true;
}

static bool op_read(void)
{
	size_t from, nr, i;

	range(&from, &nr);
	say("read %zu+%zu", from, nr);
	for (i = from; i < from + nr; i++)
		if (can_read(me, i) && !same(slot, i, ADDR(i), "read", -1))
			return false;
	return true;
}

/* What must not be there isn't. */
static bool op_trespass(void)
{
	size_t i = below(NR);
	bool write = below(2);
	int signal;

	if (write ? can_write(me, i) : can_read(me, i))
		return true;
	signal = access_signal(ADDR(i), write);
	say("%s %zu meets signal %d", write ? "write to" : "read of", i, signal);
	sh->refused++;
	return signal == SIGSEGV || bad(slot, i, "signal %d for page %zu", signal, i);
}

static bool op_dontneed(void)
{
	size_t from, nr, i;

	range(&from, &nr);
	for (i = from; i < from + nr; i++)
		dropped(i);
	return advise("dontneed", MADV_DONTNEED, from, nr, false);
}

static bool op_free(void)
{
	size_t from, nr, i;

	range(&from, &nr);
	for (i = from; i < from + nr; i++)
		if (me->page[i].flags & MAPPED) {
			me->page[i].flags |= LAZY;
			/* A page that is swapped out isn't kept. */
			me->page[i].flags &= ~PINNED;
		}
	return advise("free", MADV_FREE, from, nr, false);
}

static bool op_pageout(void)
{
	return advise_some("pageout", MADV_PAGEOUT, false);
}

static bool op_cold(void)
{
	return advise_some("cold", MADV_COLD, false);
}

static bool op_collapse(void)
{
	size_t from = below(NR / HPAGE_NR) * HPAGE_NR;

	return advise("collapse", MADV_COLLAPSE, from, HPAGE_NR, true);
}

static bool op_hugepage(void)
{
	return advise_some("hugepage", MADV_HUGEPAGE, false);
}

static bool op_nohugepage(void)
{
	return advise_some("nohugepage", MADV_NOHUGEPAGE, false);
}

static bool op_mergeable(void)
{
	return advise_some("mergeable", MADV_MERGEABLE, false);
}

static bool op_unmergeable(void)
{
	return advise_some("unmergeable", MADV_UNMERGEABLE, false);
}

static bool op_guard(void)
{
	size_t from, nr, i;

	range(&from, &nr);
	for (i = from; i < from + nr; i++) {
		dropped(i);
		if (me->page[i].flags & MAPPED)
			me->page[i].flags |= GUARD;
	}
	return advise("guard", MADV_GUARD_INSTALL, from, nr, false);
}

static bool op_unguard(void)
{
	size_t from, nr, i;

	range(&from, &nr);
	for (i = from; i < from + nr; i++)
		me->page[i].flags &= ~GUARD;
	return advise("unguard", MADV_GUARD_REMOVE, from, nr, false);
}

static bool advise_fork(const char *name, int advice, uint32_t flag, bool on)
{
	size_t from, nr, i;

	range(&from, &nr);
	for (i = from; i < from + nr; i++) {
		if (on && me->page[i].flags & MAPPED)
			me->page[i].flags |= flag;
		else
			me->page[i].flags &= ~flag;
	}
	return advise(name, advice, from, nr, false);
}

static bool op_dontfork(void)
{
	return advise_fork("dontfork", MADV_DONTFORK, DONTFORK, true);
}

static bool op_dofork(void)
{
	return advise_fork("dofork", MADV_DOFORK, DONTFORK, false);
}

static bool op_wipeonfork(void)
{
	return advise_fork("wipeonfork", MADV_WIPEONFORK, WIPE, true);
}

static bool op_keeponfork(void)
{
	return advise_fork("keeponfork", MADV_KEEPONFORK, WIPE, false);
}

static bool populate(const char *name, int advice, bool (*can)(const struct proc *, size_t))
{
	bool all = true;
	size_t from, nr, i;

	range(&from, &nr);
	for (i = from; i < from + nr; i++)
		all &= can(me, i);
	return advise(name, advice, from, nr, !all);
}

static bool op_populate_read(void)
{
	return populate("populate_read", MADV_POPULATE_READ, can_read);
}

static bool op_populate_write(void)
{
	return populate("populate_write", MADV_POPULATE_WRITE, can_write);
}

static uint32_t random_prot(void)
{
	static const uint32_t prots[] = {
		0, READABLE, READABLE, READABLE | WRITABLE, READABLE | WRITABLE,
		READABLE | WRITABLE, READABLE | WRITABLE,
	};

	return prots[below(sizeof(prots) / sizeof(*prots))];
}

static int prot_of(uint32_t flags)
{
	return (flags & READABLE ? PROT_READ : 0) | (flags & WRITABLE ? PROT_WRITE : 0);
}

static bool op_mprotect(void)
{
	uint32_t prot = random_prot();
	size_t from, nr, i;

	range_alike(&from, &nr, MAPPED);
	if (!(me->page[from].flags & MAPPED))
		return true;
	for (i = from; i < from + nr; i++)
		me->page[i].flags = (me->page[i].flags & ~(READABLE | WRITABLE)) | prot;
	say("mprotect %zu+%zu %x", from, nr, prot_of(prot));
	return !mprotect(ADDR(from), nr * PAGE_SIZE, prot_of(prot)) ||
	       bad(slot, from, "mprotect: %s", strerror(errno));
}

static bool op_munmap(void)
{
	size_t from, nr, i;

	range(&from, &nr);
	say("munmap %zu+%zu", from, nr);
	for (i = from; i < from + nr; i++)
		me->page[i] = (struct page) { 0 };
	return !munmap(ADDR(from), nr * PAGE_SIZE) ||
	       bad(slot, from, "munmap: %s", strerror(errno));
}

static bool map(size_t from, size_t nr)
{
	size_t i;

	say("mmap %zu+%zu", from, nr);
	for (i = from; i < from + nr; i++)
		me->page[i] = (struct page) { .flags = MAPPED | READABLE | WRITABLE };
	return mmap(ADDR(from), nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == ADDR(from) ||
	       bad(slot, from, "mmap: %s", strerror(errno));
}

/* Into holes, mostly */
static bool op_mmap(void)
{
	size_t from, nr;

	range_alike(&from, &nr, MAPPED);
	if (me->page[from].flags & MAPPED && below(6))
		return true;
	return map(from, nr);
}

/* As it was in the beginning: without that, all is in pieces before long. */
static bool op_renew(void)
{
	size_t from = below(NR / HPAGE_NR) * HPAGE_NR, nr = HPAGE_NR;

	if (!below(4))
		nr = NR - from;
	return map(from, nr) && advise("hugepage", MADV_HUGEPAGE, from, nr, false);
}

/* A move to anywhere, DONTUNMAP or not */
static bool move(int flags)
{
	size_t from, nr, to, i;
	void *p;

	range_alike(&from, &nr, VMA_FLAGS);
	if (!(me->page[from].flags & MAPPED))
		return true;
	to = below(NR - nr + 1);
	/* As far from a huge page's beginning, mostly */
	if (below(3))
		to = (to & -HPAGE_NR) + from % HPAGE_NR;
	if (to + nr > NR || (to < from + nr && from < to + nr))
		return true;
	p = mremap(ADDR(from), nr * PAGE_SIZE, nr * PAGE_SIZE,
		   MREMAP_MAYMOVE | MREMAP_FIXED | flags, ADDR(to));
	say("move %zu+%zu to %zu%s = %d", from, nr, to,
	    flags & MREMAP_DONTUNMAP ? " dontunmap" : "", p == MAP_FAILED ? -errno : 0);
	if (p == MAP_FAILED) {
		/* DONTUNMAP takes what is in one VMA, and says so first. */
		if (errno == EFAULT && flags & MREMAP_DONTUNMAP)
			return true;
		return bad(slot, from, "mremap: %s", strerror(errno));
	}
	sh->moved++;
	for (i = 0; i < nr; i++) {
		me->page[to + i] = me->page[from + i];
		if (flags & MREMAP_DONTUNMAP) {
			dropped(from + i);
			me->page[from + i].flags &= ~GUARD;
		} else {
			me->page[from + i] = (struct page) { 0 };
		}
	}
	return true;
}

static bool op_move(void)
{
	return move(0);
}

static bool op_dontunmap(void)
{
	return move(MREMAP_DONTUNMAP);
}

/* Shrink, or grow into the hole behind it */
static bool op_resize(void)
{
	size_t from, nr, to, i;
	void *p;

	range_alike(&from, &nr, VMA_FLAGS);
	if (!(me->page[from].flags & MAPPED))
		return true;
	to = 1 + below(2 * nr);
	if (from + to > NR)
		to = NR - from;
	for (i = nr; i < to; i++)
		if (me->page[from + i].flags & MAPPED)
			return true;
	p = mremap(ADDR(from), nr * PAGE_SIZE, to * PAGE_SIZE, 0);
	say("resize %zu+%zu to %zu = %d", from, nr, to, p == MAP_FAILED ? -errno : 0);
	if (p == MAP_FAILED)	/* not one VMA */
		return errno == EFAULT || bad(slot, from, "mremap: %s", strerror(errno));
	for (i = to; i < nr; i++)
		me->page[from + i] = (struct page) { 0 };
	for (i = nr; i < to; i++)
		me->page[from + i] = (struct page) {
			.flags = me->page[from].flags & VMA_FLAGS
		};
	return true;
}

static int random_proc(void)
{
	int of = below(MAX_PROCS);

	while (!sh->proc[of].pid)
		of = (of + 1) % MAX_PROCS;
	return of;
}

/* A range of another, up to the first page for which @can isn't so */
static size_t range_of(int of, size_t *from, size_t most,
		       bool (*can)(const struct proc *, size_t))
{
	size_t nr, i;

	range(from, &nr);
	if (nr > most)
		nr = most;
	for (i = 0; i < nr && can(&sh->proc[of], *from + i); i++)
		;
	return i;
}

/* The kernel's look at another process, by a pin for reading: EFAULT ends it. */
static bool op_read_other(void)
{
	int of = below(2) ? slot : random_proc();
	size_t from, nr = range_of(of, &from, NR, can_read), i;
	struct iovec to = { sh->buf, (nr + 1) * PAGE_SIZE }, iov;
	ssize_t want = nr ? (ssize_t)(nr * PAGE_SIZE) : -1, got;

	/* If it ends before the range does, one page more has to be refused. */
	iov.iov_base = ADDR(from);
	iov.iov_len = to.iov_len = (nr ? nr : 1) * PAGE_SIZE;
	got = process_vm_readv(sh->proc[of].pid, &to, 1, &iov, 1, 0);
	say("process_vm_readv of %d, %zu+%zu = %zd", of, from, nr, got);
	if (got != want)
		return bad(of, from, "process_vm_readv: %zd instead of %zd", got, want);
	if (!nr)
		sh->faulted++;
	for (i = 0; i < nr; i++)
		if (!same(of, from + i, sh->buf + i * PAGE_SIZE, "process_vm_readv", -1))
			return false;
	return true;
}

/* New bytes for @nr pages of a process, in the buffer */
static void new_bytes(int of, size_t from, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		struct page *page = &sh->proc[of].page[from + i];

		page->tag[0] = new_tag();
		page->tag[1] = new_tag();
		page->flags &= ~LAZY;
		fill(sh->buf + i * PAGE_SIZE, page->tag[0]);
		fill(sh->buf + i * PAGE_SIZE + HALF, page->tag[1]);
	}
}

static bool op_write_other(void)
{
	int of = random_proc();
	size_t from, nr = range_of(of, &from, NR, can_write);
	struct iovec data = { sh->buf, (nr ? nr : 1) * PAGE_SIZE };
	struct iovec iov = { ADDR(from), data.iov_len };
	ssize_t want = nr ? (ssize_t)data.iov_len : -1, got;

	new_bytes(of, from, nr);
	got = process_vm_writev(sh->proc[of].pid, &data, 1, &iov, 1, 0);
	say("process_vm_writev of %d, %zu+%zu = %zd", of, from, nr, got);
	return got == want ||
	       bad(of, from, "process_vm_writev: %zd instead of %zd", got, want);
}

/* Direct I/O from memory, and what is on the device then */
static bool op_direct_out(void)
{
	size_t from, nr = range_of(slot, &from, 64, can_read), i;
	ssize_t len = nr * PAGE_SIZE;

	say("direct write of %zu+%zu", from, nr);
	if (!nr)
		return true;
	if (pwrite(device, ADDR(from), len, 0) != len || pread(device, sh->buf, len, 0) != len)
		return bad(slot, from, "direct I/O: %s", strerror(errno));
	for (i = 0; i < nr; i++)
		if (!same(slot, from + i, sh->buf + i * PAGE_SIZE, "written to a device", -1))
			return false;
	return true;
}

static bool op_direct_in(void)
{
	size_t from, nr = range_of(slot, &from, 64, can_write);
	ssize_t len = nr * PAGE_SIZE;

	say("direct read to %zu+%zu", from, nr);
	if (!nr)
		return true;
	new_bytes(slot, from, nr);
	return (pwrite(device, sh->buf, len, 0) == len &&
		pread(device, ADDR(from), len, 0) == len) ||
	       bad(slot, from, "direct I/O: %s", strerror(errno));
}

static void unpin(void)
{
	size_t i;

	if (pin >= 0)
		longterm_unpin(pin);
	pin = -1;
	for (i = 0; i < NR; i++)
		me->page[i].flags &= ~PINNED;
}

static bool op_pin(void)
{
	size_t from, nr = range_of(slot, &from, 64, can_write), i;

	if (pin >= 0 || !nr)
		return true;
	say("pin %zu+%zu", from, nr);
	pin = longterm_pin(ADDR(from), nr * PAGE_SIZE);
	sh->pins++;
	for (i = from; i < from + nr; i++) {
		me->page[i].pfn = pagemap_entry(i);
		me->page[i].flags |= PINNED;
	}
	return true;
}

static bool op_unpin(void)
{
	say("unpin");
	if (!pins_right())
		return false;
	unpin();
	return true;
}

/* Give a page of the machine up, as after memory errors, and have it back. */
static bool op_soft_offline(void)
{
	size_t i = below(NR);
	unsigned long pfn;

	if (!can_read(me, i) || below(4))
		return true;
	pfn = pagemap_entry(i) & ((1UL << 55) - 1);
	if (!(pagemap_entry(i) >> 63) || me->page[i].flags & PINNED)
		return true;
	if (!advise("soft_offline", MADV_SOFT_OFFLINE, i, 1, true))
		return false;
	if (kpageflags(pfn) & KPF_HWPOISON) {
		sh->offlined++;
		unpoison_memory(pfn);
	}
	return true;
}

static bool op_check(void)
{
	say("compare all");
	return all_right();
}

/* The child's model: what fork() does, but for what it says */
static void fork_model(struct proc *child)
{
	size_t i;

	*child = *me;
	for (i = 0; i < NR; i++) {
		struct page *page = &child->page[i];

		page->flags &= ~PINNED;
		if (page->flags & DONTFORK) {
			*page = (struct page) { 0 };
		} else if (page->flags & WIPE) {
			page->flags &= ~(LAZY | GUARD);
			page->tag[0] = page->tag[1] = 0;
		}
	}
}

static bool op_fork(void)
{
	int of;
	pid_t pid;

	for (of = 0; of < MAX_PROCS && sh->proc[of].pid; of++)
		;
	if (of == MAX_PROCS)
		return true;
	say("fork %d", of);
	fork_model(&sh->proc[of]);
	pid = fork();
	if (pid < 0)
		return bad(slot, 0, "fork: %s", strerror(errno));
	if (pid) {
		sh->proc[of].pid = pid;
		return true;
	}
	slot = of;
	me = &sh->proc[of];
	close(pin);
	pin = -1;
	close(pagemap_file);
	pagemap_file = -1;
	return true;
}

static bool op_exit(void)
{
	if (!slot || below(2))
		return true;
	say("exit");
	if (!all_right())
		return false;
	me->pid = 0;
	return true;
}

/* What the machine does to all of them */

static bool op_reclaim(void)
{
	char num[24];

	snprintf(num, sizeof(num), "%zu", (1 + below(1024)) * PAGE_SIZE);
	say("reclaim %s", num);
	file_write(MEMCG "memory.reclaim", num);
	return true;
}

static bool op_compact(void)
{
	say("compact");
	file_write("/proc/sys/vm/compact_memory", "1");
	return true;
}

static bool op_ksm(void)
{
	/* Mostly on; 2 takes all apart */
	const char *run = below(4) ? "1" : below(3) ? "0" : "2";

	say("ksm %s", run);
	file_write(KSM "run", run);
	return true;
}

/* Let ksmd, khugepaged and others have the CPU. */
static bool op_wait(void)
{
	if (!below(8))
		usleep(2000 + below(8000));
	return true;
}

static bool op_khugepaged(void)
{
	static const long none[] = { 0, 64, HPAGE_NR - 1 };

	say("khugepaged");
	number_write(KHUGEPAGED "max_ptes_none", none[below(3)]);
	number_write(KHUGEPAGED "max_ptes_swap", none[below(3)]);
	number_write(KHUGEPAGED "max_ptes_shared", none[below(3)]);
	return true;
}

static bool op_thp(void)
{
	static const char * const enabled[] = { "always", "madvise", "madvise", "never" };
	const char *large = below(2) ? "always" : "never", *huge = enabled[below(4)];

	say("thp %s, 64 kB %s", huge, large);
	file_write("/sys/kernel/mm/transparent_hugepage/enabled", huge);
	file_write("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled", large);
	return true;
}

static bool op_swapoff(void)
{
	if (below(20))
		return true;
	say("swapoff");
	swap_stop();
	swap_start();
	return true;
}

#define OP(name, weight)	{ #name, op_##name, weight, false }
#define MACHINE(name, weight)	{ #name, op_##name, weight, true }
static const struct op {
	const char *name;
	bool (*fn)(void);
	unsigned int weight;
	bool machine;		/* done by the one who holds the settings */
} ops[] = {
	OP(write, 14), OP(read, 8), OP(trespass, 2), OP(dontneed, 3), OP(free, 5),
	OP(pageout, 5), OP(cold, 1), OP(collapse, 3), OP(hugepage, 3), OP(nohugepage, 1),
	OP(mergeable, 4), OP(unmergeable, 1), OP(guard, 2), OP(unguard, 4),
	OP(dontfork, 1), OP(dofork, 3), OP(wipeonfork, 1), OP(keeponfork, 3),
	OP(populate_read, 2), OP(populate_write, 2), OP(mprotect, 5), OP(munmap, 1),
	OP(mmap, 8), OP(renew, 3), OP(move, 4), OP(dontunmap, 2), OP(resize, 2), OP(read_other, 6),
	OP(write_other, 3), OP(direct_out, 3), OP(direct_in, 2), OP(pin, 2), OP(unpin, 1),
	OP(soft_offline, 2), OP(fork, 5), OP(exit, 7), OP(check, 0),
	MACHINE(reclaim, 4), MACHINE(compact, 1), MACHINE(ksm, 2), MACHINE(wait, 6),
	MACHINE(khugepaged, 1), MACHINE(thp, 2), MACHINE(swapoff, 1),
};
#define NR_OPS	(sizeof(ops) / sizeof(*ops))
#define CHECK	255	/* a command: compare all */
#define QUIT	254

static bool left_out(const char *name)
{
	const char *at = leave ? strstr(leave, name) : NULL;
	size_t len = strlen(name);

	return at && (at == leave || at[-1] == ',') && (!at[len] || at[len] == ',');
}

static size_t random_op(void)
{
	static unsigned int sum;
	size_t i, n;

	if (!sum)
		for (i = 0; i < NR_OPS; i++)
			sum += ops[i].weight;
	do {
		n = below(sum);
		for (i = 0; n >= ops[i].weight; i++)
			n -= ops[i].weight;
	} while (left_out(ops[i].name));
	return i;
}

/* The processes */

static void answer(bool ok)
{
	if (write(reply[1], ok ? "+" : "-", 1) != 1)
		_exit(1);
}

/* A signal for what the model says is there */
static void hit(int sig, siginfo_t *info, void *context)
{
	size_t i = ((char *)info->si_addr - WINDOW) / PAGE_SIZE;

	bad(slot, i < NR ? i : 0, "signal %d, code %d, at %p, page %zu", sig, info->si_code,
	    info->si_addr, i);
	answer(false);
	_exit(1);
}

/* A process of the tree; its children come here as well. */
static void __attribute__((noreturn)) serve(void)
{
	unsigned char what;

	while (read(command[slot][0], &what, 1) == 1 && what != QUIT) {
		int before = slot;
		bool ok = what == CHECK ? all_right() : ops[what].fn();
		bool gone = !me->pid;

		/* A child has nothing to answer yet. */
		if (slot != before)
			continue;
		/* Then the place of one who is gone can be another's. */
		answer(ok);
		if (gone)
			break;
	}
	_exit(0);
}

/* Have a process do something; false if it went wrong */
static bool order(int of, unsigned char what)
{
	struct pollfd answers = { .fd = reply[0], .events = POLLIN };
	char ok;

	if (write(command[of][1], &what, 1) != 1)
		ksft_exit_fail_perror("command");
	while (poll(&answers, 1, 500) == 0) {
		static int silent;

		if (kill(sh->proc[of].pid, 0) || ++silent > 100)
			return bad(of, 0, "process %d is gone or silent", of);
	}
	if (read(reply[0], &ok, 1) != 1)
		ksft_exit_fail_perror("reply");
	return ok == '+';
}

static bool check_all(void)
{
	int of;

	for (of = 0; of < MAX_PROCS; of++)
		if (sh->proc[of].pid && !order(of, CHECK))
			return false;
	return true;
}

static void start(void)
{
	pid_t pid;
	int of;

	memset(sh->proc, 0, sizeof(sh->proc));
	for (of = 0; of < MAX_PROCS; of++)
		if (pipe(command[of]))
			ksft_exit_fail_perror("pipe");
	if (pipe(reply))
		ksft_exit_fail_perror("pipe");
	slot = 0;
	me = &sh->proc[0];
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid) {
		struct sigaction sa = { .sa_sigaction = hit, .sa_flags = SA_SIGINFO };

		sigaction(SIGSEGV, &sa, NULL);
		sigaction(SIGBUS, &sa, NULL);
		/* They all end when nobody is left to write to these. */
		for (of = 0; of < MAX_PROCS; of++)
			close(command[of][1]);
		close(reply[0]);
		map(0, NR);
		answer(true);
		serve();
	}
	me->pid = pid;
	if (read(reply[0], sh->buf, 1) != 1)
		ksft_exit_fail_perror("reply");
}

static void end(bool ok)
{
	unsigned char quit = QUIT;
	int of;

	for (of = 0; of < MAX_PROCS; of++) {
		if (sh->proc[of].pid && !ok)
			kill(sh->proc[of].pid, SIGKILL);
		else if (sh->proc[of].pid && write(command[of][1], &quit, 1) != 1)
			ksft_perror("command");
		close(command[of][0]);
		close(command[of][1]);
	}
	close(reply[0]);
	close(reply[1]);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

/* Whether a line of the log is about a page: it has "first+number", or "to first" */
static bool about(const char *line, size_t page)
{
	size_t from, nr, to;
	const char *at;

	for (at = line; (at = strpbrk(at, "0123456789")); at += strspn(at, "0123456789"))
		if (sscanf(at, "%zu+%zu to %zu", &from, &nr, &to) == 3 &&
		    page >= to && page < to + nr)
			return true;
		else if (sscanf(at, "%zu+%zu", &from, &nr) == 2 &&
			 page >= from && page < from + nr)
			return true;
	return strstr(line, "fork") || strstr(line, "exit");
}

/* What is behind the page that is wrong */
static void show(void)
{
	unsigned long first = sh->nr_log > LOG ? sh->nr_log - LOG : 0;
	pid_t pid = sh->proc[sh->fail_slot].pid;
	uint64_t entry = 0;
	char path[64];
	int fd;

	ksft_print_msg("operation %lu, process %d: %s\n", sh->op, sh->fail_slot, sh->fail);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && pread(fd, &entry, 8, (uintptr_t)ADDR(sh->fail_page) / PAGE_SIZE * 8) == 8) {
		unsigned long pfn = entry & ((1UL << 55) - 1);

		ksft_print_msg("pagemap 0x%lx, flags 0x%lx, mapped %lu\n", entry,
			       entry >> 63 ? kpageflags(pfn) : 0,
			       entry >> 63 ? kpagecount(pfn) : 0);
		close(fd);
	}
	for (; first < sh->nr_log; first++)
		if (first + SHOW >= sh->nr_log || about(sh->log[first % LOG], sh->fail_page))
			ksft_print_msg("  %s\n", sh->log[first % LOG]);
}

static bool run(unsigned long seed, unsigned long nr, unsigned long check)
{
	bool ok = true;

	sh->random = seed * 0x9e3779b97f4a7c15UL | 1;
	sh->tags = 16;
	sh->nr_log = 0;
	*sh->fail = 0;
	start();
	for (sh->op = 1; sh->op <= nr && ok; sh->op++) {
		size_t what = random_op();
		int of = random_proc();

		if (ops[what].machine) {
			slot = -1;
			ok = ops[what].fn();
		} else {
			ok = order(of, what);
		}
		if (ok && sh->op % check == 0)
			ok = check_all();
	}
	ok = ok && check_all();
	if (!ok)
		show();
	end(ok);
	return ok;
}

static void test_run(unsigned long seed, unsigned long nr, unsigned long check)
{
	/* Said before, for a kernel that doesn't live to the end of it */
	ksft_print_msg("FUZZ_SEED=%lu FUZZ_OPS=%lu\n", seed, nr);
	test_true(run(seed, nr, check), "FUZZ_SEED=%lu FUZZ_OPS=%lu", seed, nr);
}

/*
 * Seeds that have found something: the copy of an unshared page that was clean, the
 * page offset of an area that is wiped, KSM pages that were freed lazily.
 */
static const struct {
	unsigned long seed, nr;
} fixed[] = {
	{ 12, 1000 }, { 4, 1000 }, { 102, 3000 },
};
#define NR_FIXED	(sizeof(fixed) / sizeof(*fixed))

static const struct {
	const char *file;
	long value;
} settings[] = {
	{ KHUGEPAGED "scan_sleep_millisecs", 1 },
	{ KHUGEPAGED "alloc_sleep_millisecs", 1 },
	{ KHUGEPAGED "pages_to_scan", 2048 },
	{ KHUGEPAGED "max_ptes_none", HPAGE_NR - 1 },
	{ KHUGEPAGED "max_ptes_swap", 64 },
	{ KHUGEPAGED "max_ptes_shared", 256 },
};
#define NR_SETTINGS	(sizeof(settings) / sizeof(*settings))

int main(void)
{
	static const char * const counters[] = {
		"pswpout", "pglazyfreed", "thp_fault_alloc", "thp_collapse_alloc",
		"thp_split_pmd", "thp_split_page", "cow_ksm", "pgmigrate_success",
	};
	enum { NR_COUNTERS = sizeof(counters) / sizeof(*counters) };
	long seed, secs = number_from_env("FUZZ_SECS", 0), before[NR_COUNTERS];
	bool one = getenv("FUZZ_SEED") && !secs;
	unsigned long nr, check, runs = 0;
	time_t begin = time(NULL);
	bool ok;
	size_t i;

	poison_start((one || secs ? 1 : NR_FIXED + 1) + NR_COUNTERS, true);
	leave = getenv("FUZZ_LEAVE");
	nr = number_from_env("FUZZ_OPS", 1000);
	check = number_from_env("FUZZ_CHECK", 250);
	for (i = 0; i < NR_SETTINGS; i++)
		set_until_exit(settings[i].file, settings[i].value);
	ksm_settings(1, 512);
	thp_save_settings();
	memcg_enter();
	swap_start();
	device = open(DEVICE, O_RDWR | O_DIRECT | O_CLOEXEC);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (device < 0 || sh == MAP_FAILED)
		ksft_exit_fail_perror("start");
	/* Who is gone is gone, whoever's child it was. */
	signal(SIGCHLD, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (i = 0; i < NR_COUNTERS; i++)
		before[i] = vmstat(counters[i]);

	seed = number_from_env("FUZZ_SEED", begin % 1000000);
	if (secs) {
		do {
			ok = run(seed + runs, nr, check);
			runs++;
		} while (ok && time(NULL) - begin < secs);
		test_true(ok, "%lu runs, the last with FUZZ_SEED=%ld", runs, seed + runs - 1);
	} else {
		for (i = 0; i < NR_FIXED && !one; i++)
			test_run(fixed[i].seed, fixed[i].nr, check);
		test_run(seed, nr, check);
	}
	ksft_print_msg("read as zeroes after MADV_FREE %lu, refused %lu and %lu, moved %lu, offlined %lu, pinned %lu\n",
		       sh->dropped, sh->refused, sh->faulted, sh->moved, sh->offlined,
		       sh->pins);
	for (i = 0; i < NR_COUNTERS; i++)
		test_vmstat_min(counters[i], before[i], 1);
	ksft_finished();
}
