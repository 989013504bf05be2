// SPDX-License-Identifier: GPL-2.0
/* All tests in one program: the name that it is called by chooses one. */
#include <stdio.h>
#include <string.h>

#define TEST(name) int name##_main(int argc, char **argv);
#include "tests.h"
#undef TEST

#define TEST(name) { #name, name##_main },
static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} tests[] = {
#include "tests.h"
};

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(name, tests[i].name))
			return tests[i].main(argc, argv);
	fprintf(stderr, "%s: no such test\n", name);
	return 1;
}
