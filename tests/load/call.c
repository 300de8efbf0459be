/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of a seat or of the administrator: a proof made anew for every
 * try, the nonce kept, one more try when the server asked for another nonce.
 */
#include "tests/load/load.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"

#define TRIES_MAX 3

struct load_call {
	struct load_peer *p;
	struct load_call *next;
	char *method, *url, *token, *type, *body, *extra, *seal_jkt;
	perc_httpc_data_fn on_data;
	perc_httpc_fn done;
	void *arg;
	unsigned tries;
};

int
load_peer_open(struct load_peer *p, struct load *l)
{
	struct perc_httpc_conf conf = {
		.ca_file = l->trust[0] != '\0' ? l->trust : l->ca,
		.user_agent = "perch-load",
		.connect_ms = 15000,
		.total_ms = 30000
	};

	if (p->lags) {
		conf.open_socket = l->bad_socket;
		conf.open_arg = l;
	}
	p->l = l;
	return perc_httpc_new(&p->http, l->loop, &conf);
}

static void
call_free(struct load_call *c)
{
	struct load_call **pp;

	for (pp = &c->p->calls; *pp != NULL; pp = &(*pp)->next)
		if (*pp == c) {
			*pp = c->next;
			break;
		}
	free(c->method);
	free(c->url);
	text_free(c->token);
	free(c->type);
	text_free(c->body);
	free(c->extra);
	free(c->seal_jkt);
	free(c);
}

void
load_peer_clear(struct load_peer *p)
{
	perc_httpc_free(p->http);
	p->http = NULL;
	while (p->calls != NULL)
		call_free(p->calls);
}

static bool
wants_nonce(const struct perc_httpc_answer *a)
{
	const char *v = perc_httpc_header(a->req, "WWW-Authenticate", NULL);

	if (a->err != 0 || (a->status != 400 && a->status != 401))
		return false;
	return (v != NULL && strstr(v, "use_dpop_nonce") != NULL) ||
	    strstr(a->body, "use_dpop_nonce") != NULL;
}

static void call_send(struct load_call *c);

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct load_call *c = arg;
	const char *v = perc_httpc_header(a->req, "DPoP-Nonce", NULL);

	if (v != NULL)
		text_put(
		    c->p->nonce[c->token != NULL], LOAD_NONCE_MAX, "%s", v);
	if (c->tries < TRIES_MAX && wants_nonce(a)) {
		call_send(c);
		return;
	}
	if (a->err != 0)
		c->p->l->count->errors++;
	else if (a->status >= 400)
		c->p->l->count->refused++;
	if (c->p->l->verbose && (a->err != 0 || a->status >= 400))
		fprintf(stderr, "# %s %s: %d %s%.200s\n", c->method, c->url,
		    a->status, a->why, a->body);
	c->done(a, c->arg);
	call_free(c);
}

static int
on_octets(const char *p, size_t n, void *arg)
{
	struct load_call *c = arg;

	return c->on_data(p, n, c->arg);
}

static int
call_start(struct load_call *c, const char *proof)
{
	char *lines[5] = { 0 };
	size_t n = 0;
	int r = PERC_ERR_NOMEM;

	if ((lines[n++] = text_new("DPoP: %s", proof)) == NULL ||
	    (c->token != NULL &&
		(lines[n++] = text_new("Authorization: DPoP %s", c->token)) ==
		    NULL) ||
	    (c->type != NULL &&
		(lines[n++] = text_new("Content-Type: %s", c->type)) == NULL) ||
	    (c->extra != NULL && (lines[n++] = text_dup(c->extra)) == NULL))
		goto out;
	r = perc_httpc_start(c->p->http, NULL, c->method, c->url,
	    (const char *const *)lines, c->body,
	    c->body != NULL ? strlen(c->body) : 0,
	    c->on_data != NULL ? on_octets : NULL, 25000, on_answer, c);
out:
	for (n = 0; n < 5; n++)
		text_free(lines[n]);
	return r;
}

static void
call_send(struct load_call *c)
{
	const char *nonce = c->p->nonce[c->token != NULL], *q;
	char *proof = NULL, *htu = text_dup(c->url);
	int r = PERC_ERR_NOMEM;

	if (htu != NULL && (q = strchr(htu, '?')) != NULL)
		htu[q - htu] = '\0';
	c->tries++;
	if (htu == NULL ||
	    (r = perc_dpop_make(&proof, c->p->key, c->method, htu, c->token,
		 nonce[0] != '\0' ? nonce : NULL, c->seal_jkt,
		 perc_wall_ms() / 1000)) != 0 ||
	    (r = call_start(c, proof)) != 0)
		fprintf(stderr, "perch-load: %s\n", perc_strerror(r));
	free(proof);
	free(htu);
	if (r != 0)
		exit(1); /* no memory: there is nothing to measure */
}

void
load_ask(struct load_peer *p, const struct load_ask *a, perc_httpc_fn done,
    void *arg)
{
	struct load_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		exit(1);
	c->p = p;
	c->method = text_dup(a->method);
	c->url = text_dup(a->url);
	c->token = text_dup(a->token);
	c->type = text_dup(a->type);
	c->body = text_dup(a->body);
	c->extra = text_dup(a->extra);
	c->seal_jkt = text_dup(a->seal_jkt);
	c->on_data = a->on_data;
	c->done = done;
	c->arg = arg;
	c->next = p->calls;
	p->calls = c;
	call_send(c);
}
