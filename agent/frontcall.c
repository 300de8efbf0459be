/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to the KMF takes two processes: the vault proves (RFC 9449), we
 * send. A server may answer that it wants its own nonce in the proof; then
 * we do it all once more, and only once (section 8): a server that never is
 * content must not keep us busy.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "perc/json.h"
#include "perc/secret.h"

#define TRIES_MAX   2
#define HEADERS_MAX 6

struct front_call {
	struct agent *agent;
	struct front_call **owner;
	struct front_nonces *nonces;
	enum front_nonce_of which;
	char *method, *url, *token, *type, *body, *extra;
	unsigned flags; /* of the proof */
	perc_httpc_data_fn on_data;
	unsigned idle_ms, tries;
	perc_httpc_fn done;
	void *arg;
	struct perc_httpc_req *req;
	struct perc_timer late; /* reports what failed before the network */
	char why[FRONT_WORDS_MAX];
	int err;
};

static void
call_free(struct front_call *c)
{
	front_vault_forget(c->agent->vault, c);
	perc_timer_stop(c->agent->loop, &c->late);
	perc_httpc_cancel(c->req);
	text_free(c->method);
	text_free(c->url);
	text_free(c->token);
	text_free(c->type);
	text_free(c->body);
	text_free(c->extra);
	perc_wipe(c, sizeof(*c));
	free(c);
}

void
front_call_cancel(struct front_call *c)
{
	if (c == NULL)
		return;
	if (c->owner != NULL)
		*c->owner = NULL;
	call_free(c);
}

static void
call_finish(struct front_call *c, const struct perc_httpc_answer *a)
{
	if (c->owner != NULL)
		*c->owner = NULL;
	c->done(a, c->arg);
	call_free(c);
}

static void
on_late(void *arg)
{
	struct front_call *c = arg;
	struct perc_httpc_answer a = { .err = c->err, .body = "" };

	text_put(a.why, sizeof(a.why), "%s", c->why);
	call_finish(c, &a);
}

/* Never report from within start(). */
static void
call_fail(struct front_call *c, int err, const char *why)
{
	c->err = err;
	text_put(c->why, sizeof(c->why), "%s", why);
	if (perc_timer_set(c->agent->loop, &c->late, 0, on_late, c) != 0)
		on_late(c);
}

static void call_prove(struct front_call *c);

static void
nonce_keep(struct front_call *c, const struct perc_httpc_answer *a)
{
	unsigned n = 0;
	const char *v = perc_httpc_header(a->req, "DPoP-Nonce", &n);

	if (n == 1 && *v != '\0' && strlen(v) < FRONT_NONCE_MAX)
		text_put(c->nonces->value[c->which], FRONT_NONCE_MAX, "%s", v);
}

static bool
wants_nonce(const struct perc_httpc_answer *a)
{
	const char *challenge;
	char code[64];

	if (a->status != 400 && a->status != 401)
		return false;
	challenge = perc_httpc_header(a->req, "WWW-Authenticate", NULL);
	if (challenge != NULL && strstr(challenge, "use_dpop_nonce") != NULL)
		return true;
	front_answer_code(a, code, sizeof(code));
	return strcmp(code, "use_dpop_nonce") == 0;
}

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct front_call *c = arg;

	c->req = NULL;
	nonce_keep(c, a);
	if (a->err == 0 && c->tries < TRIES_MAX && wants_nonce(a))
		call_prove(c);
	else
		call_finish(c, a);
}

static int
on_octets(const char *p, size_t n, void *arg)
{
	struct front_call *c = arg;

	return c->on_data(p, n, c->arg);
}

static int
call_send(struct front_call *c, const char *proof)
{
	char *lines[HEADERS_MAX] = { 0 };
	size_t n = 0;
	int r = PERC_ERR_NOMEM;

	if ((lines[n++] = text_new("DPoP: %s", proof)) == NULL)
		goto out;
	if (c->token != NULL &&
	    (lines[n++] = text_new("Authorization: DPoP %s", c->token)) == NULL)
		goto out;
	if (c->type != NULL &&
	    (lines[n++] = text_new("Content-Type: %s", c->type)) == NULL)
		goto out;
	if (c->extra != NULL && (lines[n++] = text_dup(c->extra)) == NULL)
		goto out;
	r = perc_httpc_start(c->agent->http, &c->req, c->method, c->url,
	    (const char *const *)lines, c->body,
	    c->body != NULL ? strlen(c->body) : 0,
	    c->on_data != NULL ? on_octets : NULL, c->idle_ms, on_answer, c);
out:
	for (n = 0; n < HEADERS_MAX; n++)
		text_free(lines[n]);
	return r;
}

static void
on_proof(int err, const char *text, void *arg)
{
	struct front_call *c = arg;
	int r = err;

	if (r == 0 && (r = call_send(c, text)) != 0)
		text = perc_strerror(r);
	if (r != 0)
		call_fail(c, r, text);
}

static void
call_prove(struct front_call *c)
{
	/* RFC 9449 section 4.2 */
	char *htu = text_new("%.*s", (int)strcspn(c->url, "?#"), c->url);
	int r = PERC_ERR_NOMEM;

	c->tries++;
	if (htu == NULL ||
	    (r = front_vault_proof(c->agent->vault, c->flags, c->method, htu,
		 c->token, c->nonces->value[c->which], on_proof, c)) != 0)
		call_fail(c, r, "the vault does not answer");
	free(htu);
}

static bool
copied(char **to, const char *from)
{
	return from == NULL || (*to = text_dup(from)) != NULL;
}

int
front_call_start(struct agent *a, struct front_call **callp,
    struct front_nonces *nonces, enum front_nonce_of which,
    const struct front_ask *ask, perc_httpc_fn done, void *arg)
{
	struct front_call *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return PERC_ERR_NOMEM;
	c->agent = a;
	c->nonces = nonces;
	c->which = which;
	c->flags = (ask->seal_jkt ? VAULT_PROOF_SEAL_JKT : 0) |
	    (ask->login ? VAULT_PROOF_LOGIN : 0);
	c->on_data = ask->on_data;
	c->idle_ms = ask->idle_ms;
	c->done = done;
	c->arg = arg;
	if (!copied(&c->method, ask->method) || !copied(&c->url, ask->url) ||
	    !copied(&c->token, ask->token) || !copied(&c->type, ask->type) ||
	    !copied(&c->body, ask->body) || !copied(&c->extra, ask->extra)) {
		call_free(c);
		return PERC_ERR_NOMEM;
	}
	if ((c->owner = callp) != NULL)
		*callp = c;
	call_prove(c);
	return 0;
}

/* ---- reading answers ---------------------------------------------------- */

static json_t *
answer_json(const struct perc_httpc_answer *a)
{
	json_t *j = NULL;

	if (a->len == 0 ||
	    perc_json_parse(&j, a->body, a->len, 65536, NULL, 0) != 0)
		return NULL;
	return j;
}

void
front_answer_code(const struct perc_httpc_answer *a, char *out, size_t cap)
{
	json_t *j = answer_json(a);
	const char *s = perc_json_str(j, "code");

	if (s == NULL)
		s = perc_json_str(j, "error");
	text_put(out, cap, "%s", s != NULL ? s : "");
	json_decref(j);
}

void
front_answer_words(const struct perc_httpc_answer *a, char *out, size_t cap)
{
	static const char *const names[] = { "detail", "error_description",
		"title", "code", "error" };
	const char *s = NULL;
	json_t *j;

	if (a->err != 0) {
		text_put(out, cap, "%s", a->why);
		return;
	}
	j = answer_json(a);
	for (size_t i = 0; i < 5 && s == NULL; i++)
		s = perc_json_str(j, names[i]);
	if (s != NULL)
		text_put(out, cap, "%s", s);
	else
		text_put(out, cap, "HTTP status %d", a->status);
	json_decref(j);
}

bool
front_answer_transient(const struct perc_httpc_answer *a)
{
	return a->err == PERC_ERR_CLOSED || a->err == PERC_ERR_TIMEOUT ||
	    a->err == PERC_ERR_NOTFOUND ||
	    (a->err == 0 && (a->status >= 500 || a->status == 429));
}
