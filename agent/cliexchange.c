/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the KMF with a DPoP proof (RFC 9449). Its nonce changes when
 * the KMF wants it to, so any request may have to be made twice.
 */
#include "agent/cliexchange.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/httpc.h"
#include "perc/json.h"
#include "perc/loop.h"

#define TOTAL_MS 15000

void
got_clear(struct got *g)
{
	json_decref(g->body);
	text_free(g->text);
	memset(g, 0, sizeof(*g));
}

static void
header_copy(
    const struct perc_httpc_answer *a, const char *name, char *out, size_t cap)
{
	const char *v = perc_httpc_header(a->req, name, NULL);

	if (v != NULL && strlen(v) < cap)
		text_put(out, cap, "%s", v);
}

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct got *g = arg;
	const char *w = perc_httpc_header(a->req, "WWW-Authenticate", NULL);
	const char *error;

	g->err = a->err;
	g->status = a->status;
	text_put(g->why, sizeof(g->why), "%s", a->why);
	header_copy(a, "ETag", g->etag, sizeof(g->etag));
	header_copy(a, "DPoP-Nonce", g->nonce, sizeof(g->nonce));
	if (a->len > 0 &&
	    perc_json_parse(
		&g->body, a->body, a->len, CLI_ANSWER_MAX, NULL, 0) != 0) {
		g->body = NULL;
		g->text = text_dup(a->body);
	}
	error = perc_json_str(g->body, "error");
	g->wants_nonce = (a->status == 400 || a->status == 401) &&
	    ((w != NULL && strstr(w, "use_dpop_nonce") != NULL) ||
		(error != NULL && strcmp(error, "use_dpop_nonce") == 0));
}

static int
exchange(struct cli_kmf *k, struct got *g, const char *method, const char *path,
    const char *type, const char *body, const struct cli_how *how)
{
	struct perc_httpc_conf conf = { .ca_file = k->ca_file,
		.user_agent = "perch",
		.total_ms = TOTAL_MS + how->wait_s * 1000,
		.max_body = CLI_ANSWER_MAX };
	char *url = text_new("%s%s", k->base, path), *htu = text_dup(url);
	char *proof = NULL, *lines[6] = { 0 };
	size_t n = 0;
	int r = PERC_ERR_NOMEM;

	memset(g, 0, sizeof(*g));
	if (url == NULL || htu == NULL)
		goto out;
	htu[strcspn(htu, "?")] = '\0'; /* RFC 9449 section 4.2 */
	if ((r = perc_dpop_make(&proof, k->dpop, method, htu, k->token,
		 k->nonce[0] != '\0' ? k->nonce : NULL, NULL,
		 perc_wall_ms() / 1000)) != 0)
		goto out;
	lines[n++] = text_new("DPoP: %s", proof);
	if (k->token != NULL)
		lines[n++] = text_new("Authorization: DPoP %s", k->token);
	if (type != NULL)
		lines[n++] = text_new("Content-Type: %s", type);
	if (how->if_match != NULL)
		lines[n++] = text_new("If-Match: %s", how->if_match);
	if (strcmp(method, "POST") == 0 && k->token != NULL) {
		char id[40];

		perc_random_id(id, sizeof(id), "p_");
		lines[n++] = text_new("Idempotency-Key: %s", id);
	}
	r = perc_httpc_once(&conf, method, url, (const char *const *)lines,
	    body, body != NULL ? strlen(body) : 0, on_answer, g);
out:
	for (size_t i = 0; i < n; i++)
		text_free(lines[i]);
	text_free(proof);
	free(htu);
	free(url);
	return r;
}

int
cli_exchange(struct cli_kmf *k, struct got *g, const char *method,
    const char *path, const char *type, const char *body,
    const struct cli_how *how)
{
	int r;

	for (int i = 0; i < 2; i++) {
		if ((r = exchange(k, g, method, path, type, body, how)) != 0)
			return r;
		if (g->nonce[0] != '\0')
			text_put(k->nonce, sizeof(k->nonce), "%s", g->nonce);
		if (!g->wants_nonce || i > 0)
			break;
		got_clear(g);
	}
	return 0;
}
