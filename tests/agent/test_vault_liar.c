/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A distributor that lies. It holds the hop keys of every leg, so whatever it
 * does to a packet passes the outer layer: MEDIA_IN is what it can put before
 * a vault, and each test is one lie there. Detected means counted and not
 * delivered, harmless means that only service is lost. Lies about rosters and
 * epochs are those of whoever relays them, the agent's own front included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/json.h"
#include "vaultroom.h"

#define CONF "c_liar"
#define HEAD 13 /* slot and RTP header in front of the ciphertext */

static int
setup(void **state)
{
	struct vaultroom *w = vaultroom_open(CONF, 3);

	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	*state = w;
	return 0;
}

/* The next packet of k's application, as the distributor gets it. */
static struct kit_msg
said(struct kit *k)
{
	struct kit_msg m;

	kit_app_send(k, VAULT_AUDIO, 111);
	assert_true(kit_wait(k, VAULT_MEDIA_OUT, 0, &m));
	return m;
}

/* Give it to k; true: something was opened. */
static bool
opens(struct kit *k, const struct kit_msg *m)
{
	int64_t before = kit_counter(k, CONF, "opened");

	kit_send_raw(k, VAULT_MEDIA_IN, m->data, m->len);
	return kit_counter(k, CONF, "opened") != before;
}

static struct kit_msg
copy_of(const struct kit_msg *m)
{
	struct kit_msg c = *m;

	c.data = malloc(m->len + 64);
	memcpy(c.data, m->data, m->len);
	return c;
}

/* Octets of the EKTField at the end. */
static size_t
field_len(const struct kit_msg *m)
{
	const uint8_t *end = m->data + m->len;

	return end[-1] == 0 ? 1 : (size_t)(end[-3] << 8 | end[-2]);
}

static void
rekey(struct vaultroom *w)
{
	unsigned i;

	kit_conf_rekey(&w->conf);
	for (i = 0; i < 3; i++)
		kit_push(w->m[i], &w->kmf, &w->conf);
	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
}

/* It drops every second packet: the others open, keys are there with the
 * first Full field that comes through. */
static void
test_drops_packets(void **state)
{
	struct vaultroom *w = *state;
	unsigned i, heard = 0;
	struct kit_msg m;

	for (i = 0; i < 20; i++) {
		m = said(w->m[0]);
		if (i % 2 == 1)
			heard += opens(w->m[1], &m);
		kit_msg_clear(&m);
	}
	assert_int_equal(heard, 10);
}

/* REQ-F-8.2.2a: it sends packets again, at once, after others, in another
 * order, and to one who was told of a new epoch since. */
static void
test_REQ_F_8_2_2a_replays(void **state)
{
	struct vaultroom *w = *state;
	struct kit_msg m[8];
	unsigned i, n = 0;

	for (i = 0; i < 8; i++) {
		m[i] = said(w->m[0]);
		assert_true(opens(w->m[1], &m[i]));
		assert_false(opens(w->m[1], &m[i]));
	}
	for (i = 8; i-- > 0;)
		n += opens(w->m[1], &m[i]);
	rekey(*state); /* the old key is still there */
	for (i = 0; i < 8; i++)
		n += opens(w->m[1], &m[i]);
	assert_int_equal(n, 0);
	assert_int_equal(kit_counter(w->m[1], CONF, "replayed"), 24);
	for (i = 0; i < 8; i++)
		kit_msg_clear(&m[i]);
}

/* REQ-F-8.2.2a: and to one who left and came again within the epoch. */
static void
test_REQ_F_8_2_2a_replays_to_who_came_again(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];
	struct kit_msg old = said(w->m[0]);
	char *jws;

	assert_true(opens(b, &old));
	assert_int_equal(kit_err(kit_call(b, VAULT_LEAVE, 1, CONF)), 0);
	kit_conf_rekey(&w->conf); /* a join is an epoch */
	kit_join(b, &w->kmf, &w->conf);
	jws = kit_roster(w->kmf.key, &w->conf, w->m, 3, NULL);
	assert_int_equal(kit_err(kit_call(b, VAULT_ROSTER, 2, CONF, jws)), 0);
	assert_false(opens(b, &old));
	kit_msg_clear(&old);
	free(jws);
}

/* REQ-F-8.2.4a: Alice's packet under Carol's SSRC, with her field and with
 * one of Carol's. */
static void
test_REQ_F_8_2_4a_swaps_ssrcs(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];
	struct kit_msg a, c = said(w->m[2]), lie;
	size_t body;

	w->m[0]->seq = 100; /* a number that Carol has not used */
	a = said(w->m[0]);
	assert_true(opens(b, &c));
	lie = copy_of(&a);
	memcpy(lie.data + 9, c.data + 9, 4);
	assert_false(opens(b, &lie));
	kit_msg_clear(&lie);
	lie = copy_of(&a);
	body = a.len - field_len(&a);
	memcpy(lie.data + 9, c.data + 9, 4);
	memcpy(lie.data + body, c.data + c.len - field_len(&c), field_len(&c));
	lie.len = body + field_len(&c);
	assert_false(opens(b, &lie));
	kit_msg_clear(&lie);
	assert_int_equal(kit_counter(b, CONF, "inner_auth_failed"), 2);
	assert_true(opens(b, &a)); /* Alice's own stream took no harm */
	kit_msg_clear(&a);
	kit_msg_clear(&c);
}

/* It puts what one packet said into another, of the same or another one. */
static void
test_REQ_F_8_2_1a_swaps_payloads(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];
	struct kit_msg one = said(w->m[0]), two = said(w->m[0]),
		       carol = said(w->m[2]), lie;

	assert_true(opens(b, &one));
	lie = copy_of(&two);
	memcpy(lie.data + HEAD, one.data + HEAD, 7 + 16); /* "alice n" */
	assert_false(opens(b, &lie));
	memcpy(lie.data + HEAD, carol.data + HEAD, 7 + 16);
	assert_false(opens(b, &lie));
	assert_true(opens(b, &two));
	kit_msg_clear(&one);
	kit_msg_clear(&two);
	kit_msg_clear(&carol);
	kit_msg_clear(&lie);
}

/* It renumbers: what RFC 8723 lets it is harmless (the original stands in the
 * OHB), a lie about the original is noticed. */
static void
test_renumbers(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];
	struct kit_msg a = said(w->m[0]), lie;
	size_t ohb = a.len - field_len(&a) - 1;

	lie = copy_of(&a);
	lie.data[4] ^= 5; /* SEQ, and nothing in the OHB */
	assert_false(opens(b, &lie));
	memmove(lie.data + ohb + 3, lie.data + ohb + 1, field_len(&a));
	lie.len += 2;
	lie.data[ohb] = a.data[3];
	lie.data[ohb + 1] = a.data[4] ^ 1; /* not the original */
	lie.data[ohb + 2] = 0x01;	   /* Q */
	assert_false(opens(b, &lie));
	lie.data[ohb + 1] = a.data[4];
	assert_true(opens(b, &lie));
	kit_msg_clear(&a);
	kit_msg_clear(&lie);
}

/* It lets nobody hear Carol: she is on the roster all the same, at all who
 * have it, and who speaks without being on it is not heard. */
static void
test_REQ_W_6_hides_a_member(void **state)
{
	struct vaultroom *w = *state;
	struct kit_msg m;
	json_t *st;
	unsigned i;

	for (i = 0; i < 10; i++) {
		m = said(w->m[2]); /* and it goes nowhere */
		kit_msg_clear(&m);
		m = said(w->m[0]);
		assert_true(opens(w->m[1], &m));
		kit_msg_clear(&m);
	}
	st = kit_status(w->m[1], CONF);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(st, "roster"), "members")),
	    3);
	assert_int_equal(json_array_size(json_object_get(st, "speaking")), 1);
	json_decref(st);
	assert_int_not_equal(kit_port(w->m[1], w->m[2]->ssrc[0]), 0);
}

/* It brings in a voice of its own, with a key that a member gave it: an SSRC
 * that the KMF did not assign. */
static void
test_REQ_F_8_2_1b_brings_in_a_stranger(void **state)
{
	struct vaultroom *w = *state;
	struct kit_msg m = said(w->m[0]);

	m.data[12] ^= 0x55;
	assert_false(opens(w->m[1], &m));
	assert_int_equal(kit_counter(w->m[1], CONF, "not_listed"), 1);
	assert_int_equal(kit_counter(w->m[1], CONF, "unwraps"), 0);
	kit_msg_clear(&m);
}

/* REQ-F-8.2.3a: it keeps a stream back. Within the overlap the packets are
 * late; after it they are nothing, and nobody asks for their key. */
static void
test_REQ_F_8_2_3a_delays_a_stream(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];
	struct kit_msg first = said(w->m[0]), late, later, wanted;

	assert_true(opens(b, &first));
	late = said(w->m[0]);
	later = said(w->m[0]);
	rekey(w);
	kit_settle(b, 300);
	assert_true(opens(b, &late));
	kit_settle(b, 1200); /* the kit's overlap is 1,000 ms */
	assert_false(opens(b, &later));
	assert_false(kit_take(b, VAULT_KEY_WANTED, &wanted));
	kit_msg_clear(&first);
	kit_msg_clear(&late);
	kit_msg_clear(&later);
}

/* It keeps a whole epoch's packets and plays them when that is over, to one
 * who never had them. */
static void
test_replays_an_old_epoch(void **state)
{
	struct vaultroom *w = *state;
	struct kit_msg m[10];
	unsigned i, n = 0;

	for (i = 0; i < 10; i++)
		m[i] = said(w->m[0]);
	rekey(w);
	kit_settle(w->m[1], 1200);
	for (i = 0; i < 10; i++) {
		n += opens(w->m[1], &m[i]);
		kit_msg_clear(&m[i]);
	}
	assert_int_equal(n, 0);
	assert_int_equal(vault_keys_held(&w->m[1]->vault->slots[0]), 1 + 1 + 2);
}

/* It plays packets of another conference that the same people are in. */
static void
test_mixes_conferences(void **state)
{
	struct vaultroom *w = *state;
	struct kit_conf other;
	struct kit_msg m = said(w->m[0]);

	kit_conf_init(&other, "c_other");
	other.spi = w->conf.spi; /* what it could at best arrange */
	assert_int_equal(kit_err(kit_call(w->m[1], VAULT_LEAVE, 1, CONF)), 0);
	kit_join(w->m[1], &w->kmf, &other);
	kit_roster_all(&w->kmf, &other, w->m + 1, 1);
	kit_send_raw(w->m[1], VAULT_MEDIA_IN, m.data, m.len);
	assert_int_equal(kit_counter(w->m[1], "c_other", "opened"), 0);
	kit_msg_clear(&m);
}

/* An old roster, which still has somebody who went, is shown again; one of
 * another conference too. */
static void
test_REQ_WC_4_8g_shows_an_old_roster(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];
	struct kit_conf other = w->conf;
	char *with, *without, *foreign;

	with = kit_roster(w->kmf.key, &w->conf, w->m, 3, NULL);
	without = kit_roster(w->kmf.key, &w->conf, w->m, 2, NULL);
	other.id = "c_other";
	foreign = kit_roster(w->kmf.key, &other, w->m, 3, NULL);
	assert_int_equal(kit_err(kit_call(b, VAULT_ROSTER, 2, CONF, with)), 0);
	assert_int_equal(
	    kit_err(kit_call(b, VAULT_ROSTER, 2, CONF, without)), 0);
	assert_int_equal(
	    kit_err(kit_call(b, VAULT_ROSTER, 2, CONF, with)), PERC_ERR_REPLAY);
	assert_int_not_equal(
	    kit_err(kit_call(b, VAULT_ROSTER, 2, CONF, foreign)), 0);
	assert_int_equal(kit_port(b, w->m[2]->ssrc[0]), 0);
	free(with);
	free(without);
	free(foreign);
}

/* An old epoch's statement and key are handed in again: no way back. */
static void
test_REQ_F_4_5e_hands_in_an_old_epoch(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];
	char *statement, *box, *jwe;

	kit_conf_rekey(&w->conf);
	statement = kit_statement(w->kmf.key, &w->conf, NULL);
	box = kit_sealed(&w->conf, b);
	jwe = kit_answer(&w->kmf, &w->conf, b, NULL);
	assert_int_equal(
	    kit_err(kit_call(b, VAULT_EPOCH, 3, CONF, statement, box)), 0);
	rekey(w);
	assert_int_equal(
	    kit_err(kit_call(b, VAULT_EPOCH, 3, CONF, statement, box)),
	    PERC_ERR_REPLAY);
	assert_int_not_equal(kit_err(kit_call(b, VAULT_KEY, 2, CONF, jwe)), 0);
	/* and Carol's copy is nobody else's */
	free(box);
	free(statement);
	kit_conf_rekey(&w->conf);
	statement = kit_statement(w->kmf.key, &w->conf, NULL);
	box = kit_sealed(&w->conf, w->m[2]);
	assert_int_not_equal(
	    kit_err(kit_call(b, VAULT_EPOCH, 3, CONF, statement, box)), 0);
	free(box);
	free(statement);
	free(jwe);
}

/* REQ-F-8.4a, as docs/THREATS.md says openly: whoever holds the EKT key can
 * speak as another member, if the distributor helps. Only "somebody in this
 * conference" is proven; this test shows that the sentence is true. */
static void
test_REQ_F_8_4a_a_member_can_forge_a_member(void **state)
{
	struct vaultroom *w = *state;
	struct perc_enckey k = { .spi = w->conf.spi,
		.keylen = w->conf.keylen,
		.ttl_s = 300,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.keyid = "c_liar.1" };
	uint8_t rtp[] = { 0x80, 111, 0x40, 0, 0, 0, 0, 9, 0, 0, 0, 0, 'n', 'o',
		't', ' ', 'm', 'e' };
	uint32_t ssrc = w->m[0]->ssrc[0];
	struct perc_double_tx *tx;
	struct perc_ekt *ekt;
	struct kit_msg m = { .data = malloc(256) };

	memcpy(k.key, w->conf.key, k.keylen);
	memcpy(k.salt, w->conf.salt, sizeof(k.salt));
	rtp[8] = (uint8_t)(ssrc >> 24);
	rtp[9] = (uint8_t)(ssrc >> 16);
	rtp[10] = (uint8_t)(ssrc >> 8);
	rtp[11] = (uint8_t)ssrc;
	assert_int_equal(perc_ekt_new(&ekt), 0);
	assert_int_equal(perc_ekt_add(ekt, &k, perc_boot_ms() + 60000), 0);
	assert_int_equal(
	    perc_double_tx_new(&tx, ekt, ssrc, PERC_FULL_AUDIO), 0);
	assert_int_equal(perc_double_tx_switch(tx, k.spi, perc_boot_ms()), 0);
	m.data[0] = 0; /* slot */
	assert_int_equal(perc_double_tx_seal(tx, perc_boot_ms(), rtp,
			     sizeof(rtp), m.data + 1, 255, &m.len),
	    0);
	m.len++;
	assert_true(opens(w->m[1], &m));
	kit_msg_clear(&m);
	perc_double_tx_free(tx);
	perc_ekt_free(ekt);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, vaultroom_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_drops_packets),
		TEST(test_REQ_F_8_2_2a_replays),
		TEST(test_REQ_F_8_2_2a_replays_to_who_came_again),
		TEST(test_REQ_F_8_2_4a_swaps_ssrcs),
		TEST(test_REQ_F_8_2_1a_swaps_payloads),
		TEST(test_renumbers),
		TEST(test_REQ_W_6_hides_a_member),
		TEST(test_REQ_F_8_2_1b_brings_in_a_stranger),
		TEST(test_REQ_F_8_2_3a_delays_a_stream),
		TEST(test_replays_an_old_epoch),
		TEST(test_mixes_conferences),
		TEST(test_REQ_WC_4_8g_shows_an_old_roster),
		TEST(test_REQ_F_4_5e_hands_in_an_old_epoch),
		TEST(test_REQ_F_8_4a_a_member_can_forge_a_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
