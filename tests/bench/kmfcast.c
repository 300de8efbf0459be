/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People of one provider. It needs no server: the KMF reads its keys from a
 * file, so that nothing but the KMF runs beside the client.
 */
#include "tests/bench/kmf.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/json.h"

#define WAIT_MS 20000
#define GROUP	"bench"

/* ---- one question, answered before we go on
 * ---------------------------------- */

struct wait {
	bool over;
	int err, status;
	json_t *body;
};

static void
on_done(const struct perc_httpc_answer *a, void *arg)
{
	struct wait *w = arg;

	w->over = true;
	w->err = a->err;
	w->status = a->status;
	if (a->err == 0 && a->len > 0 &&
	    perc_json_parse(&w->body, a->body, a->len, 65536, NULL, 0) != 0)
		w->body = NULL;
	if (a->err != 0 || a->status >= 300)
		fprintf(stderr, "bench: %d %s%.200s\n", a->status,
		    a->err != 0 ? a->why : "", a->err != 0 ? "" : a->body);
}

static int
question(struct load_peer *p, const struct load_ask *a, json_t **out)
{
	struct wait w = { 0 };
	int64_t until = perc_now_ms() + WAIT_MS;
	int r = 0;

	load_ask(p, a, on_done, &w);
	while (r == 0 && !w.over && perc_now_ms() < until)
		r = perc_loop_turn(p->l->loop, 100);
	if (r == 0)
		r = !w.over	      ? PERC_ERR_TIMEOUT
		    : w.err != 0      ? w.err
		    : w.status >= 300 ? PERC_ERR_DENIED
				      : 0;
	if (out != NULL && r == 0)
		*out = w.body;
	else
		json_decref(w.body);
	return r;
}

/* ---- the provider
 * ------------------------------------------------------------- */

static int
provider_make(struct bench_cast *c)
{
	char *text = NULL, path[600];
	json_t *key = NULL, *set = NULL;
	int r;

	text_put(c->idp_url, sizeof(c->idp_url), "https://idp.bench.example");
	if ((r = perc_jwk_generate(&c->idp)) != 0 ||
	    (r = perc_jwk_thumbprint(c->kid, c->idp)) != 0 ||
	    (r = perc_jwk_public_json(&text, c->idp)) != 0 ||
	    (r = perc_json_parse(&key, text, strlen(text), 4096, NULL, 0)) != 0)
		goto out;
	json_object_set_new(key, "kid", json_string(c->kid));
	json_object_set_new(key, "alg", json_string("ES256"));
	set = json_pack("{s:[O]}", "keys", key);
	text_put(path, sizeof(path), "%s/idp.json", c->l.dir);
	r = set != NULL && json_dump_file(set, path, 0) == 0 ? 0 : PERC_ERR_SYS;
out:
	perc_json_free(text);
	json_decref(key);
	json_decref(set);
	return r;
}

/* Beside what tests/load writes: the number of fronts, and a bound that nobody
 * here reaches, for to be without one would spare the counting. */
static int
conf_extend(struct bench_cast *c)
{
	char path[600], old[4096];
	size_t n;
	FILE *f;

	text_put(path, sizeof(path), "%s/load.conf", c->l.dir);
	if ((f = fopen(path, "re")) == NULL)
		return PERC_ERR_SYS;
	n = fread(old, 1, sizeof(old) - 1, f);
	fclose(f);
	old[n] = '\0';
	if ((f = fopen(path, "we")) == NULL)
		return PERC_ERR_SYS;
	fprintf(f,
	    "%sfronts = %u\nrate_person = 1000000\n[issuer bench]\nurl = "
	    "%s\nclient_id = perch\n"
	    "jwks_file = %s/idp.json\n",
	    old, c->fronts, c->idp_url, c->l.dir);
	return fclose(f) == 0 ? 0 : PERC_ERR_SYS;
}

/* RFC 9068, bound to the person's key (RFC 9449 section 6.1). */
int
bench_cast_token(char **out, struct bench_cast *c, struct bench_person *p)
{
	json_int_t now = perc_wall_ms() / 1000;
	char jti[40];
	json_t *v;
	int r;

	perc_random_id(jti, sizeof(jti), "i_");
	v = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:[s], s:s, s:{s:s}}", "iss",
	    c->idp_url, "sub", p->sub, "aud", c->l.base, "client_id", "perch",
	    "jti", jti, "iat", now, "exp", now + 3600, "groups", GROUP, "scope",
	    "conf_join", "cnf", "jkt", p->jkt);
	r = v == NULL ? PERC_ERR_NOMEM
		      : perc_jws_sign(out, c->idp, "at+jwt", v, false);
	json_decref(v);
	return r;
}

/* ---- people
 * ------------------------------------------------------------------- */

static int
person_enter(struct bench_cast *c, struct bench_person *p)
{
	char url[768], keys[768];
	struct text form = { 0 };
	struct load_ask a = { .method = "POST",
		.url = url,
		.type = "application/x-www-form-urlencoded" };
	struct load_ask key = { .method = "POST", .url = keys };
	json_t *j = NULL;
	int r;

	text_put(url, sizeof(url), "%s/oauth/token", c->l.base);
	text_put(keys, sizeof(keys), "%s/keys", c->l.resource);
	text_add_form(&form, "grant_type",
	    "urn:ietf:params:oauth:grant-type:token-exchange");
	text_add_form(&form, "subject_token", p->idp_token);
	text_add_form(&form, "subject_token_type",
	    "urn:ietf:params:oauth:token-type:access_token");
	text_add_form(&form, "resource", c->l.resource);
	a.body = form.p;
	if ((r = question(&p->peer, &a, &j)) != 0)
		goto out;
	p->token1 = text_dup(perc_json_str(j, "access_token"));
	key.token = p->token1;
	r = p->token1 != NULL ? question(&p->peer, &key, NULL)
			      : PERC_ERR_FORMAT;
out:
	json_decref(j);
	text_clear(&form);
	return r;
}

static int
person_make(struct bench_cast *c, unsigned i)
{
	struct bench_person *p = &c->who[i];
	int r;

	p->peer.l = &c->l;
	text_put(p->sub, sizeof(p->sub), "person-%u", i);
	if ((r = perc_jwk_generate(&p->peer.key)) != 0 ||
	    (r = perc_jwk_thumbprint(p->jkt, p->peer.key)) != 0 ||
	    (r = load_peer_open(&p->peer, &c->l)) != 0 ||
	    (r = bench_cast_token(&p->idp_token, c, p)) != 0)
		return r;
	return person_enter(c, p);
}

static int
conference_make(struct bench_cast *c)
{
	char url[512], from[PERC_TIME_LEN], to[PERC_TIME_LEN], *body;
	struct load_ask a = { .method = "POST",
		.url = url,
		.token = c->l.admin_token,
		.type = "application/json" };
	int64_t now = perc_wall_ms();
	json_t *j = NULL;
	int r;

	perc_time_put(from, now - 60000);
	perc_time_put(to, now + 7200000);
	text_put(url, sizeof(url), "%s/v1/conferences", c->l.base);
	/* No rekey for joins: it is not what is measured here. */
	a.body = body = text_new(
	    "{\"title\":\"bench\",\"starts_at\":\"%s\",\"ends_at\":\"%s\","
	    "\"invitees\":[{\"group\":\"" GROUP "\"}],"
	    "\"policy\":{\"rekey_on_join\":false,\"rekey_on_leave\":false,"
	    "\"lease_s\":300}}",
	    from, to);
	if ((r = question(&c->l.admin, &a, &j)) == 0) {
		text_put(
		    c->l.conf, sizeof(c->l.conf), "%s", perc_json_str(j, "id"));
		text_put(c->l.resource, sizeof(c->l.resource),
		    "%s/v1/conferences/%s", c->l.base, c->l.conf);
	}
	json_decref(j);
	text_free(body);
	return r;
}

int
bench_cast_start(struct bench_cast *c)
{
	int r;

	c->l.own = true;
	if ((c->who = calloc(c->n, sizeof(*c->who))) == NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_loop_new(&c->l.loop)) != 0 ||
	    (r = load_kmf_init(&c->l)) != 0 || (r = provider_make(c)) != 0 ||
	    (r = conf_extend(c)) != 0 || (r = load_kmf_serve(&c->l)) != 0 ||
	    (r = load_admin_login(&c->l)) != 0 || (r = conference_make(c)) != 0)
		return r;
	for (unsigned i = 0; r == 0 && i < c->n; i++)
		r = person_make(c, i);
	return r;
}

int
bench_cast_renew(struct bench_cast *c)
{
	char url[768];
	struct load_ask a = { .method = "POST", .url = url };
	int r = 0;

	/* Not the lease: it may have run out while others were measured. */
	text_put(url, sizeof(url), "%s/keys", c->l.resource);
	for (unsigned i = 0; r == 0 && i < c->n; i++) {
		a.token = c->who[i].token1;
		r = question(&c->who[i].peer, &a, NULL);
	}
	return r;
}

void
bench_cast_end(struct bench_cast *c)
{
	for (unsigned i = 0; c->who != NULL && i < c->n; i++) {
		load_peer_clear(&c->who[i].peer);
		perc_jwk_free(c->who[i].peer.key);
		free(c->who[i].idp_token);
		text_free(c->who[i].token1);
	}
	free(c->who);
	load_peer_clear(&c->l.admin);
	perc_jwk_free(c->l.admin.key);
	text_free(c->l.admin_token);
	perc_jwk_free(c->idp);
	load_kmf_remove(&c->l);
	perc_loop_free(c->l.loop);
}
