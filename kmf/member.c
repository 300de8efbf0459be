/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a member may ask, and what a scheduler may do to members. Every key
 * handed out is decided anew (RFC 8871, 8.3): the invitation that let the
 * member in must still stand.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

static int
lock_check(struct kmf_job *j)
{
	bool in;
	int r;

	r = kmf_decide_lock(j->k, &j->conf, j->me.iss, j->me.sub, &in);
	if (r != 0 || in)
		return r;
	return kmf_refuse(j, 403, "locked",
	    "the conference is locked; ask a host to unlock it");
}

/* May this member have a key now? Refuses or leaves the status at 0. */
static int
door_check(struct kmf_job *j)
{
	int64_t opens, now = j->k->now_ms;
	int r;

	if (j->conf.state == DB_CONF_ENDED || now >= j->conf.ends_ms)
		return kmf_refuse(j, 410, "ended", "the conference is over");
	r = kmf_decide_member(j->k, &j->conf, &j->me);
	if (r == PERC_ERR_NOTFOUND)
		return kmf_not_found(j);
	if (r != 0)
		return r;
	opens = kmf_conf_opens_ms(&j->conf, &j->policy);
	if (now >= opens)
		return lock_check(j);
	j->a.retry_after_s = (uint32_t)((opens - now + 999) / 1000);
	return kmf_refuse(
	    j, 403, "too_early", "the door opens later; try again then");
}

/* The vault's sealing key out of the body; NULL for the plain form. */
static int
seal_to_get(struct kmf_job *j, struct perc_jwk **kp)
{
	char thumb[PERC_JKT_LEN + 1], why[96] = "", *text = NULL;
	const struct kmf_call *c = j->call;
	json_t *body = NULL;
	int r;

	if (c->body_len == 0) {
		if (c->arg == NULL || *c->arg == '\0')
			return 0;
		/* Somebody between the vault and us wants to read along. */
		return kmf_refuse(j, 400, "seal_mismatch",
		    "the proof has seal_jkt: send that key as seal_to");
	}
	/* Without a proof nobody vouches that the key is this endpoint's. */
	if (c->id.jkt[0] == '\0')
		return kmf_refuse(j, 400, "seal_mismatch",
		    "the sealed form needs a token bound to a DPoP key; send "
		    "no body for the plain form");
	if (perc_json_parse(&body, c->body, c->body_len, KMF_BODY_MAX, why,
		sizeof(why)) != 0 ||
	    (text = perc_json_text(json_object_get(body, "seal_to"))) == NULL ||
	    perc_jwk_from_json(kp, text, strlen(text), true) != 0 ||
	    strcmp(perc_jwk_alg(*kp), "ES256") != 0) {
		r = kmf_refuse(
		    j, 400, "invalid_request", "/seal_to: a public P-256 JWK");
		goto out;
	}
	if ((r = perc_jwk_thumbprint(thumb, *kp)) == 0 &&
	    strcmp(thumb, c->arg) != 0)
		r = kmf_refuse(j, 400, "seal_mismatch",
		    "seal_jkt of the proof is not the thumbprint of seal_to");
out:
	perc_json_free(text);
	json_decref(body);
	return r;
}

/* The key that later epochs are pushed under; made at the first need. */
static int
delivery_get(struct kmf_job *j, uint8_t key[static 32])
{
	struct db_member *m = &j->me;
	uint8_t conf_key[32];
	int r;

	if ((r = kmf_conf_key_get(j->k, j->conf.id, conf_key)) != 0)
		return r;
	if (m->delivery.len != 0)
		r = kmf_unseal_by(key, 32, conf_key, m->id, &m->delivery);
	else {
		perc_random(key, 32);
		r = kmf_seal_by(&m->delivery, conf_key, m->id, key, 32);
	}
	perc_wipe(conf_key, sizeof(conf_key));
	return r;
}

static json_t *
secret_json(const void *p, size_t n)
{
	char text[PERC_B64_LEN(64) + 1];
	json_t *v;

	perc_b64_put(text, p, n);
	v = json_string(text);
	perc_wipe(text, sizeof(text));
	return v;
}

static json_t *
sealed_claims(struct kmf_job *j, const struct kmf_room *o,
    const struct kmf_epoch_key *e, const uint8_t *delivery)
{
	int64_t now_s = j->k->now_ms / 1000;

	return json_pack(
	    "{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:o, "
	    "s:o, s:s, s:s, s:I, s:o, s:o, s:I, s:o, s:o}",
	    "iss", j->k->base, "aud", j->call->arg, "iat", (json_int_t)now_s,
	    "exp", (json_int_t)(now_s + KMF_SEALED_ANSWER_S), "conference",
	    j->conf.id, "member", j->me.id, "name", j->me.name, "usage", "EKT",
	    "keyid", e->keyid, "epoch", (json_int_t)o->r.epoch, "spi",
	    (int)e->spi, "key", secret_json(e->octets, e->keylen), "salt",
	    secret_json(e->octets + e->keylen, PERC_EKT_SALT_LEN), "cipher",
	    e->keylen == 32 ? "AESKW256" : "AESKW128", "profile",
	    e->keylen == 32 ? "000A" : "0009", "ttl",
	    (json_int_t)kmf_epoch_ttl(&o->p), "delivery_key",
	    secret_json(delivery, 32), "ssrcs", kmf_ssrcs_json(&j->me),
	    "roster_seq", (json_int_t)j->conf.roster_seq, "policy",
	    json_loads(j->conf.policy, 0, NULL), "media", kmf_media_json());
}

/* RFC 7519, 5.2: signed, then sealed to the vault. */
static int
answer_sealed(struct kmf_job *j, const struct kmf_room *o,
    const struct kmf_epoch_key *e, const struct perc_jwk *to)
{
	char *inner = NULL, *outer = NULL;
	uint8_t delivery[32];
	json_t *v = NULL;
	int r;

	if ((r = delivery_get(j, delivery)) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	if ((v = sealed_claims(j, o, e, delivery)) == NULL)
		goto out;
	if ((r = perc_jws_sign(&inner, j->k->statement_key, "perch-ekt+jwt", v,
		 false)) == 0 &&
	    (r = perc_jwe_seal(
		 &outer, to, "perch-ekt+jwt", inner, strlen(inner))) == 0)
		r = kmf_answer_text(j, 200, "application/jwt", outer);
out:
	json_decref(v);
	perc_json_free(inner);
	perc_json_free(outer);
	perc_wipe(delivery, sizeof(delivery));
	return r;
}

static int
answer_plain(
    struct kmf_job *j, const struct kmf_room *o, const struct kmf_epoch_key *e)
{
	struct perc_enckey k = { .keylen = e->keylen,
		.spi = e->spi,
		.ttl_s = kmf_epoch_ttl(&o->p) };
	int r;

	k.cipher = e->keylen == 32 ? PERC_AESKW256 : PERC_AESKW128;
	k.profile = e->keylen == 32 ? PERC_DOUBLE_256 : PERC_DOUBLE_128;
	memcpy(k.keyid, e->keyid, sizeof(k.keyid));
	memcpy(k.key, e->octets, e->keylen);
	memcpy(k.salt, e->octets + e->keylen, sizeof(k.salt));
	r = perc_enckey_print(
	    j->a.secret_header, sizeof(j->a.secret_header), &k);
	perc_wipe(&k, sizeof(k));
	j->a.status = 200;
	return r;
}

/* Who asks again for what he holds changes nothing but the record. */
static int
keys_given(struct kmf_job *j, const struct kmf_room *o, const char *form,
    size_t had_delivery)
{
	int r = 0;

	if (j->me.held != o->r.epoch || j->me.delivery.len != had_delivery) {
		j->me.held = o->r.epoch;
		kmf_stream_changed(j->k, j->me.id);
		r = db_member_put(j->k->db, &j->me);
	}
	return r != 0
	    ? r
	    : kmf_audit(j->k, KMF_AUDIT_KEY, j->me.id, j->conf.id, j->me.id,
		  json_pack(
		      "{s:i, s:s}", "epoch", (int)o->r.epoch, "form", form));
}

int
kmf_op_keys(struct kmf_job *j)
{
	struct kmf_epoch_key e = { 0 };
	struct db_conf was = j->conf;
	struct perc_jwk *to = NULL;
	struct kmf_room o;
	size_t had;
	int r;

	if ((r = door_check(j)) != 0 || j->a.status != 0 ||
	    (r = seal_to_get(j, &to)) != 0 || j->a.status != 0)
		goto out;
	if ((r = kmf_room_take(&o, j->k, &j->conf, &j->policy)) != 0)
		goto out;
	o.was = &was;
	if (j->me.state != DB_MEMBER_LIVE &&
	    ((r = kmf_budget_join(j, &o)) != 0 || j->a.status != 0))
		goto out;
	if ((r = kmf_room_join(&o, &j->me)) != 0)
		goto out;
	if (j->conf.state != DB_CONF_LIVE) {
		r = kmf_refuse(j, 410, "ended", "the conference is over");
		goto out;
	}
	had = j->me.delivery.len;
	if ((r = kmf_epoch_get(&o, &e)) != 0 ||
	    (r = to != NULL ? answer_sealed(j, &o, &e, to)
			    : answer_plain(j, &o, &e)) != 0)
		goto out;
	/* A stream that was open before had to miss this epoch's roster. */
	if (j->me.held == 0 && kmf_stream_has(j->k, j->me.id)) {
		o.r.roster_ms = j->k->now_ms + KMF_ROSTER_GAP_MS;
		if ((r = kmf_room_settle(&o, 0)) != 0)
			goto out;
	}
	r = keys_given(j, &o, to != NULL ? "sealed" : "plain", had);
out:
	if (r == 0 && j->a.status >= 400 && j->me.state == DB_MEMBER_LIVE)
		kmf_lag_refused(j->k, j->me.id, j->a.code);
	perc_wipe(&e, sizeof(e));
	perc_jwk_free(to);
	return r;
}

/* The receipt must be signed by the very key that the member has. */
static int
receipt_keep(struct kmf_job *j, const char *text)
{
	char thumb[PERC_JKT_LEN + 1], *jwk_text = NULL;
	struct perc_jws s = { 0 };
	struct perc_jwk *key = NULL;
	const char *reason;
	int64_t n = 0;
	int r;

	if ((r = perc_jws_peek(&s, text, strlen(text), PERC_JOSE_TOKEN_MAX)) !=
	    0)
		goto out;
	r = PERC_ERR_FORMAT;
	if ((jwk_text = perc_json_text(json_object_get(s.header, "jwk"))) ==
	    NULL)
		goto out;
	if ((r = perc_jwk_from_json(&key, jwk_text, strlen(jwk_text), true)) !=
		0 ||
	    (r = perc_jwk_thumbprint(thumb, key)) != 0)
		goto out;
	r = PERC_ERR_AUTH;
	if (strcmp(thumb, j->me.jkt) != 0)
		goto out;
	perc_jws_clear(&s);
	if ((r = perc_jws_verify(&s, text, strlen(text), PERC_JOSE_TOKEN_MAX,
		 key, "perch-receipt+jwt")) != 0)
		goto out;
	reason = perc_json_str(s.payload, "reason");
	if (perc_json_int(&n, s.payload, "keys_erased", 0, UINT32_MAX) != 0)
		n = -1;
	r = kmf_audit(j->k, KMF_AUDIT_RECEIPT, j->me.id, j->conf.id, j->me.id,
	    json_pack("{s:s, s:I}", "reason",
		reason != NULL && strlen(reason) < 64 ? reason : "",
		"keys_erased", (json_int_t)n));
out:
	perc_jws_clear(&s);
	perc_jwk_free(key);
	perc_json_free(jwk_text);
	return r;
}

/* Refuses one that is not this endpoint's; NULL: there is none. */
static int
receipt_take(struct kmf_job *j, const char *receipt)
{
	int r = receipt != NULL ? receipt_keep(j, receipt) : 0;

	if (r == 0 || r == PERC_ERR_SYS || r == PERC_ERR_NOMEM)
		return r;
	return kmf_refuse(
	    j, 400, "invalid_receipt", "/receipt: not signed by this endpoint");
}

int
kmf_op_lease_renew(struct kmf_job *j)
{
	int64_t held = 0, lease_ms = (int64_t)j->policy.lease_s * 1000;
	json_t *body = NULL;
	char why[96] = "";
	int r;

	if (j->conf.state == DB_CONF_ENDED)
		return kmf_refuse(j, 410, "ended", "the conference is over");
	if (j->me.state != DB_MEMBER_LIVE)
		return kmf_refuse(j, 409, "not_joined",
		    "the lease ran out; ask for the keys again");
	r = perc_json_parse(&body, j->call->body, j->call->body_len,
	    KMF_BODY_MAX, why, sizeof(why));
	if (r == 0)
		r = perc_json_int(&held, body, "epoch", 0, UINT32_MAX);
	if (r != 0)
		r = kmf_refuse(j, 400, "invalid_request",
		    "/epoch: the epoch you hold, 0 for none");
	else
		r = receipt_take(j, perc_json_str(body, "receipt"));
	json_decref(body);
	if (r != 0 || j->a.status != 0)
		return r;
	if (held > j->conf.epoch)
		held = j->conf.epoch;
	if ((held == 0) != (j->me.held == 0))
		kmf_stream_changed(j->k, j->me.id);
	if ((r = db_member_lease(
		 j->k->db, j->me.id, j->k->now_ms + lease_ms, held)) != 0)
		return r;
	return kmf_answer_json(j, 200,
	    json_pack("{s:i, s:I, s:I}", "expires_in", (int)j->policy.lease_s,
		"epoch", (json_int_t)j->conf.epoch, "roster_seq",
		(json_int_t)j->conf.roster_seq));
}

int
kmf_op_lease_end(struct kmf_job *j)
{
	json_t *body = NULL;
	struct kmf_room o;
	char why[96] = "";
	int r;

	if (j->call->body_len != 0) {
		if (perc_json_parse(&body, j->call->body, j->call->body_len,
			KMF_BODY_MAX, why, sizeof(why)) != 0)
			return kmf_refuse(
			    j, 400, "invalid_request", "the body: %s", why);
		r = receipt_take(j, perc_json_str(body, "receipt"));
		json_decref(body);
		if (r != 0 || j->a.status != 0)
			return r;
	}
	if (j->me.state == DB_MEMBER_LIVE &&
	    ((r = kmf_room_load(&o, j->k, &j->conf)) != 0 ||
		(r = kmf_room_leave(&o, &j->me, "left")) != 0))
		return r;
	j->a.status = 204;
	return 0;
}
