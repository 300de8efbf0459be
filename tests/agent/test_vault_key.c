/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each way to give the vault a key that it must not take. Every case is one
 * change to an answer or a statement that would be taken without it, so the
 * refusal is for that change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "vaultkit.h"

#define CONF "c_keys"

struct world {
	struct perc_loop *loop;
	struct kit_kmf kmf, other;
	struct kit_conf conf;
	struct kit k;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(perc_loop_new(&w->loop), 0);
	kit_kmf_open(&w->kmf);
	kit_kmf_open(&w->other);
	kit_conf_init(&w->conf, CONF);
	w->conf.epoch = 5;
	kit_open(&w->k, w->loop, &w->kmf, "alice", 0);
	assert_int_equal(
	    kit_err(kit_call(&w->k, VAULT_OPEN, 2, CONF, KIT_KMF)), 0);
	*state = w;
	return 0;
}

static int
setup_live(void **state)
{
	struct world *w;
	char *jwe;

	setup(state);
	w = *state;
	jwe = kit_answer(&w->kmf, &w->conf, &w->k, NULL);
	assert_int_equal(kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe)), 0);
	free(jwe);
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	kit_close(&w->k);
	kit_kmf_close(&w->kmf);
	kit_kmf_close(&w->other);
	perc_loop_free(w->loop);
	free(w);
	return 0;
}

static int64_t
now_s(void)
{
	return perc_wall_ms() / 1000;
}

/* KEY with these members replaced; jwe is freed. */
static int
key(struct world *w, json_t *over)
{
	char *jwe = kit_answer(&w->kmf, &w->conf, &w->k, over);
	int r = kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe));

	free(jwe);
	return r;
}

static void
expect_state(struct world *w, const char *state, uint64_t epoch)
{
	json_t *st = kit_status(&w->k, CONF);

	assert_string_equal(
	    json_string_value(json_object_get(st, "state")), state);
	assert_int_equal(
	    json_integer_value(json_object_get(st, "epoch")), epoch);
	if (strcmp(state, "live") != 0)
		assert_int_equal(
		    json_integer_value(json_object_get(st, "keys_held")), 0);
	json_decref(st);
}

static void
test_answer_is_taken(void **state)
{
	struct world *w = *state;
	char *jwe = kit_answer(&w->kmf, &w->conf, &w->k, NULL);
	struct kit_done d = kit_call(&w->k, VAULT_KEY, 2, CONF, jwe);

	assert_int_equal(d.err, 0);
	assert_int_equal(
	    json_integer_value(json_object_get(d.json, "epoch")), 5);
	assert_int_equal(
	    json_integer_value(json_object_get(d.json, "spi")), w->conf.spi);
	assert_string_equal(
	    json_string_value(json_object_get(d.json, "member")), "m_alice");
	assert_in_range(
	    json_integer_value(json_object_get(d.json, "expires_in")), 298,
	    300);
	kit_done_clear(&d);
	expect_state(w, "live", 5);
	free(jwe);
}

/* REQ-F-5a, REQ-R-3a: only the pinned KMF's signature counts. */
static void
test_REQ_F_5a_foreign_key(void **state)
{
	struct world *w = *state;
	char *jwe = kit_answer(&w->other, &w->conf, &w->k, NULL);

	assert_int_not_equal(
	    kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe)), 0);
	free(jwe);
	expect_state(w, "open", 0);
}

static void
test_sealed_to_another(void **state)
{
	struct world *w = *state;
	struct kit other = w->k;
	char *jwe;

	other.seal = w->other.key;
	jwe = kit_answer(&w->kmf, &w->conf, &other, NULL);
	assert_int_not_equal(
	    kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe)), 0);
	free(jwe);
	/* and one that was made for another but is sealed to us */
	assert_int_equal(
	    key(w, json_pack("{s:s}", "aud", "somebody")), PERC_ERR_DENIED);
	expect_state(w, "open", 0);
}

/* REQ-W-2: a key in the clear, signed or not, is no way in. */
static void
test_REQ_W_2_plain_key(void **state)
{
	struct world *w = *state;
	json_t *claims = kit_answer_claims(&w->conf, &w->k);
	char *jws;

	assert_int_equal(kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF,
			     "usage=\"EKT\"; keyid=\"a\"; key=\"AAEC\"")),
	    PERC_ERR_FORMAT);
	assert_int_equal(
	    kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, "")), PERC_ERR_FORMAT);
	assert_int_equal(
	    perc_jws_sign(&jws, w->kmf.key, "perch-ekt+jwt", claims, false), 0);
	assert_int_not_equal(
	    kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jws)), 0);
	json_decref(claims);
	free(jws);
	expect_state(w, "open", 0);
}

/* A roster or notice, sealed, is no answer: typ keeps the kinds apart. */
static void
test_another_typ(void **state)
{
	struct world *w = *state;
	json_t *claims = kit_answer_claims(&w->conf, &w->k);
	char *jws, *jwe;

	assert_int_equal(
	    perc_jws_sign(&jws, w->kmf.key, "perch-roster+jwt", claims, false),
	    0);
	assert_int_equal(
	    perc_jwe_seal(&jwe, w->k.seal, "perch-ekt+jwt", jws, strlen(jws)),
	    0);
	assert_int_equal(
	    kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe)), PERC_ERR_DENIED);
	json_decref(claims);
	free(jws);
	free(jwe);
}

/* REQ-WS-6.3b, its second half: such a key is used for EKT only. */
static void
test_REQ_W_3_2_wrong_usage(void **state)
{
	struct world *w = *state;

	assert_int_equal(
	    key(w, json_pack("{s:s}", "usage", "SRTP")), PERC_ERR_DENIED);
	assert_int_equal(key(w, json_pack("{s:n}", "usage")), PERC_ERR_DENIED);
	assert_int_equal(
	    key(w, json_pack("{s:s}", "usage", "ekt")), PERC_ERR_DENIED);
	expect_state(w, "open", 0);
}

/* REQ-F-5.3a */
static void
test_REQ_F_5_3a_other_conference(void **state)
{
	struct world *w = *state;

	assert_int_equal(key(w, json_pack("{s:s}", "conference", "c_other")),
	    PERC_ERR_DENIED);
	assert_int_equal(key(w, json_pack("{s:s}", "iss", "https://evil.test")),
	    PERC_ERR_DENIED);
	expect_state(w, "open", 0);
}

static void
test_expired_answer(void **state)
{
	struct world *w = *state;

	assert_int_equal(
	    key(w,
		json_pack("{s:I,s:I}", "iat", (json_int_t)(now_s() - 61), "exp",
		    (json_int_t)(now_s() - 1))),
	    PERC_ERR_EXPIRED);
	assert_int_equal(
	    key(w,
		json_pack("{s:I,s:I}", "iat", (json_int_t)(now_s() + 100),
		    "exp", (json_int_t)(now_s() + 160))),
	    PERC_ERR_EXPIRED);
	/* one that would live for ever */
	assert_int_equal(
	    key(w, json_pack("{s:I}", "exp", (json_int_t)(now_s() + 100000))),
	    PERC_ERR_FORMAT);
	assert_int_equal(
	    key(w, json_pack("{s:s}", "exp", "never")), PERC_ERR_FORMAT);
	expect_state(w, "open", 0);
}

/* The same answer counts once, even after the conference was left. */
static void
test_replayed_answer(void **state)
{
	struct world *w = *state;
	char *jwe = kit_answer(&w->kmf, &w->conf, &w->k, NULL);

	assert_int_equal(kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe)), 0);
	assert_int_equal(
	    kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe)), PERC_ERR_REPLAY);
	assert_int_equal(kit_err(kit_call(&w->k, VAULT_LEAVE, 1, CONF)), 0);
	assert_int_equal(
	    kit_err(kit_call(&w->k, VAULT_OPEN, 2, CONF, KIT_KMF)), 0);
	assert_int_equal(
	    kit_err(kit_call(&w->k, VAULT_KEY, 2, CONF, jwe)), PERC_ERR_REPLAY);
	expect_state(w, "open", 0);
	free(jwe);
}

/* Unknown SPIs are anybody's to forge and make the front ask each second for
 * each conference; the memory of a minute must hold all of that. */
static void
test_a_minute_of_answers(void **state)
{
	struct world *w = *state;
	int i;

	for (i = 0; i < VAULT_SLOTS * 62; i++)
		assert_int_equal(key(w, NULL), 0);
}

static json_t *
policy(const char *cipher, const char *profile)
{
	return json_pack(
	    "{s:{s:s,s:s}}", "policy", "cipher", cipher, "profile", profile);
}

/* REQ-W-2: what the policy demands and nothing weaker. */
static void
test_REQ_W_2_cipher_against_policy(void **state)
{
	struct world *w = *state;

	assert_int_equal(
	    key(w, policy("AESKW256", "AEAD_AES_256_GCM")), PERC_ERR_DENIED);
	assert_int_equal(key(w, policy("AESKW128", "NULL")), PERC_ERR_DENIED);
	assert_int_equal(key(w, json_pack("{s:n}", "policy")), PERC_ERR_FORMAT);
	assert_int_equal(key(w, json_pack("{s:s}", "cipher", "AESKW256")),
	    PERC_ERR_FORMAT); /* its key would be longer */
	assert_int_equal(key(w, json_pack("{s:s}", "profile", "000A")),
	    PERC_ERR_UNSUPPORTED); /* with AESKW128: RFC 8870 section 6 */
	assert_int_equal(key(w, json_pack("{s:s}", "profile", "0001")),
	    PERC_ERR_UNSUPPORTED);
	expect_state(w, "open", 0);
}

static void
test_malformed_members(void **state)
{
	static const struct {
		const char *name, *value; /* JSON */
	} bad[] = {
		{ "key", "\"AAECAwQFBgcICQoLDA0OD\"" },
		{ "key", "\"lupDujHomwIjlutebgharghmey\"" },
		{ "key", "17" },
		{ "salt", "\"oKGio6Slpqeoqaq\"" },
		{ "salt", "null" },
		{ "spi", "65536" },
		{ "spi", "-1" },
		{ "spi", "\"4660\"" },
		{ "ttl", "0" },
		{ "ttl", "16777216" },
		{ "epoch", "0" },
		{ "epoch", "1.5" },
		{ "keyid", "\"a b\"" },
		{ "keyid", "\"\"" },
		{ "member", "\"m/../x\"" },
		{ "member", "null" },
		{ "name", "null" },
		{ "delivery_key", "\"AAEC\"" },
		{ "roster_seq", "null" },
		{ "ssrcs", "null" },
		{ "ssrcs", "[{\"ssrc\":0,\"media\":\"audio\"}]" },
		{ "ssrcs", "[{\"ssrc\":7,\"media\":\"smell\"}]" },
		{ "ssrcs",
		    "[{\"ssrc\":7,\"media\":\"audio\"},"
		    "{\"ssrc\":7,\"media\":\"video\"}]" },
		{ "ssrcs",
		    "[{\"ssrc\":7,\"media\":\"audio\"},"
		    "{\"ssrc\":8,\"media\":\"audio\"}]" },
		{ "ssrcs", "[1,2,3]" },
		{ "media", "null" },
		{ "media",
		    "[{\"media\":\"audio\",\"pt\":128,\"codec\":\"a/8000\"}]" },
		{ "media",
		    "[{\"media\":\"audio\",\"pt\":72,\"codec\":\"a/8000\"}]" },
		{ "media",
		    "[{\"media\":\"audio\",\"pt\":0,\"codec\":\"a\\r\\nb/"
		    "8000\"}]" },
		{ "media",
		    "[{\"media\":\"audio\",\"pt\":0,\"codec\":\"nothing\"}]" },
		{ "media",
		    "[{\"media\":\"audio\",\"pt\":0,\"codec\":\"a/0\"}]" },
	};
	struct world *w = *state;
	json_t *over;
	size_t i;
	int r;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		over = json_object();
		json_object_set_new(over, bad[i].name,
		    json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
		if ((r = key(w, over)) != PERC_ERR_FORMAT)
			fail_msg("%s = %s: %s", bad[i].name, bad[i].value,
			    perc_strerror(r));
	}
	expect_state(w, "open", 0);
	assert_int_equal(key(w, NULL), 0); /* it is not worn out */
}

/* ---- a second answer while live --------------------------------------------
 */

static void
test_older_epoch(void **state)
{
	struct world *w = *state;
	struct kit_conf held = w->conf;

	kit_conf_rekey(&w->conf);
	w->conf.epoch = held.epoch - 1;
	assert_int_equal(key(w, NULL), PERC_ERR_REPLAY);
	expect_state(w, "live", 5);
}

/* The KMF lets the same epoch live on: a later end, no new sender key. */
static void
test_same_epoch_again(void **state)
{
	struct world *w = *state;
	struct kit_done d;
	char *jwe = kit_answer(
	    &w->kmf, &w->conf, &w->k, json_pack("{s:i}", "ttl", 900));

	d = kit_call(&w->k, VAULT_KEY, 2, CONF, jwe);
	assert_int_equal(d.err, 0);
	assert_in_range(
	    json_integer_value(json_object_get(d.json, "expires_in")), 898,
	    900);
	kit_done_clear(&d);
	free(jwe);
	assert_int_equal(w->k.vault->slots[0].nepochs, 1);
}

static void
test_same_epoch_other_octets(void **state)
{
	struct world *w = *state;
	struct kit_conf was = w->conf;

	w->conf.key[0] ^= 1;
	assert_int_equal(key(w, NULL), PERC_ERR_CONFLICT);
	w->conf = was;
	w->conf.spi++;
	assert_int_equal(key(w, NULL), PERC_ERR_CONFLICT);
	w->conf = was;
	w->conf.epoch++; /* a new epoch under the old SPI */
	perc_random(w->conf.key, 16);
	assert_int_equal(key(w, NULL), PERC_ERR_CONFLICT);
	w->conf.spi++; /* under the old keyid */
	assert_int_equal(
	    key(w, json_pack("{s:s}", "keyid", CONF ".5")), PERC_ERR_CONFLICT);
	expect_state(w, "live", 5);
	assert_int_equal(key(w, NULL), 0);
	expect_state(w, "live", 6);
}

static void
test_member_is_constant(void **state)
{
	struct world *w = *state;

	kit_conf_rekey(&w->conf);
	assert_int_equal(key(w, json_pack("{s:s}", "member", "m_mallory")),
	    PERC_ERR_CONFLICT);
	assert_int_equal(key(w,
			     json_pack("{s:[{s:i,s:s}]}", "ssrcs", "ssrc", 99,
				 "media", "audio")),
	    PERC_ERR_CONFLICT);
	w->k.ssrc[0] += 16;
	assert_int_equal(key(w, NULL), PERC_ERR_CONFLICT);
	w->k.ssrc[0] -= 16;
	w->k.ssrc[1] += 16;
	assert_int_equal(key(w, NULL), PERC_ERR_CONFLICT);
	expect_state(w, "live", 5);
}

static void
test_REQ_W_2_no_way_back_to_128(void **state)
{
	struct world *w = *state;

	kit_conf_rekey(&w->conf);
	w->conf.keylen = 32;
	assert_int_equal(key(w, NULL), 0);
	kit_conf_rekey(&w->conf);
	w->conf.keylen = 16;
	assert_int_equal(key(w, NULL), PERC_ERR_DENIED);
	expect_state(w, "live", 6);
}

/* ---- pushed epochs ----------------------------------------------------------
 */

/* EPOCH of the conference's present state, with changes. */
static int
push(struct world *w, const struct perc_jwk *signer, json_t *over,
    const char *sealed)
{
	char *st = kit_statement(signer, &w->conf, over);
	char *own = kit_sealed(&w->conf, &w->k);
	int r = kit_err(kit_call(
	    &w->k, VAULT_EPOCH, 3, CONF, st, sealed == NULL ? own : sealed));

	free(st);
	free(own);
	return r;
}

static void
test_epoch_is_taken(void **state)
{
	struct world *w = *state;

	kit_conf_rekey(&w->conf);
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), 0);
	expect_state(w, "live", 6);
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), PERC_ERR_REPLAY);
	w->conf.epoch = 4;
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), PERC_ERR_REPLAY);
	expect_state(w, "live", 6);
}

/* An answer overtook the stream: others still encrypt with what it jumped
 * over, so that is taken, to receive, for what would have been left of it. */
static void
test_epoch_jumped_over(void **state)
{
	struct world *w = *state;
	struct vault_slot *s = &w->k.vault->slots[0];
	struct kit_conf late, newest;

	kit_conf_rekey(&w->conf);
	late = w->conf; /* 6 */
	kit_conf_rekey(&w->conf);
	assert_int_equal(key(w, NULL), 0);
	newest = w->conf;
	w->conf = late;
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), 0);
	expect_state(w, "live", 7);
	assert_int_equal(s->spi, newest.spi);
	assert_int_equal(perc_double_tx_spi(s->local[0].tx), newest.spi);
	assert_non_null(vault_epoch_held(s, late.spi));
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), PERC_ERR_REPLAY);
	kit_settle(&w->k, 1100); /* 7's overlap */
	vault_slot_tick(s);
	assert_null(vault_epoch_held(s, late.spi));
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), PERC_ERR_REPLAY);
}

/* What was before the first key is nobody's to give, nor is it after 1 s. */
static void
test_epoch_too_late(void **state)
{
	struct world *w = *state;
	struct kit_conf late;

	kit_conf_rekey(&w->conf);
	late = w->conf;
	late.epoch = 4;
	kit_conf_rekey(&w->conf);
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), 0);
	w->conf = late;
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), PERC_ERR_REPLAY);
	late.epoch = 6;
	w->conf = late;
	kit_settle(&w->k, 1100);
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), PERC_ERR_REPLAY);
	expect_state(w, "live", 7);
}

static void
test_epoch_forged(void **state)
{
	struct world *w = *state;
	uint8_t box[128];
	char text[256], *own;
	size_t n = sizeof(box);

	kit_conf_rekey(&w->conf);
	assert_int_not_equal(push(w, w->other.key, NULL, NULL), 0);
	assert_int_equal(push(w, w->kmf.key,
			     json_pack("{s:s}", "conference", "c_other"), NULL),
	    PERC_ERR_DENIED);
	assert_int_equal(
	    push(w, w->kmf.key, json_pack("{s:s}", "key_hash", "AAAA"), NULL),
	    PERC_ERR_FORMAT);
	/* another key than the one that was signed for */
	assert_int_equal(push(w, w->kmf.key,
			     json_pack("{s:s}", "key_hash",
				 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
			     NULL),
	    PERC_ERR_AUTH);
	own = kit_sealed(&w->conf, &w->k);
	assert_int_equal(perc_b64_get(box, &n, own, strlen(own)), 0);
	box[20] ^= 1;
	perc_b64_put(text, box, n);
	assert_int_equal(push(w, w->kmf.key, NULL, text), PERC_ERR_AUTH);
	perc_b64_put(text, box, n - 1);
	assert_int_equal(push(w, w->kmf.key, NULL, text), PERC_ERR_FORMAT);
	assert_int_equal(push(w, w->kmf.key, NULL, ""), PERC_ERR_FORMAT);
	free(own);
	expect_state(w, "live", 5);
	assert_int_equal(push(w, w->kmf.key, NULL, NULL), 0);
}

/* Another member's copy, and a copy of another epoch: bound by what is
 * authenticated beside it. */
static void
test_copy_of_another(void **state)
{
	struct world *w = *state;
	struct kit bob = w->k;
	struct kit_conf next;
	char *box;

	kit_conf_rekey(&w->conf);
	strcpy(bob.member, "m_bob");
	box = kit_sealed(&w->conf, &bob);
	assert_int_equal(push(w, w->kmf.key, NULL, box), PERC_ERR_AUTH);
	free(box);
	next = w->conf;
	next.epoch++;
	box = kit_sealed(&next, &w->k);
	assert_int_equal(push(w, w->kmf.key, NULL, box), PERC_ERR_AUTH);
	free(box);
	expect_state(w, "live", 5);
}

/* A statement that the network held back: its time counts from its making. */
static void
test_statement_held_back(void **state)
{
	struct world *w = *state;
	json_t *st;

	kit_conf_rekey(&w->conf);
	assert_int_equal(
	    push(w, w->kmf.key,
		json_pack("{s:I}", "iat", (json_int_t)(now_s() - 331)), NULL),
	    PERC_ERR_EXPIRED);
	assert_int_equal(
	    push(w, w->kmf.key,
		json_pack("{s:I}", "iat", (json_int_t)(now_s() - 230)), NULL),
	    0);
	st = kit_status(&w->k, CONF);
	assert_in_range(
	    json_integer_value(json_object_get(st, "expires_in")), 98, 100);
	json_decref(st);
}

/* ---- the end of time
 * --------------------------------------------------------- */

/* REQ-WC-4.4, REQ-F-8.2.3a: cut off from the KMF, the vault falls silent. */
static void
test_REQ_WC_4_4_ttl_over(void **state)
{
	struct world *w = *state;
	struct kit_msg m;

	assert_int_equal(key(w, json_pack("{s:i}", "ttl", 1)), 0);
	kit_app_send(&w->k, VAULT_AUDIO, 111);
	kit_settle(&w->k, 20);
	assert_true(kit_take(&w->k, VAULT_MEDIA_OUT, &m));
	kit_msg_clear(&m);
	assert_true(kit_wait(&w->k, VAULT_ERASED, 0, &m));
	assert_non_null(memmem(m.data, m.len, "expired", 8));
	kit_msg_clear(&m);
	kit_app_send(&w->k, VAULT_AUDIO, 111);
	kit_settle(&w->k, 20);
	assert_false(kit_take(&w->k, VAULT_MEDIA_OUT, &m));
	expect_state(w, "erased", 0);
}

#define OPEN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define LIVE_TEST(f) cmocka_unit_test_setup_teardown(f, setup_live, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_TEST(test_answer_is_taken),
		OPEN_TEST(test_REQ_F_5a_foreign_key),
		OPEN_TEST(test_sealed_to_another),
		OPEN_TEST(test_REQ_W_2_plain_key),
		OPEN_TEST(test_another_typ),
		OPEN_TEST(test_REQ_W_3_2_wrong_usage),
		OPEN_TEST(test_REQ_F_5_3a_other_conference),
		OPEN_TEST(test_expired_answer),
		OPEN_TEST(test_replayed_answer),
		OPEN_TEST(test_a_minute_of_answers),
		OPEN_TEST(test_REQ_W_2_cipher_against_policy),
		OPEN_TEST(test_malformed_members),
		LIVE_TEST(test_older_epoch),
		LIVE_TEST(test_same_epoch_again),
		LIVE_TEST(test_same_epoch_other_octets),
		LIVE_TEST(test_member_is_constant),
		LIVE_TEST(test_REQ_W_2_no_way_back_to_128),
		LIVE_TEST(test_epoch_is_taken),
		LIVE_TEST(test_epoch_jumped_over),
		LIVE_TEST(test_epoch_too_late),
		LIVE_TEST(test_epoch_forged),
		LIVE_TEST(test_copy_of_another),
		LIVE_TEST(test_statement_held_back),
		OPEN_TEST(test_REQ_WC_4_4_ttl_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
