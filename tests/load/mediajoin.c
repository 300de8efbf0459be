/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From token1 to a leg, in the order of agent/frontmdd.c: token2 for the
 * certificate, the join, ICE and DTLS by the agent's own leg. What of
 * frontmdd.c a leg reports to stands here instead (the linker wraps both).
 */
#include "tests/load/media.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/b64.h"
#include "perc/json.h"

#define GRANT	    "urn:ietf:params:oauth:grant-type:token-exchange"
#define ACCESS_TYPE "urn:ietf:params:oauth:token-type:access_token"
#define AGAIN_MS    500

void __wrap_front_mdd_up(struct front_conf *c);
void __wrap_front_mdd_lost(struct front_conf *c, const char *why);

static struct load_media *
media_of(struct front_conf *c)
{
	return (
	    struct load_media *)((char *)c - offsetof(struct load_media, conf));
}

static void
again(struct load_media *m, const char *why)
{
	m->s->l->count->leg_troubles++;
	if (m->s->l->verbose)
		fprintf(stderr, "# %s: %s\n", m->s->member, why);
	if (perc_timer_set(m->s->l->loop, &m->join,
		front_backoff(&m->conf.mdd_retry), load_media_join, m) != 0)
		exit(1);
}

void
__wrap_front_mdd_up(struct front_conf *c)
{
	c->state = FRONT_UP;
	c->mdd_retry.tries = 0;
}

void
__wrap_front_mdd_lost(struct front_conf *c, const char *why)
{
	struct load_media *m = media_of(c);

	front_leg_free(c->leg);
	c->leg = NULL;
	c->state = FRONT_CONNECTING;
	if (m->s->state == SEAT_LIVE && !m->spying)
		again(m, why);
}

/* By the road that this seat is on. */
static int
leg_new(struct load_media *m, struct front_join *j, char *why, size_t cap)
{
	bool lags = m->s->peer.lags;
	int r;

	if (lags) {
		load_road_close(m->road);
		m->road = NULL;
		if ((r = load_road_open(&m->road, m->s->l, &j->port)) != 0)
			return r;
		text_put(j->host, sizeof(j->host), "%s", load_away_address());
		load_away_go();
	}
	r = front_leg_new(&m->conf.leg, &m->conf, m->conf.dtls_id, j,
	    m->conf.ufrag, why, cap);
	if (lags)
		load_away_return();
	return r;
}

static void
on_join(const struct perc_httpc_answer *a, void *arg)
{
	struct load_media *m = arg;
	char why[FRONT_WORDS_MAX] = "malformed answer";
	struct front_join j;

	m->req = NULL;
	if (m->s->state != SEAT_LIVE || m->spying)
		return;
	if (a->err != 0 || a->status != 201) {
		text_put(why, sizeof(why), "join: %d %s%.150s", a->status,
		    a->why, a->body);
		again(m, why);
	} else if (front_join_parse(&j, a->body, a->len) != 0 ||
	    leg_new(m, &j, why, sizeof(why)) != 0) {
		again(m, why);
	}
}

static void
join_ask(struct load_media *m, const char *token2)
{
	char *auth = text_new("Authorization: Bearer %s", token2);
	char *url = text_new("%s/v1/join", m->s->l->mdd_base), *body;
	const char *headers[] = { auth, "Content-Type: application/json",
		NULL };

	perc_ice_credentials(m->conf.ufrag, m->conf.ice_pwd);
	body = text_new("{\"ufrag\":\"%s\",\"pwd\":\"%s\"}", m->conf.ufrag,
	    m->conf.ice_pwd);
	if (auth == NULL || url == NULL || body == NULL ||
	    perc_httpc_start(m->s->peer.http, &m->req, "POST", url, headers,
		body, strlen(body), NULL, 0, on_join, m) != 0)
		exit(1); /* no memory: there is nothing to measure */
	text_free(auth);
	text_free(url);
	text_free(body);
}

static void
on_token2(const struct perc_httpc_answer *a, void *arg)
{
	struct load_media *m = arg;
	const char *token = NULL;
	json_t *j = NULL;

	if (m->s->state != SEAT_LIVE || m->spying)
		return;
	if (a->err == 0 && a->status == 200 &&
	    perc_json_parse(&j, a->body, a->len, 65536, NULL, 0) == 0)
		token = perc_json_str(j, "access_token");
	if (token != NULL)
		join_ask(m, token);
	else
		again(m, "no token for the MDD");
	json_decref(j);
}

void
load_media_join(void *arg)
{
	struct load_media *m = arg;
	uint8_t fp[PERC_FINGERPRINT_LEN];
	char x5t[PERC_B64_LEN(PERC_FINGERPRINT_LEN) + 1], url[512];
	struct text form = { 0 };
	struct load_ask ask = { .method = "POST",
		.url = url,
		.type = "application/x-www-form-urlencoded" };

	if (m->s->state != SEAT_LIVE || m->spying)
		return;
	m->conf.state = FRONT_CONNECTING;
	perc_dtls_id_fingerprint(m->conf.dtls_id, fp);
	perc_b64_put(x5t, fp, sizeof(fp));
	text_put(url, sizeof(url), "%s/oauth/token", m->s->l->base);
	text_add_form(&form, "grant_type", GRANT);
	text_add_form(&form, "subject_token", m->s->token);
	text_add_form(&form, "subject_token_type", ACCESS_TYPE);
	text_add_form(&form, "resource", m->s->l->mdd_base);
	text_add_form(&form, "conference", m->s->l->conf);
	text_add_form(&form, "x5t_s256", x5t);
	ask.body = form.p;
	load_ask(&m->s->peer, &ask, on_token2, m);
	text_clear(&form);
}

void
load_media_part(struct load_media *m)
{
	front_leg_free(m->conf.leg);
	m->conf.leg = NULL;
	load_road_close(m->road);
	m->road = NULL;
	m->conf.state = FRONT_CONNECTING;
	if (m->s->peer.http != NULL)
		perc_httpc_cancel(m->req);
	m->req = NULL;
}
