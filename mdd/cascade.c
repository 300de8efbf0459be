/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of links, once mdd/cascade_want.c wants one: it takes its steps as
 * answers come: our worker's end, the other one's, DIAL. Whatever goes wrong on
 * the way ends both halves and waits, longer each time: an end that nobody
 * dials dies of silence in its worker.
 *
 * Two MDDs may dial each other at the same moment. One of the two dials counts,
 * that of the lesser base URL (mdd/cascade_http.c).
 */
#include "mdd/cascade.h"

#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/secret.h"

/* ---- records ---------------------------------------------------------- */

struct ctl_link *
cascade_find(
    struct ctl *c, const struct ctl_party *p, const struct ctl_peer *peer)
{
	struct ctl_link *k;

	for (k = c->cascade->first; k != NULL; k = k->next)
		if (k->party == p && k->peer == peer)
			return k;
	return NULL;
}

struct ctl_link *
cascade_new(struct ctl *c, struct ctl_room *room)
{
	struct ctl_link *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->party = room->party;
	k->room = room;
	k->renew_ms = LINK_RENEW_MS;
	room->links++;
	k->next = c->cascade->first;
	k->linkp = &c->cascade->first;
	if (k->next != NULL)
		k->next->linkp = &k->next;
	c->cascade->first = k;
	return k;
}

static void
link_free(struct ctl *c, struct ctl_link *k)
{
	*k->linkp = k->next;
	if (k->next != NULL)
		k->next->linkp = k->linkp;
	k->room->links--;
	if (k->far != NULL) {
		k->far->links--;
		ctl_room_put(c, k->far);
	}
	ctl_room_put(c, k->room);
	free(k);
}

static void
worker_leave(struct ctl_worker *w, char leg[MDD_LEG_ID_MAX])
{
	struct mdd_leave m = { .why = MDD_LEGS_LEFT };
	uint8_t buf[MDD_MSG_MAX];
	int n;

	if (leg[0] == '\0')
		return;
	memcpy(m.leg, leg, sizeof(m.leg));
	leg[0] = '\0';
	if (w->chan != NULL && (n = mdd_leave_put(buf, &m)) > 0 &&
	    perc_chan_send(w->chan, MDD_MSG_LEAVE, 0, buf, (size_t)n) != 0)
		log_warnx("worker %u does not hear us", w->index);
}

/* Both ends go; the record stays. */
static void
link_undo(struct ctl *c, struct ctl_link *k)
{
	perc_httpc_cancel(k->ask);
	k->ask = NULL;
	if (k->req != NULL)
		cascade_answer(c, k, NULL);
	worker_leave(k->room->worker, k->leg);
	if (k->far != NULL)
		worker_leave(k->far->worker, k->far_leg);
	else if (k->far_leg[0] != '\0')
		cascade_bye(c, k);
	k->far_leg[0] = '\0';
}

void
cascade_end(struct ctl *c, struct ctl_link *k)
{
	link_undo(c, k);
	link_free(c, k);
}

/* RFC 8085 section 3.1: back off. With jitter, for many may have lost the
 * same peer. */
void
cascade_fail(struct ctl *c, struct ctl_link *k, int64_t least_ms)
{
	int64_t ms = LINK_BACK_MS, now = perc_now_ms();
	unsigned i;

	if (k->state == LINK_LIVE && now - k->live_ms >= LINK_HELD_MS)
		k->tries = 0;
	link_undo(c, k);
	c->cascade->failed++;
	for (i = 0; i < k->tries && ms < LINK_BACK_MAX; i++)
		ms *= 2;
	if (ms < least_ms)
		ms = least_ms;
	k->tries++;
	k->state = LINK_WAITS;
	k->due_ms = now + ms / 2 + perc_random_u32() % (uint32_t)ms;
}

/* ---- the steps -------------------------------------------------------- */

int
cascade_ask_worker(struct ctl *c, struct ctl_link *k, const struct mdd_join *j)
{
	const struct ctl_room *at =
	    j->dial || k->far == NULL ? k->room : k->far;
	uint8_t buf[MDD_MSG_MAX];
	int n = mdd_join_put(buf, j), r;

	if (n < 0)
		return n;
	if (!at->worker->ready)
		return PERC_ERR_AGAIN;
	r = perc_chan_send(at->worker->chan, MDD_MSG_JOIN, 0, buf, (size_t)n);
	perc_wipe(buf, sizeof(buf));
	k->due_ms = perc_now_ms() + CTL_ANSWER_MS;
	return r;
}

void
cascade_dial(struct ctl *c, struct ctl_link *k, const struct mdd_dial *d)
{
	uint8_t buf[MDD_MSG_MAX];
	int n = mdd_dial_put(buf, d);

	k->state = LINK_LIVE;
	k->live_ms = perc_now_ms();
	k->due_ms = k->live_ms + k->renew_ms;
	c->cascade->dialled++;
	if (n < 0 ||
	    perc_chan_send(
		k->room->worker->chan, MDD_MSG_DIAL, 0, buf, (size_t)n) != 0)
		log_warnx("worker %u does not hear us", k->room->worker->index);
	perc_wipe(buf, sizeof(buf));
	log_info("link dialled leg=%s conference=%s to=%s host=%s port=%u",
	    k->leg, k->party->key, k->peer != NULL ? k->peer->conf.name : "-",
	    d->host, d->port);
}

static enum mdd_link_kind
link_kind(const struct ctl_link *k)
{
	if (k->peer == NULL)
		return MDD_LINK_LOCAL;
	return k->peer->conf.transit ? MDD_LINK_TRANSIT : MDD_LINK_PEER;
}

/* A member's id has no colon. */
void
cascade_join_fill(const struct ctl_link *k, bool dial, struct mdd_join *j)
{
	const struct ctl_worker *w;

	*j = (struct mdd_join){ .link = link_kind(k), .dial = dial };
	perc_random_id(j->leg, sizeof(j->leg), "k_");
	memcpy(j->conference, k->party->key, sizeof(j->conference));
	w = k->far == NULL ? NULL : dial ? k->far->worker : k->room->worker;
	if (k->peer != NULL)
		(void)snprintf(j->member, sizeof(j->member), "peer:%.40s",
		    k->peer->conf.name);
	else
		(void)snprintf(j->member, sizeof(j->member), "worker:%u",
		    w == NULL ? 0 : w->index);
	/* Between workers we are there to end it. */
	j->live_ms =
	    k->peer == NULL ? UINT64_MAX / 4 : (LINK_TTL_S + 30) * 1000;
}

void
cascade_start(struct ctl *c, struct ctl_link *k)
{
	struct mdd_join j;

	k->dial = true;
	k->state = LINK_OURS;
	cascade_join_fill(k, true, &j);
	memcpy(k->leg, j.leg, sizeof(k->leg));
	if (cascade_ask_worker(c, k, &j) != 0)
		cascade_fail(c, k, 0);
}

/* The root's end of a link between two workers. */
static void
far_start(struct ctl *c, struct ctl_link *k, const struct mdd_joined *a)
{
	struct mdd_join j;

	k->state = LINK_THEIRS;
	cascade_join_fill(k, false, &j);
	memcpy(k->far_leg, j.leg, sizeof(k->far_leg));
	memcpy(j.ufrag, a->ufrag, sizeof(a->ufrag));
	memcpy(j.pwd, a->pwd, sizeof(a->pwd));
	if (perc_fingerprint_get(j.pin, k->room->worker->fingerprint) != 0 ||
	    cascade_ask_worker(c, k, &j) != 0)
		cascade_fail(c, k, 0);
	perc_wipe(&j, sizeof(j));
}

/* Where one worker of ours reaches another. */
static const char *
own_host(const struct mdd_conf *conf)
{
	if (strcmp(conf->media_listen, "0.0.0.0") == 0)
		return "127.0.0.1";
	return strcmp(conf->media_listen, "::") == 0 ? "::1"
						     : conf->media_listen;
}

static void
far_made(struct ctl *c, struct ctl_link *k, const struct mdd_joined *a)
{
	struct mdd_dial d = { .port = k->far->worker->port,
		.odd = k->room->worker->index > k->far->worker->index };

	memcpy(d.leg, k->leg, sizeof(d.leg));
	(void)snprintf(d.host, sizeof(d.host), "%s", own_host(c->conf));
	memcpy(d.ufrag, a->ufrag, sizeof(a->ufrag));
	memcpy(d.pwd, a->pwd, sizeof(a->pwd));
	if (perc_fingerprint_get(d.pin, k->far->worker->fingerprint) != 0)
		cascade_fail(c, k, 0);
	else
		cascade_dial(c, k, &d);
	perc_wipe(&d, sizeof(d));
}

static struct ctl_link *
link_by_leg(struct ctl *c, const struct ctl_worker *w, const char *leg)
{
	struct ctl_link *k;

	for (k = c->cascade->first; k != NULL; k = k->next)
		if ((k->room->worker == w && strcmp(k->leg, leg) == 0) ||
		    (k->far != NULL && k->far->worker == w &&
			strcmp(k->far_leg, leg) == 0))
			return k;
	return NULL;
}

void
cascade_joined(struct ctl *c, struct ctl_worker *w, const struct mdd_joined *a)
{
	struct ctl_link *k =
	    a->leg[0] == '\0' ? NULL : link_by_leg(c, w, a->leg);

	if (k == NULL)
		return;
	if (a->err != 0) {
		log_warnx("no link conference=%s worker=%u why=\"%s\"",
		    k->party->key, w->index, perc_strerror(a->err));
		cascade_fail(c, k, LINK_BACK_MAX);
	} else if (k->req != NULL) {
		cascade_answer(c, k, a);
	} else if (k->state == LINK_OURS && k->peer != NULL) {
		cascade_ask_peer(c, k, a);
	} else if (k->state == LINK_OURS) {
		far_start(c, k, a);
	} else if (k->state == LINK_THEIRS && k->far != NULL) {
		far_made(c, k, a);
	}
}

void
cascade_left(struct ctl *c, struct ctl_worker *w, const struct mdd_leave *q)
{
	struct ctl_link *k =
	    q->leg[0] == '\0' ? NULL : link_by_leg(c, w, q->leg);

	if (k == NULL)
		return;
	log_info("link lost leg=%s conference=%s %s", q->leg, k->party->key,
	    mdd_metrics[q->why].label);
	cascade_fail(c, k, 0);
	cascade_changed(c, k->party);
}

/* ---- the clock -------------------------------------------------------- */

static void
link_tick(struct ctl *c, struct ctl_link *k, int64_t now_ms)
{
	if (now_ms < k->due_ms)
		return;
	switch (k->state) {
	case LINK_WAITS:
		cascade_start(c, k);
		break;
	case LINK_OURS:
	case LINK_THEIRS:
		/* The peer has its own time (perc/httpc.h). */
		if (k->ask == NULL)
			cascade_fail(c, k, 0);
		break;
	case LINK_LIVE:
		k->due_ms = now_ms + k->renew_ms;
		if (k->dial && k->peer != NULL)
			cascade_renew(c, k);
		break;
	}
}

void
cascade_tick(struct ctl *c, int64_t now_ms)
{
	struct ctl_link *k, *next;

	cascade_clients_tick(c, now_ms);
	for (k = c->cascade->first; k != NULL; k = next) {
		next = k->next;
		if (c->stopping) /* the peers are told */
			cascade_end(c, k);
		else
			link_tick(c, k, now_ms);
	}
}

void
cascade_print(FILE *f, const struct ctl *c)
{
	const struct ctl_cascade *q = c->cascade;
	const struct {
		const char *result;
		uint64_t v;
	} t[] = { { "dialled", q->dialled }, { "accepted", q->accepted },
		{ "refused", q->refused }, { "failed", q->failed } };
	size_t i;

	fprintf(f,
	    "# HELP perch_mdd_link_total Links by what became of them; one "
	    "that fails is tried again.\n"
	    "# TYPE perch_mdd_link_total counter\n");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		fprintf(f, "perch_mdd_link_total{result=\"%s\"} %llu\n",
		    t[i].result, (unsigned long long)t[i].v);
}
