// SPDX-License-Identifier: GPL-2.0
/*
 * CONFIG_DEBUG_VM_PGTABLE has checked the page table helpers at boot, and
 * found nothing to warn of.
 */
#include "mmtest.h"

int main(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK), ran = 0, warned = 0;
	char rec[8192];
	ssize_t len;

	test_plan(2);
	if (fd < 0)
		ksft_exit_fail_perror("/dev/kmsg");
	while ((len = read(fd, rec, sizeof(rec) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		rec[len] = '\0';
		if (strstr(rec, "debug_vm_pgtable") && strstr(rec, "Validating"))
			ran++;
		if (strstr(rec, "debug_vm_pgtable") &&
		    (strstr(rec, "WARNING") || strstr(rec, "BUG"))) {
			ksft_print_msg("%s\n", rec);
			warned++;
		}
	}
	test_min(ran, 1, "runs at boot");
	test_eq(warned, 0, "warnings and bugs of it");
	ksft_finished();
}
