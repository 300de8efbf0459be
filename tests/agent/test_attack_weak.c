/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The orders of test_attack_order against vaults that lack one guard each
 * (weaken.py): for each of them one is found that does what must not happen,
 * or they would prove nothing. With DISORDER_DIR each is left there as a file
 * for tests/fuzz/corpus/vault.
 */
#include "disorder.h"
#include "vaultkit.h"
#include "weak.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const guards[] = { "state", "after", "older", "conference",
	"audience", "signature", "replay", "downgrade", "usage", "pin", "plain",
	"ttl", "overlap", "erase", "ended", "fork", "proof" };

#define GUARDS (sizeof(guards) / sizeof(guards[0]))

enum { FOUND = 40, NOTHING = 41 }; /* what no sanitizer exits with */

static void
keep(const char *guard, const struct disorder_found *f)
{
	const char *dir = getenv("DISORDER_DIR");
	char path[512];
	FILE *file;

	if (dir == NULL)
		return;
	snprintf(path, sizeof(path), "%s/broken-%s", dir, guard);
	assert_non_null(file = fopen(path, "wb"));
	assert_int_equal(fwrite(f->order, 1, f->n, file), f->n);
	assert_int_equal(fclose(file), 0);
}

/* In a process of its own, for what lacks a guard may also die of it: then
 * the order that killed it is the one found. */
static bool
search(const char *guard, struct disorder_found *f)
{
	int status;
	pid_t pid;

	(void)fflush(stdout);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL); /* cmocka would go on */
		(void)signal(SIGABRT, SIG_DFL);
		weak_choose(guard);
		_exit(disorder_search(f) ? FOUND : NOTHING);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOTHING)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != FOUND)
		f->why = "the vault dies of it";
	return true;
}

static void
test_found(void **state)
{
	const char *guard = *state;
	struct disorder_found *f = mmap(NULL, sizeof(*f),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char words[2048];

	assert_true(f != MAP_FAILED);
	if (!search(guard, f))
		fail_msg(
		    "no order of %u breaks it without %s", f->tried, guard);
	disorder_print(words, sizeof(words), f->order, f->n);
	printf("# order %u: %s: %s\n", f->tried, f->why, words);
	/* what is found is the guard's work, and not that of the search */
	assert_null(disorder_run(f->order, f->n));
	keep(guard, f);
	assert_int_equal(munmap(f, sizeof(*f)), 0);
}

int
main(void)
{
	struct CMUnitTest tests[GUARDS] = { 0 };
	size_t i;

	for (i = 0; i < GUARDS; i++)
		tests[i] = (struct CMUnitTest){
			.name = guards[i],
			.test_func = test_found,
			.initial_state = (void *)(uintptr_t)guards[i],
		};
	return _cmocka_run_group_tests(
	    "attack weak", tests, GUARDS, NULL, NULL);
}
