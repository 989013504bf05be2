// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own read-modify-write of user memory, under the page table lock:
 * each operation of FUTEX_WAKE_OP, and the compare-and-exchange by which the
 * kernel releases the robust futexes of a thread that has died.
 */
#include <linux/futex.h>
#include <stddef.h>

#include "mmtest.h"

struct lock {
	struct robust_list list;
	unsigned int word;
};

static void wake_op(unsigned int *word, const char *name, int op, int arg,
		    unsigned int want)
{
	unsigned int other = 0;

	*word = 0x5a;
	/* It wakes nobody; the comparison sees what was there before. */
	test_eq(syscall(__NR_futex, &other, FUTEX_WAKE_OP, 0, NULL, word,
			FUTEX_OP(op, arg, FUTEX_OP_CMP_EQ, 0x5a)), 0,
		"FUTEX_OP_%s", name);
	test_eq(*word, want, "  the word");
}

static void die_with(struct lock *lock, unsigned int word)
{
	static struct robust_list_head head;

	head.list.next = &lock->list;
	head.futex_offset = offsetof(struct lock, word);
	lock->list.next = &head.list;
	syscall(__NR_set_robust_list, &head, sizeof(head));
	lock->word = word ?: syscall(__NR_gettid);
	_exit(0);
}

static unsigned int after_death(struct lock *lock, unsigned int word)
{
	pid_t pid = fork();

	if (!pid)
		die_with(lock, word);
	waitpid(pid, NULL, 0);
	return lock->word;
}

int main(void)
{
	struct lock *lock = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	test_plan(12);
	wake_op(&lock->word, "SET", FUTEX_OP_SET, 0x33, 0x33);
	wake_op(&lock->word, "ADD", FUTEX_OP_ADD, 0x11, 0x6b);
	wake_op(&lock->word, "OR", FUTEX_OP_OR, 0x0f, 0x5f);
	wake_op(&lock->word, "ANDN", FUTEX_OP_ANDN, 0x0f, 0x50);
	wake_op(&lock->word, "XOR", FUTEX_OP_XOR, 0x0f, 0x55);
	test_eq(after_death(lock, 0), FUTEX_OWNER_DIED,
		"a robust futex of a process that died");
	test_eq(after_death(lock, 1), 1, "one that init holds");
	ksft_finished();
}
