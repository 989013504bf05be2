// SPDX-License-Identifier: GPL-2.0
/*
 * What a second CPU is worth to the threads of one process, and to processes: 64 MB that
 * one thread faults in, and 64 MB by each of two; loops as those of will-it-scale, by one
 * task and by two, nanoseconds for one of all their operations. Two tasks that don't
 * disturb each other take half of that.
 */
#include <linux/futex.h>

#include "threads.h"

#define LEN		(64UL << 20)
#define AREA		(2UL << 20)
#define LOOP_MS		40
#define MAX_TASKS	2

/* Shared with processes */
static struct {
	volatile int ready, go, stop;
	volatile unsigned long ops[MAX_TASKS][8] __attribute__((aligned(64)));
} *sh;

static int file_fd;

/* Each does a number of operations, and says how many. */
static unsigned long page_fault(int fd, int flags)
{
	char *p = mmap(NULL, AREA, PROT_READ | PROT_WRITE, flags, fd, 0);
	size_t off;

	if (p == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	madvise(p, AREA, MADV_NOHUGEPAGE);
	for (off = 0; off < AREA; off += PAGE_SIZE)
		*(volatile char *)(p + off) = 1;
	munmap(p, AREA);
	return AREA / PAGE_SIZE;
}

static unsigned long page_fault1(int task)
{
	return page_fault(-1, MAP_PRIVATE | MAP_ANONYMOUS);
}

static unsigned long page_fault2(int task)
{
	return page_fault(file_fd, MAP_PRIVATE);
}

static unsigned long page_fault3(int task)
{
	return page_fault(file_fd, MAP_SHARED);
}

static unsigned long do_mmap(int task)
{
	char *p = mmap(NULL, 2 * LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	munmap(p, 2 * LEN);
	return 1;
}

static char *madvise_area[MAX_TASKS];

static unsigned long do_madvise(int task)
{
	char *p = madvise_area[task];

	*(volatile char *)p = 1;
	madvise(p, PAGE_SIZE, MADV_DONTNEED);
	return 1;
}

static unsigned long do_brk(int task)
{
	unsigned long end = syscall(SYS_brk, 0);

	/* Of threads one may take back what the other got, which is as much work. */
	syscall(SYS_brk, end + PAGE_SIZE);
	syscall(SYS_brk, end);
	return 1;
}

static unsigned long do_futex(int task)
{
	static int word[MAX_TASKS][16];

	syscall(SYS_futex, word[task], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return 1;
}

static const struct {
	const char *name;
	unsigned long (*fn)(int task);
} loops[] = {
	{ "page_fault1", page_fault1 }, { "page_fault2", page_fault2 },
	{ "page_fault3", page_fault3 }, { "mmap", do_mmap }, { "madvise", do_madvise },
	{ "brk", do_brk }, { "futex", do_futex },
};

static unsigned long (*loop)(int task);

static void *task(void *arg)
{
	int me = (long)arg;
	unsigned long n = 0;

	run_on_cpu(me % nr_cpus());
	__atomic_fetch_add(&sh->ready, 1, __ATOMIC_SEQ_CST);
	while (!sh->go)
		sched_yield();
	while (!sh->stop) {
		n += loop(me);
		sh->ops[me][0] = n;
	}
	return NULL;
}

/* Nanoseconds for one operation, whoever did it */
static long per_op(bool threads, int nr)
{
	unsigned long done = 0;
	pthread_t thread[MAX_TASKS];
	pid_t pid[MAX_TASKS];
	long t0, t1, i;

	memset(sh, 0, sizeof(*sh));
	fflush(stdout);
	for (i = 0; i < nr; i++) {
		if (threads) {
			thread[i] = thread_start(task, (void *)i);
			continue;
		}
		pid[i] = fork();
		if (!pid[i]) {
			task((void *)i);
			_exit(0);
		}
	}
	while (sh->ready < nr)
		usleep(500);
	t0 = now_ns();
	sh->go = 1;
	usleep(LOOP_MS * 1000);
	sh->stop = 1;
	for (i = 0; i < nr; i++) {
		if (threads)
			pthread_join(thread[i], NULL);
		else
			child_status(pid[i]);
	}
	/* With what was under way when they were told to stop */
	t1 = now_ns();
	for (i = 0; i < nr; i++)
		done += sh->ops[i][0];
	return (t1 - t0) / (done ?: 1);
}

static volatile int fault_ready, fault_go;

static void *fault_in(void *arg)
{
	long me = (long)arg;
	char *p = small_area(LEN / HPAGE_SIZE);
	size_t off;

	run_on_cpu(me % nr_cpus());
	__atomic_fetch_add(&fault_ready, 1, __ATOMIC_SEQ_CST);
	while (!fault_go)
		sched_yield();
	for (off = 0; off < LEN; off += PAGE_SIZE)
		*(volatile char *)(p + off) = 1;
	return p;
}

/* Until all have faulted 64 MB in */
static long faulted(int nr)
{
	pthread_t thread[MAX_TASKS];
	void *p[MAX_TASKS];
	long t0, t1, i;

	fault_ready = fault_go = 0;
	for (i = 0; i < nr; i++)
		thread[i] = thread_start(fault_in, (void *)i);
	while (fault_ready < nr)
		usleep(500);
	t0 = now_ns();
	fault_go = 1;
	for (i = 0; i < nr; i++)
		pthread_join(thread[i], &p[i]);
	t1 = now_ns();
	for (i = 0; i < nr; i++)
		area_free(p[i], LEN / HPAGE_SIZE);
	return t1 - t0;
}

int main(void)
{
	long times[2][3];
	int i, nr, threads;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	file_fd = memfd_create("pages", MFD_CLOEXEC);
	if (file_fd < 0 || ftruncate(file_fd, AREA))
		ksft_exit_fail_perror("memfd_create");
	for (i = 0; i < MAX_TASKS; i++)
		madvise_area[i] = small_area(1);
	for (i = 0; i < 3; i++)
		for (nr = 1; nr <= 2; nr++)
			times[nr - 1][i] = faulted(nr);
	for (nr = 1; nr <= 2; nr++)
		printf("fault64_threads%d_ns %ld\n", nr, median(times[nr - 1], 3));
	for (i = 0; i < ARRAY_SIZE(loops); i++) {
		loop = loops[i].fn;
		for (threads = 1; threads >= 0; threads--)
			for (nr = 1; nr <= 2; nr++)
				printf("%s_%s%d_ns %ld\n", loops[i].name,
				       threads ? "threads" : "processes", nr,
				       per_op(threads, nr));
	}
	return 0;
}
