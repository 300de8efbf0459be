/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the servers said (agent/frontdiscover.c) to the first key: room in
 * the vault, admission, the conference as its members see it, the key. The
 * vault's answer may come when the conference is left already; then the room
 * goes back.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/json.h"
#include "perc/log.h"

#define META_MAX 65536

static void enter_keys(struct front_conf *c);

/* ---- the vault makes room ----------------------------------------------- */

/* Outlives its conference, since the vault makes room whoever still wants it
 * and only we can give that back. */
struct front_opening {
	struct agent *agent;
	struct front_conf *conf; /* NULL: it was left meanwhile */
	char id[FRONT_ID_MAX];
};

void
front_opening_forget(struct front_conf *c)
{
	if (c->opening != NULL)
		c->opening->conf = NULL;
	c->opening = NULL;
}

static void
opened(struct front_conf *c, int err, const char *text)
{
	json_t *j = NULL;
	int64_t slot;

	if (err == PERC_ERR_DENIED) {
		front_fail(c, "untrusted",
		    "%s is not among the KMFs that this machine trusts",
		    c->kmf);
		return;
	}
	if (err != 0) {
		front_fail(c, "failed", "vault: %s", text);
		return;
	}
	c->vault_open = true;
	if (perc_json_parse(&j, text, strlen(text), META_MAX, NULL, 0) != 0 ||
	    perc_json_int(&slot, j, "slot", 0, VAULT_SLOTS - 1) != 0)
		front_fail(c, "failed", "the vault's answer is malformed");
	else
		c->slot = (unsigned)slot;
	json_decref(j);
	if (c->state != FRONT_ENTERING)
		return;
	if (c->code != NULL)
		front_admit(c);
	else
		front_login_refresh(c->agent, c->kmf, front_admit, c);
}

static void
on_opened(int err, const char *text, void *arg)
{
	struct front_opening *o = arg;
	struct front_conf *c = o->conf;
	const char *strs[] = { o->id };

	if (c != NULL) {
		c->opening = NULL;
		opened(c, err, text);
	} else if (err == 0) {
		(void)!front_vault_ask(
		    o->agent->vault, VAULT_LEAVE, strs, 1, NULL, NULL);
	}
	free(o);
}

void
front_enter_open(struct front_conf *c)
{
	const char *strs[] = { c->id, c->kmf };
	struct front_opening *o = calloc(1, sizeof(*o));
	int r = PERC_ERR_NOMEM;

	if (o != NULL) {
		o->agent = c->agent;
		o->conf = c;
		memcpy(o->id, c->id, sizeof(o->id));
		r = front_vault_ask(
		    c->agent->vault, VAULT_OPEN, strs, 2, on_opened, o);
	}
	if (r == 0) {
		c->opening = o;
		return;
	}
	free(o);
	front_fail(c, "failed", "vault: %s", perc_strerror(r));
}

/* ---- the conference as its members see it ------------------------------- */

static void
keep(char **to, const json_t *j, const char *name)
{
	free(*to);
	*to = text_dup(perc_json_str(j, name));
}

static void
on_conference(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	int64_t lease_s = 15;
	json_t *j;

	if ((j = front_json_take(c, a, "reading the conference")) == NULL)
		return;
	keep(&c->title, j, "title");
	keep(&c->starts_at, j, "starts_at");
	keep(&c->ends_at, j, "ends_at");
	front_mdds_take(c, j);
	keep(&c->name, json_object_get(j, "you"), "name");
	json_decref(c->media);
	json_decref(c->policy);
	c->media = json_incref(json_object_get(j, "media"));
	c->policy = json_incref(json_object_get(j, "policy"));
	if (perc_json_int(&lease_s, c->policy, "lease_s", 3, 3600) != 0)
		lease_s = 15;
	c->lease_ms = lease_s * 1000;
	if (c->mdd == NULL)
		front_fail(c, "failed", "the conference names no distributor");
	else
		enter_keys(c);
	json_decref(j);
}

void
front_enter_admitted(struct front_conf *c)
{
	struct front_ask ask = {
		.method = "GET", .url = c->resource, .token = c->token1
	};
	int r;

	if ((r = front_call_start(c->agent, &c->call, &c->nonces,
		 FRONT_NONCE_RS, &ask, on_conference, c)) != 0)
		front_fail(c, "failed", "%s", perc_strerror(r));
}

/* ---- the first key ------------------------------------------------------ */

static void
on_first_key(int err, const char *text, void *arg)
{
	struct front_conf *c = arg;

	if (err != 0) {
		front_fail(
		    c, "untrusted", "the vault refuses the key: %s", text);
		return;
	}
	c->vault_live = true;
	front_epoch_note(c, text);
	front_live_start(c);
}

static void
on_keys(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	const char *strs[] = { c->id, a->body };
	int r;

	if (a->err != 0 || a->status != 200)
		front_fail_answer(c, a, "asking for the key");
	else if ((r = front_vault_ask(c->agent->vault, VAULT_KEY, strs, 2,
		      on_first_key, c)) != 0)
		front_fail(c, "failed", "vault: %s", perc_strerror(r));
}

static void
enter_keys(struct front_conf *c)
{
	int r;

	front_progress(c, "asking for the key of \"%s\"",
	    c->title != NULL ? c->title : c->id);
	if ((r = front_keys_ask(c, &c->call, on_keys)) != 0)
		front_fail(c, "failed", "%s", perc_strerror(r));
}

/* ---- the beginning and the bad end
 * ------------------------------------------- */

void
front_fail(struct front_conf *c, const char *code, const char *fmt, ...)
{
	const char *strs[] = { c->id };
	char words[FRONT_WORDS_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	log_warnx("join_failed conf=%s code=%s words=\"%s\"",
	    c->id[0] != '\0' ? c->id : "-", code, words);
	if (c->joiner != NULL)
		local_error(c->joiner, code, words);
	c->joiner = NULL;
	text_put(c->words, sizeof(c->words), "%s", words);
	if (c->vault_open && !c->vault_erased)
		(void)!front_vault_ask(
		    c->agent->vault, VAULT_LEAVE, strs, 1, NULL, NULL);
	if (c->returning && strcmp(code, "unreachable") == 0)
		front_return(c);
	else
		front_conf_close(c);
}

/* The place of the same conference's past, or a free one, or any past. */
static struct front_conf **
place(struct agent *a, const char *uri)
{
	struct front_conf **over = NULL, **free_one = NULL;
	unsigned live = 0;

	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL && a->confs[i]->state != FRONT_OVER)
			live++;
	if (live >= VAULT_SLOTS)
		return NULL;
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		struct front_conf *c = a->confs[i];

		if (c == NULL && free_one == NULL)
			free_one = &a->confs[i];
		if (c == NULL || c->state != FRONT_OVER)
			continue;
		if (c->uri != NULL && strcmp(c->uri, uri) == 0)
			return &a->confs[i];
		over = &a->confs[i];
	}
	if (free_one != NULL)
		return free_one;
	return over;
}

int
front_enter(struct agent *a, struct local_req *joiner, const char *uri,
    const char *code, char *why, size_t whycap)
{
	struct front_conf **at = place(a, uri), *c;
	const char *id = strrchr(uri, '/');

	if (id == NULL || strlen(uri) > 1024 ||
	    (!text_is_id(id + 1, "c_") && !text_is_id(id + 1, "s_"))) {
		text_put(why, whycap,
		    "a conference URI looks like https://kmf.example/c/c_...");
		return PERC_ERR_FORMAT;
	}
	if (at == NULL) {
		text_put(why, whycap, "already in %d conferences", VAULT_SLOTS);
		return PERC_ERR_LIMIT;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return PERC_ERR_NOMEM;
	c->agent = a;
	c->joiner = joiner;
	c->uri = text_dup(uri);
	c->code = text_dup(code);
	front_sse_init(&c->sse);
	front_conf_free(*at);
	*at = c;
	if (c->uri == NULL || (code != NULL && c->code == NULL))
		front_fail(c, "failed", "out of memory");
	else
		front_discover(c);
	return 0;
}

void
front_enter_again(struct front_conf *c)
{
	free(c->kmf);
	free(c->resource);
	free(c->token_endpoint);
	c->kmf = c->resource = c->token_endpoint = NULL;
	front_discover(c);
}
