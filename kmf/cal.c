/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Recurrence rules (RFC 5545, 3.3.10). libical would walk day by day, or
 * second by second, to the year 2582 for a rule that never matches; so we let
 * through only parts that make sense for meetings, demand an end, and demand
 * that the start fits each part: then the first match is at hand, and the
 * next one is never far.
 */
#include "kmf/cal.h"

#include <ctype.h>
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const parts[] = { "FREQ", "INTERVAL", "COUNT", "UNTIL",
	"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS",
	"WKST" };
#define NPARTS (sizeof(parts) / sizeof(parts[0]))

/* libical makes a path of it. */
static bool
zone_name_ok(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-/";

	return s[0] != '\0' && s[0] != '/' && strlen(s) < 64 &&
	    s[strspn(s, letters)] == '\0' && strstr(s, "//") == NULL;
}

static icaltimezone *
zone_find(const char *tzid)
{
	icalerror_set_errors_are_fatal(false);
	if (!zone_name_ok(tzid))
		return NULL;
	if (strcmp(tzid, "UTC") == 0)
		return icaltimezone_get_utc_timezone();
	return icaltimezone_get_builtin_timezone(tzid);
}

bool
kmf_zone_known(const char *tzid)
{
	return zone_find(tzid) != NULL;
}

/* Which parts are there, as bits; 0 and why when one must not be. */
static unsigned
parts_check(const char *rrule, char *why, size_t cap)
{
	unsigned seen = 0;
	const char *p;
	size_t i, n;

	for (p = rrule; *p != '\0'; p += strcspn(p, ";"), p += *p == ';') {
		n = strcspn(p, "=;");
		for (i = 0; i < NPARTS; i++)
			if (strlen(parts[i]) == n &&
			    strncmp(p, parts[i], n) == 0)
				break;
		if (i == NPARTS || p[n] != '=') {
			snprintf(why, cap,
			    "'%.*s': not a part of a rule that is taken here",
			    (int)(n < 20 ? n : 20), p);
			return 0;
		}
		if (seen & 1u << i) {
			snprintf(why, cap, "%s is there twice", parts[i]);
			return 0;
		}
		seen |= 1u << i;
	}
	return seen;
}

static bool
has(unsigned seen, const char *part)
{
	size_t i;

	for (i = 0; strcmp(parts[i], part) != 0; i++)
		;
	return (seen & 1u << i) != 0;
}

static int
bad(char *why, size_t cap, const char *text)
{
	snprintf(why, cap, "%s", text);
	return PERC_ERR_FORMAT;
}

/* UNTIL is compared by us, in UTC: libical forgets the zone. */
static int
until_take(struct icalrecurrencetype *r, const char *rrule, int64_t *until_ms,
    char *why, size_t cap)
{
	const char *v = strstr(rrule, "UNTIL=");

	*until_ms = INT64_MAX;
	if (v == NULL)
		return 0;
	v += 6;
	if (strcspn(v, ";") != 16 || v[15] != 'Z')
		return bad(why, cap,
		    "UNTIL must be in UTC, as UNTIL=20271231T235959Z");
	*until_ms = (int64_t)icaltime_as_timet(r->until) * 1000;
	r->until = icaltime_null_time();
	return 0;
}

/* "2MO": the second of something. */
static bool
ordinals(const struct icalrecurrencetype *r)
{
	size_t i;

	for (i = 0;
	     i < ICAL_BY_DAY_SIZE && r->by_day[i] != ICAL_RECURRENCE_ARRAY_MAX;
	     i++)
		if (icalrecurrencetype_day_position(r->by_day[i]) != 0)
			return true;
	return false;
}

static int
rule_parse(struct icalrecurrencetype *r, const char *rrule, int64_t *until_ms,
    char *why, size_t cap)
{
	unsigned seen;

	if (strlen(rrule) >= KMF_RRULE_MAX)
		return bad(why, cap, "too long");
	if (rrule[strspn(rrule, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=;,+-")])
		return bad(why, cap,
		    "capitals, digits and =;,+- alone, as "
		    "FREQ=WEEKLY;BYDAY=MO;COUNT=10");
	if ((seen = parts_check(rrule, why, cap)) == 0)
		return rrule[0] == '\0' ? bad(why, cap, "is empty")
					: PERC_ERR_FORMAT;
	if (!has(seen, "COUNT") && !has(seen, "UNTIL"))
		return bad(why, cap, "never ends: add COUNT or UNTIL");
	*r = icalrecurrencetype_from_string(rrule);
	if (r->freq == ICAL_NO_RECURRENCE)
		return bad(why, cap, "not a rule of RFC 5545");
	if (r->freq < ICAL_DAILY_RECURRENCE)
		return bad(
		    why, cap, "FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY");
	if (r->freq < ICAL_MONTHLY_RECURRENCE && ordinals(r))
		return bad(why, cap,
		    "BYDAY with a number only with MONTHLY or YEARLY");
	if (has(seen, "BYSETPOS") &&
	    (r->freq != ICAL_MONTHLY_RECURRENCE ||
		(!has(seen, "BYDAY") && !has(seen, "BYMONTHDAY")) ||
		has(seen, "BYYEARDAY") || has(seen, "BYWEEKNO")))
		return bad(why, cap,
		    "BYSETPOS only with FREQ=MONTHLY and BYDAY or BYMONTHDAY");
	if (r->count > KMF_OCCURRENCES_MAX)
		return bad(why, cap, "more than 1000 occurrences");
	return until_take(r, rrule, until_ms, why, cap);
}

/* The value, or from the end, stands in the list; an empty list takes all. */
static bool
listed(const short *list, size_t n, int value, int last)
{
	size_t i;

	if (list[0] == ICAL_RECURRENCE_ARRAY_MAX)
		return true;
	for (i = 0; i < n && list[i] != ICAL_RECURRENCE_ARRAY_MAX; i++)
		if (list[i] == value || list[i] == value - last - 1)
			return true;
	return false;
}

/* Is it the nth of its weekday, from the start or (n < 0) from the end, when
 * `day` of `days` is counted? */
static bool
is_nth(int n, int day, int days)
{
	return n == 0 || n == (day - 1) / 7 + 1 || n == -((days - day) / 7 + 1);
}

/* "2MO" is the month's second Monday, or the year's. */
static bool
weekday_fits(const struct icalrecurrencetype *r, struct icaltimetype t)
{
	bool yearly = r->freq == ICAL_YEARLY_RECURRENCE &&
	    r->by_month[0] == ICAL_RECURRENCE_ARRAY_MAX;
	int day = yearly ? icaltime_day_of_year(t) : t.day;
	int days = yearly ? icaltime_days_in_year(t.year)
			  : icaltime_days_in_month(t.month, t.year);
	size_t i;

	if (r->by_day[0] == ICAL_RECURRENCE_ARRAY_MAX)
		return true;
	for (i = 0;
	     i < ICAL_BY_DAY_SIZE && r->by_day[i] != ICAL_RECURRENCE_ARRAY_MAX;
	     i++)
		if ((int)icalrecurrencetype_day_day_of_week(r->by_day[i]) ==
			icaltime_day_of_week(t) &&
		    is_nth(icalrecurrencetype_day_position(r->by_day[i]), day,
			days))
			return true;
	return false;
}

static bool
day_fits(const struct icalrecurrencetype *r, struct icaltimetype t)
{
	return listed(r->by_month_day, ICAL_BY_MONTHDAY_SIZE, t.day,
		   icaltime_days_in_month(t.month, t.year)) &&
	    weekday_fits(r, t);
}

/* Which of its month's days that fit is this one, from either end? */
static bool
position_fits(const struct icalrecurrencetype *r, struct icaltimetype t)
{
	int day, n = 0, at = 0;
	struct icaltimetype d = t;

	if (r->by_set_pos[0] == ICAL_RECURRENCE_ARRAY_MAX)
		return true;
	for (day = 1; day <= icaltime_days_in_month(t.month, t.year); day++) {
		d.day = day;
		n += day_fits(r, d);
		if (day == t.day)
			at = n;
	}
	return listed(r->by_set_pos, ICAL_BY_SETPOS_SIZE, at, n);
}

/* Necessary for any FREQ, and enough to keep libical from a long search. */
static bool
start_fits(const struct icalrecurrencetype *r, struct icaltimetype t)
{
	return listed(r->by_month, ICAL_BY_MONTH_SIZE, t.month, 1000) &&
	    listed(r->by_year_day, ICAL_BY_YEARDAY_SIZE,
		icaltime_day_of_year(t), icaltime_days_in_year(t.year)) &&
	    day_fits(r, t) && position_fits(r, t);
}

static int
walk(int64_t *list, size_t *np, icalrecur_iterator *it, icaltimezone *zone,
    int64_t last_ms, int64_t until_ms, int64_t lasts_ms, char *why, size_t cap)
{
	struct icaltimetype t;
	size_t n = 0;
	int64_t at;

	for (;;) {
		t = icalrecur_iterator_next(it);
		if (icaltime_is_null_time(t))
			break;
		at = (int64_t)icaltime_as_timet_with_zone(t, zone) * 1000;
		if (at > until_ms)
			break;
		if (at > last_ms)
			return bad(why, cap, "goes on for more than 5 years");
		if (n == KMF_OCCURRENCES_MAX)
			return bad(why, cap, "more than 1000 occurrences");
		if (n > 0 && at < list[n - 1] + lasts_ms)
			return bad(why, cap,
			    "an occurrence begins before the one before ends");
		list[n++] = at;
	}
	*np = n;
	return 0;
}

int
kmf_rrule_expand(int64_t **listp, size_t *np, const char *rrule,
    const char *tzid, int64_t starts_ms, int64_t lasts_ms, char *why,
    size_t cap)
{
	icalrecur_iterator *it = NULL;
	struct icalrecurrencetype rule;
	icaltimezone *zone = zone_find(tzid);
	struct icaltimetype start;
	int64_t *list = NULL, until_ms;
	int r;

	if (zone == NULL)
		return bad(why, cap, "the time zone is not known");
	if ((r = rule_parse(&rule, rrule, &until_ms, why, cap)) != 0)
		return r;
	start =
	    icaltime_from_timet_with_zone((time_t)(starts_ms / 1000), 0, zone);
	start.zone = zone;
	if (!start_fits(&rule, start) ||
	    (it = icalrecur_iterator_new(rule, start)) == NULL)
		return bad(why, cap, "starts_at is not its first occurrence");
	r = PERC_ERR_NOMEM;
	if ((list = calloc(KMF_OCCURRENCES_MAX, sizeof(*list))) != NULL)
		r = walk(list, np, it, zone, starts_ms + KMF_RULE_SPAN_MS,
		    until_ms, lasts_ms, why, cap);
	icalrecur_iterator_free(it);
	if (r == 0 && (*np == 0 || list[0] != starts_ms))
		r = bad(why, cap, "starts_at is not its first occurrence");
	if (r != 0) {
		free(list);
		return r;
	}
	*listp = list;
	return 0;
}
