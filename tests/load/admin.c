/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler, with the key that `perch-kmf init` made. Its requests run in
 * the loop of the seats, which go on living meanwhile.
 */
#include "tests/load/load.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/json.h"

#define ASSERTION "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define WAIT_MS	  30000
#define AUDIT_MAX (1u << 20)

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
	if (a->err == 0 && a->len > 0)
		(void)!perc_json_parse(
		    &w->body, a->body, a->len, AUDIT_MAX, NULL, 0);
}

/* The answer's JSON in *out (may be NULL); PERC_ERR_DENIED: not 2xx. */
static int
request(struct load *l, const struct load_ask *a, json_t **out)
{
	struct wait w = { 0 };
	int64_t until = perc_now_ms() + WAIT_MS;
	int r = 0;

	load_ask(&l->admin, a, on_done, &w);
	while (r == 0 && !w.over && perc_now_ms() < until)
		r = perc_loop_turn(l->loop, 100);
	if (!w.over)
		r = PERC_ERR_TIMEOUT;
	else if (w.err != 0)
		r = w.err;
	else if (w.status >= 300)
		r = PERC_ERR_DENIED;
	if (out != NULL && r == 0)
		*out = w.body;
	else
		json_decref(w.body);
	return r;
}

static int
client_read(struct load *l)
{
	char text[4096], *key = NULL;
	FILE *f = fopen(l->client, "re");
	size_t n = f == NULL ? 0 : fread(text, 1, sizeof(text), f);
	json_t *j = NULL;
	int r;

	if (f != NULL)
		fclose(f);
	if ((r = perc_json_parse(&j, text, n, sizeof(text), NULL, 0)) != 0)
		return r;
	r = PERC_ERR_FORMAT;
	if (perc_json_str(j, "client_id") == NULL ||
	    (key = perc_json_text(json_object_get(j, "key"))) == NULL)
		goto out;
	text_put(l->admin_id, sizeof(l->admin_id), "%s",
	    perc_json_str(j, "client_id"));
	r = perc_jwk_from_json(&l->admin.key, key, strlen(key), false);
out:
	perc_json_free(key);
	json_decref(j);
	return r;
}

static int
assertion_make(struct load *l, char **textp)
{
	int64_t now = perc_wall_ms() / 1000;
	char jti[40];
	json_t *v;
	int r;

	perc_random_id(jti, sizeof(jti), "a_");
	v = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "iss", l->admin_id,
	    "sub", l->admin_id, "aud", l->base, "iat", (json_int_t)now, "exp",
	    (json_int_t)(now + 120), "jti", jti);
	r = perc_jws_sign(textp, l->admin.key, "JWT", v, false);
	json_decref(v);
	return r;
}

int
load_admin_login(struct load *l)
{
	char url[512], *assertion = NULL;
	struct text form = { 0 };
	struct load_ask a = { .method = "POST",
		.url = url,
		.type = "application/x-www-form-urlencoded" };
	json_t *j = NULL;
	int r;

	if (l->admin.key == NULL &&
	    ((r = client_read(l)) != 0 ||
		(r = load_peer_open(&l->admin, l)) != 0))
		return r;
	if ((r = assertion_make(l, &assertion)) != 0)
		return r;
	text_put(url, sizeof(url), "%s/oauth/token", l->base);
	text_add_form(&form, "grant_type", "client_credentials");
	text_add_form(&form, "client_assertion_type", ASSERTION);
	text_add_form(&form, "client_assertion", assertion);
	a.body = form.p;
	if ((r = request(l, &a, &j)) == 0) {
		text_free(l->admin_token);
		l->admin_token = text_dup(perc_json_str(j, "access_token"));
	}
	json_decref(j);
	text_clear(&form);
	free(assertion);
	return r;
}

static int
public_keys(struct load *l)
{
	char url[512], *text = NULL;
	struct load_ask a = { .method = "GET", .url = url };
	json_t *j = NULL;
	int r;

	text_put(url, sizeof(url), "%s/.well-known/jwks.json", l->base);
	if ((r = request(l, &a, &j)) != 0)
		return r;
	text = perc_json_text(j);
	text_put(l->board->jwks, sizeof(l->board->jwks), "%s", text);
	r = perc_jwks_from_json(&l->jwks, text, strlen(text));
	perc_json_free(text);
	json_decref(j);
	return r;
}

int
load_admin_conference(struct load *l)
{
	char url[512], from[PERC_TIME_LEN], to[PERC_TIME_LEN], *body;
	struct load_ask a = { .method = "POST",
		.url = url,
		.token = l->admin_token,
		.type = "application/json" };
	int64_t now = perc_wall_ms();
	json_t *j = NULL;
	int r;

	perc_time_put(from, now - 60000);
	perc_time_put(to, now + 7200000);
	text_put(url, sizeof(url), "%s/v1/conferences", l->base);
	a.body = body = text_new("{\"title\":\"load\",\"starts_at\":\"%s\","
				 "\"ends_at\":\"%s\"}",
	    from, to);
	if ((r = public_keys(l)) == 0 && (r = request(l, &a, &j)) == 0) {
		text_put(
		    l->conf, sizeof(l->conf), "%s", perc_json_str(j, "id"));
		text_put(l->resource, sizeof(l->resource),
		    "%s/v1/conferences/%s", l->base, l->conf);
	}
	json_decref(j);
	text_free(body);
	return r;
}

int
load_admin_invite(struct load *l)
{
	char url[640], body[128];
	struct load_ask a = { .method = "POST",
		.url = url,
		.token = l->admin_token,
		.type = "application/json",
		.body = body };
	json_t *j = NULL;
	unsigned i;
	int r = 0;

	text_put(url, sizeof(url), "%s/invitations", l->resource);
	for (i = 0; r == 0 && i < l->n; i++) {
		text_put(body, sizeof(body),
		    "{\"email\":\"seat%u@load.example\",\"name\":\"Seat %u\"}",
		    i, i);
		if ((r = request(l, &a, &j)) == 0)
			text_put(l->seats[i].code, sizeof(l->seats[i].code),
			    "%s", perc_json_str(j, "code"));
		json_decref(j);
		j = NULL;
	}
	return r;
}

int
load_admin_rekey(struct load *l)
{
	char url[640];
	struct load_ask a = {
		.method = "POST", .url = url, .token = l->admin_token
	};

	text_put(url, sizeof(url), "%s/rekey", l->resource);
	return request(l, &a, NULL);
}

static void
on_nothing(const struct perc_httpc_answer *a, void *arg)
{
}

void
load_admin_rekey_begin(struct load *l)
{
	char url[640];
	struct load_ask a = {
		.method = "POST", .url = url, .token = l->admin_token
	};

	text_put(url, sizeof(url), "%s/rekey", l->resource);
	load_ask(&l->admin, &a, on_nothing, NULL);
}

int
load_admin_evict(struct load *l, struct load_seat *s)
{
	char url[768];
	struct load_ask a = {
		.method = "DELETE", .url = url, .token = l->admin_token
	};

	text_put(url, sizeof(url), "%s/members/%s", l->resource, s->member);
	s->gone_us = load_us();
	return request(l, &a, NULL);
}

int
load_admin_audit(struct load *l, json_t **itemsp)
{
	json_t *all = json_array(), *j, *items, *row;
	char url[512];
	struct load_ask a = {
		.method = "GET", .url = url, .token = l->admin_token
	};
	size_t i, n = 1;
	int r = 0;

	while (r == 0 && n > 0) {
		j = NULL;
		text_put(url, sizeof(url), "%s/v1/audit?limit=500&after=%lld",
		    l->base, (long long)l->audit_seq);
		r = request(l, &a, &j);
		items = json_object_get(j, "items");
		n = json_array_size(items);
		json_array_foreach(items, i, row)
		{
			json_array_append(all, row);
			(void)!perc_json_int(
			    &l->audit_seq, row, "seq", 0, INT64_MAX);
		}
		json_decref(j);
	}
	*itemsp = all;
	return r;
}
