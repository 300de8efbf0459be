/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REQ-W-3.1: other software of the same user gets nothing out of the vault.
 * Root may always attach, so the whole program becomes nobody first. A plain
 * process shows that the same attempts succeed where nothing forbids them.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "tests/tools/skip.h"
#include "vaultproc.h"

#define NOBODY 65534

/* What a neighbour may try, in a child of its own; 0: all was refused. */
static int
neighbour(pid_t pid)
{
	static const char *const names[] = { "mem", "maps", "environ" };
	char path[64], buf[16];
	struct iovec l = { buf, sizeof(buf) }, r = { &l, sizeof(buf) };
	size_t i;
	int fd;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0)
		return 1;
	if (process_vm_readv(pid, &l, 1, &r, 1, 0) >= 0 || errno != EPERM)
		return 2;
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, names[i]);
		if ((fd = open(path, O_RDONLY)) >= 0)
			return 3 + (int)i;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/0", pid);
	if (readlink(path, buf, sizeof(buf)) >= 0)
		return 6;
	return 0;
}

static int
attempt(pid_t target)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0)
		_exit(neighbour(target));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_an_ordinary_process_is_open(void **state)
{
	pid_t pid;

	if (getuid() == 0)
		skip_because(
		    "nobody may not run what is in this build directory");
	if ((pid = fork()) == 0) {
		execlp("sleep", "sleep", "10", NULL);
		_exit(127);
	}
	(void)usleep(100000);
	assert_int_equal(attempt(pid), 1);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void
test_REQ_W_3_1_same_user_cannot_look_inside(void **state)
{
	struct proc *p = *state;
	struct kit_conf c;

#ifdef PERCH_SANITIZED
	skip_because("a sanitizer needs a process that can be looked into");
#endif
	if (getuid() == 0)
		skip_because(
		    "nobody may not run what is in this build directory");
	proc_start(p, "--user-config");
	proc_join(p, &c);
	assert_int_equal(attempt(p->pid), 0);
}

/* Debian locks 8 MiB for an ordinary user, and a conference of a thousand
 * must find room in the arena that this gives. */
static void
test_a_thousand_in_locked_memory(void **state)
{
	struct rlimit lim = { 8u << 20, 8u << 20 };
	struct proc *p = *state;
	json_t *list = json_array();
	struct kit_done d;
	struct kit_conf c;
	char *jws;
	int i, turn;

	if (getuid() == 0)
		skip_because(
		    "nobody may not run what is in this build directory");
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
	proc_start(p, "--user-config");
	proc_join(p, &c);
	for (i = 0; i < 1000; i++)
		json_array_append_new(list,
		    json_pack("{s:o,s:s,s:{s:s,s:s,s:s},s:s,s:s,s:[{s:i,s:s},"
			      "{s:i,s:s}]}",
			"member", json_sprintf("m_%022d", i), "name",
			"Somebody With A Name", "identity", "iss",
			"https://sso.example/realms/corp", "sub",
			"0123456789abcdef0123", "email",
			"somebody@corp.example", "kind", "person", "role",
			"member", "ssrcs", "ssrc", 100 + 2 * i, "media",
			"audio", "ssrc", 101 + 2 * i, "media", "video"));
	for (turn = 0; turn < 3; turn++) { /* held beside the one held */
		jws = kit_roster(p->kmf.key, &c, NULL, 0,
		    json_pack("{s:O,s:i,s:s}", "members", list, "seq",
			2 * turn + 1, "prev", ""));
		d = kit_call(&p->k, VAULT_ROSTER, 2, c.id, jws);
		if (d.err != 0)
			fail_msg("turn %d: %s", turn, d.words);
		assert_int_equal(
		    json_integer_value(json_object_get(d.json, "members")),
		    1000);
		kit_done_clear(&d);
		free(jws);
	}
	json_decref(list);
}

/* Where no memory can be locked, and nobody said that this is fine, the vault
 * does not start, and says what to do. */
static void
test_no_protection_no_start(void **state)
{
	struct rlimit lim = { 0, 0 };
	struct proc *p = *state;
	char text[4096];

#ifdef PERCH_SANITIZED
	skip_because("a sanitizer says yes to every mlock()");
#endif
	if (getuid() == 0)
		skip_because("root may lock memory all the same");
	proc_file_write(
	    p->conf, "[kmf test]\nurl = " KIT_KMF "\nkeys = kmf-keys.json\n");
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
	proc_start(p, "--user-config");
	perc_chan_free(p->k.chan); /* if it starts it also ends */
	p->k.chan = NULL;
	assert_int_not_equal(proc_end(p, text, sizeof(text)), 0);
	assert_non_null(strstr(text,
	    "protection missing: no memory can be locked; raise LimitMEMLOCK; "
	    "or set require_protection = no"));
}

/* Told so, it starts and tells that it is less well kept. */
static void
test_no_protection_by_order(void **state)
{
	struct proc *p = *state;
	json_t *report;

#ifdef PERCH_SANITIZED
	skip_because("a sanitizer says yes to every mlock()");
#endif
	if (getuid() == 0)
		skip_because("root may lock memory all the same");
	proc_start(p, "--user-config"); /* the kit's file says no */
	report = proc_ready(p);
	assert_string_equal(
	    json_string_value(json_object_get(report, "secret_memory")),
	    "none");
	json_decref(report);
	perc_jwk_free(p->k.seal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_ordinary_process_is_open),
		cmocka_unit_test_setup_teardown(
		    test_REQ_W_3_1_same_user_cannot_look_inside, proc_setup,
		    proc_teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_thousand_in_locked_memory, proc_setup,
		    proc_teardown),
		cmocka_unit_test_setup_teardown(
		    test_no_protection_no_start, proc_setup, proc_teardown),
		cmocka_unit_test_setup_teardown(
		    test_no_protection_by_order, proc_setup, proc_teardown),
	};

	if (getuid() == 0) {
		if (setgroups(0, NULL) != 0 || setegid(NOBODY) != 0 ||
		    seteuid(NOBODY) != 0)
			return 99;
		if (eaccess(proc_binary(), X_OK) != 0) {
			if (seteuid(0) != 0)
				return 99;
		} else if (seteuid(0) != 0 ||
		    setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
		    setresuid(NOBODY, NOBODY, NOBODY) != 0) {
			return 99;
		}
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
