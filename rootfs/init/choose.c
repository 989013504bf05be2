// SPDX-License-Identifier: GPL-2.0
/* Which tests there are, and which to run */
#include <dirent.h>
#include <fnmatch.h>

#include "init.h"

struct test tests[MAX_TESTS];
int nr_tests;

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct test *)a)->name,
		      ((const struct test *)b)->name);
}

void find_tests(const char *dir)
{
	int first = nr_tests;
	struct dirent *de;
	DIR *d = opendir(dir);

	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.' || nr_tests == MAX_TESTS)
			continue;
		tests[nr_tests].dir = dir;
		tests[nr_tests].name = strdup(de->d_name);
		nr_tests++;
	}
	if (d)
		closedir(d);
	qsort(tests + first, nr_tests - first, sizeof(tests[0]), by_name);
}

/*
 * How many letters to insert, drop or change to make of @word the name, or the
 * beginning of a longer one (Levenshtein).
 */
static int distance(const char *word, const char *name)
{
	int row[256] = { 0 }, i, j, diag, up, best, len = strlen(name);

	if (len > 255)
		return 255;
	for (j = 0; j <= len; j++)
		row[j] = j;
	for (i = 1; word[i - 1]; i++) {
		diag = row[0];
		row[0] = i;
		for (j = 1; j <= len; j++) {
			up = row[j];
			row[j] = diag + (word[i - 1] != name[j - 1]);
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			diag = up;
		}
	}
	for (best = row[len], j = 0; j < len; j++)
		if (row[j] < best)
			best = row[j];
	return best;
}

/* Name those that contain the word, else those that begin almost like it. */
static __noreturn void unknown_test(const char *word)
{
	int i, n = 0, d, best = strlen(word) / 3;
	bool contained = false;

	for (i = 0; i < nr_tests; i++) {
		contained |= !!strstr(tests[i].name, word);
		d = distance(word, tests[i].name);
		if (d < best)
			best = d;
	}
	fprintf(stderr, "no test '%s'", word);
	for (i = 0; i < nr_tests && n < 6; i++)
		if (contained ? !!strstr(tests[i].name, word) :
				distance(word, tests[i].name) <= best)
			fprintf(stderr, "%s%s", n++ ? ", " : "; near: ",
				tests[i].name);
	usage("; '-- list' lists all\n");
}

int split_names(char **names, int nr)
{
	char *words[MAX_TESTS], *name;
	int i, n = 0;

	memcpy(words, names, nr * sizeof(*words));
	for (i = 0; i < nr; i++)
		while (n < MAX_TESTS && (name = strsep(&words[i], ",")))
			names[n++] = name;
	return n;
}

void select_tests(char **names, int nr)
{
	bool bench, hit;
	int i, j;

	for (j = 0; j < nr; j++) {
		hit = false;
		for (i = 0; i < nr_tests; i++) {
			bench = !strncmp(tests[i].name, "bench_", 6);
			if (bench && strncmp(names[j], "bench_", 6))
				continue;
			if (fnmatch(names[j], tests[i].name, 0))
				continue;
			tests[i].selected = true;
			hit = true;
		}
		if (!hit)
			unknown_test(names[j]);
	}
	for (i = 0; !nr && i < nr_tests; i++)
		tests[i].selected = strncmp(tests[i].name, "bench_", 6);
}

/* The kernel turns THP off at boot below 512 MB of usable memory. */
void check_memory(void)
{
	long kb = 0;
	bool thp = false;
	char line[128];
	FILE *f;
	int i;

	for (i = 0; i < nr_tests; i++)
		thp |= tests[i].selected &&
		       (!strncmp(tests[i].name, "thp_", 4) ||
			!strncmp(tests[i].name, "shmem_", 6));
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemTotal: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	if (thp && kb && kb < 512 * 1024 &&
	    !access("/sys/kernel/mm/transparent_hugepage", F_OK))
		usage("mem= too small: the kernel turns huge pages off below 512 MB and has %ld MB; start it with mem=600M or more\n",
		      kb / 1024);
}
