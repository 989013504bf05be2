// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of one page each, registered with io_uring, in a huge page that is split
 * then: what io_uring reads into one is in the process's memory, what it writes
 * from one is what the process has written, and a page that the process has
 * unmapped meanwhile is freed when the buffers are unregistered, no sooner.
 */
#include "tail.h"

/* The machine's <linux/io_uring.h>, and that of tools/, want each other's types. */
struct io_uring_params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle;
	uint32_t features, wq_fd, resv[3];
	struct {
		uint32_t head, tail, ring_mask, ring_entries, flags, dropped;
		uint32_t array, resv;
		uint64_t user_addr;
	} sq_off;
	struct {
		uint32_t head, tail, ring_mask, ring_entries, overflow, cqes;
		uint32_t flags, resv;
		uint64_t user_addr;
	} cq_off;
};

struct io_uring_sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off, addr;
	uint32_t len, rw_flags;
	uint64_t user_data;
	uint16_t buf_index, rest[11];
};

struct io_uring_cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

#define IORING_OFF_SQ_RING		0
#define IORING_OFF_SQES			0x10000000
#define IORING_FEAT_SINGLE_MMAP		1
#define IORING_ENTER_GETEVENTS		1
#define IORING_REGISTER_BUFFERS		0
#define IORING_OP_READ_FIXED		4
#define IORING_OP_WRITE_FIXED		5


static int ring;
static unsigned int *sq_tail, *sq_array, *cq_head, *cq_tail;
static unsigned int sq_mask, cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;

static void ring_start(void)
{
	struct io_uring_params params = { 0 };
	char *rings;

	ring = syscall(__NR_io_uring_setup, 4, &params);
	if (ring < 0)
		ksft_exit_fail_perror("io_uring_setup");
	rings = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		     IORING_OFF_SQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE,
		    MAP_SHARED, ring, IORING_OFF_SQES);
	if (!(params.features & IORING_FEAT_SINGLE_MMAP) || rings == MAP_FAILED ||
	    sqes == MAP_FAILED)
		ksft_exit_fail_perror("io_uring");
	sq_tail = (void *)rings + params.sq_off.tail;
	sq_array = (void *)rings + params.sq_off.array;
	sq_mask = params.sq_entries - 1;
	cq_head = (void *)rings + params.cq_off.head;
	cq_tail = (void *)rings + params.cq_off.tail;
	cqes = (void *)rings + params.cq_off.cqes;
	cq_mask = params.cq_entries - 1;
}

/* One request on a registered buffer; what it returns */
static int ring_do(int op, int fd, int index, void *buf)
{
	unsigned int at = *sq_tail & sq_mask;
	int ret;

	sqes[at] = (struct io_uring_sqe) {
		.opcode = op, .fd = fd, .addr = (unsigned long)buf,
		.len = PAGE_SIZE, .buf_index = index, .off = -1,
	};
	sq_array[at] = at;
	__atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1 ||
	    __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE) == *cq_head)
		ksft_exit_fail_perror("io_uring_enter");
	ret = cqes[*cq_head & cq_mask].res;
	__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
	return ret;
}

int main(void)
{
	char *p, buf[PAGE_SIZE], data[PAGE_SIZE];
	unsigned long pfn[2];
	struct iovec iov[3];
	int fd[2];

	tail_start(19);
	ring_start();
	if (pipe(fd))
		ksft_exit_fail_perror("pipe");
	p = huge_pages(1, 1);
	gup_unpin(gup_pin(p, HPAGE_SIZE));	/* not in ZONE_MOVABLE any more */
	iov[0] = iov[1] = (struct iovec) { AT(5), PAGE_SIZE };
	iov[2] = (struct iovec) { AT(300), PAGE_SIZE };
	if (syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, iov, 3))
		ksft_exit_fail_perror("IORING_REGISTER_BUFFERS");
	pfn[0] = pfn_of(AT(5));
	pfn[1] = pfn_of(AT(300));
	test_pins(AT(5), 9, 3, 2, "registered, page 5");
	debugfs_split(p, HPAGE_SIZE, 0);
	test_pins(AT(5), 0, 2, 2, "split, page 5");
	test_pins(AT(300), 0, 1, 1, "split, page 300");
	test_true(pfn_of(AT(5)) == pfn[0] && pfn_of(AT(300)) == pfn[1], "the same pages");

	pattern_fill(data, 0, PAGE_SIZE, 2);
	test_eq(write(fd[1], data, PAGE_SIZE), PAGE_SIZE, "bytes to read");
	test_eq(ring_do(IORING_OP_READ_FIXED, fd[0], 1, AT(5)), PAGE_SIZE, "bytes read");
	test_true(!memcmp(AT(5), data, PAGE_SIZE), "they are in page 5");
	pattern_fill(AT(300), 0, PAGE_SIZE, 3);
	test_eq(ring_do(IORING_OP_WRITE_FIXED, fd[1], 2, AT(300)), PAGE_SIZE, "bytes written");
	test_eq(read(fd[0], buf, PAGE_SIZE), PAGE_SIZE, "bytes to compare");
	test_true(!memcmp(AT(300), buf, PAGE_SIZE), "they are page 300's");
	test_data(p, 6 * PAGE_SIZE, 300 * PAGE_SIZE, 1, "bytes between");

	munmap(p, HPAGE_SIZE);
	test_eq(pins_all(), 3, "unmapped, pins");
	test_true(pfn_anon_unmapped(pfn[0]) && pfn_anon_unmapped(pfn[1]), "unmapped, in use");
	test_true(!pfn_anon_unmapped(pfn[0] + 1), "unmapped, page 6 isn't");
	test_eq(ring_do(IORING_OP_WRITE_FIXED, fd[1], 0, AT(5)), PAGE_SIZE, "bytes written");
	test_eq(read(fd[0], buf, PAGE_SIZE), PAGE_SIZE, "bytes to compare");
	test_true(!memcmp(data, buf, PAGE_SIZE), "they are what was page 5's");
	longterm_unpin(ring);
	test_eq(pins_all(), 0, "unregistered, pins");
	test_true(!pfn_anon_unmapped(pfn[0]) && !pfn_anon_unmapped(pfn[1]),
		  "unregistered, not in use any more");
	ksft_finished();
}
