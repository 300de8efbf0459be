/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which worker a leg goes to, mdd/place.c knows. What a worker says ends a
 * record here; a worker that dies ends all of its own. Legs that are none of
 * these are links, mdd/cascade.c.
 */
#include <stdlib.h>
#include <string.h>

#include "mdd/cascade.h"
#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/secret.h"

/* ---- conferences ------------------------------------------------------ */

static void
room_key(char out[MDD_CONF_KEY_MAX + 1], const struct ctl *c,
    const struct mdd_token *t, bool hop_only)
{
	/* Two KMFs may use the same conference id. And who has no end-to-end
	 * layer is in another room: nothing of the one gets into the other. */
	(void)snprintf(out, MDD_CONF_KEY_MAX + 1, "%s/%s%s",
	    c->issuer[t->issuer].name, t->conference, hop_only ? "/hop" : "");
}

/* ---- legs ------------------------------------------------------------- */

struct ctl_leg *
ctl_leg_find(struct ctl *c, const char *id)
{
	uint32_t h = mdd_table_hash(&c->legs, id, strlen(id));
	struct mdd_node *n;

	for (n = mdd_table_first(&c->legs, h); n != NULL; n = mdd_table_next(n))
		if (strcmp(MDD_OWNER(n, struct ctl_leg, by_id)->id, id) == 0)
			return MDD_OWNER(n, struct ctl_leg, by_id);
	return NULL;
}

bool
ctl_leg_is(
    const struct ctl *c, const struct ctl_leg *leg, const struct mdd_token *t)
{
	char key[MDD_CONF_KEY_MAX + 1];

	room_key(key, c, t, leg->whip != NULL);
	return strcmp(key, leg->room->key) == 0 &&
	    strcmp(t->member, leg->member) == 0 &&
	    memcmp(t->pin, leg->pin, sizeof(t->pin)) == 0;
}

static void
leg_free(struct ctl *c, struct ctl_leg *leg)
{
	mdd_table_del(&leg->by_id);
	*leg->linkp = leg->next;
	if (leg->next != NULL)
		leg->next->linkp = leg->linkp;
	leg->room->worker->legs--;
	leg->room->legs--;
	ctl_room_changed(c, leg->room);
	c->nlegs--;
	whip_free(leg->whip);
	free(leg);
}

static uint64_t
live_ms(const struct ctl *c, const struct mdd_token *t)
{
	int64_t ms = t->exp_s * 1000 - perc_wall_ms() + c->conf->grace_s * 1000;

	return ms < 1000 ? 1000 : (uint64_t)ms;
}

static int
join_send(struct ctl *c, const struct ctl_leg *leg, const struct mdd_token *t,
    const struct ctl_ice *ice)
{
	struct mdd_join j = { .nssrcs = t->nssrcs, .live_ms = live_ms(c, t) };
	uint8_t buf[MDD_MSG_MAX];
	int n, r;

	memcpy(j.leg, leg->id, sizeof(j.leg));
	memcpy(j.conference, leg->room->key, sizeof(j.conference));
	memcpy(j.member, t->member, sizeof(j.member));
	memcpy(j.pin, t->pin, sizeof(j.pin));
	memcpy(j.ssrcs, t->ssrcs, sizeof(j.ssrcs));
	memcpy(j.from, ice->from, sizeof(j.from));
	memcpy(j.ufrag, ice->ufrag, sizeof(j.ufrag));
	memcpy(j.pwd, ice->pwd, sizeof(j.pwd));
	if ((j.planned = leg->whip != NULL))
		j.plan = leg->whip->plan;
	j.twcc = ice->twcc;
	n = mdd_join_put(buf, &j);
	r = n < 0 ? n
		  : perc_chan_send(leg->room->worker->chan, MDD_MSG_JOIN, 0,
			buf, (size_t)n);
	perc_wipe(&j, sizeof(j));
	perc_wipe(buf, sizeof(buf));
	return r;
}

int
ctl_join(struct ctl *c, const struct mdd_token *t, const struct ctl_ice *ice,
    struct ctl_whip *whip, struct perc_httpd_req *req)
{
	char key[MDD_CONF_KEY_MAX + 1];
	struct ctl_room *room;
	struct ctl_leg *leg;
	int r;

	if (c->nlegs >= c->workers * (unsigned)c->conf->max_legs)
		return PERC_ERR_LIMIT;
	room_key(key, c, t, whip != NULL);
	if ((r = ctl_room_get(c, key, t->member, &room)) != 0)
		return r;
	if (ctl_ssrc_elsewhere(c, room, t)) {
		ctl_room_put(c, room);
		return PERC_ERR_CONFLICT;
	}
	(void)cascade_named(room->party, t); /* links follow the leg */
	if ((leg = calloc(1, sizeof(*leg))) == NULL) {
		ctl_room_put(c, room);
		return PERC_ERR_NOMEM;
	}
	perc_random_id(leg->id, sizeof(leg->id), "l_");
	memcpy(leg->member, t->member, sizeof(leg->member));
	memcpy(leg->pin, t->pin, sizeof(leg->pin));
	memcpy(leg->ssrcs, t->ssrcs, sizeof(leg->ssrcs));
	leg->nssrcs = t->nssrcs;
	leg->exp_s = t->exp_s;
	leg->asked_ms = perc_now_ms();
	leg->req = req;
	leg->room = room;
	room->legs++;
	room->worker->legs++;
	c->nlegs++;
	leg->next = c->first;
	leg->linkp = &c->first;
	if (leg->next != NULL)
		leg->next->linkp = &leg->next;
	c->first = leg;
	mdd_table_add(&c->legs, &leg->by_id,
	    mdd_table_hash(&c->legs, leg->id, strlen(leg->id)));
	leg->whip = whip;
	if ((r = join_send(c, leg, t, ice)) != 0) {
		leg->whip = NULL;
		leg_free(c, leg);
	}
	return r;
}

static void
worker_tell(struct ctl_worker *w, uint16_t type, const void *p, int n)
{
	if (n < 0 || w->chan == NULL ||
	    perc_chan_send(w->chan, type, 0, p, (size_t)n) != 0)
		log_warnx("worker %u does not hear us", w->index);
}

void
ctl_leg_leave(struct ctl *c, struct ctl_leg *leg)
{
	ctl_leg_end(c, leg, MDD_LEGS_LEFT);
}

/* The record goes when the worker says LEFT. */
void
ctl_leg_end(struct ctl *c, struct ctl_leg *leg, enum mdd_count why)
{
	struct mdd_leave m = { .why = why };
	uint8_t buf[MDD_MSG_MAX];

	memcpy(m.leg, leg->id, sizeof(m.leg));
	leg->ended = true;
	worker_tell(
	    leg->room->worker, MDD_MSG_LEAVE, buf, mdd_leave_put(buf, &m));
}

void
ctl_leg_renew(struct ctl *c, struct ctl_leg *leg, const struct mdd_token *t)
{
	struct mdd_renew m = { .live_ms = live_ms(c, t) };
	uint8_t buf[MDD_MSG_MAX];

	memcpy(m.leg, leg->id, sizeof(m.leg));
	leg->exp_s = t->exp_s;
	worker_tell(
	    leg->room->worker, MDD_MSG_RENEW, buf, mdd_renew_put(buf, &m));
	if (cascade_named(leg->room->party, t))
		ctl_room_changed(c, leg->room);
}

void
ctl_leg_subscribe(struct ctl *c, struct ctl_leg *leg, const struct mdd_taste *t)
{
	struct mdd_subscribe m = { .taste = *t };
	uint8_t buf[MDD_MSG_MAX];

	memcpy(m.leg, leg->id, sizeof(m.leg));
	worker_tell(leg->room->worker, MDD_MSG_SUBSCRIBE, buf,
	    mdd_subscribe_put(buf, &m));
}

void
ctl_legs_tick(struct ctl *c, int64_t now_ms)
{
	struct ctl_leg *leg;

	for (leg = c->first; leg != NULL; leg = leg->next)
		if (leg->req != NULL &&
		    now_ms - leg->asked_ms > CTL_ANSWER_MS) {
			join_answer(c, leg, NULL);
			ctl_leg_leave(c, leg);
		}
}

void
ctl_legs_clear(struct ctl *c)
{
	unsigned i;

	for (i = 0; i < c->workers; i++)
		ctl_worker_lost(&c->worker[i]);
	mdd_table_clear(&c->legs);
	mdd_table_clear(&c->rooms);
}

/* ---- workers ---------------------------------------------------------- */

static int
on_ready(struct perc_chan *chan, const struct perc_chan_msg *m, void *arg)
{
	struct ctl_worker *w = arg;
	struct mdd_ready q;
	int r;

	if ((r = mdd_ready_get(&q, m->data, m->len)) != 0)
		return r;
	perc_fingerprint_put(w->fingerprint, q.fp);
	w->ready = true;
	log_info("media worker=%u address=%s port=%u", w->index,
	    w->ctl->conf->media_host, w->port);
	return 0;
}

static int
on_joined(struct perc_chan *chan, const struct perc_chan_msg *m, void *arg)
{
	struct ctl_worker *w = arg;
	struct ctl_leg *leg;
	struct mdd_joined a;
	int r;

	if ((r = mdd_joined_get(&a, m->data, m->len)) != 0)
		return r;
	leg = ctl_leg_find(w->ctl, a.leg);
	if (leg != NULL && leg->room->worker == w) {
		if (leg->req != NULL)
			join_answer(w->ctl, leg, &a);
		if (a.err != 0)
			leg_free(w->ctl, leg);
		else
			ctl_room_changed(w->ctl, leg->room);
	} else if (leg == NULL) {
		cascade_joined(w->ctl, w, &a);
	}
	perc_wipe(&a, sizeof(a));
	return 0;
}

static int
on_left(struct perc_chan *chan, const struct perc_chan_msg *m, void *arg)
{
	struct ctl_worker *w = arg;
	struct ctl_leg *leg;
	struct mdd_leave q;
	int r;

	if ((r = mdd_leave_get(&q, m->data, m->len)) != 0)
		return r;
	leg = ctl_leg_find(w->ctl, q.leg);
	if (leg == NULL)
		cascade_left(w->ctl, w, &q);
	if (leg == NULL || leg->room->worker != w)
		return 0;
	if (leg->req != NULL) /* the worker needed its place at once */
		join_answer(w->ctl, leg, NULL);
	leg_free(w->ctl, leg);
	return 0;
}

static int
on_stats(struct perc_chan *chan, const struct perc_chan_msg *m, void *arg)
{
	struct ctl_worker *w = arg;
	struct mdd_stats s;
	int r;

	if ((r = mdd_stats_get(&s, m->data, m->len)) == 0)
		ctl_worker_told(w, &s, perc_now_ms());
	return r;
}

static int
on_legs(struct perc_chan *chan, const struct perc_chan_msg *m, void *arg)
{
	struct ctl_worker *w = arg;
	struct mdd_legstats s;
	struct ctl_leg *leg;
	unsigned i;
	int r;

	if ((r = mdd_legstats_get(&s, m->data, m->len)) != 0)
		return r;
	for (i = 0; i < s.n; i++) {
		leg = ctl_leg_find(w->ctl, s.leg[i].leg);
		if (leg != NULL && leg->room->worker == w)
			leg->stat = s.leg[i];
	}
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ MDD_MSG_READY, 1, MDD_MSG_MAX, on_ready },
	{ MDD_MSG_JOINED, ~0u, MDD_MSG_MAX, on_joined },
	{ MDD_MSG_LEFT, ~0u, MDD_MSG_MAX, on_left },
	{ MDD_MSG_STATS, ~0u, MDD_MSG_MAX, on_stats },
	{ MDD_MSG_LEGS, ~0u, MDD_MSG_MAX, on_legs },
};

static void
worker_gone(struct perc_chan *chan, int why, void *arg)
{
	struct ctl_worker *w = arg;

	if (!w->ctl->stopping)
		log_warnx(
		    "worker %u is gone: %s", w->index, perc_strerror(why));
	ctl_worker_lost(w);
}

void
ctl_worker_lost(struct ctl_worker *w)
{
	struct ctl *c = w->ctl;
	struct ctl_leg *leg, *next;

	if (c == NULL)
		return;
	w->ready = false; /* nothing is placed there any more */
	for (leg = c->first; leg != NULL; leg = next) {
		next = leg->next;
		if (leg->room->worker != w)
			continue;
		if (leg->req != NULL)
			join_answer(c, leg, NULL);
		leg_free(c, leg);
	}
	perc_chan_free(w->chan);
	w->chan = NULL;
	cascade_worker_lost(c, w);
}

/* What a worker is told of the configuration. */
static struct mdd_setup
setup_of(const struct ctl *c)
{
	struct mdd_setup s = { .max_legs = (uint32_t)c->conf->max_legs,
		.max_conferences = (uint32_t)c->conf->max_conferences,
		.max_conference_legs = (uint32_t)c->conf->max_conference_legs,
		.max_leg_pps = (uint32_t)c->conf->max_leg_pps,
		.max_leg_kbps = (uint32_t)c->conf->max_leg_kbps,
		.idle_ms = (uint32_t)c->conf->idle_s * 1000,
		.rtx_packets = (uint32_t)c->conf->rtx_packets,
		.rtx_kib = (uint32_t)c->conf->rtx_memory * 1024,
		.last_n = (uint32_t)c->conf->last_n,
		.log_level = (uint32_t)c->conf->log_level,
		.metrics_legs = (uint32_t)c->conf->metrics_legs,
		.max_links = mdd_conf_links(c->conf),
		.max_link_sources = (uint32_t)c->conf->max_link_sources,
		.max_link_pps = (uint32_t)c->conf->max_link_pps };

	return s;
}

void
ctl_limits_send(struct ctl *c)
{
	struct mdd_setup s = setup_of(c);
	uint8_t buf[MDD_MSG_MAX];
	unsigned i;

	for (i = 0; i < c->workers; i++)
		if (c->worker[i].ready)
			worker_tell(&c->worker[i], MDD_MSG_LIMITS, buf,
			    mdd_setup_put(buf, &s));
}

void
ctl_worker_open(struct ctl *c, const struct mdd_worker_note *n, int fd)
{
	struct mdd_setup s = setup_of(c);
	struct ctl_worker *w = &c->worker[n->index];
	uint8_t buf[MDD_MSG_MAX];
	int r;

	ctl_worker_lost(w); /* when its end was not seen yet */
	memset(w, 0, sizeof(*w));
	w->ctl = c;
	w->index = n->index;
	w->port = n->port;
	if ((r = perc_chan_new(&w->chan, c->loop, fd, rules,
		 sizeof(rules) / sizeof(rules[0]), worker_gone, w)) != 0)
		fatalx("channel of worker %u: %s", n->index, perc_strerror(r));
	worker_tell(w, MDD_MSG_SETUP, buf, mdd_setup_put(buf, &s));
}

bool
ctl_ready(const struct ctl *c)
{
	unsigned i;

	for (i = 0; i < c->workers; i++)
		if (!c->worker[i].ready)
			return false;
	return true;
}
