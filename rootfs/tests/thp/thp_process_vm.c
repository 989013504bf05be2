// SPDX-License-Identifier: GPL-2.0
/*
 * process_vm_writev and _readv reach another process's huge pages: what it
 * shares since the fork gets copied, what is its own is written in place.
 */
#include "mmtest.h"

static char *p;

static int child(void)
{
	turn_over();
	if (pattern_find_bad(p, 3 * PAGE_SIZE, 200 * PAGE_SIZE, 2) >= 0)
		return 2;
	if (pattern_find_bad(p, 0, 3 * PAGE_SIZE, 1) >= 0 ||
	    pattern_find_bad(p, 200 * PAGE_SIZE, HPAGE_SIZE, 1) >= 0)
		return 3;
	pattern_fill(p, 0, HPAGE_SIZE, 3);
	turn_over();
	return 0;
}

int main(void)
{
	struct iovec local, remote;
	char *buf;
	pid_t pid;

	test_start(6);
	buf = small_pages(1, 2);
	p = huge_pages(1, 1);
	pid = turns_start(child);
	local = (struct iovec){ buf + 3 * PAGE_SIZE, 197 * PAGE_SIZE };
	remote = (struct iovec){ p + 3 * PAGE_SIZE, 197 * PAGE_SIZE };
	test_eq(process_vm_writev(pid, &local, 1, &remote, 1, 0), 197 * PAGE_SIZE,
		"bytes written to the child");
	test_data(p, 0, HPAGE_SIZE, 1, "the parent's bytes");
	test_smaps(p, HPAGE_SIZE, "AnonHugePages", HPAGE_KB);
	turn_over();
	local = (struct iovec){ buf, HPAGE_SIZE };
	remote = (struct iovec){ p, HPAGE_SIZE };
	test_eq(process_vm_readv(pid, &local, 1, &remote, 1, 0), HPAGE_SIZE,
		"bytes read from the child");
	test_data(buf, 0, HPAGE_SIZE, 3, "they are what it wrote");
	turns_end();
	test_eq(child_status(pid), 0, "the child saw what was written to it");
	ksft_finished();
}
