/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rooms whose time has come: leases that ran out, windows that end, epochs
 * that are too old. Each is served behind a mark of its own.
 */
#include "kmf/keeper_int.h"

#include <stdlib.h>

#define DUE_BATCH 64 /* conferences served in one turn */

/* Leases that ran out are leaves; the engine merges their rekeys. */
static int
leases_expire(struct kmf_room *o)
{
	struct db_member *list = NULL;
	size_t i, n = 0;
	int64_t next;
	int r;

	if ((r = db_member_next_lease(o->k->db, &next, o->c->id)) != 0 ||
	    next > o->k->now_ms)
		return r;
	if ((r = db_member_list(
		 o->k->db, &list, &n, o->c->id, DB_MEMBER_LIVE)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		if (list[i].lease_ms <= o->k->now_ms)
			r = kmf_room_leave(o, &list[i], "lease expired");
	free(list);
	return r;
}

static int
room_tick(struct kmf_keeper *k, struct db_conf *c)
{
	struct kmf_room o;
	int r;

	if ((r = kmf_room_load(&o, k, c)) != 0)
		return r;
	if (k->now_ms >= c->ends_ms)
		return kmf_room_end(&o, "", "its time is over");
	if ((r = leases_expire(&o)) != 0)
		return r;
	return kmf_room_settle(&o, 0);
}

/* One room's trouble is its own: it is undone and tried again later. */
static int
room_tick_alone(struct kmf_keeper *k, struct db_conf *c)
{
	int64_t again = k->now_ms + 1000;
	struct db_conf was = *c;
	int r;

	if ((r = kmf_mark(k)) != 0)
		return r;
	if ((r = room_tick(k, c)) == 0)
		return kmf_mark_keep(k);
	log_warnx("room.tick_failed conference=%s why=\"%s\"", c->id,
	    perc_strerror(r));
	kmf_mark_undo(k);
	if (db_broken(k->db))
		return r;
	was.due_ms = again;
	return db_conf_put(k->db, &was);
}

int
kmf_room_tick_all(struct kmf_keeper *k)
{
	struct db_conf *list = NULL;
	size_t i, n = 0;
	int r;

	if ((r = db_conf_due(k->db, &list, &n, k->now_ms, DUE_BATCH)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		r = room_tick_alone(k, &list[i]);
	free(list);
	return r;
}
