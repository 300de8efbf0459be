/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we ask of another MDD over HTTPS (docs/wire/cascade.md): its end of a
 * link, that the link lives on, that it ends. Each request proves our link key.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/cascade.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

bool
cascade_text_get(char *out, size_t min, size_t cap, const json_t *j,
    const char *name, const char *also)
{
	const char *s = perc_json_str(j, name);
	size_t n = s == NULL ? 0 : strlen(s), i;

	if (n < min || n >= cap)
		return false;
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && strchr(also, s[i]) == NULL)
			return false;
	memcpy(out, s, n + 1);
	return true;
}

void
cascade_live_on(struct ctl_link *k)
{
	struct mdd_renew m = { .live_ms = (LINK_TTL_S + 30) * 1000 };
	uint8_t buf[MDD_MSG_MAX];
	int n;

	memcpy(m.leg, k->leg, sizeof(m.leg));
	if ((n = mdd_renew_put(buf, &m)) > 0 &&
	    perc_chan_send(
		k->room->worker->chan, MDD_MSG_RENEW, 0, buf, (size_t)n) != 0)
		log_warnx("worker %u does not hear us", k->room->worker->index);
}

static int
ask(struct ctl *c, struct ctl_link *k, struct perc_httpc_req **rp,
    const char *method, const char *path, const char *body, perc_httpc_fn done,
    void *arg)
{
	char url[LINK_URL_MAX], *proof = NULL, *header = NULL;
	const char *headers[] = { NULL, "Content-Type: application/json",
		NULL };
	int r = PERC_ERR_NOMEM;

	(void)snprintf(
	    url, sizeof(url), "%s/v1/link%s", k->peer->conf.url, path);
	if ((r = perc_dpop_make(&proof, c->cascade->key, method, url, NULL,
		 NULL, NULL, perc_wall_ms() / 1000)) != 0)
		return r;
	r = PERC_ERR_NOMEM;
	if ((header = malloc(strlen(proof) + 8)) != NULL) {
		(void)sprintf(header, "DPoP: %s", proof);
		headers[0] = header;
		r = perc_httpc_start(k->peer->http, rp, method, url, headers,
		    body, strlen(body), NULL, 0, done, arg);
	}
	free(header);
	free(proof);
	return r;
}

static bool
answer_get(struct ctl_link *k, const struct perc_httpc_answer *a,
    struct mdd_dial *d, int64_t *expires_s)
{
	const char *fp, *host;
	json_t *j = NULL;
	int64_t port = 0;
	bool ok = false;

	if (perc_json_parse(&j, a->body, a->len, LINK_BODY_MAX, NULL, 0) != 0)
		return false;
	fp = perc_json_str(j, "fingerprint");
	host = perc_json_str(j, "host");
	if (fp != NULL && perc_fingerprint_get(d->pin, fp) == 0 &&
	    host != NULL && strlen(host) < sizeof(d->host) &&
	    perc_json_int(&port, j, "port", 1, 65535) == 0 &&
	    perc_json_int(expires_s, j, "expires_in", 1, 86400) == 0 &&
	    cascade_text_get(
		k->far_leg, 1, sizeof(k->far_leg), j, "leg", "-_") &&
	    cascade_text_get(
		d->ufrag, 4, sizeof(d->ufrag), j, "ufrag", "+/-_") &&
	    cascade_text_get(d->pwd, 22, sizeof(d->pwd), j, "pwd", "+/-_")) {
		memcpy(d->host, host, strlen(host) + 1);
		memcpy(d->leg, k->leg, sizeof(d->leg));
		d->port = (uint32_t)port;
		d->twcc = json_is_true(json_object_get(j, "twcc"));
		ok = true;
	}
	json_decref(j);
	return ok;
}

static void
renew_plan(struct ctl_link *k, int64_t expires_s)
{
	k->renew_ms = expires_s * 1000 / 2;
	if (k->renew_ms > LINK_RENEW_MS)
		k->renew_ms = LINK_RENEW_MS;
}

/* How long to leave it alone, by what it said. */
static int64_t
wait_ms(const struct perc_httpc_answer *a)
{
	if (a->err != 0)
		return 0;
	return a->status == 404 ? LINK_NOBODY_MS
	    : a->status == 409	? 5000
	    : a->status == 401	? LINK_REFUSED_MS
				: LINK_BACK_MS;
}

static void
on_peer(const struct perc_httpc_answer *a, void *arg)
{
	struct ctl_link *k = arg;
	struct ctl *c = k->room->worker->ctl;
	struct mdd_dial d = { .odd = strcmp(c->conf->base_url,
					 k->peer->conf.url) > 0 };
	int64_t expires_s = 0;

	k->ask = NULL;
	if (a->err == 0 && a->status == 201 &&
	    answer_get(k, a, &d, &expires_s)) {
		renew_plan(k, expires_s);
		cascade_dial(c, k, &d);
	} else {
		/* Nobody there is no fault of anybody's. */
		if (a->err != 0 || (a->status != 404 && a->status != 409))
			log_warnx("no link to=%s status=%d why=\"%s\"",
			    k->peer->conf.name, a->err != 0 ? 0 : a->status,
			    a->err != 0 ? a->why : "refused");
		cascade_fail(c, k, wait_ms(a));
	}
	perc_wipe(&d, sizeof(d));
}

void
cascade_ask_peer(struct ctl *c, struct ctl_link *k, const struct mdd_joined *a)
{
	char name[MDD_CONF_KEY_MAX + 1], *id, *text;
	json_t *j = NULL;
	unsigned i;

	memcpy(name, k->party->key, sizeof(name));
	id = strchr(name, '/');
	*id++ = '\0';
	for (i = 0; i < c->conf->kmfs; i++)
		if (strcmp(c->issuer[i].name, name) == 0)
			break;
	if (i == c->conf->kmfs) { /* a reload took it out */
		cascade_fail(c, k, LINK_BACK_MAX);
		return;
	}
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "issuer",
	    c->issuer[i].issuer, "conference", id, "leg", k->leg, "ufrag",
	    a->ufrag, "pwd", a->pwd, "fingerprint",
	    k->room->worker->fingerprint, "twcc", 1);
	text = j == NULL ? NULL : perc_json_text(j);
	json_decref(j);
	k->state = LINK_THEIRS;
	if (text == NULL ||
	    ask(c, k, &k->ask, "POST", "", text, on_peer, k) != 0)
		cascade_fail(c, k, 0);
	perc_json_free(text);
}

static void
on_renewed(const struct perc_httpc_answer *a, void *arg)
{
	struct ctl_link *k = arg;
	struct ctl *c = k->room->worker->ctl;
	int64_t expires_s;
	json_t *j = NULL;

	k->ask = NULL;
	if (a->err == 0 && a->status == 200 &&
	    perc_json_parse(&j, a->body, a->len, LINK_BODY_MAX, NULL, 0) == 0 &&
	    perc_json_int(&expires_s, j, "expires_in", 1, 86400) == 0) {
		renew_plan(k, expires_s);
		k->due_ms = perc_now_ms() + k->renew_ms;
		cascade_live_on(k);
	} else if (a->err == 0 && (a->status == 404 || a->status == 401)) {
		k->far_leg[0] = '\0';
		cascade_fail(c, k, wait_ms(a) / 30);
	} else { /* it may answer the next time */
		k->due_ms = perc_now_ms() +
		    (k->renew_ms < LINK_RETRY_MS ? k->renew_ms : LINK_RETRY_MS);
	}
	json_decref(j);
}

void
cascade_renew(struct ctl *c, struct ctl_link *k)
{
	char path[MDD_LEG_ID_MAX + 1];

	(void)snprintf(path, sizeof(path), "/%s", k->far_leg);
	if (k->ask == NULL &&
	    ask(c, k, &k->ask, "PUT", path, "", on_renewed, k) != 0)
		log_warnx("no renewal of link leg=%s", k->leg);
}

static void
on_bye(const struct perc_httpc_answer *a, void *arg)
{
}

/* Whether it arrives or not: silence ends it as well. */
void
cascade_bye(struct ctl *c, struct ctl_link *k)
{
	char path[MDD_LEG_ID_MAX + 1];

	(void)snprintf(path, sizeof(path), "/%s", k->far_leg);
	if (ask(c, k, NULL, "DELETE", path, "", on_bye, NULL) != 0)
		log_warnx("no goodbye to=%s", k->peer->conf.name);
}
