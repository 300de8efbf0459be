/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What of the audit becomes an event, and how it reads. Grants of single keys
 * and tokens, and refusals, are for proof and not for following: a stranger
 * could fill the feed with them.
 */
#include "kmf/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kmf/hook.h"

enum about { NOTHING, CONF, SERIES, MEMBER, INV };

static const struct kind {
	const char *type; /* NULL: no event */
	enum about about; /* adds what a machine would have to ask for next */
} kinds[] = {
	[KMF_AUDIT_CONF_CREATED] = { "conference.created", CONF },
	[KMF_AUDIT_CONF_CHANGED] = { "conference.updated", CONF },
	[KMF_AUDIT_CONF_CANCELLED] = { "conference.cancelled", CONF },
	[KMF_AUDIT_CONF_DELETED] = { "conference.deleted", CONF },
	[KMF_AUDIT_CONF_LOCKED] = { "conference.locked", CONF },
	[KMF_AUDIT_CONF_UNLOCKED] = { "conference.unlocked", CONF },
	[KMF_AUDIT_CONF_ADJOURNED] = { "conference.adjourned", CONF },
	[KMF_AUDIT_CONF_STARTED] = { "conference.started", CONF },
	[KMF_AUDIT_CONF_ENDED] = { "conference.ended", CONF },
	[KMF_AUDIT_CONF_EMPTY] = { "conference.emptied", CONF },
	[KMF_AUDIT_SERIES_CREATED] = { "series.created", SERIES },
	[KMF_AUDIT_SERIES_CHANGED] = { "series.updated", SERIES },
	[KMF_AUDIT_SERIES_CANCELLED] = { "series.cancelled", SERIES },
	[KMF_AUDIT_SERIES_DELETED] = { "series.deleted", SERIES },
	[KMF_AUDIT_MAIL_FAILED] = { "mail.failed", INV },
	[KMF_AUDIT_INVITED] = { "invitation.created", INV },
	[KMF_AUDIT_UNINVITED] = { "invitation.revoked", INV },
	[KMF_AUDIT_JOINED] = { "member.joined", MEMBER },
	[KMF_AUDIT_LEFT] = { "member.left", MEMBER },
	[KMF_AUDIT_EVICTED] = { "member.evicted", MEMBER },
	[KMF_AUDIT_RECEIPT] = { "member.erased", MEMBER },
	[KMF_AUDIT_EPOCH] = { "epoch.rekeyed", NOTHING },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* more: taken over; NULL: no memory. What the detail said stays. */
static int
merge(json_t *o, json_t *more)
{
	int r;

	r = more != NULL && json_object_update_missing(o, more) == 0
	    ? 0
	    : PERC_ERR_NOMEM;
	json_decref(more);
	return r;
}

static int
conf_add(json_t *o, struct kmf_keeper *k, const char *id)
{
	struct db_conf c;
	int r;

	if ((r = db_conf_find(k->db, &c, id)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	return merge(o, kmf_conf_event_json(&c));
}

static int
series_add(json_t *o, struct kmf_keeper *k, const char *id)
{
	struct db_series s;
	int r;

	if ((r = db_series_find(k->db, &s, id)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	return merge(o,
	    json_pack("{s:s, s:o, s:o, s:s, s:s}", "title", s.title,
		"starts_at", kmf_time_json(s.starts_ms), "ends_at",
		kmf_time_json(s.ends_ms), "tzid", s.tzid, "rrule", s.rrule));
}

static int
member_add(json_t *o, struct kmf_keeper *k, const char *id)
{
	struct db_member m;
	int r;

	if ((r = db_member_find(k->db, &m, id)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	return merge(o,
	    json_pack("{s:s, s:s, s:s}", "member", m.id, "name", m.name, "kind",
		m.kind));
}

static int
inv_add(json_t *o, struct kmf_keeper *k, const char *id)
{
	struct db_inv i;
	int r;

	if ((r = db_inv_find(k->db, &i, id)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	return merge(o,
	    json_pack("{s:s, s:s*, s:s*}", "invitation", i.id, "email",
		kmf_json_opt(i.email), "name", kmf_json_opt(i.name)));
}

static int
data_put(struct db_event *e, struct kmf_keeper *k, enum about about,
    const char *actor, const char *conf, const char *subject,
    const json_t *detail)
{
	json_t *o = json_pack("{s:s*}", "actor", kmf_json_opt(actor));
	int r = PERC_ERR_NOMEM;
	size_t n;

	if (o == NULL ||
	    (detail != NULL &&
		json_object_update(o, (json_t *)(uintptr_t)detail) != 0))
		goto out;
	r = about == CONF     ? conf_add(o, k, conf)
	    : about == SERIES ? series_add(o, k, conf)
	    : about == MEMBER ? member_add(o, k, subject)
	    : about == INV    ? inv_add(o, k, subject)
			      : 0;
	if (r != 0)
		goto out;
	n = json_dumpb(o, e->data, sizeof(e->data) - 1, JSON_COMPACT);
	if (n == 0 || n >= sizeof(e->data))
		r = PERC_ERR_LIMIT;
	else
		e->data[n] = '\0';
out:
	json_decref(o);
	return r;
}

int
kmf_event_write(struct kmf_keeper *k, const struct db_audit *a,
    enum kmf_audit_kind kind, const char *actor, const char *conf,
    const char *subject, const json_t *detail)
{
	struct db_event e = { .seq = a->seq, .at_ms = k->now_ms };
	int r;

	if ((size_t)kind >= KINDS || kinds[kind].type == NULL)
		return 0;
	snprintf(e.mark, sizeof(e.mark), "%.8s", a->hash);
	snprintf(e.type, sizeof(e.type), "%s", kinds[kind].type);
	if ((r = kmf_copy(e.conf, sizeof(e.conf), conf)) != 0 ||
	    (r = data_put(&e, k, kinds[kind].about, actor, conf, subject,
		 detail)) != 0 ||
	    (r = db_event_add(k->db, &e)) != 0)
		return r;
	k->feed.fresh = true;
	kmf_errand_wake(k, KMF_ERRAND_HOOK);
	return 0;
}

void
kmf_event_id(char out[static KMF_EVENT_ID_MAX], const struct db_event *e)
{
	snprintf(out, KMF_EVENT_ID_MAX, "%" PRId64 "-%s", e->seq, e->mark);
}

json_t *
kmf_event_json(const struct db_event *e)
{
	char id[KMF_EVENT_ID_MAX];

	kmf_event_id(id, e);
	return json_pack("{s:s, s:s, s:o, s:s*, s:o}", "id", id, "type",
	    e->type, "at", kmf_time_json(e->at_ms), "conference",
	    kmf_json_opt(e->conf), "data", json_loads(e->data, 0, NULL));
}

/* "epoch.*" is all that begin with "epoch.". */
static bool
word_is(const char *word, size_t n, const char *type)
{
	if (n > 0 && word[n - 1] == '*')
		return strncmp(word, type, n - 1) == 0;
	return strlen(type) == n && strncmp(word, type, n) == 0;
}

bool
kmf_event_wanted(const char *types, const char *type)
{
	size_t n;

	if (types[0] == '\0')
		return true;
	for (; *types != '\0'; types += n + (types[n] == ',')) {
		n = strcspn(types, ",");
		if (word_is(types, n, type))
			return true;
	}
	return false;
}

bool
kmf_event_types_ok(const char *types)
{
	size_t i, n;

	for (; *types != '\0'; types += n + (types[n] == ',')) {
		n = strcspn(types, ",");
		for (i = 0; i < KINDS; i++)
			if (kinds[i].type != NULL &&
			    word_is(types, n, kinds[i].type))
				break;
		if (i == KINDS)
			return false;
	}
	return true;
}

static int
newest(struct kmf_keeper *k, int64_t floor, int64_t *seq)
{
	struct db_event e;
	int r = db_event_last(k->db, &e);

	*seq = floor;
	if (r == 0 && e.seq > floor)
		*seq = e.seq;
	return r == PERC_ERR_NOTFOUND ? 0 : r;
}

/* Do we know the event of that number under another mark, or not at all? */
static int
mark_check(struct kmf_keeper *k, int64_t seq, int64_t floor, const char *mark)
{
	struct db_event e;
	int r = db_event_find(k->db, &e, seq);

	if (r == 0)
		return strcmp(mark, e.mark) == 0 ? 0 : PERC_ERR_NOTFOUND;
	return r == PERC_ERR_NOTFOUND && seq == floor ? 0 : r;
}

int
kmf_event_cursor(struct kmf_keeper *k, int64_t *after, const char *text)
{
	int64_t floor, last, seq = 0;
	const char *mark = "";
	int r, used = 0;

	if ((r = db_event_floor(k->db, &floor)) != 0 ||
	    (r = newest(k, floor, &last)) != 0)
		return r;
	*after = strcmp(text, "latest") == 0 ? last : floor;
	if (text[0] == '\0' || strcmp(text, "0") == 0 ||
	    strcmp(text, "latest") == 0)
		return 0;
	if (strlen(text) >= KMF_EVENT_ID_MAX || text[0] < '0' ||
	    text[0] > '9' || sscanf(text, "%18" SCNd64 "%n", &seq, &used) != 1)
		return PERC_ERR_FORMAT;
	if (text[used] == '-')
		mark = text + used + 1;
	else if (text[used] != '\0')
		return PERC_ERR_FORMAT;
	*after = seq;
	if (seq < floor || seq > last)
		return PERC_ERR_NOTFOUND;
	return mark[0] != '\0' ? mark_check(k, seq, floor, mark) : 0;
}

int
kmf_event_purge(struct kmf_keeper *k)
{
	int64_t before = k->now_ms - k->events_keep_ms;
	int r;

	if ((r = db_event_purge(k->db, before, kmf_hook_keep_after(k))) != 0)
		return r;
	return db_dead_purge(k->db, before);
}
