// SPDX-License-Identifier: GPL-2.0
/*
 * A store to a shared mapping updates mtime and ctime of the file, also where the
 * fault maps a whole team by PMD; a read updates neither, nor does a store to a
 * private mapping. (A store that doesn't fault, as the mapping was read before,
 * updates nothing with pages of any size.)
 */
#include "team.h"

static struct stat before;
static int fd;

static bool later(struct timespec a, struct timespec b)
{
	return b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec > a.tv_nsec);
}

static void begin(void)
{
	/* More than the clock that inodes go by needs */
	usleep(30000);
	fstat(fd, &before);
	usleep(30000);
}

static void ended(const char *what, char *p, bool updated)
{
	struct stat st;

	msync(p, HPAGE_SIZE, MS_SYNC);
	fstat(fd, &st);
	test_true(later(before.st_mtim, st.st_mtim) == updated, "%s: mtime is %s", what,
		  updated ? "updated" : "left alone");
	test_true(later(before.st_ctim, st.st_ctim) == updated, "%s: ctime is %s", what,
		  updated ? "updated" : "left alone");
}

int main(void)
{
	struct stat st;
	char *p;

	team_start(8);
	fd = huge_file("file", HPAGE_SIZE, 0);
	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	begin();
	p[5 * PAGE_SIZE] = 1;
	ended("a store that begins a team", p, true);
	test_team(pfn_of(p), 512, 1, "it");
	area_free(p, 1);

	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	begin();
	FORCE_READ(p[5 * PAGE_SIZE]);
	ended("a read", p, false);
	area_free(p, 1);

	p = map_file(fd, HPAGE_SIZE, MAP_SHARED);
	begin();
	p[7 * PAGE_SIZE] = 1;
	ended("a store that maps a team", p, true);
	area_free(p, 1);

	p = map_file(fd, HPAGE_SIZE, MAP_PRIVATE);
	FORCE_READ(*p);
	begin();
	p[8 * PAGE_SIZE] = 1;
	FORCE_READ(p[9 * PAGE_SIZE]);
	usleep(1000);
	fstat(fd, &st);
	test_true(!later(before.st_mtim, st.st_mtim),
		  "a private store: mtime is left alone");
	area_free(p, 1);
	close(fd);
	ksft_finished();
}
