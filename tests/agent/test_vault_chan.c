/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front as the enemy: messages out of turn end the channel and with it
 * every key; proofs are signed for the pinned KMF alone; nothing that passes
 * the channel holds a key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/json.h"
#include "perc/tail.h"
#include "vaultkit.h"

#define CONF "c_chan"

struct world {
	struct perc_loop *loop;
	struct kit_kmf kmf;
	struct kit_conf conf;
	struct kit k;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(perc_loop_new(&w->loop), 0);
	kit_kmf_open(&w->kmf);
	kit_conf_init(&w->conf, CONF);
	kit_open(&w->k, w->loop, &w->kmf, "alice", 0);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	kit_close(&w->k);
	kit_kmf_close(&w->kmf);
	perc_loop_free(w->loop);
	free(w);
	return 0;
}

/* ---- the table
 * ---------------------------------------------------------------- */

enum fate { OK, ERROR, ENDS };

static const struct {
	uint16_t type;
	unsigned strs; /* beside conf */
	enum fate none, open, live, erased;
} table[] = {
	{ VAULT_KEY, 1, ENDS, ERROR, ERROR, ERROR },
	{ VAULT_EPOCH, 2, ENDS, ENDS, ERROR, ERROR },
	{ VAULT_ROSTER, 1, ENDS, ENDS, ERROR, ERROR },
	{ VAULT_NOTICE, 1, ENDS, ERROR, ERROR, ERROR },
	{ VAULT_LEAVE, 0, ENDS, OK, OK, OK },
};

/* Bring a new vault to that state, send the message, see what becomes. */
static void
one_case(unsigned i, unsigned st, enum fate want)
{
	void *state;
	struct world *w;
	int r;

	setup(&state);
	w = state;
	if (st == 1)
		assert_int_equal(
		    kit_err(kit_call(&w->k, VAULT_OPEN, 2, CONF, KIT_KMF)), 0);
	if (st >= 2)
		kit_join(&w->k, &w->kmf, &w->conf);
	if (st == 3)
		assert_int_equal(
		    kit_err(kit_call(&w->k, VAULT_LEAVE, 1, CONF)), 0);
	r = kit_err(
	    kit_call(&w->k, table[i].type, 1 + table[i].strs, CONF, "x", "y"));
	if (want == ENDS     ? !w->k.closed
		: want == OK ? r != 0
			     : r == 0 || w->k.closed)
		fail_msg("message %u in state %u: %s", table[i].type, st,
		    perc_strerror(r));
	teardown(&state);
}

static void
test_messages_by_state(void **state)
{
	unsigned i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		one_case(i, 0, table[i].none);
		one_case(i, 1, table[i].open);
		one_case(i, 2, table[i].live);
		one_case(i, 3, table[i].erased);
	}
}

static void
raw_ends(uint16_t type, const void *p, size_t n, unsigned st, bool ends)
{
	void *state;
	struct world *w;

	setup(&state);
	w = state;
	if (st >= 1)
		kit_join(&w->k, &w->kmf, &w->conf);
	if (st == 2)
		assert_int_equal(
		    kit_err(kit_call(&w->k, VAULT_LEAVE, 1, CONF)), 0);
	kit_send_raw(&w->k, type, p, n);
	kit_settle(&w->k, 20);
	if (w->k.closed != ends)
		fail_msg("type %u in state %u", type, st);
	/* whatever it was: an ended channel leaves no key behind */
	if (ends && st == 1) {
		assert_int_equal(w->k.vault->slots[0].state, VAULT_SLOT_ERASED);
		assert_int_equal(vault_keys_held(&w->k.vault->slots[0]), 0);
	}
	teardown(&state);
}

static void
test_raw_messages(void **state)
{
	static const uint8_t slot0[64] = { 0 }, slot1[64] = { 1 },
			     slot9[64] = { 9 };
	static uint8_t big[VAULT_PACKET_MAX + 2];

	raw_ends(VAULT_MEDIA_IN, slot0, 64, 0, true);
	raw_ends(VAULT_MEDIA_IN, slot0, 64, 1, false);
	raw_ends(VAULT_MEDIA_IN, slot0, 64, 2, false);
	raw_ends(VAULT_MEDIA_IN, slot1, 64, 1, true);
	raw_ends(VAULT_MEDIA_IN, slot9, 64, 1, true);
	raw_ends(VAULT_MEDIA_IN, NULL, 0, 1, true);
	raw_ends(VAULT_MEDIA_IN, big, sizeof(big), 1, true);
	raw_ends(VAULT_RTCP_IN, slot0, 64, 0, true);
	raw_ends(VAULT_RTCP_IN, slot0, 64, 1, false);
	raw_ends(VAULT_RTCP_IN, slot0, 64, 2, false);
	raw_ends(VAULT_HELLO, NULL, 0, 1, true);  /* once */
	raw_ends(VAULT_DONE, slot0, 64, 1, true); /* the vault's own */
	raw_ends(0, NULL, 0, 1, true);
	raw_ends(999, slot0, 64, 1, true);
	raw_ends(VAULT_KEY, slot0, 3, 1, true); /* no conference in it */
}

static void
test_nothing_before_hello(void **state)
{
	struct world *w = *state;
	struct vault_setup s = {
		.config = &w->kmf.config, .report = "{}", .out_fd = -1
	};
	struct perc_chan *c;
	struct vault *v;
	int sv[2];

	memset(s.local_fd, 0xff, sizeof(s.local_fd));
	assert_int_equal(perc_proc_pair(sv), 0);
	s.chan_fd = sv[0];
	assert_int_equal(vault_new(&v, w->loop, &s), 0);
	assert_int_equal(
	    perc_chan_new(&c, w->loop, sv[1], NULL, 0, NULL, NULL), 0);
	assert_int_equal(
	    perc_chan_send(c, VAULT_STATUS, 1, "\0\0\0\1\0", 5), 0);
	kit_settle(&w->k, 20);
	assert_null(v->chan);
	perc_chan_free(c);
	vault_free(v);
}

/* ---- OPEN
 * ----------------------------------------------------------------------- */

static void
test_open(void **state)
{
	struct world *w = *state;
	struct kit *k = &w->k;
	struct kit_done d;

	assert_int_equal(
	    kit_err(kit_call(k, VAULT_OPEN, 2, CONF, "https://evil.test")),
	    PERC_ERR_DENIED);
	assert_int_equal(kit_err(kit_call(k, VAULT_OPEN, 2, "c/../x", KIT_KMF)),
	    PERC_ERR_FORMAT);
	assert_int_equal(
	    kit_err(kit_call(k, VAULT_OPEN, 1, CONF)), PERC_ERR_SHORT);
	d = kit_call(k, VAULT_OPEN, 2, CONF, KIT_KMF);
	assert_int_equal(d.err, 0);
	assert_int_equal(
	    json_integer_value(json_object_get(d.json, "slot")), 0);
	kit_done_clear(&d);
	assert_int_equal(kit_err(kit_call(k, VAULT_OPEN, 2, CONF, KIT_KMF)),
	    PERC_ERR_EXISTS);
	assert_int_equal(
	    kit_err(kit_call(k, VAULT_OPEN, 2, "c_2", KIT_KMF)), 0);
	assert_int_equal(
	    kit_err(kit_call(k, VAULT_OPEN, 2, "c_3", KIT_KMF)), 0);
	assert_int_equal(
	    kit_err(kit_call(k, VAULT_OPEN, 2, "c_4", KIT_KMF)), 0);
	assert_int_equal(kit_err(kit_call(k, VAULT_OPEN, 2, "c_5", KIT_KMF)),
	    PERC_ERR_LIMIT);
	assert_int_equal(kit_err(kit_call(k, VAULT_LEAVE, 1, "c_3")), 0);
	d = kit_call(k, VAULT_OPEN, 2, "c_5", KIT_KMF);
	assert_int_equal(d.err, 0);
	assert_int_equal(
	    json_integer_value(json_object_get(d.json, "slot")), 2);
	kit_done_clear(&d);
}

/* ---- PROOF
 * ---------------------------------------------------------------------- */

static bool
proof(struct kit *k, uint8_t flags, const char *htm, const char *htu,
    const char *token, char *out, size_t cap)
{
	uint8_t buf[4096];
	struct perc_wire w;
	struct kit_msg m;
	const char *s;
	bool got;

	perc_wire_writer(&w, buf, sizeof(buf));
	perc_wire_put_u8(&w, flags);
	perc_wire_put_str(&w, htm);
	perc_wire_put_str(&w, htu);
	perc_wire_put_str(&w, token);
	perc_wire_put_str(&w, "nonce-1");
	assert_int_equal(perc_wire_end(&w), 0);
	kit_send_raw(k, VAULT_PROOF, buf, w.pos);
	assert_true(kit_wait(k, VAULT_PROOF_IS, 0, &m));
	perc_wire_reader(&w, m.data, m.len);
	s = perc_wire_get_str(&w);
	got = *s != '\0';
	if (out != NULL)
		snprintf(out, cap, "%s", s);
	kit_msg_clear(&m);
	return got;
}

static void
test_proof_is_good(void **state)
{
	struct world *w = *state;
	const char *htu = KIT_KMF "/v1/conferences/" CONF "/keys", *why;
	char text[2048], own[PERC_JKT_LEN + 1];
	struct perc_jwk *sign = NULL;
	struct perc_dpop p;

	assert_true(proof(&w->k, 1, "POST", htu, "token", text, sizeof(text)));
	assert_int_equal(perc_dpop_check(&p, text, strlen(text), "POST", htu,
			     "token", perc_wall_ms() / 1000, 5, &why),
	    0);
	assert_int_equal(
	    perc_jwk_from_json(&sign, w->k.sign, strlen(w->k.sign), true), 0);
	assert_int_equal(perc_jwk_thumbprint(own, sign), 0);
	assert_string_equal(p.jkt, own);
	assert_int_equal(perc_jwk_thumbprint(own, w->k.seal), 0);
	assert_string_equal(p.seal_jkt, own);
	assert_string_equal(p.nonce, "nonce-1");
	perc_jwk_free(sign);
	assert_true(proof(&w->k, 0, "PUT", htu, "", text, sizeof(text)));
	assert_int_equal(perc_dpop_check(&p, text, strlen(text), "PUT", htu,
			     NULL, perc_wall_ms() / 1000, 5, &why),
	    0);
	assert_string_equal(p.seal_jkt, "");
}

/* Without seal_jkt the KMF would answer whoever has the proof in the plain
 * form, and that is the front. */
static void
test_proof_for_keys_is_always_sealed(void **state)
{
	struct world *w = *state;
	const char *htu = KIT_KMF "/v1/conferences/" CONF "/keys", *why;
	char text[2048], seal[PERC_JKT_LEN + 1];
	struct perc_dpop p;

	assert_int_equal(perc_jwk_thumbprint(seal, w->k.seal), 0);
	assert_true(proof(&w->k, 0, "POST", htu, "token", text, sizeof(text)));
	assert_int_equal(perc_dpop_check(&p, text, strlen(text), "POST", htu,
			     "token", perc_wall_ms() / 1000, 5, &why),
	    0);
	assert_string_equal(p.seal_jkt, seal);
}

static void
test_proof_refused(void **state)
{
	static const struct {
		const char *htm, *htu;
	} bad[] = {
		{ "OPTIONS", KIT_KMF "/v1/x" },
		{ "post", KIT_KMF "/v1/x" },
		{ "", KIT_KMF "/v1/x" },
		{ "GET", "http://kmf.test/v1/x" },
		{ "GET", "https://evil.test/v1/x" },
		{ "GET", "https://kmf.test.evil.test/v1/x" },
		{ "GET", "https://kmf.test:444/v1/x" },
		{ "GET", "https://kmf.test@evil.test/v1/x" },
		{ "GET", KIT_KMF },
		{ "GET", KIT_KMF "/../x" },
		{ "GET", KIT_KMF "/v1/./x" },
		{ "GET", KIT_KMF "/v1//x" },
		{ "GET", KIT_KMF "/%2e%2e/x" },
		{ "GET", KIT_KMF "/v1/x?y=1" },
		{ "GET", KIT_KMF "/v1/x#y" },
		{ "GET", KIT_KMF "/v1/x y" },
		{ "GET", KIT_KMF "/v1\\x" },
		{ "GET", "" },
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (proof(&w->k, 0, bad[i].htm, bad[i].htu, "t", NULL, 0))
			fail_msg("%s %s was signed", bad[i].htm, bad[i].htu);
	assert_false(proof(&w->k, 2, "GET", KIT_KMF "/v1/x", "t", NULL, 0));
	assert_true(proof(&w->k, 0, "GET", KIT_KMF "/v1/x", "t", NULL, 0));
}

/* RFC 9449 section 5: an identity provider binds its tokens to us; nobody
 * pins it, so what it gets must be worthless at a KMF. */
static void
test_proof_for_a_login(void **state)
{
	static const struct {
		uint8_t flags;
		const char *htm, *htu, *token;
	} bad[] = {
		{ 2, "GET", "https://idp.test/token", "" },
		{ 2, "POST", "https://idp.test/token", "t" },
		{ 3, "POST", "https://idp.test/token", "" },
		{ 0, "POST", "https://idp.test/token", "" },
		{ 2, "POST", "http://idp.test/token", "" },
		{ 2, "POST", "https:///token", "" },
		{ 2, "POST", "https://idp.test/token?x=1", "" },
		{ 2, "POST", "https://idp.test/%74oken", "" },
		{ 2, "POST", KIT_KMF, "" },
		{ 2, "POST", KIT_KMF "/oauth/token", "" },
		{ 2, "POST", "https://KMF.test/oauth/token", "" },
		{ 2, "POST", "https://kmf.test:443/oauth/token", "" },
		{ 2, "POST", "https://kmf.test:0443/oauth/token", "" },
		{ 2, "POST", "https://kmf.test:/oauth/token", "" },
		{ 2, "POST", "https://x@kmf.test/oauth/token", "" },
		{ 4, "POST", "https://idp.test/token", "" },
	};
	struct world *w = *state;
	const char *htu = "https://idp.test:8443/token", *why;
	struct perc_dpop p;
	char text[2048];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (proof(&w->k, bad[i].flags, bad[i].htm, bad[i].htu,
			bad[i].token, NULL, 0))
			fail_msg("%s %s was signed", bad[i].htm, bad[i].htu);
	assert_true(proof(&w->k, 2, "POST", htu, "", text, sizeof(text)));
	assert_int_equal(perc_dpop_check(&p, text, strlen(text), "POST", htu,
			     NULL, perc_wall_ms() / 1000, 5, &why),
	    0);
	assert_string_equal(p.seal_jkt, "");
	assert_true(
	    proof(&w->k, 2, "POST", "https://kmf.test:444/token", "", NULL, 0));
	assert_true(
	    proof(&w->k, 2, "POST", "https://[::1]/token", "", NULL, 0));
}

/* ---- the end
 * --------------------------------------------------------------------- */

/* REQ-W-3.3, REQ-F-4.3b: a signed receipt of what is no more. */
static void
test_REQ_W_3_3_leave_gives_a_receipt(void **state)
{
	struct world *w = *state;
	struct perc_jwk *sign = NULL;
	struct perc_jws j = { 0 };
	struct perc_wire wire;
	struct kit_msg m;
	const char *jws;
	json_t *st;

	kit_join(&w->k, &w->kmf, &w->conf);
	kit_conf_rekey(&w->conf);
	kit_push(&w->k, &w->kmf, &w->conf);
	assert_int_equal(kit_err(kit_call(&w->k, VAULT_LEAVE, 1, CONF)), 0);
	assert_true(kit_take(&w->k, VAULT_ERASED, &m));
	perc_wire_reader(&wire, m.data, m.len);
	assert_string_equal(perc_wire_get_str(&wire), CONF);
	assert_string_equal(perc_wire_get_str(&wire), "left");
	jws = perc_wire_get_str(&wire);
	assert_int_equal(perc_wire_end(&wire), 0);
	assert_int_equal(
	    perc_jwk_from_json(&sign, w->k.sign, strlen(w->k.sign), true), 0);
	assert_int_equal(perc_jws_verify(&j, jws, strlen(jws),
			     PERC_JOSE_TOKEN_MAX, sign, "perch-receipt+jwt"),
	    0);
	assert_non_null(json_object_get(j.header, "jwk"));
	assert_string_equal(perc_json_str(j.payload, "conference"), CONF);
	assert_string_equal(perc_json_str(j.payload, "member"), "m_alice");
	assert_string_equal(perc_json_str(j.payload, "reason"), "left");
	assert_int_equal(
	    json_array_size(json_object_get(j.payload, "erased_spis")), 2);
	assert_true(
	    json_integer_value(json_object_get(j.payload, "keys_erased")) >= 4);
	perc_jws_clear(&j);
	perc_jwk_free(sign);
	kit_msg_clear(&m);
	st = kit_status(&w->k, CONF);
	assert_string_equal(
	    json_string_value(json_object_get(st, "state")), "erased");
	assert_int_equal(
	    json_integer_value(json_object_get(st, "keys_held")), 0);
	json_decref(st);
}

/* REQ-WC-4.3 and W-3: the front goes, by crash or by malice, and so do the
 * keys. */
static void
test_REQ_WC_4_3_channel_gone_erases(void **state)
{
	struct world *w = *state;

	kit_join(&w->k, &w->kmf, &w->conf);
	assert_true(vault_keys_held(&w->k.vault->slots[0]) > 0);
	perc_chan_free(w->k.chan);
	w->k.chan = NULL;
	kit_settle(&w->k, 20);
	assert_int_equal(w->k.vault->slots[0].state, VAULT_SLOT_ERASED);
	assert_int_equal(vault_keys_held(&w->k.vault->slots[0]), 0);
	assert_null(w->k.vault->chan);
}

/* ---- REQ-W-3: nothing on the channel is a key
 * -------------------------------------- */

static bool
holds(const struct kit *k, const void *p, size_t n)
{
	unsigned i;

	for (i = 0; i < k->nq; i++)
		if (memmem(k->q[i].data, k->q[i].len, p, n) != NULL)
			return true;
	return false;
}

static void
absent(const struct kit *k, const uint8_t *p, size_t n)
{
	char b64[64], hex[80];

	perc_b64_put(b64, p, n);
	perc_hex_put(hex, p, n);
	assert_false(holds(k, p, n));
	assert_false(holds(k, b64, strlen(b64) - 1)); /* its last is shared */
	assert_false(holds(k, hex, strlen(hex)));
}

static void
test_REQ_W_3_no_key_on_the_channel(void **state)
{
	struct world *w = *state;
	struct kit *k = &w->k, *all[1] = { k };
	uint8_t e2e[PERC_EKT_KEY_MAX];
	struct perc_enckey set = { .keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = w->conf.spi,
		.ttl_s = 9 };
	struct perc_tail t = { 0 };
	struct perc_ekt *ekt;
	struct kit_conf was = w->conf;
	uint32_t roc;
	size_t n;
	unsigned i;

	kit_join(k, &w->kmf, &w->conf);
	kit_roster_all(&w->kmf, &w->conf, all, 1);
	kit_app_send(k, VAULT_AUDIO, 111);
	kit_settle(k, 10);
	/* the sender's own key, as only a member can know it */
	memcpy(set.key, was.key, 16);
	memcpy(set.salt, was.salt, 12);
	assert_int_equal(perc_ekt_new(&ekt), 0);
	assert_int_equal(perc_ekt_add(ekt, &set, INT64_MAX), 0);
	for (i = 0; i < k->nq && t.type != PERC_TAIL_FULL; i++)
		if (k->q[i].type == VAULT_MEDIA_OUT)
			assert_int_equal(
			    perc_tail_find(&t, k->q[i].data, k->q[i].len), 0);
	assert_int_equal(t.type, PERC_TAIL_FULL);
	assert_int_equal(perc_ekt_unwrap(ekt, t.spi, t.ciphertext,
			     t.ciphertext_len, k->ssrc[0], e2e, &n, &roc),
	    0);
	perc_ekt_free(ekt);
	kit_conf_rekey(&w->conf);
	kit_push(k, &w->kmf, &w->conf);
	json_decref(kit_status(k, CONF));
	(void)kit_send(k, VAULT_STATUS, 1, "");
	(void)kit_send(k, VAULT_LEAVE, 1, CONF);
	kit_settle(k, 20);
	assert_true(holds(k, "alice", 5)); /* so this can fail */
	absent(k, was.key, 16);
	absent(k, w->conf.key, 16);
	absent(k, k->delivery, sizeof(k->delivery));
	absent(k, e2e, n);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_by_state),
		cmocka_unit_test(test_raw_messages),
		TEST(test_nothing_before_hello),
		TEST(test_open),
		TEST(test_proof_is_good),
		TEST(test_proof_for_keys_is_always_sealed),
		TEST(test_proof_refused),
		TEST(test_proof_for_a_login),
		TEST(test_REQ_W_3_3_leave_gives_a_receipt),
		TEST(test_REQ_WC_4_3_channel_gone_erases),
		TEST(test_REQ_W_3_no_key_on_the_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
