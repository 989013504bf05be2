/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this library share */
#ifndef INTERNAL_H
#define INTERNAL_H

#include "mmtest.h"

/* Open a file that has to be there */
int open_or_fail(const char *path, int flags);

/* The word of pattern @seed that is @off bytes after its begin */
static inline uint64_t pattern_word(size_t off, unsigned int seed)
{
	if (!seed)
		return 0;
	/* Bytes differ between pages, words and seeds. */
	return ((uint64_t)seed << 56 | off) * 0x9e3779b97f4a7c15ULL | 1;
}

#endif /* INTERNAL_H */
