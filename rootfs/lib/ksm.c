// SPDX-License-Identifier: GPL-2.0
/* ksmd. See mmtest.h. */
#include "internal.h"

static pid_t ksm_owner;

static void ksm_end(void)
{
	if (ksm_owner != getpid())
		return;
	file_write(KSM "run", "2");	/* take all apart, stop */
	file_write(KSM "run", "0");
}

void ksm_settings(long msecs, long pages)
{
	ksm_owner = getpid();
	set_until_exit(KSM "sleep_millisecs", msecs);
	set_until_exit(KSM "pages_to_scan", pages);
	/* It skips pages in some scans: equal ones may never meet in one. */
	set_until_exit(KSM "smart_scan", 0);
	atexit(ksm_end);
}
