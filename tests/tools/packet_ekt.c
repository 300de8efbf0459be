/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of EKT. ekt_process is RFC 8870 section 4.3.2 read strictly, for
 * it sees no inner tag that could prove an Epoch: what perc/double.h does
 * otherwise, and why, stands in docs/ekt.md.
 */
#include "tests/tools/packet.h"

#include <string.h>

#include "perc/b64.h"
#include "perc/ekt.h"
#include "perc/rtp.h"
#include "perc/tail.h"

#define PROCESS_MAX	  100000 /* packets */
#define PROCESS_SSRCS_MAX 256
#define PROCESS_ACCEPT	  16

static int
set_add(struct perc_ekt *e, uint16_t spi, const struct bytes *key,
    const struct bytes *salt, enum perc_double_profile profile)
{
	struct perc_enckey k = { .keylen = key->n,
		.cipher = key->n == 16 ? PERC_AESKW128 : PERC_AESKW256,
		.profile = profile,
		.spi = spi };

	memcpy(k.key, key->p, key->n);
	memcpy(k.salt, salt->p, sizeof(k.salt));
	return perc_ekt_add(e, &k, INT64_MAX);
}

int
op_ekt_full(struct req *q)
{
	static const struct bytes no_salt;
	uint8_t field[PERC_EKT_FIELD_MAX];
	struct bytes ekt_key, srtp_key;
	struct perc_ekt *e = NULL;
	uint32_t ssrc, roc;
	uint16_t spi, epoch;
	size_t n;
	int r;

	req_key(q, "ekt_key", &ekt_key, 16, 32);
	req_key(q, "srtp_key", &srtp_key, 16, 32);
	ssrc = (uint32_t)req_int(q, "ssrc", 0, UINT32_MAX);
	roc = (uint32_t)req_int(q, "roc", 0, UINT32_MAX);
	spi = (uint16_t)req_int(q, "spi", 0, UINT16_MAX);
	epoch = (uint16_t)req_int(q, "epoch", 0, UINT16_MAX);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = perc_ekt_new(&e)) != 0 ||
	    (r = set_add(e, spi, &ekt_key, &no_salt,
		 srtp_key.n == 16 ? PERC_DOUBLE_128 : PERC_DOUBLE_256)) != 0 ||
	    (r = perc_ekt_full(e, spi, epoch, srtp_key.p, srtp_key.n, ssrc, roc,
		 field, &n)) != 0)
		goto out;
	ans_bytes(q, "field", field, n);
out:
	perc_ekt_free(e);
	return r;
}

struct source { /* what one SSRC has installed */
	uint32_t ssrc;
	bool installed;
	struct perc_ekt_plain key;
	uint16_t spi;
	struct perc_epochs epochs;
};

struct process {
	struct perc_ekt *e;
	uint8_t salt[PERC_EKT_SETS_MAX][PERC_EKT_SALT_LEN];
	uint16_t spi[PERC_EKT_SETS_MAX];
	unsigned nsets, nsources, naccept;
	size_t accept[PROCESS_ACCEPT];
	struct source source[PROCESS_SSRCS_MAX];
};

static int
sets_get(struct req *q, struct process *p)
{
	const json_t *sets = req_array(q, "sets", PERC_EKT_SETS_MAX), *accept;
	struct bytes key, salt;
	size_t i;
	int r;

	for (i = 0; i < json_array_size(sets); i++) {
		struct req s = { .in = json_array_get(sets, i) };

		p->spi[i] = (uint16_t)req_int(&s, "spi", 0, UINT16_MAX);
		req_key(&s, "key", &key, 16, 32);
		/* step 4: of a longer salt the first octets count */
		req_bytes(&s, "salt", &salt, PERC_EKT_SALT_LEN, 256);
		if (s.bad) {
			q->bad = true;
			return PERC_ERR_INVAL;
		}
		memcpy(p->salt[i], salt.p, sizeof(p->salt[i]));
		if ((r = set_add(
			 p->e, p->spi[i], &key, &salt, PERC_DOUBLE_128)) != 0)
			return r;
		p->nsets++;
	}
	accept = req_array(q, "accept", PROCESS_ACCEPT);
	for (i = 0; i < json_array_size(accept); i++) {
		if (!json_is_integer(json_array_get(accept, i)))
			q->bad = true;
		p->accept[p->naccept++] =
		    (size_t)json_integer_value(json_array_get(accept, i));
	}
	return q->bad ? PERC_ERR_INVAL : 0;
}

static struct source *
source_find(struct process *p, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < p->nsources; i++)
		if (p->source[i].ssrc == ssrc)
			return &p->source[i];
	if (p->nsources == PROCESS_SSRCS_MAX)
		return NULL;
	p->source[p->nsources].ssrc = ssrc;
	return &p->source[p->nsources++];
}

static bool
length_accepted(const struct process *p, size_t n)
{
	unsigned i;

	for (i = 0; i < p->naccept; i++)
		if (p->accept[i] == n)
			return true;
	return false;
}

/* Is the packet to be processed further? */
static bool
full_process(struct process *p, const struct perc_tail *t, uint32_t ssrc)
{
	struct perc_ekt_plain key;
	struct source *s;

	/* steps 2 and 3: SPI not known, ciphertext does not unwrap: drop */
	if (perc_ekt_open(
		p->e, t->spi, t->ciphertext, t->ciphertext_len, &key) != 0)
		return false;
	if (key.ssrc != ssrc)
		return true; /* step 5: the field alone is discarded */
	if (!length_accepted(p, key.keylen))
		return false; /* step 6 */
	if ((s = source_find(p, ssrc)) == NULL)
		return false;
	/* section 4.1: not a higher Epoch, no new key; the packet is fine */
	if (perc_epochs_check(&s->epochs, t->spi, t->epoch) != 0)
		return true;
	perc_epochs_commit(&s->epochs, t->spi, t->epoch);
	s->key = key;
	s->spi = t->spi;
	s->installed = true;
	return true;
}

static bool
packet_process(struct process *p, struct bytes *b)
{
	struct perc_tail t;
	struct perc_rtp h;

	if (perc_pkt_kind(b->p, b->n) == PERC_PKT_RTCP)
		return true; /* carries no field */
	if (perc_tail_find(&t, b->p, b->n) != 0)
		return false;
	b->n -= t.len;
	if (perc_rtp_parse(&h, b->p, b->n) != 0)
		return false;
	return t.type != PERC_TAIL_FULL || full_process(p, &t, h.ssrc);
}

static json_t *
installed_json(const struct process *p)
{
	const struct source *s;
	json_t *all = json_object();
	char name[9];
	uint8_t be[4];
	unsigned i, j;

	for (i = 0; i < p->nsources; i++) {
		s = &p->source[i];
		for (j = 0; j < p->nsets && p->spi[j] != s->spi; j++)
			;
		if (!s->installed || j == p->nsets)
			continue;
		be[0] = (uint8_t)(s->ssrc >> 24);
		be[1] = (uint8_t)(s->ssrc >> 16);
		be[2] = (uint8_t)(s->ssrc >> 8);
		be[3] = (uint8_t)s->ssrc;
		perc_hex_put(name, be, sizeof(be));
		(void)json_object_set_new(all, name,
		    json_pack("{s:o, s:o, s:I}", "key",
			hex_json(s->key.key, s->key.keylen), "salt",
			hex_json(p->salt[j], sizeof(p->salt[j])), "roc",
			(json_int_t)s->key.roc));
	}
	return all;
}

int
op_ekt_process(struct req *q)
{
	static struct process p;
	static struct bytes b;
	const json_t *packets;
	json_t *results = NULL, *one;
	size_t i;
	bool accepted;
	int r;

	memset(&p, 0, sizeof(p));
	packets = req_array(q, "packets", PROCESS_MAX);
	for (i = 0; !q->bad && i < json_array_size(packets); i++)
		q->bad =
		    !hex_get(json_array_get(packets, i), &b, 0, PACKET_MAX);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = perc_ekt_new(&p.e)) != 0 || (r = sets_get(q, &p)) != 0)
		goto out;
	results = json_array();
	for (i = 0; i < json_array_size(packets); i++) {
		if (!hex_get(json_array_get(packets, i), &b, 0, PACKET_MAX))
			continue;
		accepted = packet_process(&p, &b);
		one = json_pack("{s:b, s:o, s:o}", "accepted", accepted, "srtp",
		    accepted ? hex_json(b.p, b.n) : json_null(), "installed",
		    installed_json(&p));
		(void)json_array_append_new(results, one);
	}
	ans_json(q, "results", results);
out:
	perc_ekt_free(p.e);
	return r;
}

int
op_ekt_key_parse(struct req *q)
{
	struct perc_enckey k;
	struct bytes body;
	int r;

	req_bytes(q, "body", &body, 0, 1024);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = perc_ektkey_get(&k, body.p, body.n)) != 0)
		return r;
	ans_bytes(q, "key", k.key, k.keylen);
	ans_bytes(q, "salt", k.salt, sizeof(k.salt));
	ans_int(q, "spi", k.spi);
	ans_int(q, "ttl", k.ttl_s);
	return 0;
}

int
op_encryption_key_parse(struct req *q)
{
	const json_t *value = json_object_get(q->in, "value");
	struct perc_enckey k[PERC_ENCKEY_MAX];
	json_t *keys;
	size_t n = 0, i;
	int r;

	if (!json_is_string(value)) {
		q->bad = true;
		return PERC_ERR_INVAL;
	}
	if ((r = perc_enckey_parse(k, &n, json_string_value(value),
		 json_string_length(value))) != 0)
		return r;
	keys = json_array();
	for (i = 0; i < n; i++)
		(void)json_array_append_new(keys,
		    json_pack("{s:s, s:s, s:o, s:s, s:i, s:o, s:I, s:s}",
			"keyid", k[i].keyid, "usage", "EKT", "key",
			hex_json(k[i].key, k[i].keylen), "cipher",
			k[i].cipher == PERC_AESKW128 ? "AESKW128" : "AESKW256",
			"spi", k[i].spi, "salt",
			hex_json(k[i].salt, sizeof(k[i].salt)), "ttl",
			(json_int_t)k[i].ttl_s, "profile",
			k[i].profile == PERC_DOUBLE_128 ? "0009" : "000A"));
	ans_json(q, "keys", keys);
	return 0;
}
