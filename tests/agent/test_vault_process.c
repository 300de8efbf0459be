/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real perch-vault, started as its supervisor starts it: what it says of
 * itself, what it refuses to start with, and how it ends.
 */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vaultproc.h"

static void
test_ready_tells_how_well_it_is_kept(void **state)
{
	struct proc *p = *state;
	json_t *report;

	proc_start(p, "--user-config");
	report = proc_ready(p);
	assert_true(json_is_true(json_object_get(report, "user_config")));
	assert_true(json_is_boolean(json_object_get(report, "seccomp")));
	assert_true(json_is_boolean(json_object_get(report, "landlock")));
	assert_non_null(
	    json_string_value(json_object_get(report, "secret_memory")));
	assert_int_equal(json_array_size(json_object_get(report, "in")), 8);
	assert_string_equal(json_string_value(json_array_get(
				json_object_get(report, "kmf"), 0)),
	    KIT_KMF);
	json_decref(report);
	perc_jwk_free(p->k.seal);
}

static void
test_term_erases_and_leaves(void **state)
{
	struct proc *p = *state;
	struct kit_conf c;
	struct kit_msg m;
	char text[4096];

	proc_start(p, "--user-config");
	proc_join(p, &c);
	assert_int_equal(kill(p->pid, SIGTERM), 0);
	assert_true(kit_wait(&p->k, VAULT_ERASED, 0, &m));
	kit_msg_clear(&m);
	assert_int_equal(proc_end(p, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "erased conf=c_real reason=stopped"));
}

static void
test_channel_gone_ends_it(void **state)
{
	struct proc *p = *state;
	struct kit_conf c;
	char text[4096];

	proc_start(p, "--user-config");
	proc_join(p, &c);
	perc_chan_free(p->k.chan);
	p->k.chan = NULL;
	assert_int_equal(proc_end(p, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "erased conf=c_real reason=stopped"));
}

static void
refuses(struct proc *p, const char *option, const char *words)
{
	char text[4096];

	proc_start(p, option);
	assert_int_equal(proc_end(p, text, sizeof(text)), 1);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, text);
}

/* REQ-W-2: nobody but root, or who may, brings in a KMF. */
static void
test_REQ_W_2_foreign_configuration(void **state)
{
	struct proc *p = *state;

	if (getuid() != 0)
		skip();
	assert_int_equal(chown(p->conf, 65534, 65534), 0);
	refuses(p, NULL, "owned by uid 65534");
}

static void
test_writable_keys(void **state)
{
	struct proc *p = *state;

	assert_int_equal(chmod(p->keys, 0666), 0);
	refuses(p, "--user-config", "others may write it");
}

static void
test_writable_directory(void **state)
{
	struct proc *p = *state;

	assert_int_equal(chmod(p->dir, 0777), 0);
	refuses(p, "--user-config", "others may write it");
}

static void
test_no_keys(void **state)
{
	struct proc *p = *state;

	proc_file_write(p->keys, "{\"keys\":[]}");
	refuses(p, "--user-config", "no usable key");
}

static void
test_unknown_name_in_configuration(void **state)
{
	struct proc *p = *state;

	proc_file_write(p->conf, "require_protection = no\nsecrets = yes\n");
	refuses(p, "--user-config", "vault.conf:2");
}

static void
test_no_kmf(void **state)
{
	struct proc *p = *state;

	proc_file_write(p->conf, "require_protection = no\n");
	refuses(p, "--user-config", "no [kmf NAME]");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, proc_setup, proc_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ready_tells_how_well_it_is_kept),
		TEST(test_term_erases_and_leaves),
		TEST(test_channel_gone_ends_it),
		TEST(test_REQ_W_2_foreign_configuration),
		TEST(test_writable_keys),
		TEST(test_writable_directory),
		TEST(test_no_keys),
		TEST(test_unknown_name_in_configuration),
		TEST(test_no_kmf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
