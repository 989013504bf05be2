// SPDX-License-Identifier: GPL-2.0
/*
 * Processes pin and unpin pages of the same huge pages, of another process, all
 * the time, which has them split and collapsed meanwhile, and has direct I/O from
 * and to them: no byte goes another way, and no pin is left. RACE_SECS= makes it
 * last longer.
 */

#include "bench.h"
#include "tail.h"

#define NR		4
#define LEN		(NR * HPAGE_SIZE)
#define NR_WRITERS	3
#define BLOCK		(32 * PAGE_SIZE)

static struct {
	volatile bool stop;
	volatile unsigned long writes[NR_WRITERS], bad[NR_WRITERS];
} *sh;
static char *p;

/* Write to its own word of some pages, read it back: 16 pages a call */
static void writer(pid_t pid, int me)
{
	unsigned int seed = me;
	uint64_t words[16], back[16];
	struct iovec local = { words, sizeof(words) }, remote[16];
	struct iovec local_back = { back, sizeof(back) };
	int i;

	while (!sh->stop) {
		for (i = 0; i < 16; i++) {
			/* Each once: 16 strides of 128 pages */
			size_t page = i * (LEN / PAGE_SIZE / 16) + rand_r(&seed) % 128;

			words[i] = sh->writes[me] * 16 + i;
			remote[i].iov_base = p + page * PAGE_SIZE + 8 * me;
			remote[i].iov_len = 8;
		}
		if (process_vm_writev(pid, &local, 1, remote, 16, 0) != sizeof(words) ||
		    process_vm_readv(pid, &local_back, 1, remote, 16, 0) != sizeof(back) ||
		    memcmp(words, back, sizeof(words)))
			sh->bad[me]++;
		sh->writes[me]++;
	}
}

int main(void)
{
	long split = vmstat("thp_split_page"), failed = vmstat("thp_split_page_failed");
	long collapsed = vmstat("thp_collapse_alloc");
	/* KUnit gives back pins that were never taken. */
	long held = pins_held();
	long end = now_ms() + race_ms(2000);
	unsigned int seed = 7, i, rounds = 0, io = 0, moved = 0;
	char *block = small_area(1);
	pid_t pid[NR_WRITERS];
	int fd;

	tail_start(7 + NR_WRITERS);
	sh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd = open("/dev/ram1", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		ksft_exit_fail_perror("/dev/ram1");
	p = huge_area(NR);
	memset(p, 0, LEN);
	fflush(stdout);
	for (i = 0; i < NR_WRITERS; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			writer(getppid(), i);
			_exit(0);
		}
	}
	/* Two splits take their time where switches between processes do. */
	for (; now_ms() < end || (vmstat("thp_split_page") < split + 2 && rounds < 100);
	     rounds++) {
		char *h = p + rand_r(&seed) % NR * HPAGE_SIZE;
		char *at = h + rand_r(&seed) % (HPAGE_NR - 32) * PAGE_SIZE;
		static const int orders[] = { 0, 0, 2, 4, 8 };
		int pin = longterm_pin(at, PAGE_SIZE);
		unsigned long pfn = pfn_of(at);

		switch (rand_r(&seed) % 3) {
		case 0:
			debugfs_split(h, HPAGE_SIZE, orders[rand_r(&seed) % 5]);
			break;
		case 1:
			madvise(at, PAGE_SIZE, MADV_COLD);
			break;
		case 2:
			/* The words in between don't change, so they are the same. */
			madvise(h, HPAGE_SIZE, MADV_COLLAPSE);
		}
		/* 4 kB behind the words of each page: the first 512 bytes aren't read */
		io += pwrite(fd, at, BLOCK, 0) == BLOCK && pread(fd, block, BLOCK, 0) == BLOCK;
		moved += pfn_of(at) != pfn;
		longterm_unpin(pin);
		madvise(h, HPAGE_SIZE, MADV_COLLAPSE);
	}
	sh->stop = true;
	for (i = 0; i < NR_WRITERS; i++) {
		child_status(pid[i]);
		ksft_print_msg("writer %u: %lu rounds\n", i, sh->writes[i]);
		test_eq(sh->bad[i], 0, "writer %u: rounds with other bytes", i);
	}
	ksft_print_msg("%u rounds, %ld splits failed\n", rounds,
		       vmstat("thp_split_page_failed") - failed);
	test_vmstat_min("thp_split_page", split, 2);
	test_vmstat_min("thp_collapse_alloc", collapsed, race_least(1));
	test_eq(io, rounds, "rounds of direct I/O");
	test_eq(moved, 0, "pinned pages that moved");
	test_eq(pins_all(), 0, "pins");
	area_free(p, NR);
	test_eq(pins_all(), 0, "unmapped, pins");
	test_eq(pins_held(), held, "pins taken and not given back, ever");
	ksft_finished();
}
