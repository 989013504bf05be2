// SPDX-License-Identifier: GPL-2.0
/*
 * Swap in a file, as most systems have it today: pages go there and come back, each
 * where it was, although the file isn't in one piece on its device. While it is in
 * use it can't be written to or removed.
 *
 * The file system is minix, as that is so simple that it can be made here.
 */
#include <linux/fs.h>
#include <linux/minix_fs.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>

#include "mmtest.h"

#define DEVICE		"/dev/ram1"
#define DIR		"/tmp/minix"
#define SWAP_FILE	DIR "/swap"
#define BLOCK		1024U
#define NR_ZONES	20480U	/* 20 MB */
#define NR_INODES	32U
#define FIRST_ZONE	7U	/* boot, super block, maps of 1 and 3 blocks, inodes */
#define FILE_PAGES	3072UL	/* 12 MB */

static void bits_set(unsigned char *map, unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		map[from / 8] |= 1 << from % 8;
}

static void make_fs(int fd)
{
	static unsigned char image[(FIRST_ZONE + 1) * BLOCK] __attribute__((aligned(8)));
	unsigned char *inode_map = image + 2 * BLOCK, *zone_map = image + 3 * BLOCK;
	struct minix_super_block *super = (void *)(image + BLOCK);
	struct minix_inode *root = (void *)(image + 6 * BLOCK);
	struct { __u16 inode; char name[14]; } *entry = (void *)(image + FIRST_ZONE * BLOCK);

	super->s_ninodes = NR_INODES;
	super->s_nzones = NR_ZONES;
	super->s_imap_blocks = 1;
	super->s_zmap_blocks = 3;
	super->s_firstdatazone = FIRST_ZONE;
	super->s_max_size = (7 + 512 + 512 * 512) * BLOCK;
	super->s_magic = MINIX_SUPER_MAGIC;
	super->s_state = MINIX_VALID_FS;
	/* In use: number 0 and the root, and what there isn't */
	bits_set(inode_map, 0, 2);
	bits_set(inode_map, NR_INODES + 1, BLOCK * 8);
	bits_set(zone_map, 0, 2);
	bits_set(zone_map, NR_ZONES - FIRST_ZONE + 1, 3 * BLOCK * 8);
	root->i_mode = S_IFDIR | 0755;
	root->i_size = 2 * sizeof(*entry);
	root->i_nlinks = 2;
	root->i_zone[0] = FIRST_ZONE;
	entry[0].inode = MINIX_ROOT_INO;
	strcpy(entry[0].name, ".");
	entry[1].inode = MINIX_ROOT_INO;
	strcpy(entry[1].name, "..");
	if (pwrite(fd, image, sizeof(image), 0) != sizeof(image) || fsync(fd))
		ksft_exit_fail_perror(DEVICE);
}

static void clean_up(void)
{
	uint64_t range[2] = { 0, (uint64_t)NR_ZONES * BLOCK };
	int fd;

	swapoff(SWAP_FILE);
	umount(DIR);
	rmdir(DIR);
	fd = open(DEVICE, O_WRONLY);
	ioctl(fd, BLKDISCARD, range);
	close(fd);
}

static int make_swap_file(void)
{
	static char page[PAGE_SIZE];
	uint32_t *head = (uint32_t *)page;
	int fd = open(SWAP_FILE, O_RDWR | O_CREAT, 0600);
	size_t i;

	for (i = 0; i < FILE_PAGES; i++)
		if (write(fd, page, PAGE_SIZE) != PAGE_SIZE)
			ksft_exit_fail_perror("write");
	/* As by mkswap */
	head[256] = 1;
	head[257] = FILE_PAGES - 1;
	memcpy(page + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, page, PAGE_SIZE, 0) != PAGE_SIZE || fsync(fd))
		ksft_exit_fail_perror("pwrite");
	return fd;
}

static long swap_size(void)
{
	char line[256], type[16];
	long kb = -1, found = -1;
	FILE *f = fopen("/proc/swaps", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, SWAP_FILE " %15s %ld", type, &kb) == 2 && !strcmp(type, "file"))
			found = kb;
	if (f)
		fclose(f);
	return found;
}

int main(void)
{
	long in, out;
	int fd, i;
	char *p;

	ksft_print_header();
	fd = open(DEVICE, O_RDWR);
	if (fd < 0)
		ksft_exit_skip("no " DEVICE " in this kernel\n");
	make_fs(fd);
	close(fd);
	atexit(clean_up);
	mkdir(DIR, 0755);
	if (mount(DEVICE, DIR, "minix", 0, NULL)) {
		if (errno == ENODEV)
			ksft_exit_skip("no minix file system in this kernel\n");
		ksft_exit_fail_perror("mount");
	}
	ksft_set_plan(11);
	fd = make_swap_file();
	if (swapon(SWAP_FILE, 0))
		ksft_exit_fail_perror("swapon");
	/* A page of the file is lost where its blocks aren't next to each other. */
	test_min(swap_size(), (FILE_PAGES - FILE_PAGES / 50) * 4, "kB of swap");
	test_true(pwrite(fd, "x", 1, PAGE_SIZE) < 0 && errno == ETXTBSY, "it can't be written to");
	test_true(unlink(SWAP_FILE) && errno == EPERM, "nor removed");

	memcg_enter();
	p = small_pages(4, 1);
	out = vmstat("pswpout");
	in = vmstat("pswpin");
	for (i = 0; i < 3; i++)
		madvise(p, 4 * HPAGE_SIZE, MADV_PAGEOUT);
	test_min(smaps_kb(p, 4 * HPAGE_SIZE, "Swap"), 4 * HPAGE_KB * 9 / 10, "kB in it, of 8192");
	test_vmstat_min("pswpout", out, 4 * HPAGE_NR * 9 / 10);
	test_data(p, 0, 4 * HPAGE_SIZE, 1, "every byte comes back");
	test_vmstat_min("pswpin", in, HPAGE_NR);

	pattern_fill(p, HPAGE_SIZE, 3 * HPAGE_SIZE, 2);
	madvise(p, 4 * HPAGE_SIZE, MADV_PAGEOUT);
	test_eq(swapoff(SWAP_FILE), 0, "swapoff brings them back");
	test_data(p, HPAGE_SIZE, 3 * HPAGE_SIZE, 2, "what was written since");
	test_data(p, 3 * HPAGE_SIZE, 4 * HPAGE_SIZE, 1, "and what was not");
	close(fd);
	test_eq(unlink(SWAP_FILE), 0, "the file can be removed");
	ksft_finished();
}
