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
	return kmf_unseal_by(key, 32, k->root->data, conf, &s);
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
kmf_signing_key_make(
    struct db *db, const uint8_t *root, const char *use, int64_t now_ms)
{
	struct db_signing_key row = { .created_ms = now_ms };
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
	if ((r = perc_unseal(text->data, k->root->data, row->kid,
		 strlen(row->kid), row->sealed.data, row->sealed.len)) == 0) {
		perc_jwk_free(*kp);
		*kp = NULL;
		r = perc_jwk_from_json(kp, (char *)text->data, n, false);
	}
	perc_secret_free(text);
	return r;
}

int
kmf_keys_jwks(char **textp, struct db *db, const char *base)
{
	struct db_signing_key *list = NULL;
	json_t *v = NULL, *keys;
	size_t i, n;
	int r;

	if ((r = db_signing_key_list(db, &list, &n)) != 0)
		return r;
	r = PERC_ERR_NOMEM;
	if ((v = json_pack("{s:s, s:[]}", "issuer", base, "keys")) == NULL)
		goto out;
	keys = json_object_get(v, "keys");
	for (i = 0; i < n; i++)
		if (json_array_append_new(
			keys, json_loads(list[i].public_jwk, 0, NULL)) != 0)
			goto out;
	if ((*textp = perc_json_text(v)) != NULL)
		r = 0;
out:
	json_decref(v);
	free(list);
	return r;
}

int
kmf_keys_load(struct kmf_keeper *k, char *why, size_t cap)
{
	struct db_signing_key *list = NULL;
	size_t i, n = 0;
	int r;

	if ((r = db_signing_key_list(k->db, &list, &n)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		if (list[i].retired_ms == 0)
			r = signer_open(k, &list[i]);
	free(list);
	if (r == PERC_ERR_AUTH)
		snprintf(why, cap,
		    "the root key is not the one of this database; use the "
		    "root.key that stood beside it");
	if (r == 0 && (k->token_key == NULL || k->statement_key == NULL)) {
		snprintf(why, cap,
		    "the database has no signing keys; run perch-kmf init");
		r = PERC_ERR_NOTFOUND;
	}
	return r != 0 ? r : kmf_keys_jwks(&k->jwks, k->db, k->base);
}
