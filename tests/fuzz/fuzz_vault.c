/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile front: any sequence of messages, straight into the vault's
 * dispatch. Input is frames of type (1), length (2), payload; a payload that
 * begins with '@' names one of the good messages that we prepared, so that
 * the fuzzer reaches a live conference. Media that comes from within the
 * conference (sealed by a member) is made from the octets behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/b64.h"
#include "perc/json.h"
#include "perc/log.h"

#define BASE "https://kmf.test"
#define CONF "c_fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct {
	struct vault_config config;
	struct perc_jwk *key;
	struct perc_loop *loop;
	struct perc_ekt *ekt;
	struct perc_double_tx *tx;
	struct perc_enckey set;
	struct vault *vault; /* keys are dear: one for all runs */
	char *answer, *roster;
	int64_t made_s; /* answer and roster */
} w;

#define must(x)                                                                \
	do {                                                                   \
		if ((x) != 0)                                                  \
			abort();                                               \
	} while (0)

static void
world_make(void)
{
	struct vault_setup s = { .config = &w.config,
		.chan_fd = -1,
		.out_fd = -1,
		.out_base = 20000,
		.report = "{}" };
	char *pub, *set;

	perc_log_init("fuzz", "vault", 0, PERC_LOG_ERROR);
	must(perc_jwk_generate(&w.key));
	must(perc_jwk_public_json(&pub, w.key));
	must(asprintf(&set, "{\"keys\":[%s]}", pub) < 0);
	must(perc_jwks_from_json(&w.config.kmf[0].set, set, strlen(set)));
	w.config.kmf[0].url = strdup(BASE);
	w.config.nkmf = 1;
	must(perc_loop_new(&w.loop));
	perc_json_free(pub);
	free(set);
	w.set = (struct perc_enckey){ .keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = 7,
		.ttl_s = 300 };
	must(perc_ekt_new(&w.ekt));
	must(perc_ekt_add(w.ekt, &w.set, INT64_MAX));
	must(perc_double_tx_new(&w.tx, w.ekt, 77, PERC_FULL_AUDIO));
	must(perc_double_tx_switch(w.tx, 7, 1));
	memset(s.local_fd, 0xff, sizeof(s.local_fd));
	must(vault_new(&w.vault, w.loop, &s));
}

static char *
sign(const char *typ, json_t *claims)
{
	char *text;

	must(claims == NULL);
	must(perc_jws_sign(&text, w.key, typ, claims, false));
	json_decref(claims);
	return text;
}

static char *
answer_make(struct vault *v)
{
	char *jws, *jwe, key[64], salt[32], delivery[64];
	static const uint8_t zero[32];
	json_int_t now = (json_int_t)(perc_wall_ms() / 1000);

	perc_b64_put(key, w.set.key, 16);
	perc_b64_put(salt, w.set.salt, 12);
	perc_b64_put(delivery, zero, 32);
	jws = sign("perch-ekt+jwt",
	    json_pack(
		"{s:s,s:s,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:i,s:s,s:s,s:s,"
		"s:s,s:i,s:s,s:[{s:i,s:s}],s:i,s:{s:s,s:s},s:[{s:s,s:i,s:s}]}",
		"iss", BASE, "aud", v->seal_jkt, "iat", now, "exp", now + 60,
		"conference", CONF, "member", "m_a", "name", "A", "usage",
		"EKT", "keyid", "k.1", "epoch", (json_int_t)1, "spi", 7, "key",
		key, "salt", salt, "cipher", "AESKW128", "profile", "0009",
		"ttl", 300, "delivery_key", delivery, "ssrcs", "ssrc", 5,
		"media", "audio", "roster_seq", 0, "policy", "cipher",
		"AESKW128", "profile", "AEAD_AES_128_GCM", "media", "media",
		"audio", "pt", 111, "codec", "opus/48000/2"));
	must(perc_jwe_seal(&jwe, v->seal, "perch-ekt+jwt", jws, strlen(jws)));
	free(jws);
	return jwe;
}

static char *
roster_make(void)
{
	json_int_t now = (json_int_t)(perc_wall_ms() / 1000);

	return sign("perch-roster+jwt",
	    json_pack("{s:s,s:s,s:I,s:I,s:i,s:s,s:i,s:[{s:s,s:s,s:[{s:i,s:s}]}"
		      "]}",
		"iss", BASE, "conference", CONF, "iat", now, "exp", now + 75,
		"seq", 1, "prev", "", "epoch", 1, "members", "member", "m_b",
		"name", "B", "ssrcs", "ssrc", 77, "media", "audio"));
}

static void
give(struct vault *v, bool *ended, uint16_t type, const uint8_t *p, size_t n)
{
	struct perc_chan_msg m = { .type = type, .data = p, .len = n };

	if (!*ended)
		*ended = vault_input(v, &m) != 0;
}

static void
give_strs(
    struct vault *v, bool *ended, uint16_t type, const char *a, const char *b)
{
	static uint8_t buf[16384];
	struct perc_wire out;

	perc_wire_writer(&out, buf, sizeof(buf));
	perc_wire_put_str(&out, a);
	perc_wire_put_str(&out, b);
	must(perc_wire_end(&out));
	give(v, ended, type, buf, out.pos);
}

/* Plain RTP of the member 77 with this payload, well sealed. */
static void
give_media(struct vault *v, bool *ended, const uint8_t *p, size_t n)
{
	static uint16_t seq;
	uint8_t in[VAULT_PACKET_MAX] = { 0x80, 111 };
	uint8_t out[1 + VAULT_PACKET_MAX + PERC_DOUBLE_ROOM] = { 0 };
	size_t len;

	if (n > 1000)
		return;
	seq++;
	perc_double_tx_key_frame(w.tx); /* each vault is new */
	in[2] = (uint8_t)(seq >> 8);
	in[3] = (uint8_t)seq;
	in[11] = 77;
	if (n > 0) {
		in[1] = p[0];
		memcpy(in + 12, p, n);
	}
	if (perc_double_tx_seal(
		w.tx, 1, in, 12 + n, out + 1, sizeof(out) - 1, &len) == 0)
		give(v, ended, VAULT_MEDIA_IN, out, 1 + len);
}

static void
good(struct vault *v, bool *ended, const uint8_t *p, size_t n)
{
	switch (n == 0 ? 0 : p[0] % 5) {
	case 0:
		give_strs(v, ended, VAULT_OPEN, CONF, BASE);
		break;
	case 1:
		give_strs(v, ended, VAULT_KEY, CONF, w.answer);
		break;
	case 2:
		give_strs(v, ended, VAULT_ROSTER, CONF, w.roster);
		break;
	case 3:
		give_media(v, ended, p + 1, n - 1);
		break;
	default:
		give(v, ended, VAULT_HELLO, NULL, 0);
	}
}

/* Nothing of the run before is left. */
static struct vault *
vault_fresh(void)
{
	struct vault *v = w.vault;
	unsigned i;

	for (i = 0; i < VAULT_SLOTS; i++) {
		vault_slot_wipe(&v->slots[i]);
		v->slots[i].state = VAULT_SLOT_FREE;
	}
	memset(v->seen, 0, sizeof(v->seen));
	if (perc_wall_ms() / 1000 - w.made_s > 30) {
		free(w.answer);
		free(w.roster);
		w.answer = answer_make(v);
		w.roster = roster_make();
		w.made_s = perc_wall_ms() / 1000;
	}
	return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_wire in;
	const uint8_t *body;
	bool ended = false;
	struct vault *v;
	uint8_t type;
	size_t len;

	if (w.key == NULL)
		world_make();
	v = vault_fresh();
	perc_wire_reader(&in, p, n);
	while (perc_wire_left(&in) > 0 && !ended) {
		type = perc_wire_get_u8(&in);
		body = perc_wire_get_blob16(&in, &len);
		if (in.err != 0)
			break;
		if (len > 0 && body[0] == '@')
			good(v, &ended, body + 1, len - 1);
		else
			give(v, &ended, type, body, len);
	}
	vault_stop(v, "stopped");
	if (vault_keys_held(&v->slots[0]) != 0)
		abort();
	return 0;
}
