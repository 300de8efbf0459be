/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Opaque tokens (RFC 7662). The fetcher asks the issuer; what comes back is
 * the issuer's own word over TLS, and is decided upon like a token's claims,
 * but for what only a JWT has. Good for an exchange alone: a key request is
 * never answered on what was true half a minute ago.
 */
#include "config.h"

#include <string.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

#define KEEP_S	   30 /* a good answer is remembered at most */
#define ANSWER_MAX 65536

/* RFC 7662 2.2 leaves all but active to the server; without these we could
 * not tell for whom and about whom it speaks. */
static const char *const required[] = { "aud", "sub", NULL };

static const struct kmf_issuer *
issuer_of(const struct front_req *q)
{
	const struct kmf_issuer *only = NULL, *i;
	const struct kmf_conf *c = q->f->conf;
	size_t n;

	for (n = 0; n < c->nissuers; n++) {
		i = &c->issuers[n];
		if (!i->introspection)
			continue;
		if (strcmp(i->url, q->cred.hint) == 0)
			return i;
		if (only != NULL && q->cred.hint[0] == '\0')
			return NULL; /* which? The client must say */
		only = i;
	}
	return q->cred.hint[0] == '\0' ? only : NULL;
}

static bool
takes(const struct front_req *q)
{
	return q->cred.kind == KMF_CRED_TOKEN && q->jws.payload == NULL &&
	    issuer_of(q) != NULL;
}

static void
run(struct front_req *q)
{
	struct front *f = q->f;
	struct kmf_question k = { .token = q->cred.text };
	uint8_t *buf = NULL;
	int r = PERC_ERR_CLOSED;
	size_t n;

	q->issuer = issuer_of(q);
	k.issuer = (uint32_t)(q->issuer - f->conf->issuers);
	if (strlen(q->cred.text) > PERC_JOSE_TOKEN_MAX) {
		kmf_method_end(q, PERC_ERR_LIMIT, "size");
		return;
	}
	if (++f->wait_count == 0)
		f->wait_count = 1;
	if (f->fetcher != NULL && (r = kmf_question_encode(&buf, &n, &k)) == 0)
		r = perc_chan_send(
		    f->fetcher, KMF_MSG_QUESTION, f->wait_count, buf, n);
	perc_secmem_free(buf);
	if (r != 0 || !front_park(q, f->wait_count))
		kmf_method_end(q, PERC_ERR_CLOSED, "cannot ask the issuer");
}

static void
known(struct front_req *q)
{
	const json_t *cnf = json_object_get(q->claims, "cnf");

	q->who.jkt = front_text_of(cnf, "jkt");
	q->who.x5t = front_text_of(cnf, "x5t#S256");
	front_person(q);
}

/* What may be left out gets the value that it would have. */
static int
fill(json_t *o, const struct kmf_issuer *i, int64_t now_s)
{
	if (json_object_get(o, "iss") == NULL &&
	    json_object_set_new(o, "iss", json_string(i->url)) != 0)
		return PERC_ERR_NOMEM;
	if (json_object_get(o, "exp") == NULL &&
	    json_object_set_new(o, "exp", json_integer(now_s + KEEP_S)) != 0)
		return PERC_ERR_NOMEM;
	return 0;
}

static int
decide(struct front_req *q, const json_t *o, int64_t now_s, const char **why)
{
	const struct kmf_issuer *i = q->issuer;
	const struct kmf_rules rules = { .iss = i->url,
		.aud = { q->f->conf->base_url, i->audience },
		.clients = (const char *const *)i->allowed_clients,
		.required = required,
		.cnf = KMF_CNF_ANY,
		.actors = (const char *const *)i->allowed_actors,
		.leeway_s = i->leeway_s };
	json_t *header = json_object();
	const struct kmf_claims c = { .header = header,
		.payload = o,
		.size = strlen(q->cred.text),
		.now_s = now_s };
	const char *client = perc_json_str(o, "client_id");
	const char *type = perc_json_str(o, "token_type");
	bool jkt = json_object_get(json_object_get(o, "cnf"), "jkt") != NULL;
	int r;

	r = kmf_claims_check(&c, &rules, why);
	if (r != 0)
		kmf_claims_skew(q->say, sizeof(q->say), &c, *why);
	json_decref(header);
	if (r != 0)
		return r;
	*why = "token_type is not what cnf says"; /* RFC 9449 6.2 */
	if (type != NULL && (strcasecmp(type, "DPoP") == 0) != jkt)
		return PERC_ERR_DENIED;
	*why = "a service, not a person";
	return client != NULL && strcmp(client, perc_json_str(o, "sub")) == 0
	    ? PERC_ERR_DENIED
	    : 0;
}

static int
hear(struct front_req *q, const struct kmf_word *w, const char **why)
{
	int64_t now_s = perc_wall_ms() / 1000, exp = now_s;
	json_t *o = NULL;
	int r;

	*why = "the issuer's answer is malformed";
	if ((r = perc_json_parse(
		 &o, w->text, strlen(w->text), ANSWER_MAX, NULL, 0)) != 0)
		return r;
	*why = "not active"; /* the text "true" is not true */
	if (!json_is_true(json_object_get(o, "active"))) {
		r = PERC_ERR_DENIED;
		goto out;
	}
	*why = "no memory";
	if ((r = fill(o, q->issuer, now_s)) != 0 ||
	    (r = decide(q, o, now_s, why)) != 0 ||
	    (r = perc_json_int(&exp, o, "exp", 1, INT64_MAX)) != 0)
		goto out;
	json_decref(q->claims);
	q->claims = json_incref(o);
	known(q);
	kmf_method_remember(q, exp < now_s + KEEP_S ? exp : now_s + KEEP_S);
out:
	json_decref(o);
	return r;
}

int
front_on_word(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_req *q;
	struct kmf_word w;
	const char *why = "";
	int r;

	if ((r = kmf_word_decode(&w, m->data, m->len)) != 0)
		return r;
	if (m->id == 0 || (q = front_unpark(arg, m->id)) == NULL)
		return 0; /* waited too long */
	if (!w.good) {
		log_warnx("front.introspect id=%s issuer=%s err=\"%s\"", q->id,
		    q->issuer->label, w.why);
		kmf_method_end(q, PERC_ERR_CLOSED, "introspection failed");
		return 0;
	}
	r = hear(q, &w, &why);
	kmf_method_end(q, r, why);
	return 0;
}

const struct kmf_method kmf_method_introspect = {
	.name = "introspect",
	.takes = takes,
	.run = run,
	.known = known,
};
