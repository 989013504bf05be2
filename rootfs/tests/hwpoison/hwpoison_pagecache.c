// SPDX-License-Identifier: GPL-2.0
/*
 * A page of page cache fails that is as it is in its file, which is on the host:
 * it is read from there again, by all who have it mapped, and nobody notices.
 */
#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "hugetlb.h"

#define HOST	"/tmp/host"
#define NR	8
#define LEN	(NR * PAGE_SIZE)
#define BAD	(5 * PAGE_SIZE)

static char *p, want[LEN];
static pid_t owner;

static void host_end(void)
{
	if (owner != getpid())
		return;
	munmap(p, LEN);
	umount2(HOST, MNT_DETACH);
	rmdir(HOST);
}

/* Some file of the host's that is long enough */
static int host_file(void)
{
	struct dirent *de;
	struct stat st;
	DIR *dir;
	int fd;

	mkdir(HOST, 0755);
	if (mount("none", HOST, "hostfs", MS_RDONLY, "/"))
		ksft_exit_fail_perror("mount hostfs");
	owner = getpid();
	atexit(host_end);
	dir = opendir(HOST "/usr/bin");
	while (dir && (de = readdir(dir))) {
		fd = openat(dirfd(dir), de->d_name, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
		    st.st_size >= (off_t)LEN) {
			ksft_print_msg("/usr/bin/%s\n", de->d_name);
			closedir(dir);
			return fd;
		}
		close(fd);
	}
	ksft_exit_fail_msg("no file of %lu kB in the host's /usr/bin\n", LEN / 1024);
}

static int child(void *pfn)
{
	if (memcmp(p, want, LEN))
		return 1;
	return pfn_of(p + BAD) == (uintptr_t)pfn;
}

int main(void)
{
	long kb = meminfo("HardwareCorrupted:");
	unsigned long pfn[NR];
	int fd, go[2];
	pid_t pid;
	char c;

	poison_start(10, false);
	fd = host_file();
	p = mmap(hole_area(1), LEN, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED || pipe(go))
		ksft_exit_fail_perror("mmap");
	memcpy(want, p, LEN);
	pfns_of(p, pfn, NR);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		force_read_pages(p, NR, PAGE_SIZE);
		_exit(read(go[0], &c, 1) == 1 ? child((void *)pfn[BAD / PAGE_SIZE]) : 2);
	}
	usleep(10000);	/* let it map the pages */
	test_eq(poison(p + BAD, PAGE_SIZE, MADV_HWPOISON), 0, "signal at once");
	test_eq(access_signal(p + BAD, false), 0, "signal for a read");
	test_true(!memcmp(p, want, LEN), "every byte");
	test_eq(pages_moved(p, pfn, NR), 1, "pages that moved");
	test_true(pfn_of(p + BAD) != pfn[BAD / PAGE_SIZE], "this one");
	test_true(kpageflags(pfn[BAD / PAGE_SIZE]) & KPF_HWPOISON, "the bad one is marked");
	if (write(go[1], "", 1) != 1)
		ksft_exit_fail_perror("write");
	test_eq(child_status(pid), 0, "a child has the good one and every byte");
	test_eq(meminfo("HardwareCorrupted:"), kb + 4, "meminfo HardwareCorrupted kB");
	test_eq(unpoison_memory(pfn[BAD / PAGE_SIZE]), 0, "the bad one can be declared good");
	test_eq(meminfo("HardwareCorrupted:"), kb, "meminfo HardwareCorrupted kB");
	ksft_finished();
}
