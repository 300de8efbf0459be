/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user can see of a roster: the code to compare by voice, each warning
 * alone, and who is speaking.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/json.h"
#include "vaultroom.h"

#define CONF "c_code"

static int
setup(void **state)
{
	struct vaultroom *w = vaultroom_open(CONF, 3);

	*state = w;
	return 0;
}

static int
give(struct kit *k, const char *jws)
{
	return kit_err(kit_call(k, VAULT_ROSTER, 2, CONF, jws));
}

/* What STATUS says: the code, and the warnings with blanks behind. */
static void
look(struct kit *k, char code[32], char warnings[96])
{
	json_t *st = kit_status(k, CONF), *w, *r;
	size_t i;

	r = json_object_get(st, "roster");
	snprintf(code, 32, "%s", perc_json_str(r, "code"));
	warnings[0] = '\0';
	json_array_foreach(json_object_get(r, "warnings"), i, w)
	    strcat(strcat(warnings, json_string_value(w)), " ");
	json_decref(st);
}

static bool
is_code(const char *c)
{
	return strlen(c) == VAULT_CODE_LEN && c[5] == ' ' && c[11] == ' ' &&
	    strspn(c, "0123456789 ") == VAULT_CODE_LEN;
}

/* Equal where all is equal; other after each change that matters, and the
 * same when a roster is merely signed again. */
static void
test_code_is_of_roster_and_epoch(void **state)
{
	char a[32], b[32], first[32], warn[96];
	struct vaultroom *w = *state;

	look(w->m[0], a, warn);
	assert_string_equal(a, ""); /* no roster yet */
	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	look(w->m[0], first, warn);
	look(w->m[1], b, warn);
	assert_true(is_code(first));
	assert_string_equal(first, b);
	kit_roster_all(&w->kmf, &w->conf, w->m, 3); /* the next, as before */
	look(w->m[0], a, warn);
	assert_string_equal(a, first);
	kit_conf_rekey(&w->conf); /* the same people, another key */
	kit_push(w->m[0], &w->kmf, &w->conf);
	kit_push(w->m[1], &w->kmf, &w->conf);
	kit_roster_all(&w->kmf, &w->conf, w->m, 2);
	look(w->m[0], a, warn);
	look(w->m[1], b, warn);
	assert_string_equal(a, b);
	assert_string_not_equal(a, first);
	assert_string_equal(warn, "");
}

/* Two keys for one epoch: the rosters are equal, the code is not. */
static void
test_two_keys_two_codes(void **state)
{
	char a[32], b[32], warn[96];
	struct vaultroom *w = *state;
	struct kit_conf other;

	kit_conf_rekey(&w->conf);
	other = w->conf;
	other.key[0] ^= 1;
	kit_push(w->m[0], &w->kmf, &w->conf);
	kit_push(w->m[1], &w->kmf, &other);
	kit_roster_all(&w->kmf, &w->conf, w->m, 2);
	look(w->m[0], a, warn);
	look(w->m[1], b, warn);
	assert_string_not_equal(a, b);
}

/* A fork, each half consistent in itself: nobody's vault can know, the two
 * people on the phone do. Here the KMF hides Carol from Bob. */
static void
test_forked_roster_shows_in_the_code(void **state)
{
	char a[32], b[32], warn[96], *whole, *less;
	struct vaultroom *w = *state;
	struct kit_conf forked = w->conf;

	whole = kit_roster(w->kmf.key, &w->conf, w->m, 3, NULL);
	less = kit_roster(w->kmf.key, &forked, w->m, 2, NULL);
	assert_int_equal(give(w->m[0], whole), 0);
	assert_int_equal(give(w->m[1], less), 0);
	look(w->m[0], a, warn);
	assert_string_equal(warn, "");
	look(w->m[1], b, warn);
	assert_string_equal(warn, "");
	assert_string_not_equal(a, b);
	free(whole);
	free(less);
}

/* Another name, address, kind or SSRC: another code. */
static void
test_code_covers_each_member_of_an_entry(void **state)
{
	static const char *const changes[] = {
		"{\"name\":\"Bob\"}", "{\"kind\":\"recorder\"}",
		"{\"identity\":{\"iss\":\"https://x\",\"sub\":\"bob\"}}",
		"{\"identity\":{\"iss\":\"" KIT_KMF
		"\",\"sub\":\"bob\",\"email\":\"b@x\"}}",
		"{\"ssrcs\":[{\"ssrc\":7,\"media\":\"audio\"}]}",
		"{\"ssrcs\":[]}", "{\"member\":\"m_bub\"}",
		"{\"role\":\"member\"}" /* this one does not count */
	};
	json_t *list, *over;
	struct vaultroom *w = *state;
	char first[32], a[32], warn[96], *jws, *whole;
	size_t i, n = sizeof(changes) / sizeof(changes[0]);
	struct perc_jws j = { 0 };

	whole = kit_roster(w->kmf.key, &w->conf, w->m, 3, NULL);
	assert_int_equal(give(w->m[0], whole), 0);
	look(w->m[0], first, warn);
	for (i = 0; i < n; i++) { /* each a change of the first roster */
		assert_int_equal(
		    perc_jws_peek(&j, whole, strlen(whole), PERC_JOSE_BIG_MAX),
		    0);
		list = json_deep_copy(json_object_get(j.payload, "members"));
		perc_jws_clear(&j);
		over = json_loads(changes[i], 0, NULL);
		json_object_update(json_array_get(list, 1), over);
		json_decref(over);
		over = json_pack("{s:o, s:I}", "members", list, "seq",
		    (json_int_t)(10 * (i + 1)));
		jws = kit_roster(w->kmf.key, &w->conf, w->m, 3, over);
		assert_int_equal(give(w->m[0], jws), 0);
		look(w->m[0], a, warn);
		if (i + 1 < n)
			assert_string_not_equal(a, first);
		else
			assert_string_equal(a, first);
		free(jws);
	}
	free(whole);
}

/* ---- warnings, each alone ------------------------------------------------ */

static void
expect(struct kit *k, const char *want)
{
	char code[32], warn[96];

	look(k, code, warn);
	assert_string_equal(warn, want);
}

static void
test_forked_is_flagged(void **state)
{
	struct vaultroom *w = *state;
	struct kit_conf twin = w->conf;
	char *one, *two;

	one = kit_roster(w->kmf.key, &w->conf, w->m, 3, NULL);
	two = kit_roster(w->kmf.key, &twin, w->m, 2, NULL);
	assert_int_equal(give(w->m[0], one), 0);
	expect(w->m[0], "");
	assert_int_equal(give(w->m[0], two), PERC_ERR_CONFLICT);
	expect(w->m[0], "forked ");
	free(one);
	free(two);
}

static void
test_stale_is_flagged(void **state)
{
	struct vaultroom *w = *state;
	char *jws;

	jws = kit_roster(w->kmf.key, &w->conf, w->m, 3,
	    json_pack("{s:I}", "exp", (json_int_t)(perc_wall_ms() / 1000 + 2)));
	assert_int_equal(give(w->m[0], jws), 0);
	expect(w->m[0], ""); /* one to two seconds are left */
	kit_settle(w->m[0], 2100);
	expect(w->m[0], "stale ");
	free(jws);
}

/* The key went on, the roster did not: somebody holds it back. */
static void
test_frozen_is_flagged(void **state)
{
	struct vaultroom *w = *state;
	struct vault_slot *s = &w->m[0]->vault->slots[0];

	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	kit_conf_rekey(&w->conf);
	kit_push(w->m[0], &w->kmf, &w->conf);
	expect(w->m[0], ""); /* it may be on its way */
	s->epoch_ms -= 6000;
	expect(w->m[0], "frozen ");
	kit_roster_all(&w->kmf, &w->conf, w->m, 1);
	expect(w->m[0], "");
	/* never one at all */
	s = &w->m[1]->vault->slots[0];
	vault_roster_clear(s);
	s->epoch_ms -= 6000;
	expect(w->m[1], "frozen ");
}

static void
test_unsigned_is_flagged(void **state)
{
	struct vaultroom *w = *state;
	struct kit_conf c = w->conf;
	char *jws = kit_roster(w->other.key, &c, w->m, 2, NULL);

	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	assert_int_not_equal(give(w->m[0], jws), 0);
	expect(w->m[0], "unsigned ");
	assert_int_not_equal(give(w->m[0], "a.b.c"), 0);
	expect(w->m[0], "unsigned ");
	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	expect(w->m[0], "");
	free(jws);
}

static void
test_unlisted_is_flagged(void **state)
{
	struct vaultroom *w = *state;
	char *jws = kit_roster(w->kmf.key, &w->conf, w->m + 1, 2, NULL);

	assert_int_equal(give(w->m[0], jws), 0);
	expect(w->m[0], "unlisted ");
	free(jws);
}

/* ---- who speaks -----------------------------------------------------------
 */

/* The newest SPEAKING of k: names with blanks; false: none came. */
static bool
speaking(struct kit *k, char names[96])
{
	struct kit_msg m;
	struct perc_wire w;
	json_t *list, *o;
	bool any = false;
	size_t i;

	while (kit_take(k, VAULT_SPEAKING, &m)) {
		any = true;
		names[0] = '\0';
		perc_wire_reader(&w, m.data, m.len);
		assert_string_equal(perc_wire_get_str(&w), CONF);
		list = json_loads(perc_wire_get_str(&w), 0, NULL);
		json_array_foreach(json_object_get(list, "speaking"), i, o)
		    strcat(strcat(names, perc_json_str(o, "name")), " ");
		json_decref(list);
		kit_msg_clear(&m);
	}
	return any;
}

static void
talk(struct vaultroom *w, struct kit *from, unsigned n)
{
	while (n-- > 0) {
		kit_app_send(from, VAULT_AUDIO, 111);
		kit_settle(from, 2);
		kit_carry(from, w->m, 3);
		kit_settle(from, 2);
	}
}

/* REQ-W-6: by SSRC of what opened, with the roster's name; a forged packet
 * makes nobody a speaker, nor does silence. */
static void
test_REQ_W_6_who_speaks(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	uint8_t quiet[13] = { 0x80, 111, 0, 9, 0, 0, 0, 9, 1, 2, 3, 4, 0 };
	char names[96];
	struct kit_msg m;

	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	kit_app_send(b, VAULT_AUDIO, 111);
	assert_true(kit_wait(b, VAULT_MEDIA_OUT, 0, &m));
	m.data[16] ^= 1;
	kit_send_raw(a, VAULT_MEDIA_IN, m.data, m.len);
	kit_msg_clear(&m);
	kit_settle(a, 20);
	assert_false(speaking(a, names));
	talk(w, b, 3);
	assert_true(speaking(a, names));
	assert_string_equal(names, "bob ");
	talk(w, w->m[2], 3);
	talk(w, b, 60);
	assert_true(speaking(a, names));
	assert_string_equal(names, "bob carol ");
	kit_settle(a, 1100);
	assert_true(speaking(a, names));
	assert_string_equal(names, "");
	kit_app_send_to(b, b->port[0][0], quiet, sizeof(quiet));
	kit_settle(b, 5);
	kit_carry(b, w->m, 3);
	kit_settle(a, 50);
	assert_false(speaking(a, names));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, vaultroom_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_code_is_of_roster_and_epoch),
		TEST(test_two_keys_two_codes),
		TEST(test_forked_roster_shows_in_the_code),
		TEST(test_code_covers_each_member_of_an_entry),
		TEST(test_forked_is_flagged),
		TEST(test_stale_is_flagged),
		TEST(test_frozen_is_flagged),
		TEST(test_unsigned_is_flagged),
		TEST(test_unlisted_is_flagged),
		TEST(test_REQ_W_6_who_speaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
