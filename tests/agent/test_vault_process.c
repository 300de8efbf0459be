/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real perch-vault, started as its supervisor starts it: what it says of
 * itself, what it refuses to start with, and how it ends.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "tests/tools/skip.h"
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
	assert_int_equal(json_array_size(json_object_get(report, "in")),
	    VAULT_SLOTS * VAULT_LOCAL_STREAMS);
	assert_string_equal(json_string_value(json_array_get(
				json_object_get(report, "kmf"), 0)),
	    KIT_KMF);
	json_decref(report);
	perc_jwk_free(p->k.seal);
}

static void
refuses(struct proc *p, const char *option, const char *words)
{
	char text[4096];

	proc_start(p, option);
	perc_chan_free(p->k.chan); /* one that does start ends too, with 0 */
	p->k.chan = NULL;
	assert_int_equal(proc_end(p, text, sizeof(text)), 1);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, text);
}

/* Where the kernel has all of it the demand is met, elsewhere the vault does
 * not start and says what is missing. */
static void
test_protection_on_demand(void **state)
{
	struct proc *p = *state;
	struct proc q = { .err = -1, .word = -1 };
	json_t *report;
	char text[4096];
	bool all;

	proc_start(p, "--user-config");
	report = proc_ready(p);
	all = json_is_true(json_object_get(report, "seccomp")) &&
	    json_is_true(json_object_get(report, "landlock")) &&
	    strcmp(json_string_value(json_object_get(report, "secret_memory")),
		"none") != 0;
	json_decref(report);
	perc_jwk_free(p->k.seal);
	proc_file_write(
	    p->conf, "[kmf test]\nurl = " KIT_KMF "\nkeys = kmf-keys.json\n");
	memcpy(q.conf, p->conf, sizeof(q.conf));
	q.loop = p->loop;
	if (!all) {
		refuses(&q, "--user-config", "protection missing");
		close(q.err);
		close(q.word);
		return;
	}
	proc_start(&q, "--user-config");
	report = proc_ready(&q);
	assert_non_null(report);
	json_decref(report);
	perc_jwk_free(q.k.seal);
	perc_chan_free(q.k.chan); /* and so it ends */
	assert_int_equal(proc_end(&q, text, sizeof(text)), 0);
	close(q.err);
	close(q.word);
}

/* ---- on a machine that lacks something ---- */

#define LACKING "tests/agent/perch-vault-lacking"

static void
forget(struct proc *p)
{
	p->k.closed = false;
	close(p->err);
	close(p->word);
}

/* Refused by default, in these words; with require_protection = no it starts,
 * works, and its log has them. */
static void
lacks(struct proc *p, const char *lack, const char *words)
{
	struct kit_conf c;
	char text[4096];

	assert_int_equal(setenv("PERCH_LACK", lack, 1), 0);
	proc_program(p, LACKING);
	proc_file_write(
	    p->conf, "[kmf test]\nurl = " KIT_KMF "\nkeys = kmf-keys.json\n");
	snprintf(text, sizeof(text), "protection missing: %s", words);
	refuses(p, "--user-config", text);
	forget(p);
	proc_file_write(p->conf,
	    "require_protection = no\n[kmf test]\nurl = " KIT_KMF
	    "\nkeys = kmf-keys.json\n");
	proc_start(p, "--user-config");
	proc_join(p, &c);
	perc_chan_free(p->k.chan);
	p->k.chan = NULL;
	assert_int_equal(proc_end(p, text, sizeof(text)), 0);
	if (strstr(text, "protection=incomplete") == NULL ||
	    strstr(text, words) == NULL)
		fail_msg("no word of \"%s\" in: %s", words, text);
}

static void
test_REQ_W_1_no_memory_to_lock(void **state)
{
#ifdef PERCH_SANITIZED
	skip_because("a sanitizer says yes to every mlock()");
#endif
	lacks(*state, "secret lock limit", "no memory can be locked");
}

static void
test_REQ_W_1_no_landlock(void **state)
{
	lacks(*state, "landlock", "the kernel has no Landlock");
}

static void
test_REQ_W_1_no_seccomp(void **state)
{
	lacks(*state, "seccomp", "the kernel has no seccomp");
}

static void
test_REQ_W_1_no_word_whose_a_socket_is(void **state)
{
	struct proc *p = *state;

	p->no_diag = true;
	lacks(p, "", "no udp_diag");
}

/* Debian 12 as it is installed: locked memory will do. */
static void
test_locked_memory_will_do(void **state)
{
	struct proc *p = *state;
	json_t *report;

	assert_int_equal(setenv("PERCH_LACK", "secret", 1), 0);
	proc_program(p, LACKING);
	proc_start(p, "--user-config");
	report = proc_ready(p);
	assert_string_equal(
	    json_string_value(json_object_get(report, "secret_memory")),
	    "locked");
	json_decref(report);
	perc_jwk_free(p->k.seal);
}

static void
test_ports_by_option(void **state)
{
	struct proc *p = *state;
	json_t *report;

	if (getuid() != 0)
		skip_because("without --user-config the files are root's");
	proc_start(p, "-o22000");
	report = proc_ready(p);
	assert_int_equal(
	    json_integer_value(json_object_get(report, "out_base")), 22000);
	json_decref(report);
	perc_jwk_free(p->k.seal);
}

static void
test_odd_port(void **state)
{
	refuses(*state, "-o22001", "even port");
}

static void
test_port_without_room(void **state)
{
	refuses(*state, "-o64000", "even port");
}

/* REQ-W-3.3: what the supervisor hears of the machine. */
static void
test_signals_erase(void **state)
{
	static const struct {
		int signo;
		const char *reason;
	} words[] = { { SIGUSR1, "suspended" }, { SIGUSR2, "locked" },
		{ SIGTERM, "stopped" } };
	struct proc *p = *state;
	struct perc_wire w;
	struct kit_conf c;
	struct kit_msg m;
	char text[4096];
	unsigned i;

	proc_start(p, "--user-config");
	json_decref(proc_ready(p));
	strcpy(p->k.member, "m_x");
	p->k.ssrc[0] = 1;
	p->k.ssrc[1] = 2;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		kit_conf_init(
		    &c, "c_real"); /* it goes on after the first two */
		c.seq = i;
		kit_join(&p->k, &p->kmf, &c);
		assert_int_equal(kill(p->pid, words[i].signo), 0);
		assert_true(kit_wait(&p->k, VAULT_ERASED, 0, &m));
		perc_wire_reader(&w, m.data, m.len);
		assert_string_equal(perc_wire_get_str(&w), "c_real");
		assert_string_equal(perc_wire_get_str(&w), words[i].reason);
		assert_true(strlen(perc_wire_get_str(&w)) > 0); /* receipt */
		kit_msg_clear(&m);
	}
	perc_jwk_free(p->k.seal);
	assert_int_equal(proc_end(p, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "erased conf=c_real reason=stopped"));
}

/* REQ-W-3.3: the supervisor lets the machine sleep at this word. */
static void
test_REQ_W_3_3_word_when_it_wiped(void **state)
{
	struct proc *p = *state;
	struct pollfd said = { .events = POLLIN };
	struct kit_conf c;
	struct kit_msg m;
	char octets[8];
	int status;

	proc_start(p, "--user-config");
	said.fd = p->word;
	proc_join(p, &c);
	assert_int_equal(kill(p->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(p->pid, &status, WUNTRACED), p->pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(kill(p->pid, SIGUSR1), 0);
	assert_int_equal(poll(&said, 1, 50), 0);
	assert_int_equal(kill(p->pid, SIGCONT), 0);
	assert_int_equal(poll(&said, 1, 30000), 1);
	assert_int_equal(recv(p->word, octets, sizeof(octets), 0), 1);
	assert_int_equal(kill(p->pid, SIGKILL), 0); /* what is not done */
	assert_true(kit_wait(&p->k, VAULT_ERASED, 0, &m)); /* stays undone */
	kit_msg_clear(&m);
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

/* REQ-W-2: nobody but root, or who may, brings in a KMF. */
static void
test_REQ_W_2_foreign_configuration(void **state)
{
	struct proc *p = *state;

	if (getuid() != 0)
		skip_because("only root gives a file to another");
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
		TEST(test_protection_on_demand),
		TEST(test_REQ_W_1_no_memory_to_lock),
		TEST(test_REQ_W_1_no_landlock),
		TEST(test_REQ_W_1_no_seccomp),
		TEST(test_REQ_W_1_no_word_whose_a_socket_is),
		TEST(test_locked_memory_will_do),
		TEST(test_ports_by_option),
		TEST(test_odd_port),
		TEST(test_port_without_room),
		TEST(test_signals_erase),
		TEST(test_REQ_W_3_3_word_when_it_wiped),
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
