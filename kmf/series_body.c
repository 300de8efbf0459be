/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What people send of a series, checked before anything is written. Title,
 * window, zone and policy go through a conference's row, to be checked as its
 * are.
 */
#include "kmf/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/cal.h"

#define EXDATES_MAX KMF_OCCURRENCES_MAX

int
kmf_series_rule_get(struct kmf_job *j, const json_t *body, struct kmf_series *o)
{
	const char *s = perc_json_str(body, "rrule");

	if (json_object_get(body, "rrule") == NULL)
		return 0;
	if (s == NULL || strlen(s) >= sizeof(o->s.rrule) ||
	    kmf_copy(o->s.rrule, sizeof(o->s.rrule), s) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "/rrule: a rule of RFC 5545 with fewer than %d characters",
		    KMF_RRULE_MAX);
	return 0;
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

int
kmf_series_left_out_get(
    struct kmf_job *j, const json_t *body, struct kmf_series *o)
{
	const json_t *a = json_object_get(body, "exdates");
	size_t i, n = json_array_size(a);
	int64_t *list;
	const char *s;

	if (a == NULL)
		return 0;
	if (!json_is_array(a) || n > EXDATES_MAX)
		return kmf_refuse(j, 400, "invalid_request",
		    "/exdates: a list of at most %d instants", EXDATES_MAX);
	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		return PERC_ERR_NOMEM;
	free(o->left_out);
	o->left_out = list;
	o->nleft_out = 0;
	for (i = 0; i < n; i++) {
		s = json_string_value(json_array_get(a, i));
		if (s == NULL || perc_time_get(&list[i], s) != 0 ||
		    !kmf_series_names(o, list[i]))
			return kmf_refuse(j, 400, "invalid_request",
			    "/exdates/%zu: when none of its occurrences "
			    "starts",
			    i);
	}
	qsort(list, n, sizeof(*list), by_time);
	o->nleft_out = n;
	return 0;
}

int
kmf_series_left_out_put(struct kmf_keeper *k, const struct kmf_series *o)
{
	size_t i;
	int r;

	if ((r = db_exdate_clear(k->db, o->s.id)) != 0)
		return r;
	for (i = 0; r == 0 && i < o->nleft_out; i++)
		r = db_exdate_add(k->db, o->s.id, o->left_out[i]);
	return r;
}

/* Fields in common with a conference go through one, to be checked as its
 * are. */
void
kmf_series_from_conf(struct db_series *s, const struct db_conf *c)
{
	memcpy(s->title, c->title, sizeof(s->title));
	memcpy(s->policy, c->policy, sizeof(s->policy));
	memcpy(s->tzid, c->tzid, sizeof(s->tzid));
	s->starts_ms = c->starts_ms;
	s->ends_ms = c->ends_ms;
}

void
kmf_series_to_conf(struct db_conf *c, const struct db_series *s)
{
	memset(c, 0, sizeof(*c));
	memcpy(c->title, s->title, sizeof(c->title));
	memcpy(c->policy, s->policy, sizeof(c->policy));
	memcpy(c->tzid, s->tzid, sizeof(c->tzid));
	c->starts_ms = s->starts_ms;
	c->ends_ms = s->ends_ms;
}

int
kmf_series_something_left(struct kmf_job *j, const struct kmf_series *o)
{
	size_t i;

	for (i = 0; i < o->nstarts; i++)
		if (kmf_series_to_come(o, o->starts[i], j->k->now_ms))
			return 0;
	return kmf_refuse(j, 400, "invalid_request",
	    "/rrule: no occurrence is left that is not over");
}
