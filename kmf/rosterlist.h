/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who stood on the newest roster of each live conference, and how that roster
 * differed from those before it. A memory of what the database says, so that
 * the next roster costs what changed and not who stayed: it may be forgotten
 * at any time (kmf_lists_forget), and then the next difference cannot be told
 * and members fetch the roster whole.
 */
#pragma once

#include "kmf/keeper_int.h"
#include "perc/roster.h"

#define KMF_LISTS_MAX	1024 /* conferences remembered; the rest is read */
#define KMF_DELTAS	64   /* differences remembered of each */
#define KMF_DELTA_MAX	400  /* members named in one; beyond: fetch it whole */
#define KMF_DELTAS_SIZE 262144 /* octets of differences in one answer */

struct kmf_listed {
	char id[DB_ID_MAX];
	uint8_t leaf[PERC_ROSTER_HASH];
};

struct kmf_list {
	struct kmf_list *next;
	char conf[DB_ID_MAX];
	int64_t seq;
	bool told; /* it is what roster seq said: a difference may follow */
	uint8_t head[PERC_ROSTER_HASH];
	struct kmf_listed *v; /* by id */
	size_t n, cap;
	char (*changed)[DB_ID_MAX]; /* members to be looked at */
	size_t nchanged;
	char *deltas[KMF_DELTAS]; /* that led to seq, seq - 1, ...; or NULL */
};

/* The list as roster c->roster_seq had it; NULL: no memory, or the database
 * failed. Valid until the next call of kmf_list_get or kmf_lists_forget. */
struct kmf_list *kmf_list_get(struct kmf_room *o);
/* Is about to come, go or change; called before the row is written. */
void kmf_list_touch(struct kmf_room *o, const char *member);
/* Bring it up to the database. The arrays get entries and ids; entries NULL
 * when there is no difference to be told. Its head is then the next one's. */
PERC_MUST int kmf_list_step(struct kmf_list *l, struct kmf_room *o,
    json_t **added, json_t **removed);
/* Is this member on it, exactly as this entry says? */
bool kmf_list_has(
    const struct kmf_list *l, const char *id, const json_t *entry);
/* The text of the difference that made it what it is; taken over. */
void kmf_list_told(struct kmf_list *l, char *delta);
/* Of one conference (NULL: of all): what was remembered may not be so. */
void kmf_lists_forget(struct kmf_keeper *k, const char *conf);

/* roster.c: as it stands in a roster. */
json_t *kmf_roster_entry(const struct db_member *m);
