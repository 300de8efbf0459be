/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Epochs: made, stored sealed, pushed. One statement is signed for all; each
 * member's copy of the key is sealed with the key that its vault and we
 * agreed, so a rekey costs one signature and one AES operation per member.
 * The key replaced is destroyed in the same transaction (RFC 8871, 8.3).
 */
#include "kmf/keeper_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "perc/b64.h"

uint32_t
kmf_epoch_ttl(const struct kmf_policy *p)
{
	return p->max_epoch_age_s;
}

const char *
kmf_epoch_cipher(const struct kmf_policy *p)
{
	return p->aes256 ? "AESKW256" : "AESKW128";
}

const char *
kmf_epoch_profile(const struct kmf_policy *p)
{
	return p->aes256 ? "000A" : "0009";
}

static void
keyid_put(struct kmf_epoch_key *e, const char *conf, uint32_t epoch)
{
	snprintf(e->keyid, sizeof(e->keyid), "%s.%" PRIu32, conf, epoch);
}

static int
epoch_store(struct kmf_room *o, const struct kmf_epoch_key *e)
{
	struct db_epoch row = {
		.epoch = o->r.epoch, .spi = e->spi, .made_ms = o->k->now_ms
	};
	uint8_t key[32];
	int r;

	memcpy(row.conf, o->c->id, sizeof(row.conf));
	if ((r = kmf_conf_key_get(o->k, o->c->id, key)) == 0 &&
	    (r = kmf_seal_by(&row.key, key, e->keyid, e->octets, e->len)) ==
		0 &&
	    (r = db_epoch_add(o->k->db, &row)) == 0)
		r = db_epoch_wipe(o->k->db, o->c->id, row.epoch);
	perc_wipe(key, sizeof(key));
	return r;
}

/* Why this epoch is made. What waited for the end of a window was a leave,
 * or an eviction right behind another epoch. */
static const char *
cause(const struct kmf_room *o)
{
	if (o->cause != NULL)
		return o->cause;
	return o->r.rekey_ms != 0 ? "leave" : "age";
}

int
kmf_epoch_make(struct kmf_room *o)
{
	const char *why = cause(o);
	struct kmf_epoch_key e = { 0 };
	int r;

	o->cause = NULL;
	kmf_rekey_made(&o->r, o->k->now_ms);
	e.keylen = o->p.aes256 ? 32 : 16;
	e.len = e.keylen + PERC_EKT_SALT_LEN;
	e.spi = kmf_rekey_spi(&o->r, o->r.epoch);
	keyid_put(&e, o->c->id, o->r.epoch);
	perc_random(e.octets, e.len);
	r = epoch_store(o, &e);
	perc_wipe(&e, sizeof(e));
	if (r != 0 ||
	    (r = kmf_audit(o->k, KMF_AUDIT_EPOCH, "", o->c->id, "",
		 json_pack("{s:i, s:i, s:i, s:s}", "epoch", (int)o->r.epoch,
		     "spi", (int)e.spi, "members", (int)o->live, "cause",
		     why))) != 0)
		return r;
	o->k->scrub_soon = true;
	o->k->count.epochs++;
	return kmf_epoch_push(o);
}

int
kmf_epoch_get(struct kmf_room *o, struct kmf_epoch_key *e)
{
	struct db_epoch row;
	uint8_t key[32];
	int r;

	memset(e, 0, sizeof(*e));
	if ((r = db_epoch_find(o->k->db, &row, o->c->id, o->r.epoch)) != 0 ||
	    (r = kmf_conf_key_get(o->k, o->c->id, key)) != 0)
		return r;
	e->spi = row.spi;
	keyid_put(e, o->c->id, o->r.epoch);
	e->keylen = row.key.len == 32 + PERC_EKT_SALT_LEN + PERC_SEAL_OVERHEAD
	    ? 32
	    : 16;
	e->len = e->keylen + PERC_EKT_SALT_LEN;
	r = kmf_unseal_by(e->octets, e->len, key, e->keyid, &row.key);
	perc_wipe(key, sizeof(key));
	if (r != 0)
		perc_wipe(e, sizeof(*e));
	return r;
}

/* The statement that all members get alike. */
static int
statement_sign(char **textp, struct kmf_room *o, const struct kmf_epoch_key *e)
{
	char hash_text[PERC_B64_LEN(PERC_SHA256_LEN) + 1];
	uint8_t hash[PERC_SHA256_LEN];
	json_t *v;
	int r;

	if ((r = perc_sha256(hash, e->octets, e->len)) != 0)
		return r;
	perc_b64_put(hash_text, hash, sizeof(hash));
	v = json_pack("{s:s, s:I, s:s, s:I, s:i, s:s, s:s, s:s, s:I, s:s}",
	    "iss", o->k->base, "iat", (json_int_t)(o->k->now_ms / 1000),
	    "conference", o->c->id, "epoch", (json_int_t)o->r.epoch, "spi",
	    (int)e->spi, "keyid", e->keyid, "cipher",
	    e->keylen == 32 ? "AESKW256" : "AESKW128", "profile",
	    e->keylen == 32 ? "000A" : "0009", "ttl",
	    (json_int_t)kmf_epoch_ttl(&o->p), "key_hash", hash_text);
	if (v == NULL)
		return PERC_ERR_NOMEM;
	r = perc_jws_sign(
	    textp, o->k->statement_key, "perch-epoch+jwt", v, false);
	json_decref(v);
	return r;
}

/* What all pushes of one epoch share. */
struct push {
	struct kmf_room *o;
	struct kmf_epoch_key e;
	uint8_t conf_key[32];
	char aad[96]; /* but for the member */
	char *statement;
};

static int
push_init(struct push *p, struct kmf_room *o)
{
	int r;

	memset(p, 0, sizeof(*p));
	p->o = o;
	snprintf(p->aad, sizeof(p->aad), "perch-epoch|%s|%" PRIu32 "|",
	    o->c->id, o->r.epoch);
	if ((r = kmf_epoch_get(o, &p->e)) != 0 ||
	    (r = kmf_conf_key_get(o->k, o->c->id, p->conf_key)) != 0)
		return r;
	return statement_sign(&p->statement, o, &p->e);
}

static void
push_clear(struct push *p)
{
	perc_json_free(p->statement);
	perc_wipe(p, sizeof(*p));
}

/* What is this member's own in the event: ,"sealed":"..."; nothing for a
 * plain-form client, which has no such key. */
#define OWN_MAX                                                                \
	(PERC_B64_LEN(                                                         \
	     PERC_EKT_KEY_MAX + PERC_EKT_SALT_LEN + PERC_SEAL_OVERHEAD) +      \
	    16)

static int
own_put(char out[static OWN_MAX], size_t *np, const struct push *p,
    const struct kmf_stream *s)
{
	static const char name[] = ",\"sealed\":\"";
	uint8_t sealed[sizeof(p->e.octets) + PERC_SEAL_OVERHEAD];
	char aad[128];
	size_t n;
	int r;

	*np = 0;
	if (!s->keyed)
		return 0;
	n = (size_t)snprintf(aad, sizeof(aad), "%s%s", p->aad, s->member);
	if ((r = perc_seal(
		 sealed, s->delivery, aad, n, p->e.octets, p->e.len)) != 0)
		return r;
	memcpy(out, name, sizeof(name) - 1);
	perc_b64_put(
	    out + sizeof(name) - 1, sealed, p->e.len + PERC_SEAL_OVERHEAD);
	n = strlen(out);
	out[n] = '"';
	*np = n + 1;
	return 0;
}

/* held 0: the first key is on the way in an answer, not here. */
static int
push_to(struct push *p, struct kmf_stream *s)
{
	char own[OWN_MAX];
	size_t n;
	int r;

	if ((r = kmf_stream_look(p->o->k, s, p->conf_key)) != 0 ||
	    !s->listens || (r = own_put(own, &n, p, s)) != 0)
		return r;
	p->o->k->count.pushes++;
	return kmf_push_to(s, own, n);
}

/* Nothing in it needs an escape: numbers and base64url. */
static int
push_send(struct push *p, int r)
{
	struct kmf_push e = { .event_id = (uint64_t)p->o->c->event_no,
		.name = "epoch",
		.tail = "}" };
	char head[4096];
	int n = 0;

	if (r == 0) {
		n = snprintf(head, sizeof(head),
		    "{\"epoch\":%" PRIu32 ",\"statement\":\"%s\"",
		    p->o->r.epoch, p->statement);
		if (n < 0 || (size_t)n >= sizeof(head))
			r = PERC_ERR_LIMIT;
	}
	e.head = head;
	return kmf_push_send(p->o->k, r, &e);
}

int
kmf_epoch_push(struct kmf_room *o)
{
	struct kmf_stream *s;
	struct push p;
	int r;

	o->c->event_no++;
	r = push_init(&p, o);
	for (s = kmf_stream_first(o->k, o->c->id); r == 0 && s != NULL;
	     s = kmf_stream_next(s))
		r = push_to(&p, s);
	r = push_send(&p, r);
	push_clear(&p);
	return r;
}

int
kmf_epoch_push_one(struct kmf_room *o, struct kmf_stream *s)
{
	struct push p;
	int r;

	if ((r = push_init(&p, o)) == 0)
		r = push_to(&p, s);
	r = push_send(&p, r);
	push_clear(&p);
	return r;
}
