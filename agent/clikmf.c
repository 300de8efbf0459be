/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the KMF with an administrator's key: one client token per
 * command, bound to a DPoP key that lives as long as the command does. The
 * client file {"client_id", "kmf", "key"} is `perch-kmf init`'s. A command
 * that goes on for longer than the token lives gets another.
 */
#include "agent/cliexchange.h"

#include <stdlib.h>
#include <string.h>

#include "agent/assertion.h"
#include "agent/clitalk.h"
#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/loop.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static void
words(const struct got *g, char *out, size_t cap)
{
	static const char *const names[] = { "detail", "error_description",
		"title", "error" };
	const char *s = NULL;

	for (size_t i = 0; i < 4 && s == NULL; i++)
		s = perc_json_str(g->body, names[i]);
	if (g->err != 0)
		text_put(out, cap, "%s", g->why);
	else if (s != NULL)
		text_put(out, cap, "%s", cli_clean(s));
	else
		text_put(out, cap, "HTTP status %d", g->status);
}

/* What the server says of single members, RFC 9457 with "errors". */
static void
faults_say(const struct got *g)
{
	const json_t *e, *list = json_object_get(g->body, "errors");
	size_t i;

	if (json_array_size(list) < 2)
		return; /* the detail has said it */
	json_array_foreach(list, i, e)
	{
		cli_complain(
		    "  %s: %s", cli_get(e, "pointer"), cli_get(e, "detail"));
	}
}

/* What to do next, where a person may not know. */
static const char *
advice(const struct got *g)
{
	if (g->err != 0)
		return "; perch doctor --kmf URL looks for the cause";
	switch (g->status) {
	case 401:
		return "; is this client still in use, and the clock right?";
	case 404:
		return "; perch conference list shows what there is";
	case 412:
		return "; look at it again and repeat";
	case 429:
		return "; wait a minute";
	default:
		return "";
	}
}

static int
outcome(const struct cli_kmf *k, int r, const struct got *g)
{
	char text[256];

	if (r != 0) {
		cli_complain("%s: %s", k->base,
		    r == PERC_ERR_DENIED ? "not an https URL"
					 : perc_strerror(r));
		return CLI_FAILED;
	}
	if (g->err == 0 && g->status / 100 == 2)
		return CLI_OK;
	words(g, text, sizeof(text));
	cli_complain("%s%s", text, advice(g));
	faults_say(g);
	if (g->err != 0 || g->status >= 500)
		return CLI_UNREACHABLE;
	return g->status == 401 ? CLI_LOGIN : CLI_FAILED;
}

/* ---- the client token
 * ------------------------------------------------------------- */

static int
token_get(struct cli_kmf *k)
{
	const struct cli_how plain = { 0 };
	struct text form = { 0 };
	char *assertion = NULL;
	struct got g = { 0 };
	int r;

	if ((r = assertion_make(&assertion, k->key, k->client_id, k->base,
		 perc_wall_ms() / 1000)) != 0) {
		cli_complain("the client file's key does not sign: %s",
		    perc_strerror(r));
		return CLI_USAGE;
	}
	text_add_form(&form, "grant_type", "client_credentials");
	text_add_form(&form, "client_assertion_type", ASSERTION_TYPE);
	text_add_form(&form, "client_assertion", assertion);
	r = cli_exchange(k, &g, "POST", "/oauth/token",
	    "application/x-www-form-urlencoded", form.p, &plain);
	if ((r = outcome(k, r, &g)) == CLI_OK &&
	    (k->token = text_dup(perc_json_str(g.body, "access_token"))) ==
		NULL) {
		cli_complain("%s gave no token", k->base);
		r = CLI_FAILED;
	}
	got_clear(&g);
	text_clear(&form);
	text_free(assertion);
	return r;
}

int
cli_kmf_open(struct cli_kmf **kp, const struct cli *c)
{
	struct cli_kmf *k;
	json_t *file = NULL;
	int r;

	*kp = NULL;
	if ((k = calloc(1, sizeof(*k))) == NULL)
		return CLI_FAILED;
	k->cli = c;
	if (c->opt[CLI_KMF] != NULL || !cli_client_there(c)) {
		k->person = true;
		*kp = k;
		return CLI_OK;
	}
	if ((r = cli_client_read(&file, c)) == CLI_OK) {
		k->base = text_dup(perc_json_str(file, "kmf"));
		k->client_id = text_dup(perc_json_str(file, "client_id"));
		k->key = json_deep_copy(json_object_get(file, "key"));
		k->ca_file = cli_ca_file(c);
		r = perc_jwk_generate(&k->dpop) == 0 ? token_get(k)
						     : CLI_FAILED;
	}
	json_decref(file);
	if (r != CLI_OK)
		cli_kmf_close(k);
	else
		*kp = k;
	return r;
}

void
cli_kmf_close(struct cli_kmf *k)
{
	if (k == NULL)
		return;
	free(k->base);
	free(k->client_id);
	free(k->ca_file);
	text_free(k->token);
	json_decref(k->key);
	perc_jwk_free(k->dpop);
	free(k);
}

const char *
cli_kmf_client(const struct cli_kmf *k)
{
	return k->client_id != NULL ? k->client_id : "";
}

unsigned
cli_kmf_wait_s(const struct cli_kmf *k)
{
	return k->person ? 8 : 25; /* the agent's patience is 15 s */
}

/* ---- through the agent --------------------------------------------------- */
static int
agent_ask(struct cli_kmf *k, json_t *ask, json_t **result)
{
	struct talk t;
	int r;

	if ((r = talk_open(&t, k->cli)) != CLI_OK) {
		cli_complain("administration needs a client file (--client), "
			     "or perch-agent with a login that has a role "
			     "or a conference that you are host of");
		talk_close(&t);
		return r;
	}
	t.keep = true;
	r = talk_ask(&t, ask, result);
	if (t.error != NULL)
		cli_complain("%s", cli_get(t.error, "text"));
	json_decref(t.error);
	talk_close(&t);
	return r;
}

static void
got_from(struct got *g, const json_t *result)
{
	const char *etag = perc_json_str(result, "etag");
	const char *body = perc_json_str(result, "body");

	memset(g, 0, sizeof(*g));
	g->status = (int)json_integer_value(json_object_get(result, "status"));
	text_put(g->etag, sizeof(g->etag), "%s", etag != NULL ? etag : "");
	if (body != NULL && *body != '\0' &&
	    perc_json_parse(
		&g->body, body, strlen(body), CLI_ANSWER_MAX, NULL, 0) != 0) {
		g->body = NULL;
		g->text = text_dup(body);
	}
}

/* An exit status, and the answer where there is one. */
static int
person_call(struct cli_kmf *k, struct got *g, const char *method,
    const char *path, const json_t *body, const struct cli_how *how)
{
	json_t *ask = json_pack("{s:s, s:s*, s:s, s:s, s:O*, s:s*}", "cmd",
	    "admin", "kmf", k->cli->opt[CLI_KMF], "method", method, "path",
	    path, "body", (json_t *)(uintptr_t)body, "if_match", how->if_match);
	json_t *result = NULL;
	int r = agent_ask(k, ask, &result);

	memset(g, 0, sizeof(*g));
	if (r == CLI_OK) {
		got_from(g, result);
		r = outcome(k, 0, g);
	}
	json_decref(result);
	json_decref(ask);
	return r;
}

static int
client_call(struct cli_kmf *k, struct got *g, const char *method,
    const char *path, const json_t *body, const struct cli_how *how)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *type = text != NULL ? "application/json" : NULL;
	int r;

	r = cli_exchange(k, g, method, path, type, text, how);
	if (r == 0 && g->err == 0 && g->status == 401) {
		got_clear(g); /* it has run out meanwhile */
		text_free(k->token);
		k->token = NULL;
		if ((r = token_get(k)) != CLI_OK)
			goto out;
		r = cli_exchange(k, g, method, path, type, text, how);
	}
	r = outcome(k, r, g);
out:
	text_free(text);
	return r;
}

int
cli_kmf_call_so(struct cli_kmf *k, struct cli_answer *a, const char *method,
    const char *path, const json_t *body, const struct cli_how *how)
{
	struct got g = { 0 };
	int r;

	memset(a, 0, sizeof(*a));
	r = k->person ? person_call(k, &g, method, path, body, how)
		      : client_call(k, &g, method, path, body, how);
	a->status = g.status;
	a->body = g.body;
	a->text = g.text;
	memcpy(a->etag, g.etag, sizeof(a->etag));
	return r;
}

int
cli_kmf_call(struct cli_kmf *k, struct cli_answer *a, const char *method,
    const char *path, const json_t *body)
{
	const struct cli_how plain = { 0 };

	return cli_kmf_call_so(k, a, method, path, body, &plain);
}

void
cli_answer_clear(struct cli_answer *a)
{
	json_decref(a->body);
	text_free(a->text);
	memset(a, 0, sizeof(*a));
}
