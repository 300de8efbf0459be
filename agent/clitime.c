/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times: the KMF speaks RFC 3339 in UTC, people read and write the clock on
 * their wall. Who writes no zone means the one here, or the one of --tz.
 */
#include "agent/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/loop.h"

#define ZONE_MAX 64

/* "2026-11-21 10:30[:00]", with a blank or a T. */
static bool
wall_parse(const char *text, struct tm *tm)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M" };
	const char *end;
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		memset(tm, 0, sizeof(*tm));
		end = strptime(text, forms[i], tm);
		if (end != NULL && *end == '\0')
			return true;
	}
	return false;
}

/* mktime() in another zone: the process has one thread. */
static int64_t
wall_ms(struct tm *tm, const char *tz)
{
	char *was = NULL;
	time_t t;

	tm->tm_isdst = -1;
	if (tz != NULL) {
		was = text_dup(getenv("TZ"));
		(void)setenv("TZ", tz, 1);
		tzset();
	}
	t = mktime(tm);
	if (tz != NULL) {
		if (was != NULL)
			(void)setenv("TZ", was, 1);
		else
			(void)unsetenv("TZ");
		tzset();
		text_free(was);
	}
	return (int64_t)t * 1000;
}

bool
cli_time_take(
    const char *text, const char *tz, int64_t fallback_ms, int64_t *ms)
{
	struct tm tm;

	*ms = fallback_ms;
	if (text == NULL)
		return true;
	if (strcmp(text, "now") == 0) {
		*ms = perc_wall_ms();
		return true;
	}
	if (perc_time_get(ms, text) == 0)
		return true;
	if (wall_parse(text, &tm)) {
		*ms = wall_ms(&tm, tz);
		return true;
	}
	cli_complain("\"%s\" is no time like \"2026-11-21 10:30\", "
		     "2026-11-21T09:30:00Z or now",
	    cli_clean(text));
	return false;
}

static const char *
shown(const json_t *o, const char *name, const char *form)
{
	const char *text = perc_json_str(o, name);
	char out[64];
	struct tm tm;
	int64_t ms;
	time_t t;

	if (text == NULL || perc_time_get(&ms, text) != 0)
		return "";
	t = (time_t)(ms / 1000);
	if (localtime_r(&t, &tm) == NULL ||
	    strftime(out, sizeof(out), form, &tm) == 0)
		return cli_clean(text);
	return cli_clean(out);
}

const char *
cli_time(const json_t *o, const char *name)
{
	return shown(o, name, "%a %Y-%m-%d %H:%M %Z");
}

const char *
cli_table_time(const json_t *o, const char *name)
{
	return shown(o, name, "%Y-%m-%d %H:%M");
}

void
cli_time_utc(void)
{
	(void)setenv("TZ", "UTC", 1);
	tzset();
}

const char *
cli_zone(void)
{
	static char zone[ZONE_MAX];
	char link[256];
	const char *tz = getenv("TZ"), *at;
	ssize_t n;

	if (tz != NULL && strchr(tz, '/') != NULL && tz[0] != ':' &&
	    tz[0] != '/')
		at = tz;
	else {
		n = readlink("/etc/localtime", link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		at = strstr(link, "zoneinfo/");
		at = at != NULL ? at + strlen("zoneinfo/") : "UTC";
		if (tz != NULL || strchr(at, '/') == NULL)
			at = "UTC";
	}
	text_put(zone, sizeof(zone), "%s", at);
	return zone;
}
