// SPDX-License-Identifier: GPL-2.0
/*
 * Who is charged for a tick of the timer: the user code that it interrupts, or the
 * kernel. (um told it from whatever the stack had.) A tick that is taken for one of
 * user code is a quiescent state of RCU, too.
 */
#include <sys/resource.h>

#include "bench.h"
#include "mmtest.h"

#define LOOP_MS	400
#define TRIES	10

static char buf[1 << 20];
static int zero;

static void spin(void)
{
	volatile int i;

	for (i = 0; i < 1000000; i++)
		;
}

/* Long system calls: a switch to the kernel waits for its turn on a busy host. */
static void read_zeroes(void)
{
	struct iovec iov[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec) { buf, sizeof(buf) };
	if (readv(zero, iov, ARRAY_SIZE(iov)) != (ssize_t)(ARRAY_SIZE(iov) * sizeof(buf)))
		ksft_exit_fail_perror("readv");
}

static void read_flags(void)
{
	int fd = open("/proc/kpageflags", O_RDONLY);

	while (fd < 0 || read(fd, buf, sizeof(buf)) <= 0)
		ksft_exit_fail_perror("kpageflags");
	close(fd);
}

static void clear_memory(void)
{
	const size_t len = 64 * HPAGE_SIZE;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	munmap(p, len);
}

/* CPU time of this process so far, in ms; of user code, if @user, or all */
static long cpu_ms(bool user)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 +
		(user ? 0 : usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000);
}

/*
 * Of what a loop is charged for, the share of user code, in percent. With seccomp it
 * has the wait for the host's CPU when the kernel goes back to user code, which can
 * be long on a busy host: some tries.
 */
static void test_share(const char *what, void (*loop)(void), long least, long most)
{
	long share = -1, user, all;
	double end;
	int tries;

	for (tries = 0; tries < TRIES && (share < least || share > most); tries++) {
		user = cpu_ms(true);
		all = cpu_ms(false);
		end = now_ms() + LOOP_MS;
		while (now_ms() < end)
			loop();
		user = cpu_ms(true) - user;
		all = cpu_ms(false) - all;
		ksft_print_msg("%s: user %ld ms, system %ld ms\n", what, user, all - user);
		if (all > LOOP_MS / 4)
			share = 100 * user / all;
	}
	ksft_test_result(share >= least && share <= most, "%s: user %% # %ld (%ld to %ld)\n",
			 what, share, least, most);
}

int main(void)
{
	test_plan(4);
	zero = open("/dev/zero", O_RDONLY);
	test_share("user code alone", spin, 90, 100);
	test_share("read of /dev/zero", read_zeroes, 0, 60);
	test_share("read of kpageflags", read_flags, 0, 60);
	test_share("mmap() that populates", clear_memory, 0, 60);
	ksft_finished();
}
