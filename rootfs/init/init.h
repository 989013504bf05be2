/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of init share */
#ifndef INIT_H
#define INIT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KSFT_SKIP	4
#define EXIT_USAGE	2
#define MAX_TESTS	1024
#define __noreturn	__attribute__((__noreturn__))
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct test {
	const char *dir;
	char *name;
	bool selected;
};

extern struct test tests[MAX_TESTS];
extern int nr_tests;
extern int timeout_secs;

/* Where on the host to leave the lines that ran, and events; NULL: don't */
extern const char *coverage_dir, *trace_dir;

/* main.c: say what is wrong with the command line, and end the guest */
__noreturn __printf(1, 2) void usage(const char *fmt, ...);

/* choose.c */
void find_tests(const char *dir);
/* "a,b,c" are three names, as the kernel hands on 128 words at most; how many */
int split_names(char **names, int nr);
void select_tests(char **names, int nr);
/* End with the reason if there is too little memory for what was selected. */
void check_memory(void);

/* run.c: what was selected; true if something failed */
bool run_selected(void);

/* shell.c: its exit status */
int run_shell(char **argv, int argc);

/* coverage.c, trace.c */
void reset_coverage(void);
void save_coverage(void);
void start_trace(void);
void save_trace(void);

/* leaks.c */
void refresh_counters(void);
/*
 * What is in use now and was not at the last call, or the other way round, in words; NULL if
 * nothing. *@less: there is less of something, by a count that must have been wrong.
 */
const char *leaked(bool *less);

/* khugepaged.c: keep it asleep unless a test wakes it */
void quiet_khugepaged(void);
/* How often it has been through all there is to scan; -1 without it */
long khugepaged_scans(void);
/* Wait until it has made @least scans and is asleep again. */
void settle_khugepaged(long least);

#endif /* INIT_H */
