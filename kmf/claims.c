/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The rows, in the order of standards: RFC 9068 section 4, RFC 8725 section
 * 3. Each is a question about header and claims; the first "no" names itself.
 */
#include "kmf/claims.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "perc/jose.h"
#include "perc/json.h"

#define IAT_MAX_AGE_S 86400

const char *const kmf_algs_own[] = { "ES256", NULL };
const char *const kmf_algs_idp[] = { "RS256", "PS256", "ES256", NULL };
const char *const kmf_required_at[] = { "iss", "exp", "aud", "sub", "client_id",
	"iat", "jti", NULL };
const char *const kmf_required_id[] = { "iss", "exp", "aud", "sub", "iat",
	NULL };
const char *const kmf_required_assertion[] = { "iss", "exp", "aud", "sub",
	"jti", NULL };

bool
kmf_word_in(const char *list, const char *word)
{
	size_t n = strlen(word), len;

	while (*list != '\0') {
		len = strcspn(list, " ");
		if (len == n && n != 0 && strncmp(list, word, n) == 0)
			return true;
		list += len;
		list += strspn(list, " ");
	}
	return false;
}

static bool
is_size(const struct kmf_claims *c, const struct kmf_rules *r)
{
	return c->size <= PERC_JOSE_TOKEN_MAX && json_is_object(c->header) &&
	    json_is_object(c->payload);
}

static bool
one_of(const char *const *list, const char *word)
{
	size_t i;

	for (i = 0; word != NULL && list[i] != NULL; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

/* RFC 8725 3.1: from our list, never what the token wishes. */
static bool
is_alg(const struct kmf_claims *c, const struct kmf_rules *r)
{
	return r->typ == NULL ||
	    one_of(r->algs, perc_json_str(c->header, "alg"));
}

/* RFC 8725 3.2: one key, one algorithm. RSA without "alg" takes both of its
 * paddings, for providers publish it so. */
static bool
is_key(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const char *alg = perc_json_str(c->header, "alg");
	const char *kty = perc_json_str(r->key, "kty");
	const char *use = perc_json_str(r->key, "use");
	const char *its = perc_json_str(r->key, "alg");
	const char *want;

	if (r->key == NULL)
		return true;
	want = strcmp(alg, "ES256") == 0 ? "EC" : "RSA";
	return kty != NULL && strcmp(kty, want) == 0 &&
	    (its == NULL || strcmp(its, alg) == 0) &&
	    (use == NULL || strcmp(use, "sig") == 0);
}

/* RFC 9068 section 4, case-blind as its own example has at+JWT. */
static bool
is_typ(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const json_t *j = json_object_get(c->header, "typ");
	const char *typ = json_string_value(j);

	if (r->typ == NULL)
		return true;
	if (j == NULL)
		return strcasecmp(r->typ, "JWT") == 0;
	if (typ == NULL)
		return false;
	if (strncasecmp(typ, "application/", 12) == 0)
		typ += 12;
	return strcasecmp(typ, r->typ) == 0;
}

/* RFC 7515 4.1.11: we understand no extension. b64 (RFC 7797) is one. */
static bool
is_crit(const struct kmf_claims *c, const struct kmf_rules *r)
{
	return json_object_get(c->header, "crit") == NULL &&
	    json_object_get(c->header, "b64") == NULL;
}

static bool
is_required(const struct kmf_claims *c, const struct kmf_rules *r)
{
	size_t i;

	for (i = 0; r->required[i] != NULL; i++)
		if (json_object_get(c->payload, r->required[i]) == NULL)
			return false;
	return true;
}

static bool
is_iss(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const char *iss = perc_json_str(c->payload, "iss");

	return iss != NULL && r->iss != NULL && strcmp(iss, r->iss) == 0;
}

static bool
is_aud(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const json_t *aud = json_object_get(c->payload, "aud"), *one;
	size_t i;

	if (!json_is_string(aud) && !json_is_array(aud))
		return false;
	json_array_foreach(aud, i, one) if (!json_is_string(one)) return false;
	for (i = 0; i < 3; i++)
		if (r->aud[i] != NULL && r->aud[i][0] != '\0' &&
		    perc_json_has(c->payload, "aud", r->aud[i]))
			return true;
	return false;
}

/* OpenID Connect Core 3.1.3.7, 4 and 5. */
static bool
is_azp(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const json_t *aud = json_object_get(c->payload, "aud");
	const json_t *azp = json_object_get(c->payload, "azp");
	const char *text = json_string_value(azp);

	if (r->azp == NULL)
		return true;
	if (azp == NULL)
		return !json_is_array(aud) || json_array_size(aud) == 1;
	return text != NULL && strcmp(text, r->azp) == 0;
}

/* RFC 9068 2.2: the client the token was made for; azp is its old name. */
static bool
is_client(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const json_t *azp = json_object_get(c->payload, "azp");

	if (r->clients == NULL)
		return true;
	return one_of(r->clients, perc_json_str(c->payload, "client_id")) &&
	    (azp == NULL || one_of(r->clients, json_string_value(azp)));
}

/* A time: an integer (or a whole-numbered real) that is not absurd. */
static bool
time_get(int64_t *t, const json_t *payload, const char *name)
{
	return perc_json_int(t, payload, name, 1, (int64_t)1 << 40) == 0;
}

static bool
is_exp(const struct kmf_claims *c, const struct kmf_rules *r)
{
	int64_t exp;

	return time_get(&exp, c->payload, "exp") &&
	    c->now_s < exp + r->leeway_s;
}

/* Whether exp is a time at all, the row before has decided. */
static bool
is_life(const struct kmf_claims *c, const struct kmf_rules *r)
{
	int64_t exp = INT64_MAX;

	(void)time_get(&exp, c->payload, "exp");
	return r->max_life_s == 0 ||
	    exp <= c->now_s + r->max_life_s + r->leeway_s;
}

static bool
is_nbf(const struct kmf_claims *c, const struct kmf_rules *r)
{
	int64_t nbf;

	if (json_object_get(c->payload, "nbf") == NULL)
		return true;
	return time_get(&nbf, c->payload, "nbf") &&
	    nbf <= c->now_s + r->leeway_s;
}

static bool
is_iat(const struct kmf_claims *c, const struct kmf_rules *r)
{
	int64_t iat;

	if (json_object_get(c->payload, "iat") == NULL)
		return true; /* is_required() knows who must have it */
	return time_get(&iat, c->payload, "iat") &&
	    iat <= c->now_s + r->leeway_s && iat >= c->now_s - IAT_MAX_AGE_S;
}

static bool
is_sub(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const char *sub = perc_json_str(c->payload, "sub");

	return sub != NULL && sub[0] != '\0' && strlen(sub) <= 512;
}

static bool
is_thumbprint(const char *s)
{
	return s != NULL && strlen(s) == PERC_JKT_LEN;
}

/* RFC 7800: an object; a binding of a kind we cannot check is a refusal. */
static bool
is_cnf(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const json_t *cnf = json_object_get(c->payload, "cnf");

	if (cnf == NULL)
		return r->cnf == KMF_CNF_ANY;
	return json_object_size(cnf) == 1 && /* 0 of all but objects */
	    (is_thumbprint(perc_json_str(cnf, "jkt")) ||
		is_thumbprint(perc_json_str(cnf, "x5t#S256")));
}

/* RFC 8693 4.1: somebody acting for somebody gets no key from us, unless the
 * administrator named the actor. Entries within act are history. */
static bool
is_act(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const json_t *act = json_object_get(c->payload, "act");

	if (act == NULL)
		return true;
	return r->actors != NULL &&
	    one_of(r->actors, perc_json_str(act, "sub"));
}

static bool
is_scope(const struct kmf_claims *c, const struct kmf_rules *r)
{
	const char *scope = perc_json_str(c->payload, "scope");

	return r->scope == NULL ||
	    (scope != NULL && kmf_word_in(scope, r->scope));
}

static const struct {
	const char *why;
	bool (*is)(const struct kmf_claims *, const struct kmf_rules *);
	int err;
} rows[] = {
	{ "size", is_size, PERC_ERR_DENIED },
	{ "alg", is_alg, PERC_ERR_DENIED },
	{ "key", is_key, PERC_ERR_DENIED },
	{ "typ", is_typ, PERC_ERR_DENIED },
	{ "crit", is_crit, PERC_ERR_DENIED },
	{ "iss", is_iss, PERC_ERR_DENIED },
	{ "aud", is_aud, PERC_ERR_DENIED },
	{ "azp", is_azp, PERC_ERR_DENIED },
	{ "client", is_client, PERC_ERR_DENIED },
	{ "exp", is_exp, PERC_ERR_EXPIRED },
	{ "life", is_life, PERC_ERR_DENIED },
	{ "nbf", is_nbf, PERC_ERR_DENIED },
	{ "iat", is_iat, PERC_ERR_DENIED },
	{ "required", is_required, PERC_ERR_DENIED },
	{ "sub", is_sub, PERC_ERR_DENIED },
	{ "cnf", is_cnf, PERC_ERR_DENIED },
	{ "act", is_act, PERC_ERR_DENIED },
	{ "scope", is_scope, PERC_ERR_DENIED },
};

int
kmf_claims_check(
    const struct kmf_claims *c, const struct kmf_rules *r, const char **why)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!rows[i].is(c, r)) {
			*why = rows[i].why;
			return rows[i].err;
		}
	*why = "";
	return 0;
}

const char *
kmf_claims_row(size_t i)
{
	return i < sizeof(rows) / sizeof(rows[0]) ? rows[i].why : NULL;
}

void
kmf_claims_skew(
    char *out, size_t cap, const struct kmf_claims *c, const char *why)
{
	int64_t t;

	out[0] = '\0';
	if ((strcmp(why, "exp") != 0 && strcmp(why, "nbf") != 0 &&
		strcmp(why, "iat") != 0) ||
	    !time_get(&t, c->payload, why))
		return;
	if (t > c->now_s)
		snprintf(out, cap,
		    "token is %lld s from the future; clocks differ",
		    (long long)(t - c->now_s));
	else if (strcmp(why, "exp") == 0)
		snprintf(out, cap, "token expired %lld s ago",
		    (long long)(c->now_s - t));
	else
		snprintf(out, cap, "token was issued %lld s ago",
		    (long long)(c->now_s - t));
}
