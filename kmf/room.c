/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A live conference: who is in it, and carrying out what the epoch engine
 * orders. A room that empties before its time destroys its keys and waits; a
 * room that ends destroys them for good. All of it happens inside the turn's
 * transaction, so a crash finds either the old epoch with its members or the
 * new one with its own.
 */
#include "kmf/rosterlist.h"

#include <stdlib.h>
#include <string.h>

static void
engine_load(struct kmf_room *o)
{
	const struct db_conf *c = o->c;

	o->r = (struct kmf_rekey){
		.epoch = (uint32_t)c->epoch,
		.spi_start = (uint16_t)c->spi_start,
		.spi_step = (uint16_t)c->spi_step,
		.epoch_ms = c->epoch_ms,
		.rekey_ms = c->rekey_ms,
		.roster_ms = c->roster_ms,
	};
}

static int
live_count(struct kmf_room *o)
{
	int64_t n;
	int r;

	if ((r = db_member_count(o->k->db, &n, o->c->id, DB_MEMBER_LIVE)) == 0)
		o->live = (unsigned)n;
	return r;
}

int
kmf_room_take(struct kmf_room *o, struct kmf_keeper *k, struct db_conf *c,
    const struct kmf_policy *p)
{
	memset(o, 0, sizeof(*o));
	o->k = k;
	o->c = c;
	o->p = *p;
	engine_load(o);
	return live_count(o);
}

int
kmf_room_load(struct kmf_room *o, struct kmf_keeper *k, struct db_conf *c)
{
	struct kmf_policy p;
	int r;

	if ((r = kmf_policy_of(k, &p, c->policy)) != 0)
		return r;
	return kmf_room_take(o, k, c, &p);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a != 0 ? a : b;
	return a < b ? a : b;
}

/*
 * Does the row stand there already? Leases that were renewed make the room due
 * later, which is no reason to write: it is looked at once in vain, at the
 * time that stands there, and the row tells the next one then.
 */
static bool
room_stands(struct kmf_room *o)
{
	struct db_conf *c = o->c;
	int64_t due = c->due_ms;

	if (o->was == NULL)
		return false;
	if (o->was->due_ms != 0 && due > o->was->due_ms)
		c->due_ms = o->was->due_ms;
	if (memcmp(c, o->was, sizeof(*c)) == 0)
		return true;
	c->due_ms = due;
	o->was = NULL;
	return false;
}

static int
room_put(struct kmf_room *o)
{
	struct db_conf *c = o->c;
	int64_t lease = 0;
	int r;

	c->epoch = o->r.epoch;
	c->epoch_ms = o->r.epoch_ms;
	c->rekey_ms = o->r.rekey_ms;
	c->roster_ms = o->r.roster_ms;
	c->due_ms = 0;
	if (c->state != DB_CONF_ENDED) {
		if ((r = db_member_next_lease(o->k->db, &lease, c->id)) != 0)
			return r;
		c->due_ms = earlier(kmf_rekey_due(&o->r, &o->p, o->live),
		    earlier(lease, c->ends_ms));
	}
	return room_stands(o) ? 0 : db_conf_put(o->k->db, c);
}

/* Nobody is left. Keys of the past serve nobody any more. */
static int
room_emptied(struct kmf_room *o)
{
	struct db_conf *c = o->c;
	int r;

	if (c->state != DB_CONF_LIVE || o->live != 0)
		return 0;
	c->state = DB_CONF_SCHEDULED;
	o->k->scrub = true;
	if ((r = db_epoch_wipe(o->k->db, c->id, INT64_MAX)) != 0 ||
	    (r = db_member_wipe_keys(o->k->db, c->id)) != 0 ||
	    (r = db_conf_key_delete(o->k->db, c->id)) != 0)
		return r;
	return kmf_audit(o->k, KMF_AUDIT_CONF_EMPTY, "", c->id, "", NULL);
}

int
kmf_room_settle(struct kmf_room *o, unsigned orders)
{
	int r = 0;

	if (o->c->state == DB_CONF_ENDED)
		return room_put(o);
	orders |= kmf_rekey_tick(&o->r, &o->p, o->k->now_ms, o->live);
	while (r == 0 && orders != 0) {
		if (orders & KMF_DO_END)
			return kmf_room_end(o, "", "no SPI is left");
		if (orders & KMF_DO_EPOCH)
			r = kmf_epoch_make(o);
		else if (orders & KMF_DO_ROSTER)
			r = kmf_roster_sign(o);
		orders = kmf_rekey_tick(&o->r, &o->p, o->k->now_ms, o->live);
	}
	if (r != 0 || (r = room_emptied(o)) != 0)
		return r;
	return room_put(o);
}

/* The first one in opens the room: a conference key of its own. */
static int
room_open(struct kmf_room *o)
{
	uint8_t key[32];
	int r;

	o->c->state = DB_CONF_LIVE;
	r = kmf_conf_key_new(o->k, o->c->id, key);
	perc_wipe(key, sizeof(key));
	if (r != 0 || (r = db_conf_put(o->k->db, o->c)) != 0)
		return r;
	return kmf_audit(o->k, KMF_AUDIT_CONF_STARTED, "", o->c->id, "", NULL);
}

int
kmf_room_join(struct kmf_room *o, struct db_member *m)
{
	int64_t now = o->k->now_ms;
	bool was_live = m->state == DB_MEMBER_LIVE;
	unsigned orders = 0;
	int r;

	if (o->c->state == DB_CONF_SCHEDULED && (r = room_open(o)) != 0)
		return r;
	m->lease_ms = now + (int64_t)o->p.lease_s * 1000;
	if (!was_live) {
		kmf_list_touch(o, m->id);
		m->state = DB_MEMBER_LIVE;
		m->joined_ms = now;
		m->held = 0;
		m->delivery.len = 0;
		o->live++;
		orders = kmf_rekey_join(&o->r, &o->p, now, o->live);
		o->cause = "join";
		m->granted = 0; /* being live is the grant */
	}
	kmf_stream_changed(o->k, m->id);
	r = was_live ? db_member_lease(o->k->db, m->id, m->lease_ms, m->held)
		     : db_member_put(o->k->db, m);
	if (r != 0)
		return r;
	if (!was_live &&
	    (r = kmf_audit(
		 o->k, KMF_AUDIT_JOINED, m->id, o->c->id, m->id, NULL)) != 0)
		return r;
	if ((r = kmf_room_settle(o, orders)) != 0 ||
	    (was_live && o->was != NULL)) /* nothing happened */
		return r;
	return db_member_find(o->k->db, m, m->id);
}

static int
member_out(struct kmf_room *o, struct db_member *m, enum db_member_state state)
{
	kmf_list_touch(o, m->id);
	kmf_stream_changed(o->k, m->id);
	if (m->state == DB_MEMBER_LIVE) {
		o->live--;
		m->granted = o->r.epoch; /* the newest that he may know */
	}
	m->state = state;
	m->delivery.len = 0;
	return db_member_put(o->k->db, m);
}

int
kmf_room_leave(struct kmf_room *o, struct db_member *m, const char *why)
{
	bool waiting = o->r.rekey_ms != 0;
	unsigned orders;
	int r;

	if (m->state != DB_MEMBER_LIVE)
		return 0;
	if (m->lease_ms > o->k->now_ms)
		m->lease_ms = o->k->now_ms; /* who left is outside a lock */
	kmf_stream_end(o->k, o->c->id, m->id, 410, "gone");
	if ((r = member_out(o, m, DB_MEMBER_GONE)) != 0 ||
	    (r = kmf_audit(o->k, KMF_AUDIT_LEFT, m->id, o->c->id, m->id,
		 json_pack("{s:s}", "why", why))) != 0)
		return r;
	orders = kmf_rekey_leave(&o->r, &o->p, o->k->now_ms, o->live);
	if (!waiting && o->r.rekey_ms != 0 && (r = kmf_budget_leave(o)) != 0)
		return r;
	return kmf_room_settle(o, orders);
}

static int
notice_send(struct kmf_room *o, const char *event, const char *member,
    const char *reason)
{
	char *text = NULL;
	json_t *data;
	int r;

	if ((r = kmf_notice(&text, o->k, o->c->id, event, member, reason)) != 0)
		return r;
	data = json_pack("{s:s}", "notice", text);
	r = data != NULL ? kmf_broadcast(o->k, o->c, member, event, data)
			 : PERC_ERR_NOMEM;
	json_decref(data);
	perc_json_free(text);
	return r;
}

int
kmf_room_evict(struct kmf_room *o, struct db_member *m, enum db_member_state to,
    const char *actor, const char *reason)
{
	int r;

	if ((r = notice_send(o, "evicted", m->id, reason)) != 0)
		return r;
	kmf_stream_end(o->k, o->c->id, m->id, 403, "evicted");
	if ((r = member_out(o, m, to)) != 0)
		return r;
	return kmf_audit(o->k, KMF_AUDIT_EVICTED, actor, o->c->id, m->id,
	    json_pack("{s:s}", "reason", reason));
}

int
kmf_room_evict_settle(struct kmf_room *o)
{
	unsigned orders = 0;

	if (o->cause == NULL)
		o->cause = "evict";
	if (o->r.epoch_ms != 0)
		orders = kmf_rekey_evict(&o->r, &o->p, o->k->now_ms, o->live);
	return kmf_room_settle(o, orders);
}

/* All are told and let go, and every key is destroyed. */
static int
disperse(struct kmf_room *o, const char *code, const char *reason)
{
	struct db_conf *c = o->c;
	struct db_member *list = NULL;
	size_t i, n = 0;
	int r;

	if ((r = notice_send(o, "ended", NULL, reason)) != 0)
		return r;
	kmf_stream_end(o->k, c->id, NULL, 410, code);
	if ((r = db_member_list(o->k->db, &list, &n, c->id, DB_MEMBER_LIVE)) !=
	    0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		r = member_out(o, &list[i], DB_MEMBER_GONE);
	free(list);
	o->r.epoch_ms = o->r.rekey_ms = o->r.roster_ms = 0;
	o->k->scrub = true;
	if (r != 0 || (r = db_epoch_wipe(o->k->db, c->id, INT64_MAX)) != 0 ||
	    (r = db_member_wipe_keys(o->k->db, c->id)) != 0)
		return r;
	return db_conf_key_delete(o->k->db, c->id);
}

int
kmf_room_end(struct kmf_room *o, const char *actor, const char *reason)
{
	struct db_conf *c = o->c;
	int r;

	if (c->state == DB_CONF_ENDED)
		return 0;
	if ((r = disperse(o, "ended", reason)) != 0)
		return r;
	c->state = DB_CONF_ENDED;
	c->ended_ms = o->k->now_ms;
	kmf_lists_forget(o->k, c->id);
	if ((r = db_roster_delete(o->k->db, c->id)) != 0 ||
	    (r = kmf_audit(o->k, KMF_AUDIT_CONF_ENDED, actor, c->id, "",
		 json_pack("{s:s}", "reason", reason))) != 0)
		return r;
	return room_put(o);
}

int
kmf_room_adjourn(struct kmf_room *o, const char *actor, const char *reason)
{
	int r;

	if (o->c->state != DB_CONF_LIVE)
		return room_put(o);
	if ((r = disperse(o, "rescheduled", reason)) != 0)
		return r;
	o->c->state = DB_CONF_SCHEDULED;
	if ((r = kmf_audit(o->k, KMF_AUDIT_CONF_ADJOURNED, actor, o->c->id, "",
		 json_pack("{s:s}", "reason", reason))) != 0)
		return r;
	return room_put(o);
}
