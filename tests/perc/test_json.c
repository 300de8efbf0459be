/* SPDX-License-Identifier: Apache-2.0 */
/* perc/json.c and perc/time.c: RFC 8259 read strictly, RFC 3339. */
#include "tests/perc/unit.h"

#include <stdlib.h>

#include "perc/json.h"
#include "perc/secmem.h"

static int
parse(json_t **jp, const char *text)
{
	return perc_json_parse(jp, text, strlen(text), 1000, NULL, 0);
}

static void
test_good_documents(void **state)
{
	static const char *const good[] = { "{}", " { \"a\" : 1 } \n",
		"{\"a\":{\"a\":1}}", "{\"a\":[\"]}{[\",\"\\\"\"]}",
		"{\"\":\"\xc3\xa9\"}" };

	for (size_t i = 0; i < COUNT(good); i++) {
		json_t *j = NULL;

		assert_int_equal(parse(&j, good[i]), 0);
		json_decref(j);
	}
}

static void
test_bad_documents(void **state)
{
	static const char *const bad[] = { "", " ", "{", "}", "[]", "1",
		"\"a\"", "null", "{\"a\":1}x", "{\"a\":1}{}",
		"{\"a\":1,\"a\":2}", "{\"b\":{\"a\":1,\"a\":1}}",
		"{\"a\":1,\"\\u0061\":1}", "{'a':1}", "{\"a\":01}",
		"{\"a\":\"\xff\"}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\n\"}",
		"{\"a\":tru}", "{\"a\":1e999}", "{a:1}", "{\"a\":1,}",
		"\xef\xbb\xbf{}" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		json_t *j = NULL;

		if (parse(&j, bad[i]) != PERC_ERR_FORMAT)
			fail_msg("'%s' was taken", bad[i]);
		assert_null(j);
	}
}

static void
test_bounds(void **state)
{
	char text[2 * 2100 + 16], why[80];
	json_t *j = NULL;

	assert_int_equal(
	    perc_json_parse(&j, "{}", 2, 1, why, sizeof(why)), PERC_ERR_LIMIT);
	assert_string_equal(why, "the document is too long");
	for (int depth = 14; depth < 2000; depth *= 11) {
		char *p = stpcpy(text, "{\"a\":");

		memset(p, '[', (size_t)depth);
		memset(p + depth, ']', (size_t)depth);
		strcpy(p + 2 * depth, "}");
		assert_int_equal(perc_json_parse(&j, text, strlen(text), 5000,
				     why, sizeof(why)),
		    depth < PERC_JSON_DEPTH ? 0 : PERC_ERR_LIMIT);
		if (depth < PERC_JSON_DEPTH)
			json_decref(j);
		else
			assert_string_equal(
			    why, "the document is nested too deeply");
	}
	/* Sixteen are allowed, seventeen are not. */
	assert_int_equal(
	    parse(&j, "{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}"), 0);
	json_decref(j);
	assert_int_equal(parse(&j, "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"),
	    PERC_ERR_LIMIT);
}

static void
test_the_reason_does_not_quote(void **state)
{
	static const char secret[] = "{\"key\":\"hunter2\" oops}";
	char why[128] = "";
	json_t *j = NULL;

	assert_int_equal(
	    perc_json_parse(&j, secret, strlen(secret), 1000, why, sizeof(why)),
	    PERC_ERR_FORMAT);
	assert_non_null(strstr(why, "not valid JSON"));
	assert_null(strstr(why, "hunter2"));
	assert_null(strstr(why, "oops"));
}

static void
test_typed_getters(void **state)
{
	int64_t v = 77;
	json_t *j = NULL;

	assert_int_equal(parse(&j,
			     "{\"s\":\"x\",\"n\":5,\"t\":true,\"r\":5.0,"
			     "\"big\":9223372036854775807}"),
	    0);
	assert_string_equal(perc_json_str(j, "s"), "x");
	assert_null(perc_json_str(j, "n"));
	assert_null(perc_json_str(j, "absent"));
	assert_true(perc_json_bool(j, "t", false));
	assert_true(perc_json_bool(j, "absent", true));
	assert_false(perc_json_bool(j, "n", false));
	assert_int_equal(
	    perc_json_int(&v, j, "absent", 0, 9), PERC_ERR_NOTFOUND);
	assert_int_equal(perc_json_int(&v, j, "s", 0, 9), PERC_ERR_FORMAT);
	assert_int_equal(perc_json_int(&v, j, "r", 0, 9), PERC_ERR_FORMAT);
	assert_int_equal(perc_json_int(&v, j, "t", 0, 9), PERC_ERR_FORMAT);
	assert_int_equal(perc_json_int(&v, j, "n", 6, 9), PERC_ERR_FORMAT);
	assert_int_equal(perc_json_int(&v, j, "n", 0, 4), PERC_ERR_FORMAT);
	assert_int_equal(v, 77);
	assert_int_equal(perc_json_int(&v, j, "n", 5, 5), 0);
	assert_int_equal(v, 5);
	assert_int_equal(perc_json_int(&v, j, "big", 0, INT64_MAX), 0);
	assert_true(v == INT64_MAX);
	json_decref(j);
}

static void
test_string_or_list(void **state)
{
	json_t *j = NULL;

	assert_int_equal(parse(&j,
			     "{\"aud\":[\"a\",7,\"b\"],\"one\":\"c\","
			     "\"n\":1}"),
	    0);
	assert_true(perc_json_has(j, "aud", "a"));
	assert_true(perc_json_has(j, "aud", "b"));
	assert_false(perc_json_has(j, "aud", "7"));
	assert_false(perc_json_has(j, "aud", ""));
	assert_true(perc_json_has(j, "one", "c"));
	assert_false(perc_json_has(j, "one", "cc"));
	assert_false(perc_json_has(j, "n", "1"));
	assert_false(perc_json_has(j, "absent", "a"));
	json_decref(j);
}

static void
test_text_keeps_the_order(void **state)
{
	json_t *j = NULL;
	char *text;

	assert_int_equal(parse(&j, "{ \"z\":1, \"a\":[ ] }"), 0);
	text = perc_json_text(j);
	assert_string_equal(text, "{\"z\":1,\"a\":[]}");
	perc_json_free(text);
	text = perc_json_text(j);
	free(text); /* as the header allows */
	json_decref(j);
	perc_json_free(NULL);
}

/* --- time --------------------------------------------------------------- */

static const struct {
	const char *text;
	int64_t ms;
} times[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "2026-11-21T09:30:00Z", INT64_C(1795253400000) },
	{ "2000-02-29T23:59:59Z", INT64_C(951868799000) },
	{ "9999-12-31T23:59:59Z", INT64_C(253402300799000) },
};

static void
test_time_both_ways(void **state)
{
	char text[PERC_TIME_LEN];
	int64_t ms;

	for (size_t i = 0; i < COUNT(times); i++) {
		assert_int_equal(perc_time_get(&ms, times[i].text), 0);
		assert_true(ms == times[i].ms);
		perc_time_put(text, ms);
		assert_string_equal(text, times[i].text);
	}
	/* Every day of four hundred years. */
	for (int64_t d = 0; d < 146097; d += 13) {
		perc_time_put(text, d * 86400000);
		assert_int_equal(perc_time_get(&ms, text), 0);
		assert_true(ms == d * 86400000);
	}
	perc_time_put(text, -5);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	perc_time_put(text, INT64_MAX);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
}

/* RFC 3339 section 5.8, and section 5.6 for lower case. */
static void
test_time_offsets_and_fractions(void **state)
{
	int64_t a, b;

	assert_int_equal(perc_time_get(&a, "1996-12-19T16:39:57-08:00"), 0);
	assert_int_equal(perc_time_get(&b, "1996-12-20T00:39:57Z"), 0);
	assert_true(a == b);
	assert_int_equal(perc_time_get(&a, "1985-04-12T23:20:50.52Z"), 0);
	assert_int_equal(perc_time_get(&b, "1985-04-12t23:20:50.520999z"), 0);
	assert_true(a == b && a % 1000 == 520);
	assert_int_equal(perc_time_get(&a, "1990-12-31T23:59:60Z"), 0);
	assert_int_equal(perc_time_get(&a, "2026-01-01T00:00:00+05:30"), 0);
	assert_int_equal(perc_time_get(&b, "2025-12-31T18:30:00Z"), 0);
	assert_true(a == b);
}

static void
test_absurd_times(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-11-21",
		"2026-11-21T09:30:00", "2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
		"1900-01-01T00:00:00Z", "2100-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z",
		"2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0530",
		"2026-01-01T00:00:00Zx", " 2026-01-01T00:00:00Z",
		"2026-1-01T00:00:00Z", "+026-01-01T00:00:00Z",
		"1970-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00" };
	int64_t ms;

	for (size_t i = 0; i < COUNT(bad); i++)
		if (perc_time_get(&ms, bad[i]) != PERC_ERR_FORMAT)
			fail_msg("'%s' was taken", bad[i]);
}

/* A heap whose Nth allocation fails and whose blocks end in a canary. */
#define CANARY_LEN 64
#define CANARY(i)  ((uint8_t)((i) < CANARY_LEN - 1 ? 0x80 + (i) : '"'))
static size_t fail_at;
static bool overrun;

static void *
canary_alloc(size_t n)
{
	uint8_t *p;
	size_t i;

	if (fail_at != 0 && --fail_at == 0)
		return NULL;
	if ((p = malloc(16 + n + CANARY_LEN)) == NULL)
		return NULL;
	memcpy(p, &n, sizeof(n));
	for (i = 0; i < CANARY_LEN; i++)
		p[16 + n + i] = CANARY(i); /* '"' stops a lexer gone astray */
	return p + 16;
}

static void
canary_free(void *ptr)
{
	uint8_t *p = ptr;
	size_t n, i;

	if (p == NULL)
		return;
	p -= 16;
	memcpy(&n, p, sizeof(n));
	for (i = 0; i < CANARY_LEN; i++)
		overrun = overrun || p[16 + n + i] != CANARY(i);
	free(p);
}

/* jansson 2.14 overruns when just a closing quote found no memory. */
static void
test_starved_parser_stays_within_its_buffers(void **state)
{
	static const struct perc_secmem_fns fns = { canary_alloc, NULL,
		canary_free };
	/* a growing text, so that each length of buffer is just full once */
	char text[200];
	size_t len, n;
	json_t *v;
	int r;

	perc_json_heap_set(&fns);
	for (len = 1; len < 130; len++) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "{\"", 2);
		strcpy(text + 2 + len, "\": 1}");
		for (n = 1; n < 12; n++) {
			fail_at = n;
			r = perc_json_parse(
			    &v, text, strlen(text), 4096, NULL, 0);
			if (r == 0)
				json_decref(v);
			assert_false(overrun);
		}
	}
	fail_at = 0;
	json_set_alloc_funcs(malloc, free);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_documents),
		cmocka_unit_test(test_bad_documents),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_the_reason_does_not_quote),
		cmocka_unit_test(test_typed_getters),
		cmocka_unit_test(test_string_or_list),
		cmocka_unit_test(test_text_keeps_the_order),
		cmocka_unit_test(test_time_both_ways),
		cmocka_unit_test(test_time_offsets_and_fractions),
		cmocka_unit_test(test_absurd_times),
		cmocka_unit_test(test_starved_parser_stays_within_its_buffers),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
