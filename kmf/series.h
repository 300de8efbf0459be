/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A series in the keeper's hands: its row, the instants of its rule, those
 * that are left out, and the conferences that were made of it so far. Each
 * occurrence is a conference of its own, with its own keys and people; the
 * series only makes them, a month ahead, and tells which is next.
 */
#pragma once

#include "kmf/cal.h"
#include "kmf/keeper_int.h"

#define KMF_SERIES_AHEAD_MS (31LL * 24 * 3600 * 1000)
#define KMF_SERIES_AHEAD    16 /* conferences that are not over, at most */

struct kmf_series {
	struct db_series s;
	int64_t *starts, *left_out; /* in order */
	size_t nstarts, nleft_out;
	struct db_conf *confs; /* by recur_ms */
	size_t nconfs;
};

/* PERC_ERR_NOTFOUND. Close it in any case. */
PERC_MUST int
kmf_series_open(struct kmf_series *o, struct kmf_keeper *k, const char *id);
void kmf_series_close(struct kmf_series *o);
/* That of the path, for whom it is; else refuse. Close it in any case. */
PERC_MUST int kmf_series_load(struct kmf_series *o, struct kmf_job *j);
/* Work the rule out anew; 400 with a pointer when it is none. */
PERC_MUST int kmf_series_expand(struct kmf_series *o, struct kmf_job *j);
/* Read the exdates and conferences again. */
PERC_MUST int kmf_series_reload(struct kmf_series *o, struct kmf_keeper *k);
/* The conference made for that instant; NULL: none so far. */
const struct db_conf *kmf_series_conf(const struct kmf_series *o, int64_t at);
bool kmf_series_names(const struct kmf_series *o, int64_t at); /* the rule */
bool kmf_series_leaves_out(const struct kmf_series *o, int64_t at);
int64_t kmf_series_lasts(const struct kmf_series *o);

/* Is there something to be made at this instant, or was it, and not over? */
bool kmf_series_to_come(const struct kmf_series *o, int64_t at, int64_t now_ms);
/* Make what is to be made by now, note when to look again, write the row. */
PERC_MUST int kmf_series_fill(struct kmf_series *o, struct kmf_keeper *k);
/* Title, policy, zone and window of c as the rule has them. */
void
kmf_series_dress(const struct kmf_series *o, struct db_conf *c, int64_t at);
/* The one that runs, else the next to come; NULL: none is left. */
const struct db_conf *
kmf_series_current(const struct kmf_series *o, int64_t now_ms);
/* Make the conference of one instant. */
PERC_MUST int kmf_series_make(
    struct kmf_series *o, struct kmf_keeper *k, int64_t at, struct db_conf *c);
PERC_MUST int
kmf_series_answer(struct kmf_series *o, struct kmf_job *j, uint16_t status);

/* --- calendar.c --- */

/* The text/calendar, kmf_ics_free()d by the caller. out: it is none of
 * theirs any more. g: whose it is; NULL: everybody's, until it is addressed
 * (kmf_ics_address). */
PERC_MUST int kmf_calendar_conf(char **textp, struct kmf_keeper *k,
    const struct db_conf *c, const struct kmf_ics_guest *g, bool out);
/* The invitee of the path; NOTFOUND. */
PERC_MUST int kmf_series_invitee_find(
    struct kmf_job *j, const char *series, struct db_invitee *v);
PERC_MUST int kmf_calendar_series(char **textp, struct kmf_keeper *k,
    const struct kmf_series *o, const struct kmf_ics_guest *g);

/* --- series_body.c: each refuses, or leaves the status at 0 --- */

/* What the body lacks stays as it is in o. */
PERC_MUST int kmf_series_rule_get(
    struct kmf_job *j, const json_t *body, struct kmf_series *o);
/* Into o alone; the other writes it down. */
PERC_MUST int kmf_series_left_out_get(
    struct kmf_job *j, const json_t *body, struct kmf_series *o);
PERC_MUST int
kmf_series_left_out_put(struct kmf_keeper *k, const struct kmf_series *o);
/* At least one occurrence is to come. */
PERC_MUST int
kmf_series_something_left(struct kmf_job *j, const struct kmf_series *o);
/* The fields that both have. */
void kmf_series_from_conf(struct db_series *s, const struct db_conf *c);
void kmf_series_to_conf(struct db_conf *c, const struct db_series *s);
