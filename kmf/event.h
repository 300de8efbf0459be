/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Events for machines that follow what happens (docs/wire/feed.md). An event
 * is written by the audit's one writer, in the transaction of what it tells,
 * under the number of its audit row; so both are ordered alike, and neither
 * can say what the other does not.
 *
 * An event's id is its number and the first characters of the audit row's
 * hash, "1200-q83vEjRW": after a database came back from a backup the numbers
 * go on from an older one, and a cursor of the lost time must not pass for
 * one of the new.
 */
#pragma once

#include "kmf/keeper_int.h"

#define KMF_EVENT_ID_MAX 32
#define KMF_TYPES_MAX	 256
#define KMF_FEED_PAGE	 1000 /* items at most */

/* audit.c alone: the event of this audit row, if its kind has one. */
PERC_MUST int kmf_event_write(struct kmf_keeper *k, const struct db_audit *a,
    enum kmf_audit_kind kind, const char *actor, const char *conf,
    const char *subject, const json_t *detail);
void kmf_event_id(char out[static KMF_EVENT_ID_MAX], const struct db_event *e);
/* As machines get it: {"id", "type", "at", "conference"?, "data"}. */
json_t *kmf_event_json(const struct db_event *e);
/* Is a type among "member.joined,epoch.*"? "" and "*" are all. */
bool kmf_event_wanted(const char *types, const char *type);
/* Is every word of the list a type, or some types, that there is? */
bool kmf_event_types_ok(const char *types);

/*
 * Where to read on: "" or "0" the oldest kept, "latest" behind the newest,
 * an id or its number. PERC_ERR_FORMAT; PERC_ERR_NOTFOUND: events behind it
 * were forgotten, or it is of another history.
 */
PERC_MUST int
kmf_event_cursor(struct kmf_keeper *k, int64_t *after, const char *text);
/* Forget what is older than the setting; within a transaction. */
PERC_MUST int kmf_event_purge(struct kmf_keeper *k);

/* --- feed.c, feed_wait.c: who reads ----------------------------------- */

struct kmf_feed_query {
	char owner[DB_CLIENT_MAX], conf[DB_ID_MAX], types[KMF_TYPES_MAX];
	int64_t pos;		   /* all up to it was looked at */
	char at[KMF_EVENT_ID_MAX]; /* pos as a cursor; "" not known */
	size_t limit;
};
struct kmf_page {
	json_t *items; /* the caller's to decref, after an error too */
	size_t n, octets;
	bool more; /* behind pos there may be others */
};
PERC_MUST int kmf_page_read(
    struct kmf_keeper *k, struct kmf_feed_query *q, struct kmf_page *p);
json_t *kmf_page_json(
    struct kmf_keeper *k, struct kmf_feed_query *q, struct kmf_page *p);
/* From now on until_ms, once this turn is committed. PERC_ERR_LIMIT. */
PERC_MUST int kmf_feed_wait(struct kmf_keeper *k, struct kmf_front *f,
    uint32_t id, const struct kmf_feed_query *q, bool stream, int64_t until_ms);
int kmf_op_feed(struct kmf_job *j);
PERC_MUST int kmf_feed_subscribe(struct kmf_job *j, struct kmf_front *f,
    uint32_t id, const struct kmf_subscribe *s);
/* Both by number, and all of a front that is gone (id 0). */
void kmf_feed_del(struct kmf_keeper *k, struct kmf_front *f, uint32_t id);
/* After the turn: give those who wait what is new, or undo who came in it. */
void kmf_feed_settle(struct kmf_keeper *k, bool committed);
void kmf_feed_stop(struct kmf_keeper *k);
