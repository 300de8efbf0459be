/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Opening an event stream. A member has one; a second one ends the first. It
 * begins with what the member lacks in its newest form, never with history.
 */
#include "kmf/keeper_int.h"

#include <string.h>

/* 0 and *status 0: may. */
static int
admit(struct kmf_keeper *k, const struct kmf_subscribe *s, struct db_conf *c,
    struct db_member *m, uint16_t *status, const char **code)
{
	int r;

	*status = 404;
	*code = "not_found";
	if (s->replay_hash[0] != '\0') {
		r = db_replay_add(k->db, s->replay_hash, s->replay_until_s);
		if (r == PERC_ERR_EXISTS) {
			k->count.replays++;
			*status = 401;
			*code = "invalid_dpop_proof";
			return 0;
		}
		if (r != 0)
			return r;
	}
	if (s->id.who != KMF_WHO_MEMBER)
		return 0;
	if ((r = db_conf_find(k->db, c, s->conf)) != 0 ||
	    (r = db_member_find(k->db, m, s->id.sub)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	if (strcmp(m->conf, c->id) != 0 ||
	    strcmp(s->id.token_conf, c->id) != 0 ||
	    strcmp(m->jkt, s->id.jkt) != 0)
		return 0;
	if (m->state == DB_MEMBER_EVICTED) {
		*status = 403;
		*code = "evicted";
	} else if ((r = kmf_decide_member(k, c, m)) != 0) {
		return r == PERC_ERR_NOTFOUND ? 0 : r; /* uninvited since */
	} else if (c->state == DB_CONF_ENDED) {
		*status = 410;
		*code = "ended";
	} else
		*status = 0;
	return 0;
}

static int
catch_up(struct kmf_keeper *k, struct kmf_stream *s, struct db_conf *c,
    const struct db_member *m)
{
	struct kmf_room o;
	int r;

	if (m->state != DB_MEMBER_LIVE || c->state != DB_CONF_LIVE)
		return 0;
	if ((r = kmf_room_load(&o, k, c)) != 0)
		return r;
	if (m->held != 0 && m->held < c->epoch &&
	    (r = kmf_epoch_push_one(&o, s)) != 0)
		return r;
	return kmf_roster_push_one(&o, s);
}

int
kmf_subscribe(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const struct kmf_subscribe *s)
{
	struct db_conf c;
	struct db_member m;
	const char *code;
	uint16_t status;
	int r;

	if ((r = kmf_mark(k)) != 0)
		return r;
	if ((r = admit(k, s, &c, &m, &status, &code)) != 0)
		goto out;
	if (status != 0) {
		kmf_stream_refuse(k, f, id, status, code, "");
		return kmf_mark_keep(k);
	}
	kmf_stream_end(k, c.id, m.id, 409, "replaced");
	if ((r = kmf_stream_add(k, f, id, c.id, m.id)) != 0)
		goto out;
	if ((r = catch_up(k, k->streams, &c, &m)) == 0)
		return kmf_mark_keep(k);
	kmf_stream_del(k, f, id);
out:
	kmf_mark_undo(k);
	return r;
}
