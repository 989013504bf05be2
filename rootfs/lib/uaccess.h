/* SPDX-License-Identifier: GPL-2.0 */
/* For tests of system calls that read and write a program's huge pages */
#ifndef UACCESS_H
#define UACCESS_H

#include "mmtest.h"

#define LEN	(2 * HPAGE_SIZE)

static int in[2];

/* read(2) @len bytes of pattern @seed, as it is at @off, to @p + @off */
static bool read_into(char *p, size_t off, size_t len, unsigned int seed)
{
	static char *src;

	if (!src)
		src = small_area(2);
	pattern_fill(src, off & ~7UL, (off + len + 7) & ~7UL, seed);
	return write(in[1], src + off, len) == (ssize_t)len &&
	       read(in[0], p + off, len) == (ssize_t)len;
}

#endif /* UACCESS_H */
