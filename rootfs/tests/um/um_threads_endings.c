// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to a process with several threads, most of which spin in user code at
 * that time: it ends, by one thread or another or from outside, it calls execve(), dumps
 * core, forks, starts and ends threads all the time. And what belongs to one thread only:
 * the signals that are sent to it and those that its faults cause, a system call that it
 * waits in, its CPU, its registers, those of the FPU, and its TLS.
 *
 * RACE_SECS says for how long the storms last, together.
 */
#include <elf.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/procfs.h>
#include <linux/futex.h>

#undef PAGE_SIZE		/* of sys/user.h */
#include "threads.h"

#define NR		3		/* threads that spin */
#define STORM_THREADS	12
#define WAIT_MS		10000		/* long enough for anything that ends at all */
#define MAGIC		0x7468726561640000ULL

/* Shared with children */
static struct shared {
	volatile unsigned long count[NR] __attribute__((aligned(64)));
	volatile unsigned long tls[NR];
	volatile int tid[NR];
} *sh;

static long storm_ms;
static bool at_once;

/* ---- Threads that spin */

static atomic_bool stop;

static void *spin(void *arg)
{
	volatile unsigned long *count = &sh->count[(long)arg];

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		++*count;
		/* Where only one runs at a time, others would wait for the timer always. */
		if (!at_once && *count % 65536 == 0)
			sched_yield();
	}
	return NULL;
}

/* The same with a number in a register for who looks at the registers */
static void *spin_marked(void *arg)
{
	long i = (long)arg;

	sh->tid[i] = thread_id();
	sh->tls[i] = (unsigned long)pthread_self();
	asm volatile("mov %0, %%r12; movq %0, %%xmm7\n"
		     "1: incq (%1); jmp 1b"
		     : : "r" (MAGIC | i), "r" (&sh->count[i]) : "r12", "xmm7", "memory");
	return NULL;
}

static void wait_count(const volatile unsigned long *count, unsigned long more)
{
	unsigned long before = *count;
	long end = now_ms() + WAIT_MS;

	while (*count - before < more && now_ms() < end)
		usleep(500);
	if (*count - before < more)
		ksft_exit_fail_msg("a thread that spins doesn't get on\n");
}

static pthread_t spinner[NR];

static int spin_for_ever(void)
{
	volatile bool on = true;

	while (on)
		;
	return 1;
}

/* Each of them runs once this returns. */
static void spinners_start(void *(*fn)(void *))
{
	long i;

	atomic_store(&stop, false);
	memset((void *)sh->count, 0, sizeof(sh->count));
	for (i = 0; i < NR; i++)
		spinner[i] = thread_start(fn, (void *)i);
	for (i = 0; i < NR; i++)
		wait_count(&sh->count[i], 1);
}

static void spinners_stop(void)
{
	int i;

	atomic_store(&stop, true);
	for (i = 0; i < NR; i++)
		pthread_join(spinner[i], NULL);
}

/* ---- Ends of a process */

static volatile char *no_access;

/* The status of a child that runs @fn, -1 if it doesn't end; it may be told when to go */
static int end_of(int (*fn)(void), int sig)
{
	long end = now_ms() + WAIT_MS;
	int status, i;
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid)
		_exit(fn());
	if (sig) {
		for (i = 0; i < NR; i++)
			wait_count(&sh->count[i], 1);
		kill(pid, sig);
	}
	while (now_ms() < end) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(500);
	}
	kill(pid, SIGKILL);
	return -1;
}

static void test_exits(int status, int want, const char *what)
{
	ksft_test_result(status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == want,
			 "%s # status 0x%x\n", what, status);
}

static void test_killed(int status, int sig, const char *what)
{
	ksft_test_result(status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == sig,
			 "%s # status 0x%x\n", what, status);
}

/* The leader is a zombie until the last thread has gone. */
static bool leader_is_gone(void)
{
	char path[64], line[256] = "", *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	f = fopen(path, "r");
	if (!f || !fgets(line, sizeof(line), f))
		return false;
	fclose(f);
	p = strrchr(line, ')');
	return p && p[2] == 'Z';
}

static void wait_leader(void)
{
	while (!leader_is_gone())
		usleep(500);
}

static void *outlives_leader(void *arg)
{
	wait_leader();
	wait_count(&sh->count[0], 1000);
	_exit(7);
}

static int leader_exits(void)
{
	spinners_start(spin);
	thread_start(outlives_leader, NULL);
	syscall(SYS_exit, 3);
	return 1;
}

static void *last_but_spinners(void *arg)
{
	wait_leader();
	spinners_stop();
	syscall(SYS_exit, 8);
	return NULL;
}

static int all_exit(void)
{
	spinners_start(spin);
	thread_start(last_but_spinners, NULL);
	syscall(SYS_exit, 5);
	return 1;
}

static void *ends_all(void *arg)
{
	wait_count(&sh->count[0], 1000);
	_exit(9);
}

static int another_exits(void)
{
	spinners_start(spin);
	thread_start(ends_all, NULL);
	return spin_for_ever();
}

static void *executes(void *arg)
{
	char *args[] = { "um_threads_endings", "executed", NULL };

	execv("/proc/self/exe", args);
	_exit(1);
}

static int another_executes(void)
{
	spinners_start(spin);
	thread_start(executes, NULL);
	return spin_for_ever();
}

/* What is executed: it is the leader, and there is nobody else. */
static int executed(void)
{
	return thread_id() == getpid() && access("/proc/self/task", F_OK) == 0 &&
	       file_number("/proc/self/status", "Threads:") == 1 ? 42 : 1;
}

static int only_spins(void)
{
	spinners_start(spin);
	return spin_for_ever();
}

static void *faults(void *arg)
{
	wait_count(&sh->count[0], 1000);
	no_access[0] = 0;
	return NULL;
}

static int another_faults(void)
{
	spinners_start(spin);
	thread_start(faults, NULL);
	return spin_for_ever();
}

static void test_ends(void)
{
	unsigned long before[NR];
	int i, grown = 0;

	test_exits(end_of(leader_exits, 0), 7, "the leader has gone, another one ends the process");
	test_exits(end_of(all_exit, 0), 8, "all have gone one by one, the last one's status");
	test_exits(end_of(another_exits, 0), 9, "a thread ends all others");
	test_exits(end_of(another_executes, 0), 42, "a thread calls execve()");
	test_killed(end_of(only_spins, SIGKILL), SIGKILL, "killed from outside");
	test_killed(end_of(only_spins, SIGTERM), SIGTERM, "ended by a signal from outside");
	test_killed(end_of(another_faults, 0), SIGSEGV, "a thread touches what isn't there");
	for (i = 0; i < NR; i++)
		before[i] = sh->count[i];
	usleep(20000);
	for (i = 0; i < NR; i++)
		grown += sh->count[i] != before[i];
	test_eq(grown, 0, "threads of a process that is gone that still run");
}

/* ---- Core dumps */

static int dumps(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int i;

	setrlimit(RLIMIT_CORE, &unlimited);
	spinners_start(spin_marked);
	for (i = 0; i < NR; i++)
		wait_count(&sh->count[i], 1000);
	abort();
}

/* Notes of the core: how many threads, and how many of the marked ones are as they were */
static void read_core(int *threads, int *marked, int *tls, int *fpu)
{
	char *core, *note, *end;
	struct elf_prstatus prs;
	int fd = open(CORE_FILE, O_RDONLY | O_CLOEXEC), i, at = -1;
	struct user_regs_struct regs;
	struct user_fpregs_struct fp;
	Elf64_Ehdr *header;
	Elf64_Phdr *ph;
	uint64_t xmm7;

	*threads = *marked = *tls = *fpu = 0;
	core = fd < 0 ? MAP_FAILED : mmap(NULL, lseek(fd, 0, SEEK_END), PROT_READ, MAP_PRIVATE,
					  fd, 0);
	close(fd);
	if (core == MAP_FAILED)
		return;
	header = (Elf64_Ehdr *)core;
	ph = (Elf64_Phdr *)(core + header->e_phoff);
	for (i = 0; i < header->e_phnum && ph[i].p_type != PT_NOTE; i++)
		;
	if (i == header->e_phnum)
		return;
	note = core + ph[i].p_offset;
	end = note + ph[i].p_filesz;
	while (note < end) {
		Elf64_Nhdr *n = (Elf64_Nhdr *)note;
		char *desc = note + sizeof(*n) + ((n->n_namesz + 3) & ~3);

		if (n->n_type == NT_PRSTATUS) {
			memcpy(&prs, desc, sizeof(prs));
			memcpy(&regs, prs.pr_reg, sizeof(regs));
			++*threads;
			at = -1;
			if ((regs.r12 & ~0xffffULL) == MAGIC && (regs.r12 & 0xffff) < NR) {
				at = regs.r12 & 0xffff;
				*marked += prs.pr_pid == sh->tid[at];
				*tls += regs.fs_base == sh->tls[at];
			}
		} else if (n->n_type == NT_PRFPREG && at >= 0) {
			memcpy(&fp, desc, sizeof(fp));
			memcpy(&xmm7, &fp.xmm_space[7 * 4], sizeof(xmm7));
			*fpu += xmm7 == (MAGIC | at);
		}
		note = desc + ((n->n_descsz + 3) & ~3);
	}
}

static void test_core(void)
{
	int threads, marked, tls, fpu, status;

	core_dumps_start();
	status = end_of(dumps, 0);
	test_killed(status, SIGABRT, "one of them aborts");
	test_true(status >= 0 && WCOREDUMP(status), "a core was written");
	read_core(&threads, &marked, &tls, &fpu);
	test_eq(threads, NR + 1, "threads in it");
	test_eq(marked, NR, "with the register that each had");
	test_eq(tls, NR, "and its TLS");
	test_eq(fpu, NR, "and its register of the FPU");
}

/* ---- Storms */

static atomic_ulong storm_wrong, storm_done;

static void *short_life(void *arg)
{
	volatile char stack[20000];
	size_t i;

	for (i = 0; i < sizeof(stack); i += 1000)
		stack[i] = (long)arg + i / 1000;
	for (i = 0; i < sizeof(stack); i += 1000)
		if (stack[i] != (char)((long)arg + i / 1000))
			atomic_fetch_add(&storm_wrong, 1);
	atomic_fetch_add(&storm_done, 1);
	return arg;
}

static void test_threads_storm(void)
{
	pthread_t thread[STORM_THREADS];
	long end = now_ms() + storm_ms, i;
	unsigned long started = 0;
	void *ret;

	atomic_store(&storm_wrong, 0);
	atomic_store(&storm_done, 0);
	spinners_start(spin);
	do {
		for (i = 0; i < STORM_THREADS; i++, started++)
			thread[i] = thread_start(short_life, (void *)i);
		for (i = 0; i < STORM_THREADS; i++) {
			pthread_join(thread[i], &ret);
			if (ret != (void *)i)
				atomic_fetch_add(&storm_wrong, 1);
		}
	} while (now_ms() < end);
	spinners_stop();
	test_eq(atomic_load(&storm_done), started, "threads that came and went");
	test_eq(atomic_load(&storm_wrong), 0, "of which so many were wrong");
}

static long storm_end;

static void *forks(void *arg)
{
	volatile long on_stack = (long)arg;
	int status;
	pid_t pid;

	do {
		pid = fork();
		if (!pid) {
			/* The child is this thread, with its stack, its TLS, and no other. */
			if (on_stack != (long)arg || thread_id() != getpid())
				_exit(100);
			_exit(10 + (long)arg);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 10 + (long)arg)
			atomic_fetch_add(&storm_wrong, 1);
		atomic_fetch_add(&storm_done, 1);
	} while (now_ms() < storm_end);
	return NULL;
}

static void *vforks(void *arg)
{
	char *args[] = { "um_threads_endings", "spawned", NULL };
	volatile int shared = 0;
	int status;
	pid_t pid;

	do {
		if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, NULL) ||
		    waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 43)
			atomic_fetch_add(&storm_wrong, 1);
		pid = vfork();
		if (!pid) {
			shared++;
			_exit(44);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 44)
			atomic_fetch_add(&storm_wrong, 1);
		atomic_fetch_add(&storm_done, 1);
	} while (now_ms() < storm_end);
	if (shared < 1)
		atomic_fetch_add(&storm_wrong, 1);
	return NULL;
}

static void test_forks_storm(void *(*fn)(void *), int nr, const char *what)
{
	pthread_t thread[NR];
	long i;

	atomic_store(&storm_wrong, 0);
	atomic_store(&storm_done, 0);
	spinners_start(spin);
	storm_end = now_ms() + storm_ms;
	for (i = 0; i < nr; i++)
		thread[i] = thread_start(fn, (void *)i);
	for (i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
	spinners_stop();
	test_min(atomic_load(&storm_done), nr, "%s", what);
	test_eq(atomic_load(&storm_wrong), 0, "of which so many were wrong");
}

/* ---- One thread only */

static int pipe_fds[2], futex_word;
static atomic_int woken;

static void *reads(void *arg)
{
	char c;

	if (read(pipe_fds[0], &c, 1) == 1 && c == 'x')
		atomic_fetch_add(&woken, 1);
	return NULL;
}

static void *waits_futex(void *arg)
{
	while (!__atomic_load_n(&futex_word, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_fetch_add(&woken, 1);
	return NULL;
}

static void test_blocked(void)
{
	pthread_t reader, waiter;
	int i;

	if (pipe(pipe_fds))
		ksft_exit_fail_perror("pipe");
	reader = thread_start(reads, NULL);
	waiter = thread_start(waits_futex, NULL);
	spinners_start(spin);
	for (i = 0; i < NR; i++)
		wait_count(&sh->count[i], 1000);
	test_eq(atomic_load(&woken), 0, "others run on, two threads wait");
	if (write(pipe_fds[1], "x", 1) != 1)
		ksft_exit_fail_perror("write");
	pthread_join(reader, NULL);
	__atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &futex_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_join(waiter, NULL);
	spinners_stop();
	test_eq(atomic_load(&woken), 2, "and are woken while others run");
}

#define SIGNALS	50

static __thread int my_index = -1;
static atomic_int signals_of[NR], signals_elsewhere;

static void count_signal(int sig, siginfo_t *info, void *ctx)
{
	if (my_index < 0 || info->si_value.sival_int != my_index ||
	    sh->tid[my_index] != thread_id())
		atomic_fetch_add(&signals_elsewhere, 1);
	else
		atomic_fetch_add(&signals_of[my_index], 1);
}

static void *spin_signalled(void *arg)
{
	my_index = (long)arg;
	sh->tid[my_index] = thread_id();
	return spin(arg);
}

static void test_signals(void)
{
	struct sigaction sa = { .sa_sigaction = count_signal, .sa_flags = SA_SIGINFO };
	long end = now_ms() + WAIT_MS;
	int i, n, wrong = 0;

	sigaction(SIGRTMIN, &sa, NULL);
	spinners_start(spin_signalled);
	for (n = 0; n < SIGNALS; n++) {
		for (i = 0; i < NR; i++) {
			siginfo_t info = {
				.si_signo = SIGRTMIN, .si_code = SI_QUEUE,
				.si_value.sival_int = i,
			};

			if (syscall(SYS_rt_tgsigqueueinfo, getpid(), sh->tid[i], SIGRTMIN, &info))
				ksft_exit_fail_perror("rt_tgsigqueueinfo");
		}
		if (n % 8 == 0)
			sched_yield();
	}
	for (i = 0; i < NR; i++)
		while (atomic_load(&signals_of[i]) < SIGNALS && now_ms() < end)
			usleep(500);
	spinners_stop();
	for (i = 0; i < NR; i++)
		wrong += atomic_load(&signals_of[i]) != SIGNALS;
	test_eq(wrong, 0, "threads that had another number of signals than was sent");
	test_eq(atomic_load(&signals_elsewhere), 0, "signals that came to others");
}

static __thread sigjmp_buf fault_env;
static __thread volatile char *fault_addr;

static void on_segv(int sig, siginfo_t *info, void *ctx)
{
	siglongjmp(fault_env, info->si_addr == fault_addr ? 1 : 2);
}

static void *faults_often(void *arg)
{
	volatile int i;

	for (i = 0; i < 200; i++) {
		fault_addr = no_access + (i * NR + (long)arg) * 8;
		switch (sigsetjmp(fault_env, 1)) {
		case 0:
			if (i & 1)
				*fault_addr = 1;
			else
				(void)*fault_addr;
			atomic_fetch_add(&storm_wrong, 1);
			break;
		case 1:
			atomic_fetch_add(&storm_done, 1);
			break;
		default:
			atomic_fetch_add(&storm_wrong, 1);
		}
	}
	return NULL;
}

static void test_faults(void)
{
	struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO }, old;
	pthread_t thread[NR];
	long i;

	sigaction(SIGSEGV, &sa, &old);
	atomic_store(&storm_wrong, 0);
	atomic_store(&storm_done, 0);
	for (i = 0; i < NR; i++)
		thread[i] = thread_start(faults_often, (void *)i);
	for (i = 0; i < NR; i++)
		pthread_join(thread[i], NULL);
	sigaction(SIGSEGV, &old, NULL);
	test_eq(atomic_load(&storm_done), NR * 200, "faults that had their signal and address");
	test_eq(atomic_load(&storm_wrong), 0, "that hadn't");
}

/* Registers that nobody but this thread has; each half of a second it looks. */
static void *keeps_state(void *arg)
{
	static __thread volatile long in_tls;
	uint64_t set[32] __attribute__((aligned(64))), got[32] __attribute__((aligned(64)));
	bool avx = __builtin_cpu_supports("avx");
	long i, me = (long)arg;
	unsigned int mxcsr = 0x1f80 | (me & 3) << 13, mxcsr_now;
	unsigned short cw = 0x37f ^ ((me & 3) << 10), cw_now;
	unsigned long spins;
	long tls;

	in_tls = MAGIC | me;
	sh->tid[me] = thread_id();
	for (i = 0; i < ARRAY_SIZE(set); i++)
		set[i] = MAGIC ^ (me << 56) ^ i * 0x9e3779b97f4a7c15ULL;
	asm volatile("ldmxcsr %0; fldcw %1" : : "m" (mxcsr), "m" (cw));
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		spins = 300000;
		if (avx)
			asm volatile("vmovdqu (%1), %%ymm0; vmovdqu 32(%1), %%ymm5\n"
				     "vmovdqu 64(%1), %%ymm10; vmovdqu 96(%1), %%ymm15\n"
				     "1: dec %0; jnz 1b\n"
				     "vmovdqu %%ymm0, (%2); vmovdqu %%ymm5, 32(%2)\n"
				     "vmovdqu %%ymm10, 64(%2); vmovdqu %%ymm15, 96(%2)\n"
				     "vzeroupper"
				     : "+r" (spins) : "r" (set), "r" (got)
				     : "xmm0", "xmm5", "xmm10", "xmm15", "memory");
		else
			asm volatile("movdqu (%1), %%xmm0; movdqu 32(%1), %%xmm5\n"
				     "movdqu 64(%1), %%xmm10; movdqu 96(%1), %%xmm15\n"
				     "1: dec %0; jnz 1b\n"
				     "movdqu %%xmm0, (%2); movdqu %%xmm5, 32(%2)\n"
				     "movdqu %%xmm10, 64(%2); movdqu %%xmm15, 96(%2)"
				     : "+r" (spins) : "r" (set), "r" (got)
				     : "xmm0", "xmm5", "xmm10", "xmm15", "memory");
		asm volatile("stmxcsr %0; fnstcw %1" : "=m" (mxcsr_now), "=m" (cw_now));
		asm volatile("mov %%fs:0x10, %0" : "=r" (tls));
		for (i = 0; i < 16; i++)
			if ((avx || i % 4 < 2) && got[i] != set[i])
				atomic_fetch_add(&storm_wrong, 1);
		/* The flags of exceptions may have been set. */
		if ((mxcsr_now & ~0x3f) != mxcsr || cw_now != cw ||
		    in_tls != (long)(MAGIC | me) || tls != (long)pthread_self())
			atomic_fetch_add(&storm_wrong, 1);
		sh->count[me]++;
	}
	return NULL;
}

static void test_migration(void)
{
	int i, cpu, cpus = nr_cpus(), least = 1000000;
	cpu_set_t set;
	long end;

	atomic_store(&storm_wrong, 0);
	spinners_start(keeps_state);
	end = now_ms() + storm_ms;
	for (cpu = 0; now_ms() < end; cpu++) {
		for (i = 0; i < NR; i++) {
			CPU_ZERO(&set);
			CPU_SET((cpu + i) % cpus, &set);
			if (sched_setaffinity(sh->tid[i], sizeof(set), &set))
				ksft_exit_fail_perror("sched_setaffinity");
		}
		usleep(1000);
	}
	spinners_stop();
	for (i = 0; i < NR; i++)
		if (sh->count[i] < least)
			least = sh->count[i];
	ksft_print_msg("%d CPUs, moved %d times\n", cpus, cpu);
	test_min(least, 1, "times that each thread, moved about, looked at its state");
	test_eq(atomic_load(&storm_wrong), 0, "registers and TLS that were another's");
}

/* Where a thread is that may run on one CPU only */
static void *says_cpu(void *arg)
{
	int cpu = (long)arg, i;

	for (i = 0; i < 50; i++) {
		run_on_cpu((cpu + i) % nr_cpus());
		if (sched_getcpu() != (cpu + i) % nr_cpus())
			atomic_fetch_add(&storm_wrong, 1);
	}
	return NULL;
}

static void test_own_cpu(void)
{
	pthread_t thread[NR];
	long i;

	atomic_store(&storm_wrong, 0);
	for (i = 0; i < NR; i++)
		thread[i] = thread_start(says_cpu, (void *)i);
	for (i = 0; i < NR; i++)
		pthread_join(thread[i], NULL);
	test_eq(atomic_load(&storm_wrong), 0, "times that a thread wasn't on the CPU it went to");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "executed"))
		return executed();
	if (argc > 1 && !strcmp(argv[1], "spawned"))
		return 43;
	test_plan(8 + 6 + 2 + 2 + 2 + 2 + 2 + 2 + 2 + 1);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	no_access = mmap(NULL, 16 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at_once = threads_run_at_once();
	storm_ms = race_ms(1000) / 4;
	test_ends();
	test_core();
	test_threads_storm();
	test_forks_storm(forks, 3, "processes forked beside threads that run");
	test_forks_storm(vforks, 2, "the same with posix_spawn() and vfork()");
	test_blocked();
	test_signals();
	test_faults();
	test_migration();
	test_own_cpu();
	ksft_finished();
}
