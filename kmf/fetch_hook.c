/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The fetcher's part of webhooks: one POST as the keeper wrote and signed it,
 * to where our own configuration says. What the receiver answers is judged by
 * its status alone; a redirect is no delivery, for a signature is for one.
 */
#include "kmf/hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/httpc.h"

#define ANSWER_MAX 65536 /* octets that a receiver may say */

struct runner {
	struct perc_httpc *client[KMF_HOOKS_MAX]; /* as in the configuration */
};

struct post {
	struct kmf_runner *u;
	uint64_t job;
};

static void
runner_close(struct kmf_runner *u)
{
	struct runner *w = u->state[KMF_ERRAND_HOOK];
	size_t i;

	for (i = 0; w != NULL && i < KMF_HOOKS_MAX; i++)
		perc_httpc_free(w->client[i]);
	free(w);
	u->state[KMF_ERRAND_HOOK] = NULL;
}

static int
runner_open(struct kmf_runner *u)
{
	struct runner *w = calloc(1, sizeof(*w));
	size_t i;
	int r = 0;

	if (w == NULL)
		return PERC_ERR_NOMEM;
	u->state[KMF_ERRAND_HOOK] = w;
	for (i = 0; r == 0 && i < u->conf->nhooks; i++) {
		const struct kmf_webhook *h = &u->conf->hooks[i];
		const struct perc_httpc_conf c = { .ca_file = h->ca_file,
			.user_agent = "perch-kmf",
			.total_ms = (unsigned)h->timeout_s * 1000,
			.max_body = ANSWER_MAX,
			.refuse_metadata = !h->allow_link_local };

		r = perc_httpc_new(&w->client[i], u->loop, &c);
	}
	return r;
}

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct post *p = arg;
	char why[KMF_ERRAND_WHY_MAX] = "";
	bool good = a->err == 0 && a->status / 100 == 2;

	if (a->err != 0)
		snprintf(why, sizeof(why), "%s", a->why);
	else if (a->status / 100 == 3)
		snprintf(why, sizeof(why),
		    "HTTP status %d: redirects are not followed", a->status);
	else if (!good)
		snprintf(why, sizeof(why), "HTTP status %d", a->status);
	kmf_run_end(p->u, KMF_ERRAND_HOOK, p->job,
	    good ? KMF_ERRAND_DONE : KMF_ERRAND_FAILED, why);
	free(p);
}

static const struct kmf_webhook *
hook_find(const struct kmf_runner *u, const char *name, size_t *at)
{
	for (*at = 0; name != NULL && *at < u->conf->nhooks; ++*at)
		if (strcmp(u->conf->hooks[*at].label, name) == 0)
			return &u->conf->hooks[*at];
	return NULL;
}

static int
post(struct kmf_runner *u, uint64_t job, const json_t *o)
{
	static const char *const names[] = { "id", "type", "signature" };
	static const char *const fields[] = { "Perch-Event-Id",
		"Perch-Event-Type", "Perch-Signature" };
	struct runner *w = u->state[KMF_ERRAND_HOOK];
	char lines[3][KMF_HOOK_SIGNATURE_MAX + 32];
	const char *headers[] = { "Content-Type: application/json", lines[0],
		lines[1], lines[2], NULL };
	const char *body = perc_json_str(o, "body"), *v;
	const struct kmf_webhook *h;
	struct post *p;
	size_t at, i;
	int r;

	h = hook_find(u, perc_json_str(o, "hook"), &at);
	for (i = 0; i < 3; i++) {
		if ((v = perc_json_str(o, names[i])) == NULL)
			return PERC_ERR_FORMAT;
		snprintf(lines[i], sizeof(lines[i]), "%s: %s", fields[i], v);
	}
	if (h == NULL || body == NULL)
		return PERC_ERR_NOTFOUND;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return PERC_ERR_NOMEM;
	p->u = u;
	p->job = job;
	r = perc_httpc_start(w->client[at], NULL, "POST", h->url, headers, body,
	    strlen(body), NULL, 0, on_answer, p);
	if (r != 0)
		free(p);
	return r;
}

const struct kmf_run_ops kmf_hook_runner = { runner_open, post, runner_close };
