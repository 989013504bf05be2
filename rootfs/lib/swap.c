// SPDX-License-Identifier: GPL-2.0
/* Swap and a memory cgroup. See mmtest.h. */
#include <sys/stat.h>
#include <sys/swap.h>

#include "internal.h"

#define SWAP_DEVICE	"/dev/ram0"
#define SWAP_BYTES	(64UL << 20)

/* Each ends at exit, in the process that began it. */
static pid_t swap_owner, memcg_owner;

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
