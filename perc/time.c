/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3339 by hand: strptime and timegm depend on locale and time zone data
 * that a sandbox has taken away, and accept more than the RFC.
 */
#include "perc/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S	86400
#define LAST_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in
 * March here, so that the leap day is the last one. */
static int64_t
days_from_date(int y, int m, int d)
{
	int64_t yy = y - (m <= 2), era = yy / 400, yoe = yy - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void
perc_time_put(char out[static PERC_TIME_LEN], int64_t wall_ms)
{
	time_t s;
	struct tm tm;

	if (wall_ms < 0)
		wall_ms = 0;
	if (wall_ms > LAST_MS)
		wall_ms = LAST_MS;
	s = (time_t)(wall_ms / 1000);
	gmtime_r(&s, &tm);
	strftime(out, PERC_TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* n digits at *s, within min..max; *s moves behind them. -1: not so. */
static int
digits(const char **s, int n, int min, int max)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		char c = (*s)[i];

		if (c < '0' || c > '9')
			return -1;
		v = v * 10 + (c - '0');
	}
	*s += n;
	return v >= min && v <= max ? v : -1;
}

/* One of the characters of set at *s. */
static int
sign(const char **s, const char *set)
{
	char c = **s;

	if (c == '\0' || strchr(set, c) == NULL)
		return -1;
	(*s)++;
	return c;
}

/* ".123456": milliseconds, the rest cut off. */
static int
fraction(const char **s)
{
	int ms = 0, n = 0;

	if (**s != '.')
		return 0;
	for ((*s)++; **s >= '0' && **s <= '9'; (*s)++, n++)
		if (n < 3)
			ms = ms * 10 + (**s - '0');
	for (int i = n; i < 3; i++)
		ms *= 10;
	return n >= 1 && n <= 9 ? ms : -1;
}

/* "Z" or "+hh:mm", in minutes east; 9999: malformed. */
static int
offset_min(const char **s)
{
	int c = sign(s, "Zz+-"), h, m;

	if (c == 'Z' || c == 'z')
		return 0;
	if (c < 0 || (h = digits(s, 2, 0, 23)) < 0 || sign(s, ":") < 0 ||
	    (m = digits(s, 2, 0, 59)) < 0)
		return 9999;
	return c == '-' ? -(h * 60 + m) : h * 60 + m;
}

static int
month_days(int y, int m)
{
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	if (m == 2)
		return leap ? 29 : 28;
	return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
}

int
perc_time_get(int64_t *wall_ms, const char *text)
{
	const char *s = text;
	int y, mo, d, h, mi, sec, ms, off;
	int64_t at;

	if ((y = digits(&s, 4, 1970, 9999)) < 0 || sign(&s, "-") < 0 ||
	    (mo = digits(&s, 2, 1, 12)) < 0 || sign(&s, "-") < 0 ||
	    (d = digits(&s, 2, 1, month_days(y, mo))) < 0 ||
	    sign(&s, "Tt ") < 0 || (h = digits(&s, 2, 0, 23)) < 0 ||
	    sign(&s, ":") < 0 || (mi = digits(&s, 2, 0, 59)) < 0 ||
	    sign(&s, ":") < 0 || (sec = digits(&s, 2, 0, 60)) < 0 ||
	    (ms = fraction(&s)) < 0 || (off = offset_min(&s)) == 9999 ||
	    *s != '\0')
		return PERC_ERR_FORMAT;
	at = days_from_date(y, mo, d) * DAY_S + h * 3600 + mi * 60 + sec -
	    off * 60;
	if (at < 0 || at > LAST_MS / 1000)
		return PERC_ERR_FORMAT;
	*wall_ms = at * 1000 + ms;
	return 0;
}
