/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Recurrence rules: RFC 5545's own examples (3.8.5.3), wall-clock time over a
 * change of the clocks, and every kind of rule that is not taken.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kmf/cal.h"
#include "perc/json.h"
#include "perc/log.h"

#define NY	"America/New_York"
#define HOUR_MS 3600000

static int64_t
at(const char *text)
{
	int64_t ms;

	assert_int_equal(perc_time_get(&ms, text), 0);
	return ms;
}

/* The dates as "0902 0903 ...", UTC. */
static void
dates(char *out, size_t cap, const char *rule, const char *zone,
    const char *start)
{
	int64_t *list = NULL;
	char why[160] = "", text[PERC_TIME_LEN];
	size_t i, n = 0, o = 0;

	if (kmf_rrule_expand(&list, &n, rule, zone, at(start), HOUR_MS, why,
		sizeof(why)) != 0)
		fail_msg("%s: %s", rule, why);
	out[0] = '\0';
	for (i = 0; i < n && o < cap; i++) {
		perc_time_put(text, list[i]);
		o += (size_t)snprintf(out + o, cap - o, "%s%.2s%.2s",
		    i > 0 ? " " : "", text + 5, text + 8);
	}
	free(list);
}

/* All of RFC 5545, 3.8.5.3, with an end of their own: DTSTART;TZID=
 * America/New_York:19970902T090000, unless it says otherwise. */
static void
test_examples_of_the_rfc(void **state)
{
	static const struct {
		const char *rule, *start, *dates;
	} is[] = {
		{ "FREQ=DAILY;COUNT=10", "1997-09-02T13:00:00Z",
		    "0902 0903 0904 0905 0906 0907 0908 0909 0910 0911" },
		{ "FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02T13:00:00Z",
		    "0902 0912 0922 1002 1012" },
		{ "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
		    "1997-09-02T13:00:00Z",
		    "0902 0904 0916 0918 0930 1002 1014 1016" },
		{ "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
		    "1997-08-05T13:00:00Z", "0805 0810 0819 0824" },
		{ "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
		    "1997-08-05T13:00:00Z", "0805 0817 0819 0831" },
		{ "FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "1997-09-05T13:00:00Z",
		    "0905 1003 1107 1205 0102 0206 0306 0403 0501 0605" },
		{ "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22T13:00:00Z",
		    "0922 1020 1117 1222 0119 0216" },
		{ "FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=6", "1997-09-28T13:00:00Z",
		    "0928 1029 1128 1229 0129 0226" },
		{ "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=7",
		    "1997-09-29T13:00:00Z",
		    "0929 1030 1127 1230 0129 0226 0330" },
		{ "FREQ=YEARLY;BYDAY=TH;BYMONTH=3;COUNT=11",
		    "1997-03-13T14:00:00Z",
		    "0313 0320 0327 0305 0312 0319 0326 0304 0311 0318 0325" },
		{ "FREQ=YEARLY;COUNT=3;BYDAY=20MO", "1997-05-19T13:00:00Z",
		    "0519 0518 0517" },
		{ "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=3",
		    "1997-05-12T13:00:00Z", "0512 0511 0517" },
		{ "FREQ=DAILY;UNTIL=19970905T130000Z", "1997-09-02T13:00:00Z",
		    "0902 0903 0904 0905" },
		{ "FREQ=DAILY;UNTIL=19970905T125959Z", "1997-09-02T13:00:00Z",
		    "0902 0903 0904" },
	};
	char out[400];
	size_t i;

	for (i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
		dates(out, sizeof(out), is[i].rule, NY, is[i].start);
		assert_string_equal(out, is[i].dates);
	}
}

static void
assert_starts(const char *rule, const char *zone, const char *const starts[],
    size_t count)
{
	char why[160] = "", text[PERC_TIME_LEN];
	int64_t *list = NULL;
	size_t i, n = 0;

	assert_int_equal(kmf_rrule_expand(&list, &n, rule, zone, at(starts[0]),
			     HOUR_MS, why, sizeof(why)),
	    0);
	assert_int_equal(n, count);
	for (i = 0; i < n; i++) {
		perc_time_put(text, list[i]);
		assert_string_equal(text, starts[i]);
	}
	free(list);
}

/* Ten o'clock in Berlin stays ten o'clock; in UTC it is another hour. */
static void
test_clocks_change(void **state)
{
	static const char *const autumn[] = { "2026-10-19T08:00:00Z",
		"2026-10-26T09:00:00Z", "2026-11-02T09:00:00Z" };
	static const char *const utc[] = { "2026-10-19T08:00:00Z",
		"2026-10-26T08:00:00Z", "2026-11-02T08:00:00Z" };

	assert_starts("FREQ=WEEKLY;COUNT=3", "Europe/Berlin", autumn, 3);
	assert_starts("FREQ=WEEKLY;COUNT=3", "UTC", utc, 3);
}

static void
test_rules_that_are_not_taken(void **state)
{
	static const struct {
		const char *rule, *why;
	} bad[] = {
		{ "", "empty" },
		{ "FREQ=DAILY", "never ends" },
		{ "FREQ=WEEKLY;BYDAY=TU", "never ends" },
		{ "FREQ=DAILY;COUNT=1001", "1000" },
		{ "FREQ=DAILY;COUNT=1000000000", "" },
		{ "FREQ=DAILY;COUNT=0", "RFC 5545" },
		{ "FREQ=DAILY;COUNT=-1", "RFC 5545" },
		{ "FREQ=DAILY;UNTIL=99991231T235959Z", "" },
		{ "FREQ=DAILY;UNTIL=20001231T235959Z", "1000" },
		{ "FREQ=YEARLY;COUNT=10", "5 years" },
		{ "FREQ=DAILY;UNTIL=19971224", "UTC" },
		{ "FREQ=DAILY;UNTIL=19971224T000000", "UTC" },
		{ "FREQ=DAILY;UNTIL=19961224T000000Z", "first" },
		{ "FREQ=DAILY;UNTIL=19971224T000000Z;COUNT=3", "RFC 5545" },
		{ "FREQ=HOURLY;COUNT=3", "FREQ" },
		{ "FREQ=MINUTELY;COUNT=3", "FREQ" },
		{ "FREQ=SECONDLY;COUNT=3", "FREQ" },
		{ "FREQ=SECONDLY;COUNT=3;BYMONTH=2;BYMONTHDAY=30", "FREQ" },
		{ "FREQ=DAILY;BYSECOND=0;COUNT=3", "BYSECOND" },
		{ "FREQ=DAILY;BYMINUTE=0;COUNT=3", "BYMINUTE" },
		{ "FREQ=DAILY;BYHOUR=9;COUNT=3", "BYHOUR" },
		{ "RSCALE=HEBREW;FREQ=YEARLY;COUNT=3", "RSCALE" },
		{ "FREQ=DAILY;X-A=1;COUNT=3", "X-A" },
		{ "FREQ=DAILY;COUNT=3;COUNT=3", "twice" },
		{ "COUNT=3", "RFC 5545" },
		{ "FREQ=NEVER;COUNT=3", "RFC 5545" },
		{ "FREQ=DAILY;;COUNT=3", "not a part" },
		{ "FREQ=DAILY;COUNT", "not a part" },
		{ "freq=daily;count=3", "capitals" },
		{ "FREQ=DAILY;COUNT=3\r\nATTENDEE:x", "capitals" },
		{ "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=3", "first" },
		{ "FREQ=WEEKLY;BYDAY=MO;COUNT=3", "first" }, /* a Tuesday */
		{ "FREQ=MONTHLY;BYDAY=2TU;COUNT=3", "first" },
		{ "FREQ=MONTHLY;BYDAY=-21TU;COUNT=3", "first" },
		{ "FREQ=MONTHLY;BYDAY=TU;BYSETPOS=9;COUNT=3", "first" },
		{ "FREQ=MONTHLY;BYSETPOS=2;COUNT=3", "BYSETPOS" },
		{ "FREQ=YEARLY;BYSETPOS=1;BYDAY=TU;COUNT=3", "BYSETPOS" },
		{ "FREQ=YEARLY;BYWEEKNO=54;COUNT=3", "first" },
	};
	char why[160];
	int64_t *list;
	size_t i, n;
	int r;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = kmf_rrule_expand(&list, &n, bad[i].rule, NY,
		    at("1997-09-02T13:00:00Z"), HOUR_MS, why, sizeof(why));
		if (r != PERC_ERR_FORMAT || strstr(why, bad[i].why) == NULL)
			fail_msg("'%s': %d %s", bad[i].rule, r, why);
	}
	/* one that lasts longer than its distance */
	assert_int_equal(
	    kmf_rrule_expand(&list, &n, "FREQ=DAILY;COUNT=3", NY,
		at("1997-09-02T13:00:00Z"), 25LL * HOUR_MS, why, sizeof(why)),
	    PERC_ERR_FORMAT);
	assert_non_null(strstr(why, "before the one before ends"));
}

static void
test_too_long(void **state)
{
	char rule[KMF_RRULE_MAX + 8], why[160];
	int64_t *list;
	size_t n;

	strcpy(rule, "FREQ=DAILY;COUNT=3;BYMONTH=");
	while (strlen(rule) < KMF_RRULE_MAX)
		strcat(rule, "9,");
	assert_int_equal(
	    kmf_rrule_expand(&list, &n, rule, "UTC", at("1997-09-02T13:00:00Z"),
		HOUR_MS, why, sizeof(why)),
	    PERC_ERR_FORMAT);
	assert_string_equal(why, "too long");
}

static void
test_zones(void **state)
{
	static const char *const good[] = { "UTC", "Europe/Berlin",
		"Asia/Tokyo", "America/Argentina/Buenos_Aires", "Etc/GMT+3" };
	static const char *const bad[] = { "", "Mars/Olympus",
		"../../etc/passwd", "/etc/localtime", "Europe/../Europe/Berlin",
		"Europe//Berlin", "Europe/Berlin\n", "europe/berlin ", "\xff",
		("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		 "A"
		 "AAAAAAAAAAAAAAAAAAAAA") };
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(kmf_zone_known(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(kmf_zone_known(bad[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_rfc),
		cmocka_unit_test(test_clocks_change),
		cmocka_unit_test(test_rules_that_are_not_taken),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_zones),
	};

	return cmocka_run_group_tests_name("cal", tests, NULL, NULL);
}
