// SPDX-License-Identifier: GPL-2.0
/*
 * Tables are emptied and used again all the time, in every way at once: by two
 * threads that share them, by mremap(), fork() and collapses, by holes punched
 * into a file that all have mapped, by reclaim. Every page that must have its
 * bytes is looked at. RACE_SECS says how long it takes.
 */
#include <stdatomic.h>

#include "pte_ref.h"

#define NR	4			/* tables of each */
#define PAGES	(NR * HPAGE_NR)
#define LEN	(NR * HPAGE_SIZE)
#define PROCS	3

/* What a page has: a seed, 0 for zeroes, and whether it may have lost it */
#define MAY_BE_ZERO	0x80

static struct shared {
	atomic_ulong bad, checked, ops;
} *sh;

static long end_ms;
static int file;

struct side {
	char *p;
	unsigned char state[PAGES];
	unsigned int step, first, rnd;
	size_t stride;		/* from one page to the next; 0: they are neighbours */
};

static char *at(const struct side *s, size_t i)
{
	return s->p + i * (s->stride ?: PAGE_SIZE);
}

static unsigned int rnd(struct side *s, unsigned int below)
{
	s->rnd = s->rnd * 1103515245 + 12345;
	return (s->rnd >> 8) % below;
}

static void check(struct side *s, size_t i)
{
	uint64_t got = *(volatile uint64_t *)at(s, i);
	uint64_t want = (s->state[i] & 0x7f) ? (s->state[i] & 0x7f) + i * 256 : 0;

	if (got != want && !(got == 0 && (s->state[i] & MAY_BE_ZERO))) {
		if (atomic_fetch_add(&sh->bad, 1) < 5)
			ksft_print_msg("page %zu: 0x%lx, want 0x%lx\n", i,
				       (unsigned long)got, (unsigned long)want);
	}
	if (!got)
		s->state[i] = 0;
	atomic_fetch_add(&sh->checked, 1);
}

static void put(struct side *s, size_t i)
{
	s->state[i] = 1 + rnd(s, 100);
	*(volatile uint64_t *)at(s, i) = s->state[i] + i * 256;
}

/* Drop what is ours in one 2 MB, in pieces that are no table */
static void drop(struct side *s, unsigned int table, int advice)
{
	size_t i;

	for (i = table * HPAGE_NR + s->first; i < (table + 1) * HPAGE_NR; i += s->step) {
		if (!s->state[i])
			continue;
		madvise(at(s, i), PAGE_SIZE, advice);
		s->state[i] = advice == MADV_DONTNEED ? 0 : s->state[i] | MAY_BE_ZERO;
	}
}

static void one_op(struct side *s)
{
	unsigned int table = rnd(s, NR), i, n = 1 + rnd(s, 40);
	size_t page;

	atomic_fetch_add(&sh->ops, 1);
	switch (rnd(s, 5)) {
	case 0:
		drop(s, table, MADV_DONTNEED);
		break;
	case 1:
		drop(s, table, MADV_FREE);
		break;
	case 2:
		madvise(at(s, table * HPAGE_NR), at(s, HPAGE_NR) - s->p, MADV_PAGEOUT);
		break;
	default:
		for (i = 0; i < n; i++) {
			page = table * HPAGE_NR + s->first + s->step * rnd(s, HPAGE_NR / s->step);
			check(s, page);
			put(s, page);
		}
	}
	if (!rnd(s, 20))
		usleep(rnd(s, 150000));
}

static void check_all(struct side *s)
{
	size_t i;

	for (i = s->first; i < PAGES; i += s->step)
		check(s, i);
}

/* A child that looks at all of it; false if it fails */
static bool check_in_child(struct side *s)
{
	pid_t pid = fork();

	if (!pid) {
		check_all(s);
		_exit(0);
	}
	return pid > 0 && !child_status(pid);
}

static void *thread(void *arg)
{
	struct side *s = arg;

	while (now_ms() < end_ms)
		one_op(s);
	check_all(s);
	return NULL;
}

/* Two threads, each with every other page of the same tables */
static int two_threads(unsigned int seed)
{
	char *p = pte_area(NR, -1);
	static struct side s[2];
	pthread_t t;

	s[0] = (struct side){ .p = p, .step = 2, .first = 0, .rnd = seed };
	s[1] = (struct side){ .p = p, .step = 2, .first = 1, .rnd = seed + 1 };
	if (pthread_create(&t, NULL, thread, &s[1]))
		return 1;
	thread(&s[0]);
	pthread_join(t, NULL);
	return 0;
}

/* One that moves, forks and collapses what it has */
static int one_that_moves(unsigned int seed)
{
	char *a = pte_area(2 * NR, -1), *b = a + LEN, *other;
	static struct side s;

	munmap(b, LEN);
	s = (struct side){ .p = a, .step = 1, .rnd = seed };
	while (now_ms() < end_ms) {
		one_op(&s);
		switch (rnd(&s, 12)) {
		case 0:
			other = s.p == a ? b : a;
			if (mremap(s.p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, other) != other)
				return 1;
			s.p = other;
			break;
		case 1:
			if (!check_in_child(&s))
				return 1;
			break;
		case 2:
			madvise(s.p, LEN, MADV_HUGEPAGE);
			madvise(s.p + rnd(&s, NR) * HPAGE_SIZE, HPAGE_SIZE, MADV_COLLAPSE);
			madvise(s.p, LEN, MADV_NOHUGEPAGE);
			break;
		}
	}
	check_all(&s);
	return 0;
}

/* A page in each 2 MB: what is dropped above are the PTE page tables of 1 GB. */
static int one_that_is_sparse(unsigned int seed)
{
	static struct side s;
	char *p = mmap(NULL, (PAGES + 1024) * HPAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	/* From a boundary of 1 GB on */
	p = (char *)(((uintptr_t)p + (1UL << 30) - 1) & -(1UL << 30));
	s = (struct side){ .p = p, .step = 1, .rnd = seed, .stride = HPAGE_SIZE };
	while (now_ms() < end_ms) {
		one_op(&s);
		if (!rnd(&s, 30) && !check_in_child(&s))
			return 1;
	}
	check_all(&s);
	return 0;
}

/*
 * One that shares a file with all others, who only read it: what it punches out
 * goes from everyone's tables. It knows what the file has; the others see that,
 * or zeroes.
 */
static int one_that_punches(unsigned int seed)
{
	static struct side s;
	size_t i, table;

	s = (struct side){ .p = pte_area(NR, file), .step = 1, .rnd = seed };
	while (now_ms() < end_ms) {
		table = rnd(&s, NR);
		for (i = 0; i < 30; i++)
			put(&s, table * HPAGE_NR + rnd(&s, HPAGE_NR));
		usleep(rnd(&s, 20000));
		table = rnd(&s, NR);
		for (i = 0; i < HPAGE_NR; i++)
			check(&s, table * HPAGE_NR + i);
		for (i = 0; i < 4; i++)
			fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  table * HPAGE_SIZE + i * HPAGE_SIZE / 4, HPAGE_SIZE / 4);
		memset(s.state + table * HPAGE_NR, 0, HPAGE_NR);
		atomic_fetch_add(&sh->ops, 1);
	}
	check_all(&s);
	return 0;
}

static int reader(unsigned int seed)
{
	struct side s = { .p = pte_area(NR, file), .step = 1, .rnd = seed };
	uint64_t got;
	size_t i;

	while (now_ms() < end_ms) {
		i = rnd(&s, PAGES);
		got = *(volatile uint64_t *)(s.p + i * PAGE_SIZE);
		if (got && (got / 256 != i || got % 256 > 100))
			atomic_fetch_add(&sh->bad, 1);
		atomic_fetch_add(&sh->checked, 1);
		if (!rnd(&s, 50))
			usleep(rnd(&s, 100000));
	}
	return 0;
}

int main(void)
{
	static int (* const kinds[])(unsigned int) = {
		two_threads, one_that_moves, one_that_punches, reader, one_that_is_sparse,
	};
	pid_t pid[ARRAY_SIZE(kinds) * PROCS];
	size_t i, n = 0, failed = 0;
	long freed, raced;

	pte_plan(4);
	swap_start();
	memcg_enter();
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	file = pte_file(NR);
	freed = vmstat("pte_table_freed");
	raced = vmstat("pte_table_raced");
	end_ms = now_ms() + race_ms(2000);
	fflush(stdout);
	for (i = 0; i < ARRAY_SIZE(kinds) * PROCS; i++) {
		/* One alone writes to the file */
		if (kinds[i % ARRAY_SIZE(kinds)] == one_that_punches && i >= ARRAY_SIZE(kinds))
			continue;
		pid[n] = fork();
		if (!pid[n]) {
			int ret = kinds[i % ARRAY_SIZE(kinds)](i);

			fflush(stdout);
			_exit(ret);
		}
		n++;
	}
	while (now_ms() < end_ms) {
		usleep(100000);
		file_write(MEMCG "memory.reclaim", "2M");
	}
	for (i = 0; i < n; i++)
		failed += child_status(pid[i]) != 0;
	ksft_print_msg("%lu operations, %ld tables freed, %ld used again before that\n",
		       atomic_load(&sh->ops), vmstat("pte_table_freed") - freed,
		       vmstat("pte_table_raced") - raced);
	test_eq(failed, 0, "processes that failed");
	test_min(atomic_load(&sh->checked), race_least(1000), "pages looked at");
	test_eq(atomic_load(&sh->bad), 0, "pages with wrong bytes");
	test_vmstat_min("pte_table_freed", freed, race_least(10));
	ksft_finished();
}
