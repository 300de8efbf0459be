/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * RFC 7662, the asking half. The provider must know who asks (section 2.1):
 * by an assertion signed with our key (RFC 7523), or by a secret (RFC 6749
 * section 2.3.1). A provider that hangs holds up those who wait for its word
 * and nobody else: the questions have a time limit of their own, shorter than
 * the front's, and there are at most so many.
 */
#include "kmf/fetch_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/conf.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"

#define ANSWER_MAX  65536
#define CONNECT_MS  2000
#define TOTAL_MS    4000
#define ASSERTION_S 60
#define ASSERTION                                                              \
	"urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded"

/* --- credentials ---------------------------------------------------------- */
static int
key_load(struct perc_jwk **kp, const char *file, char *why, size_t cap)
{
	struct perc_secret *s = NULL;
	struct perc_conf_error e;
	int r;

	if ((r = perc_conf_read_secret(&s, file, PERC_SECRET_MAX, &e)) != 0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	r = perc_jwk_from_json(kp, (const char *)s->data, s->len, false);
	if (r == 0 && !perc_jwk_is_private(*kp)) {
		perc_jwk_free(*kp);
		*kp = NULL;
		r = PERC_ERR_FORMAT;
	}
	if (r != 0)
		snprintf(why, cap, "%s: not a private P-256 JWK", file);
	perc_secret_free(s);
	return r;
}

static int
secret_load(struct perc_secret **sp, const char *file, char *why, size_t cap)
{
	struct perc_conf_error e;
	struct perc_secret *s = NULL;
	int r;

	if ((r = perc_conf_read_secret(&s, file, 512, &e)) != 0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	while (s->len > 0 && strchr("\r\n", s->data[s->len - 1]) != NULL)
		s->len--; /* as editors leave it */
	if (s->len == 0 || memchr(s->data, '\0', s->len) != NULL) {
		snprintf(why, cap, "%s: no secret in it", file);
		perc_secret_free(s);
		return PERC_ERR_FORMAT;
	}
	*sp = s;
	return 0;
}

static int
load(struct perc_jwk **kp, struct perc_secret **sp, const struct kmf_issuer *i,
    char *why, size_t cap)
{
	return i->introspection_key != NULL
	    ? key_load(kp, i->introspection_key, why, cap)
	    : secret_load(sp, i->introspection_secret, why, cap);
}

int
kmf_asker_check(const struct kmf_issuer *i, char *why, size_t cap)
{
	struct perc_secret *s = NULL;
	struct perc_jwk *k = NULL;
	int r = load(&k, &s, i, why, cap);

	perc_jwk_free(k);
	perc_secret_free(s);
	return r;
}

int
kmf_asker_load(
    struct kmf_asker *a, const struct kmf_conf *c, char *why, size_t cap)
{
	const struct kmf_issuer *i;
	size_t n;
	int r = 0;

	a->conf = c;
	for (n = 0; r == 0 && n < c->nissuers; n++) {
		i = &c->issuers[n];
		if (!i->introspection)
			continue;
		r = load(&a->issuer[n].key, &a->issuer[n].secret, i, why, cap);
		if (r == 0 && i->introspection_endpoint != NULL &&
		    (a->issuer[n].url = strdup(i->introspection_endpoint)) ==
			NULL)
			r = PERC_ERR_NOMEM;
	}
	return r;
}

int
kmf_asker_open(struct kmf_asker *a, struct perc_loop *l)
{
	struct perc_httpc_conf c = { .user_agent = "perch-kmf",
		.connect_ms = CONNECT_MS,
		.total_ms = TOTAL_MS,
		.max_body = ANSWER_MAX };
	size_t n;
	int r = 0;

	for (n = 0; r == 0 && n < a->conf->nissuers; n++) {
		c.ca_file = a->conf->issuers[n].ca_file;
		if (a->conf->issuers[n].introspection)
			r = perc_httpc_new(&a->issuer[n].client, l, &c);
	}
	return r;
}

void
kmf_asker_close(struct kmf_asker *a)
{
	size_t n;

	for (n = 0; n < KMF_ISSUERS_MAX; n++) {
		perc_httpc_free(a->issuer[n].client);
		perc_jwk_free(a->issuer[n].key);
		perc_secret_free(a->issuer[n].secret);
		free(a->issuer[n].url);
	}
}

void
kmf_asker_found(struct kmf_asker *a, size_t n, const char *url)
{
	char *copy;

	if (!a->conf->issuers[n].introspection ||
	    a->conf->issuers[n].introspection_endpoint != NULL || url == NULL ||
	    strncmp(url, "https://", 8) != 0 || (copy = strdup(url)) == NULL)
		return;
	free(a->issuer[n].url);
	a->issuer[n].url = copy;
}

/* --- the form ------------------------------------------------------------- */
/* RFC 6749 appendix B; unreserved stays. out has 3 * n + 1 octets. */
static void
form_encode(char *out, const void *in, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *p = in;
	size_t i;

	for (i = 0; i < n; i++)
		if ((p[i] >= 'a' && p[i] <= 'z') ||
		    (p[i] >= 'A' && p[i] <= 'Z') ||
		    (p[i] >= '0' && p[i] <= '9') ||
		    (p[i] != '\0' && strchr("-._~", p[i]) != NULL))
			*out++ = (char)p[i];
		else {
			*out++ = '%';
			*out++ = hex[p[i] >> 4];
			*out++ = hex[p[i] & 15];
		}
	*out = '\0';
}

/* RFC 7523 section 3: for the authorization server as a whole. */
static int
assertion_make(char **textp, const struct kmf_issuer *i, struct perc_jwk *k)
{
	int64_t now_s = perc_wall_ms() / 1000;
	char jti[32];
	json_t *o;
	int r;

	perc_random_id(jti, sizeof(jti), "");
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "iss",
	    i->introspection_client_id, "sub", i->introspection_client_id,
	    "aud", i->url, "iat", (json_int_t)now_s, "exp",
	    (json_int_t)(now_s + ASSERTION_S), "jti", jti);
	if (o == NULL)
		return PERC_ERR_NOMEM;
	r = perc_jws_sign(textp, k, "JWT", o, false);
	json_decref(o);
	return r;
}

/* In secret memory: a token is what its bearer is. */
static char *
body_make(const char *token, const char *assertion)
{
	size_t cap = 3 * strlen(token) + 256 +
	    (assertion == NULL ? 0 : strlen(assertion));
	char *body = perc_secmem_alloc(cap);
	size_t n;

	if (body == NULL)
		return NULL;
	n = (size_t)snprintf(body, cap, "token=");
	form_encode(body + n, token, strlen(token));
	n += strlen(body + n);
	n += (size_t)snprintf(
	    body + n, cap - n, "&token_type_hint=access_token");
	if (assertion != NULL)
		snprintf(body + n, cap - n,
		    "&client_assertion_type=%s&client_assertion=%s", ASSERTION,
		    assertion);
	return body;
}

/* RFC 6749 2.3.1: both parts form-encoded, then base64 of RFC 4648 4. */
static char *
basic_make(const char *id, const struct perc_secret *s)
{
	size_t raw = 3 * (strlen(id) + s->len) + 2, cap, i;
	char *pair = perc_secmem_alloc(raw), *out = NULL;
	size_t n;

	if (pair == NULL)
		return NULL;
	form_encode(pair, id, strlen(id));
	n = strlen(pair);
	pair[n++] = ':';
	form_encode(pair + n, s->data, s->len);
	n += strlen(pair + n);
	cap = sizeof("Authorization: Basic ") + PERC_B64_LEN(n) + 4;
	if ((out = perc_secmem_alloc(cap)) == NULL)
		goto out;
	i = (size_t)snprintf(out, cap, "Authorization: Basic ");
	perc_b64_put(out + i, pair, n);
	for (; out[i] != '\0'; i++)
		out[i] = out[i] == '-' ? '+' : out[i] == '_' ? '/' : out[i];
	for (; n % 3 != 0; n++)
		out[i++] = '=';
	out[i] = '\0';
out:
	perc_secmem_free(pair);
	return out;
}

/* --- questions ------------------------------------------------------------ */
static void
answer(struct perc_chan *chan, uint32_t id, const struct kmf_word *w)
{
	uint8_t *buf = NULL;
	size_t n;

	if (kmf_word_encode(&buf, &n, w) != 0 ||
	    perc_chan_send(chan, KMF_MSG_WORD, id, buf, n) != 0)
		log_warnx("fetch.ask err=cannot_be_told");
	perc_secmem_free(buf);
}

static void
on_answer(const struct perc_httpc_answer *h, void *arg)
{
	struct kmf_ask *k = arg;
	bool good = h->err == 0 && h->status == 200;
	char why[200];
	const struct kmf_word w = {
		.good = good, .text = good ? h->body : "", .why = why
	};

	if (h->err != 0)
		snprintf(why, sizeof(why), "%s", h->why);
	else
		snprintf(why, sizeof(why), "HTTP status %d", h->status);
	k->req = NULL;
	answer(k->chan, k->id, &w);
	k->chan = NULL;
}

static int
ask_start(struct kmf_asker *a, size_t n, struct kmf_ask *k, const char *token)
{
	const struct kmf_issuer *i = &a->conf->issuers[n];
	const char *headers[] = { "Accept: application/json", FORM_TYPE, NULL,
		NULL };
	char *assertion = NULL, *body = NULL, *basic = NULL;
	int r = PERC_ERR_NOMEM;

	if (a->issuer[n].key != NULL &&
	    (r = assertion_make(&assertion, i, a->issuer[n].key)) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	if (a->issuer[n].secret != NULL &&
	    (basic = basic_make(
		 i->introspection_client_id, a->issuer[n].secret)) == NULL)
		goto out;
	headers[2] = basic;
	if ((body = body_make(token, assertion)) == NULL)
		goto out;
	r = perc_httpc_start(a->issuer[n].client, &k->req, "POST",
	    a->issuer[n].url, headers, body, strlen(body), NULL, 0, on_answer,
	    k);
out:
	perc_secmem_free(body);
	perc_secmem_free(basic);
	free(assertion);
	return r;
}

void
kmf_asker_ask(struct kmf_asker *a, struct perc_chan *chan, uint32_t id,
    const struct kmf_question *q)
{
	struct kmf_word no = { .text = "", .why = "too many questions" };
	size_t n = q->issuer, i;

	for (i = 0; i < KMF_ASKS_MAX && a->ask[i].chan != NULL; i++)
		;
	if (i == KMF_ASKS_MAX)
		goto no;
	no.why = "its introspection endpoint is not known";
	if (n >= a->conf->nissuers || a->issuer[n].client == NULL ||
	    a->issuer[n].url == NULL)
		goto no;
	a->ask[i] = (struct kmf_ask){ .a = a, .chan = chan, .id = id };
	if (ask_start(a, n, &a->ask[i], q->token) == 0)
		return;
	a->ask[i].chan = NULL;
	no.why = "the request does not start";
no:
	answer(chan, id, &no);
}

bool
kmf_asker_busy(const struct kmf_asker *a)
{
	size_t i;

	for (i = 0; i < KMF_ASKS_MAX; i++)
		if (a->ask[i].chan != NULL)
			return true;
	return false;
}

void
kmf_asker_drop(struct kmf_asker *a, const struct perc_chan *chan)
{
	size_t i;

	for (i = 0; chan != NULL && i < KMF_ASKS_MAX; i++)
		if (a->ask[i].chan == chan) {
			perc_httpc_cancel(a->ask[i].req);
			a->ask[i] = (struct kmf_ask){ 0 };
		}
}
