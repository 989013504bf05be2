// SPDX-License-Identifier: GPL-2.0
/* What the kernel counts, compared at the end of each test. See mmtest.h. */
#include "internal.h"

#define PTE_REF		"/sys/kernel/debug/pte_ref/"

static pid_t audit_owner;

/*
 * Whether the kernel's counts of page table entries are right, and no page table is
 * left that is empty and won't be freed, while the test's memory is still there and
 * the kernel has done what it wanted to do; init looks again when it has gone.
 */
static void audit_at_exit(void)
{
	char line[256];
	bool right = false;
	FILE *f;

	if (audit_owner != getpid())
		return;
	if (!access(PTE_REF "flush", F_OK) && !file_write(PTE_REF "flush", "1"))
		ksft_perror(PTE_REF "flush");
	f = fopen(PTE_REF "audit", "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		right = !strncmp(line, "tables ", 7) && strstr(line, " wrong 0 lost 0\n");
		if (!right)
			ksft_print_msg("page table: %s", line);
	}
	fclose(f);
	if (!right) {
		fflush(stdout);
		_exit(KSFT_FAIL);
	}
}

/* Registered first, so it comes last. */
static __attribute__((constructor)) void audit_register(void)
{
	audit_owner = getpid();
	atexit(audit_at_exit);
}
