/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel messages that no run may print: parts of a line. init fails the test that met
 * one, and scripts/guest/ reads the list here for what comes outside of tests.
 */
SPLAT("BUG:")
SPLAT("kernel BUG at")
SPLAT("WARNING:")
SPLAT("Oops")
SPLAT("Kernel panic")
SPLAT("KASAN:")
SPLAT("UBSAN:")
SPLAT("Bad page")
SPLAT("possible circular locking dependency")
SPLAT("possible recursive locking")
SPLAT("possible irq lock inversion")
SPLAT("inconsistent lock state")
SPLAT("suspicious RCU usage")
SPLAT("bad unlock balance")
SPLAT("held lock freed")
SPLAT("blocked for more than")
SPLAT("shmem_evict_inode:")
SPLAT("vmstat_refresh:")
