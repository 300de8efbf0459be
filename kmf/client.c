/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Calendar systems, operators, auditors: clients that sign an assertion with
 * a key of their own (RFC 7523). The administrator at the machine adds and
 * disables them while the KMF runs; every use looks the row up, so that a
 * disabled one is out at once, whatever token it has.
 */
#include <stdio.h>
#include <string.h>

#include "kmf/control.h"
#include "kmf/intake.h"
#include "kmf/keeper_int.h"

#define ROLES "admin scheduler auditor"

/* Words of ROLES, each once, a blank between. */
static bool
scope_ok(const char *scope)
{
	char cut[DB_SCOPE_MAX];

	if (scope == NULL || scope[0] == '\0' || strlen(scope) >= DB_SCOPE_MAX)
		return false;
	kmf_scope_cut(cut, ROLES, scope);
	return strlen(cut) == strlen(scope);
}

/* Only the public half of what was sent is kept. */
static int
key_take(struct db_client *c, const json_t *args)
{
	char *text = perc_json_text(json_object_get(args, "jwk"));
	char *public = NULL;
	struct perc_jwk *key = NULL;
	int r = PERC_ERR_FORMAT;

	if (text == NULL ||
	    (r = perc_jwk_from_json(&key, text, strlen(text), true)) != 0)
		goto out;
	r = PERC_ERR_FORMAT;
	if (strcmp(perc_jwk_alg(key), "ES256") == 0 &&
	    (r = perc_jwk_public_json(&public, key)) == 0)
		r = kmf_copy(c->jwk, sizeof(c->jwk), public);
out:
	perc_json_free(public);
	perc_json_free(text);
	perc_jwk_free(key);
	return r;
}

static int
add(struct kmf_keeper *k, struct db_client *c, const json_t *args, char *text,
    size_t cap)
{
	const char *scope = perc_json_str(args, "scope");
	int r;

	if (!scope_ok(scope)) {
		snprintf(text, cap, "--scope: words of: " ROLES);
		return PERC_ERR_FORMAT;
	}
	if (key_take(c, args) != 0) {
		snprintf(text, cap, "the key is no P-256 JWK");
		return PERC_ERR_FORMAT;
	}
	memcpy(c->scope, scope, strlen(scope) + 1);
	c->created_ms = k->now_ms;
	if ((r = db_client_add(k->db, c)) == PERC_ERR_EXISTS)
		snprintf(text, cap, "there is a client %s already", c->id);
	if (r != 0)
		return r;
	snprintf(text, cap, "client %s may: %s", c->id, c->scope);
	return kmf_audit(k, KMF_AUDIT_CLIENT, "", "", c->id,
	    json_pack("{s:s, s:s}", "state", "added", "scope", c->scope));
}

static int
disable(struct kmf_keeper *k, struct db_client *c, bool disabled, char *text,
    size_t cap)
{
	const char *state = disabled ? "disabled" : "enabled";
	int r;

	r = db_client_find(k->db, c, c->id);
	if (r == PERC_ERR_NOTFOUND)
		snprintf(text, cap, "there is no client %s", c->id);
	if (r != 0)
		return r;
	c->disabled = disabled;
	if ((r = db_client_put(k->db, c)) != 0)
		return r;
	snprintf(text, cap, "client %s is %s", c->id, state);
	return kmf_audit(k, KMF_AUDIT_CLIENT, "", "", c->id,
	    json_pack("{s:s}", "state", state));
}

static int
change(struct kmf_keeper *k, const json_t *args, char *text, size_t cap)
{
	const char *name = perc_json_str(args, "name");
	const char *what = perc_json_str(args, "what");
	struct db_client c = { 0 };

	if (name == NULL || what == NULL || !kmf_client_id_ok(name) ||
	    kmf_copy(c.id, sizeof(c.id), name) != 0) {
		snprintf(text, cap,
		    "a name has letters, digits, - _ and ., at most %d",
		    DB_CLIENT_MAX - 1);
		return PERC_ERR_FORMAT;
	}
	if (strcmp(what, "add") == 0)
		return add(k, &c, args, text, cap);
	return disable(k, &c, strcmp(what, "disable") == 0, text, cap);
}

int
kmf_client_change(
    struct kmf_keeper *k, const json_t *args, char *text, size_t cap)
{
	int r;

	if (db_in_transaction(k->db))
		return PERC_ERR_STATE;
	if ((r = kmf_turn_begin(k)) == 0 &&
	    (r = change(k, args, text, cap)) == 0 &&
	    (r = kmf_turn_commit(k)) == 0)
		return 0;
	if (db_in_transaction(k->db))
		db_rollback(k->db);
	return r;
}
