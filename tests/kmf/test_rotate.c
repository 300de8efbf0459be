/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rotation of the signing keys, step by step and across restarts.
 */
#include "tests/kmf/kitroom.h"

#include <stdio.h>
#include <string.h>

#include "kmf/control.h"

#define HOUR_MS 3600000LL

static void
hear(void) /* what the keeper told the front */
{
	int i;

	for (i = 0; i < 3; i++)
		kit_turn(&t);
}

static void
rotate(int64_t after_ms)
{
	char why[256] = "";

	assert_int_equal(kmf_keys_rotate(t.k, after_ms, why, sizeof(why)), 0);
	hear();
}

static void
later(int64_t ms)
{
	t.now_ms += ms;
	assert_int_equal(kmf_keys_tick(t.k), 0);
	hear();
}

static char *
token_of(struct kit_end *e)
{
	assert_int_equal(kit_token1(&t, e, conf)->status, 200);
	return strdup(perc_json_str(t.r.json, "access_token"));
}

/* Does what the front knows now verify this token? */
static bool
good(const char *token)
{
	struct perc_jws j = { 0 };
	int r = perc_jws_verify_set(
	    &j, token, strlen(token), PERC_JOSE_TOKEN_MAX, t.jwks, "at+jwt");

	perc_jws_clear(&j);
	return r == 0;
}

static bool
same_signer(const char *a, const char *b)
{
	size_t n = strcspn(a, ".");

	return strncmp(a, b, n + 1) == 0; /* equal headers: equal kid */
}

static size_t
published(void)
{
	json_t *v = json_loads(t.jwks_text, 0, NULL);
	size_t n = json_array_size(json_object_get(v, "keys"));

	assert_null(json_object_get(v, "past"));
	json_decref(v);
	return n;
}

static char *
file_text(const char *name)
{
	static char text[16384];
	char path[200];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", t.dir, name);
	if ((f = fopen(path, "r")) == NULL)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

/* Published, then used, then withdrawn; a restart between any two. */
static void
test_next_signs_old_goes(void **state)
{
	struct kit_end bob;
	char *first, *second, *third;

	kit_end_open(&bob, "bob");
	first = token_of(&bob);
	assert_int_equal(published(), 2);
	rotate(HOUR_MS / 60);
	assert_int_equal(published(), 4); /* known before it is used */
	assert_non_null(strstr(file_text(KMF_KEYS_FILE), "\"next\""));
	second = token_of(&bob);
	assert_true(same_signer(first, second));
	kit_restart(&t);
	assert_int_equal(published(), 4);
	later(HOUR_MS / 60);
	third = token_of(&bob);
	assert_false(same_signer(first, third));
	assert_true(good(second)); /* and what the old one made is still good */
	assert_true(good(third));
	kit_restart(&t);
	assert_true(good(second));
	later(KMF_KEY_KEEP_MS - 1);
	assert_true(good(second));
	later(1);
	assert_false(good(second));
	assert_int_equal(published(), 2);
	/* past keys verify the audit chain of their time */
	assert_non_null(strstr(file_text(KMF_KEYS_FILE), "\"past\""));
	kit_restart(&t);
	assert_false(good(second));
	free(first);
	free(second);
	free(third);
	kit_end_close(&bob);
}

/* A keeper that slept over it all wakes up with the right key. */
static void
test_restart_after_the_overlap(void **state)
{
	struct kit_end bob;
	char *first, *second;

	kit_end_open(&bob, "bob");
	first = token_of(&bob);
	rotate(1000);
	kit_stop(&t);
	t.now_ms += HOUR_MS / 60;
	kit_start(&t);
	second = token_of(&bob);
	assert_false(same_signer(first, second));
	later(0);
	assert_true(good(first));
	later(KMF_KEY_KEEP_MS);
	assert_false(good(first));
	free(first);
	free(second);
	kit_end_close(&bob);
}

/* The conference goes on: rosters and epochs of the new key are accepted by
 * who has the published set. */
static void
test_rotation_in_a_live_conference(void **state)
{
	struct kit_end bob;
	struct kit_event *ev;
	uint32_t s;

	kit_end_open(&bob, "bob");
	kit_join(&t, &bob, conf);
	s = kit_stream(&t, &bob);
	rotate(0);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_REKEY, conf, "", "{}")->status, 202);
	kit_pass(&t, 1000);
	ev = kit_event(&t, s, "epoch");
	assert_non_null(ev);
	assert_true(kit_epoch_open(&t, &bob, ev)); /* verifies the statement */
	assert_int_equal(bob.epoch, 2);
	kit_end_close(&bob);
}

/* The private half of a key that signs no more is nowhere. */
static void
test_old_private_key_is_destroyed(void **state)
{
	struct db_signing_key *list = NULL;
	uint8_t sealed[64];
	size_t i, n;

	assert_int_equal(db_signing_key_list(t.k->db, &list, &n), 0);
	memcpy(sealed, list[0].sealed.data, sizeof(sealed));
	free(list);
	assert_true(kit_on_disk(&t, sealed, sizeof(sealed)));
	rotate(0);
	assert_int_equal(db_signing_key_list(t.k->db, &list, &n), 0);
	assert_int_equal(n, 4);
	for (i = 0; i < n; i++)
		assert_true(
		    (list[i].retired_ms == 0) == (list[i].sealed.len != 0));
	free(list);
	assert_false(kit_on_disk(&t, sealed, sizeof(sealed)));
}

static void
test_one_rotation_at_a_time(void **state)
{
	char why[256] = "";

	rotate(HOUR_MS);
	assert_int_equal(
	    kmf_keys_rotate(t.k, 0, why, sizeof(why)), PERC_ERR_EXISTS);
	assert_non_null(strstr(why, "under way"));
	assert_int_equal(published(), 4);
	later(HOUR_MS);
	rotate(0);
	assert_int_equal(published(), 6);
}

/* A clock set back finds some key to sign with. */
static void
test_clock_set_back(void **state)
{
	struct kit_end bob;

	kit_end_open(&bob, "bob");
	kit_stop(&t);
	t.now_ms -= 1000 * HOUR_MS;
	kit_start(&t);
	free(token_of(&bob));
	assert_int_equal(published(), 2);
	kit_end_close(&bob);
}

static void
ask(const char *text, mode_t mode)
{
	assert_int_equal(
	    kmf_control_put(t.dir, KMF_CONTROL_REQUEST, mode, text), 0);
	kmf_control_look(t.k);
	assert_null(file_text(KMF_CONTROL_REQUEST));
}

/* The request file: carried out once, answered, and nothing else obeyed. */
static void
test_control_file(void **state)
{
	ask("{\"id\": \"r_1\", \"do\": \"rotate-keys\", \"after_s\": 60}",
	    0600);
	assert_non_null(strstr(file_text(KMF_CONTROL_ANSWER), "\"ok\":true"));
	assert_non_null(strstr(file_text(KMF_CONTROL_ANSWER), "r_1"));
	hear();
	assert_int_equal(published(), 4);
	ask("{\"id\": \"r_2\", \"do\": \"rotate-keys\", \"after_s\": -1}",
	    0600);
	assert_non_null(strstr(file_text(KMF_CONTROL_ANSWER), "\"ok\":false"));
	ask("{\"id\": \"r_3\", \"do\": \"dump-keys\"}", 0600);
	assert_non_null(strstr(file_text(KMF_CONTROL_ANSWER), "no such"));
	kmf_control_drop(t.dir, KMF_CONTROL_ANSWER);
	ask("not JSON", 0600);
	assert_null(file_text(KMF_CONTROL_ANSWER));
	/* one that others may write is nobody's */
	ask("{\"id\": \"r_4\", \"do\": \"rotate-keys\", \"after_s\": 1}", 0666);
	assert_null(file_text(KMF_CONTROL_ANSWER));
	hear();
	assert_int_equal(published(), 4);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_next_signs_old_goes),
		T(test_restart_after_the_overlap),
		T(test_rotation_in_a_live_conference),
		T(test_old_private_key_is_destroyed),
		T(test_one_rotation_at_a_time),
		T(test_clock_set_back),
		T(test_control_file),
	};

	return cmocka_run_group_tests_name("rotate", tests, NULL, NULL);
}
