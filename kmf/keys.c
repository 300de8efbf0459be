/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Keys at rest. The root key opens signing keys and conference keys, a
 * conference key opens that conference's epochs and delivery keys. The
 * additional data of each seal names its place, so that a row copied to
 * another place does not open there.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/control.h"
#include "perc/b64.h"

int
kmf_seal_by(struct db_sealed *out, const uint8_t *key, const char *aad,
    const void *in, size_t n)
{
	if (n + PERC_SEAL_OVERHEAD > sizeof(out->data))
		return PERC_ERR_LIMIT;
	out->len = n + PERC_SEAL_OVERHEAD;
	return perc_seal(out->data, key, aad, strlen(aad), in, n);
}

int
kmf_unseal_by(void *out, size_t n, const uint8_t *key, const char *aad,
    const struct db_sealed *in)
{
	if (in->len != n + PERC_SEAL_OVERHEAD)
		return PERC_ERR_NOTFOUND;
	return perc_unseal(out, key, aad, strlen(aad), in->data, in->len);
}

int
kmf_root_seal(struct kmf_keeper *k, uint8_t *out, const char *aad,
    const void *in, size_t n)
{
	return perc_seal(out, k->root->data, aad, strlen(aad), in, n);
}

int
kmf_root_unseal(struct kmf_keeper *k, uint8_t *out, const char *aad,
    const uint8_t *in, size_t n)
{
	int r;

	r = perc_unseal(out, k->root->data, aad, strlen(aad), in, n);
	if (r == PERC_ERR_AUTH && k->root_old != NULL)
		r = perc_unseal(
		    out, k->root_old->data, aad, strlen(aad), in, n);
	return r;
}

int
kmf_conf_key_new(struct kmf_keeper *k, const char *conf, uint8_t key[static 32])
{
	struct db_sealed s;
	int r;

	perc_random(key, 32);
	if ((r = kmf_seal_by(&s, k->root->data, conf, key, 32)) == 0)
		r = db_conf_key_put(k->db, conf, &s);
	if (r != 0)
		perc_wipe(key, 32);
	return r;
}

int
kmf_conf_key_get(struct kmf_keeper *k, const char *conf, uint8_t key[static 32])
{
	struct db_sealed s;
	int r;

	if ((r = db_conf_key_find(k->db, &s, conf)) != 0)
		return r;
	if (s.len != 32 + PERC_SEAL_OVERHEAD)
		return PERC_ERR_NOTFOUND;
	return kmf_root_unseal(k, key, conf, s.data, s.len);
}

/* A published key says what it is for: "use" is RFC 7517's. */
static int
public_json(char *out, size_t cap, const struct perc_jwk *key, const char *use,
    const char *kid)
{
	json_t *v = NULL;
	char *text = NULL;
	int r;

	if ((r = perc_jwk_public_json(&text, key)) != 0)
		return r;
	v = json_loads(text, 0, NULL);
	perc_json_free(text);
	text = NULL;
	r = PERC_ERR_NOMEM;
	if (v != NULL && json_object_set_new(v, "kid", json_string(kid)) == 0 &&
	    json_object_set_new(v, "use", json_string("sig")) == 0 &&
	    json_object_set_new(v, "alg", json_string("ES256")) == 0 &&
	    json_object_set_new(v, "perch_use", json_string(use)) == 0 &&
	    (text = perc_json_text(v)) != NULL)
		r = kmf_copy(out, cap, text);
	perc_json_free(text);
	json_decref(v);
	return r;
}

int
kmf_signing_key_make(struct db *db, const uint8_t *root, const char *use,
    int64_t now_ms, int64_t active_ms)
{
	struct db_signing_key row = { .created_ms = now_ms,
		.active_ms = active_ms };
	struct perc_jwk *key = NULL;
	char *text = NULL;
	int r;

	if ((r = perc_jwk_generate(&key)) != 0 ||
	    (r = perc_jwk_thumbprint(row.kid, key)) != 0 ||
	    (r = kmf_copy(row.use, sizeof(row.use), use)) != 0 ||
	    (r = public_json(row.public_jwk, sizeof(row.public_jwk), key, use,
		 row.kid)) != 0 ||
	    (r = perc_jwk_private_json(&text, key)) != 0)
		goto out;
	r = PERC_ERR_LIMIT;
	row.sealed.len = strlen(text) + PERC_SEAL_OVERHEAD;
	if (row.sealed.len > sizeof(row.sealed.data))
		goto out;
	if ((r = perc_seal(row.sealed.data, root, row.kid, strlen(row.kid),
		 text, strlen(text))) == 0)
		r = db_signing_key_add(db, &row);
out:
	perc_json_free(text);
	perc_jwk_free(key);
	return r;
}

static int
signer_open(struct kmf_keeper *k, const struct db_signing_key *row)
{
	struct perc_jwk **kp =
	    strcmp(row->use, "token") == 0 ? &k->token_key : &k->statement_key;
	struct perc_secret *text = NULL;
	size_t n = row->sealed.len - PERC_SEAL_OVERHEAD;
	int r;

	if (row->sealed.len <= PERC_SEAL_OVERHEAD)
		return PERC_ERR_FORMAT;
	if ((r = perc_secret_new(&text, n)) != 0)
		return r;
	if ((r = kmf_root_unseal(k, text->data, row->kid, row->sealed.data,
		 row->sealed.len)) == 0) {
		perc_jwk_free(*kp);
		*kp = NULL;
		r = perc_jwk_from_json(kp, (char *)text->data, n, false);
	}
	perc_secret_free(text);
	return r;
}

/* One key as published, and what it does at present. */
static json_t *
key_json(const struct db_signing_key *list, size_t n,
    const struct db_signing_key *k, int64_t now_ms)
{
	json_t *v = json_loads(k->public_jwk, 0, NULL);
	const char *state = kmf_signing_key_state(list, n, k, now_ms);

	if (v != NULL &&
	    json_object_set_new(v, "perch_state", json_string(state)) == 0 &&
	    json_object_set_new(v, "perch_from", kmf_time_json(k->active_ms)) ==
		0 &&
	    (k->retired_ms == 0 ||
		json_object_set_new(v, "perch_until",
		    kmf_time_json(k->retired_ms + KMF_KEY_KEEP_MS)) == 0))
		return v;
	json_decref(v);
	return NULL;
}

int
kmf_keys_jwks(char **textp, struct db *db, const char *base, int64_t now_ms,
    bool past_too)
{
	json_t *v, *keys = json_array(), *past = json_array();
	struct db_signing_key *list = NULL;
	const char *state;
	size_t i, n;
	int r;

	if ((r = db_signing_key_list(db, &list, &n)) != 0)
		goto out;
	for (i = 0; i < n; i++) {
		state = kmf_signing_key_state(list, n, &list[i], now_ms);
		kmf_json_add(strcmp(state, "past") == 0 ? &past : &keys,
		    key_json(list, n, &list[i], now_ms));
	}
	r = PERC_ERR_NOMEM;
	v = keys != NULL && past != NULL
	    ? json_pack("{s:s, s:O, s:O*}", "issuer", base, "keys", keys,
		  "past", past_too && json_array_size(past) > 0 ? past : NULL)
	    : NULL;
	if (v != NULL && (*textp = perc_json_text(v)) != NULL)
		r = 0;
	json_decref(v);
out:
	json_decref(keys);
	json_decref(past);
	free(list);
	return r;
}

/* For the administrator to carry to MDDs and users' machines. */
void
kmf_keys_file_put(struct kmf_keeper *k)
{
	char *text = NULL;
	int r;

	if ((r = kmf_keys_jwks(
		 &text, k->db, k->base, k->clock(k->clock_arg), true)) == 0)
		r = kmf_control_put(k->dir, KMF_KEYS_FILE, 0644, text);
	if (r != 0)
		log_warnx("keys.file_failed file=%s why=\"%s\"", KMF_KEYS_FILE,
		    perc_strerror(r));
	perc_json_free(text);
}

static int
signers_open(struct kmf_keeper *k, const struct db_signing_key *list, size_t n,
    int64_t now_ms)
{
	const struct db_signing_key *t, *s;
	int r;

	t = kmf_signer_of(list, n, "token", now_ms);
	s = kmf_signer_of(list, n, "statement", now_ms);
	if (t == NULL || s == NULL)
		return PERC_ERR_NOTFOUND;
	if ((r = signer_open(k, t)) != 0)
		return r;
	return signer_open(k, s);
}

int
kmf_keys_load(struct kmf_keeper *k, char *why, size_t cap)
{
	int64_t now = k->clock(k->clock_arg);
	struct db_signing_key *list = NULL;
	size_t n = 0;
	int r;

	if ((r = db_signing_key_list(k->db, &list, &n)) != 0)
		return r;
	r = signers_open(k, list, n, now);
	free(list);
	if (r == PERC_ERR_AUTH)
		snprintf(why, cap,
		    "the root key is not the one of this database; use the "
		    "root.key that stood beside it");
	if (r == PERC_ERR_NOTFOUND)
		snprintf(why, cap,
		    "the database has no signing keys; run perch-kmf init");
	return r != 0 ? r : kmf_keys_jwks(&k->jwks, k->db, k->base, now, false);
}
