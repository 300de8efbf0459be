/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Values against schemas, keyword by keyword: what is wrong, and where; then
 * bodies, queries and answers against the real document.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kmf/api.h"
#include "perc/json.h"

#define DOC                                                                    \
	"{\"s\": {\"Short\": {\"type\": \"string\", \"maxLength\": 3},"        \
	" \"Loop\": {\"$ref\": \"#/s/Loop\"},"                                 \
	" \"Tree\": {\"type\": \"object\", \"properties\":"                    \
	"  {\"t\": {\"$ref\": \"#/s/Tree\"}}}}}"

static json_t *
parse(const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(v);
	return v;
}

/* The first fault's pointer, or "ok". */
static const char *
verdict(const char *schema, const char *value)
{
	static struct kmf_faults f;
	json_t *doc = parse(DOC), *s = parse(schema), *v = parse(value);
	bool good;

	memset(&f, 0, sizeof(f));
	good = kmf_schema_check(doc, s, v, &f);
	assert_int_equal(good, f.n == 0);
	/* the verdict does not depend on whether somebody listens */
	assert_int_equal(good, kmf_schema_check(doc, s, v, NULL));
	json_decref(doc);
	json_decref(s);
	json_decref(v);
	return good ? "ok" : f.list[0].where;
}

static void
test_keywords(void **state)
{
	static const struct {
		const char *schema, *good, *bad;
	} cases[] = {
		{ "{\"type\": \"integer\"}", "7", "7.0" },
		{ "{\"type\": \"number\"}", "7", "\"7\"" },
		{ "{\"type\": \"number\"}", "7.5", "true" },
		{ "{\"type\": \"string\"}", "\"\"", "null" },
		{ "{\"type\": \"boolean\"}", "false", "0" },
		{ "{\"type\": \"array\"}", "[]", "{}" },
		{ "{\"type\": \"object\"}", "{}", "[]" },
		{ "{\"type\": [\"integer\", \"null\"]}", "null", "\"x\"" },
		{ "{\"enum\": [\"a\", 2]}", "2", "\"b\"" },
		{ "{\"const\": true}", "true", "1" },
		{ "{\"minimum\": 5}", "5", "4" },
		{ "{\"maximum\": 5}", "5", "6" },
		{ "{\"minLength\": 2}", "\"ab\"", "\"a\"" },
		{ "{\"maxLength\": 2}", "\"ab\"", "\"abc\"" },
		{ "{\"minItems\": 1}", "[1]", "[]" },
		{ "{\"maxItems\": 1}", "[1]", "[1, 2]" },
		{ "{\"minProperties\": 1}", "{\"a\": 1}", "{}" },
		{ "{\"format\": \"date-time\"}", "\"2026-11-21T09:30:00Z\"",
		    "\"2026-02-30T09:30:00Z\"" },
		{ "{\"format\": \"email\"}", "\"a@b\"", "\"a b@c\"" },
		{ "{\"format\": \"email\"}", "\"a@b\"", "\"@b\"" },
		{ "{\"format\": \"email\"}", "\"a@b\"", "\"a@\"" },
		{ "{\"format\": \"uri\"}", "\"https://x\"", "\"//x\"" },
		{ "{\"format\": \"uri\"}", "\"a:b\"", "\"1:b\"" },
		{ "{\"oneOf\": [{\"required\": [\"a\"]}, {\"required\": "
		  "[\"b\"]}]}",
		    "{\"a\": 1}", "{\"a\": 1, \"b\": 1}" },
		{ "{\"oneOf\": [{\"required\": [\"a\"]}, {\"required\": "
		  "[\"b\"]}]}",
		    "{\"b\": 1}", "{}" },
		{ "{\"$ref\": \"#/s/Short\"}", "\"abc\"", "\"abcd\"" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(
		    verdict(cases[i].schema, cases[i].good), "ok");
		assert_string_equal(verdict(cases[i].schema, cases[i].bad), "");
	}
	/* bounds are silent about other types */
	assert_string_equal(verdict("{\"maxLength\": 1}", "12"), "ok");
	assert_string_equal(verdict("{\"minimum\": 9}", "\"a\""), "ok");
	/* characters, not octets */
	assert_string_equal(
	    verdict("{\"maxLength\": 2}", "\"\\u00e9\\ud83d\\ude00\""), "ok");
}

static void
test_pointers(void **state)
{
	const char *s = "{\"type\": \"object\", \"required\": [\"a\"],"
			" \"additionalProperties\": false, \"properties\":"
			" {\"a\": {\"type\": \"array\", \"items\":"
			"  {\"type\": \"object\", \"properties\":"
			"   {\"e\": {\"type\": \"string\"}}}}}}";

	assert_string_equal(verdict(s, "{\"a\": []}"), "ok");
	assert_string_equal(verdict(s, "{}"), "/a");
	assert_string_equal(verdict(s, "{\"a\": 1}"), "/a");
	assert_string_equal(verdict(s, "{\"a\": [{}, {\"e\": 5}]}"), "/a/1/e");
	assert_string_equal(verdict(s, "{\"a\": [], \"b\": 1}"), "/b");
	assert_string_equal(
	    verdict(s, "{\"a\": [], \"x/y~z\": 1}"), "/x~1y~0z");
}

/* A name of a stranger's: cut to what fits, and still UTF-8. */
static void
test_long_names(void **state)
{
	const char *s = "{\"additionalProperties\": false, \"properties\": {}}";
	char value[2048], *p;
	const char *at;
	json_t *v;
	size_t pad, i;

	for (pad = 0; pad < 4; pad++) {
		p = value + sprintf(value, "{\"%.*s", (int)pad, "xxx");
		for (i = 0; i < 300; i++)
			p += sprintf(p, "\xf0\x9f\x98\x80");
		sprintf(p, "\": 1}");
		at = verdict(s, value);
		assert_int_equal(at[0], '/');
		assert_true(strlen(at) < KMF_WHERE_MAX);
		v = json_string(at);
		assert_non_null(v); /* UTF-8 */
		json_decref(v);
		value[1024 + pad] = '\0';
	}
}

static void
test_many_faults(void **state)
{
	json_t *s, *v;
	struct kmf_faults f = { .n = 0 };

	s = parse("{\"items\": {\"type\": \"string\"}}");
	v = parse("[1,2,3,4,5,6,7,8,9,10,11,12]");
	assert_false(kmf_schema_check(s, s, v, &f));
	assert_int_equal(f.n, KMF_FAULTS_MAX);
	assert_string_equal(f.list[7].where, "/7");
	json_decref(s);
	json_decref(v);
}

static void
test_documents(void **state)
{
	static const char *const unknown[] = { "{\"pattern\": \"x\"}",
		"{\"items\": {\"allOf\": []}}",
		"{\"properties\": {\"a\": {\"not\": {}}}}",
		"{\"oneOf\": [{\"if\": {}}]}", "{\"format\": \"regex\"}" };
	json_t *doc = parse(DOC), *s;
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		s = parse(unknown[i]);
		assert_int_equal(
		    kmf_schema_understood(doc, s, &why), PERC_ERR_UNSUPPORTED);
		json_decref(s);
	}
	/* $ref to nowhere, to itself, to outside, and without end */
	s = parse("{\"$ref\": \"#/s/None\"}");
	assert_int_equal(kmf_schema_understood(doc, s, &why), PERC_ERR_FORMAT);
	json_decref(s);
	s = parse("{\"$ref\": \"#/s/Loop\"}");
	assert_int_equal(kmf_schema_understood(doc, s, &why), PERC_ERR_FORMAT);
	assert_string_equal(verdict("{\"$ref\": \"#/s/Loop\"}", "1"), "");
	json_decref(s);
	s = parse("{\"$ref\": \"other.json\"}");
	assert_int_equal(kmf_schema_understood(doc, s, &why), PERC_ERR_FORMAT);
	json_decref(s);
	s = parse("{\"$ref\": \"#/s/Tree\"}");
	assert_int_equal(kmf_schema_understood(doc, s, &why), PERC_ERR_FORMAT);
	json_decref(s);
	json_decref(doc);
}

/* --- the real document ---------------------------------------------------- */
static const struct kmf_route *
route(const char *method, const char *path)
{
	const struct kmf_route *t = NULL;
	struct kmf_params p;
	char allow[64];

	assert_int_equal(
	    kmf_route_find(&t, &p, method, path, allow, sizeof(allow)), 0);
	return t;
}

#define CONF "/v1/conferences/c_AAAAAAAAAAAAAAAAAAAAAA"

static void
test_bodies(void **state)
{
	static const struct {
		const char *method, *path, *type, *body, *where;
		int r;
	} cases[] = {
		{ "POST", "/v1/conferences", "application/json", "", "",
		    PERC_ERR_FORMAT },
		{ "POST", "/v1/conferences", "application/json", "{", "",
		    PERC_ERR_FORMAT },
		{ "POST", "/v1/conferences", "application/json", "[]", "",
		    PERC_ERR_FORMAT },
		{ "POST", "/v1/conferences", "application/json",
		    "{\"title\": \"a\", \"title\": \"b\"}", "",
		    PERC_ERR_FORMAT },
		{ "POST", "/v1/conferences", "application/json",
		    "{\"starts_at\": \"2026-11-21T09:30:00Z\", \"ends_at\": "
		    "\"2026-11-21T10:30:00Z\"}",
		    "/title", PERC_ERR_FORMAT },
		{ "PATCH", CONF, NULL, "{\"titel\": \"x\"}", "/titel",
		    PERC_ERR_FORMAT },
		{ "PATCH", CONF, NULL, "{\"title\": \"x\"}", NULL, 0 },
		{ "PATCH", CONF, "application/json; charset=utf-8", "{}", NULL,
		    0 },
		{ "PATCH", CONF, "application/json; charset=latin1", "{}", NULL,
		    PERC_ERR_UNSUPPORTED },
		{ "PATCH", CONF, "text/plain", "{}", NULL,
		    PERC_ERR_UNSUPPORTED },
		{ "PATCH", CONF, "application/jsonx", "{}", NULL,
		    PERC_ERR_UNSUPPORTED },
		{ "PATCH", CONF, NULL,
		    "{\"invitees\": [{\"email\": \"a@b\"}, {\"email\": 5}]}",
		    "/invitees/1/email", PERC_ERR_FORMAT },
		{ "PATCH", CONF, NULL,
		    "{\"invitees\": [{\"email\": \"a@b\", \"group\": \"g\"}]}",
		    "/invitees/0", PERC_ERR_FORMAT },
		{ "PATCH", CONF, NULL, "{\"policy\": {\"lease_s\": 1}}",
		    "/policy/lease_s", PERC_ERR_FORMAT },
		{ "POST", CONF "/invitations", NULL, "", NULL, 0 },
		{ "POST", CONF "/end", NULL, "{\"x\": 1}", "/x",
		    PERC_ERR_FORMAT },
		{ "GET", CONF, NULL, "", NULL, 0 },
		{ "GET", CONF, NULL, "{}", "", PERC_ERR_FORMAT },
	};
	struct kmf_api *a = NULL;
	struct kmf_faults f;
	char why[160] = "";
	size_t i;
	int r;

	r = kmf_api_new(&a, why, sizeof(why));
	assert_string_equal(why, "openapi: ");
	assert_int_equal(r, 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = kmf_api_body(a, route(cases[i].method, cases[i].path),
		    cases[i].type, cases[i].body, strlen(cases[i].body), &f);
		if (r != cases[i].r)
			print_message("# case %zu\n", i);
		assert_int_equal(r, cases[i].r);
		if (cases[i].where != NULL)
			assert_string_equal(f.list[0].where, cases[i].where);
	}
	kmf_api_free(a);
}

static void
test_queries(void **state)
{
	static const struct {
		const char *query, *where;
		int r;
	} cases[] = {
		{ NULL, NULL, 0 },
		{ "", NULL, 0 },
		{ "state=live&limit=7", NULL, 0 },
		{ "limit=100&cursor=", NULL, 0 },
		{ "limit=101", "limit", PERC_ERR_FORMAT },
		{ "limit=0", "limit", PERC_ERR_FORMAT },
		{ "limit=-1", "limit", PERC_ERR_FORMAT },
		{ "limit=+1", "limit", PERC_ERR_FORMAT },
		{ "limit=1x", "limit", PERC_ERR_FORMAT },
		{ "limit=99999999999999999999", "limit", PERC_ERR_FORMAT },
		{ "state=lively", "state", PERC_ERR_FORMAT },
		{ "stat=live", "stat", PERC_ERR_FORMAT },
		{ "limit=1&limit=2", "", PERC_ERR_FORMAT },
		{ "limit", "", PERC_ERR_FORMAT },
		{ "cursor=%zz", "", PERC_ERR_FORMAT },
		{ "cursor=%ff", "cursor", PERC_ERR_FORMAT },
	};
	struct kmf_api *a = NULL;
	struct kmf_faults f;
	char why[160];
	size_t i;

	assert_int_equal(kmf_api_new(&a, why, sizeof(why)), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    kmf_api_query(
			a, route("GET", "/v1/conferences"), cases[i].query, &f),
		    cases[i].r);
		if (cases[i].where != NULL) {
			assert_string_equal(f.list[0].where, cases[i].where);
			assert_int_equal(f.list[0].in, KMF_IN_QUERY);
		}
	}
	kmf_api_free(a);
}

static void
test_answers(void **state)
{
	const struct kmf_route *t = route("POST", CONF "/rekey");
	const char *good = "{\"epoch\": 3}", *bad = "{\"epoch\": 0}";
	struct kmf_api *a = NULL;
	struct kmf_faults f;
	char why[160];

	assert_int_equal(kmf_api_new(&a, why, sizeof(why)), 0);
	assert_int_equal(kmf_api_answer(a, t, 202, "application/json", good,
			     strlen(good), &f),
	    0);
	assert_int_equal(
	    kmf_api_answer(a, t, 202, "application/json", bad, strlen(bad), &f),
	    PERC_ERR_FORMAT);
	assert_string_equal(f.list[0].where, "/epoch");
	assert_int_equal(
	    kmf_api_answer(a, t, 202, "text/html", good, strlen(good), &f),
	    PERC_ERR_FORMAT);
	assert_int_equal(kmf_api_answer(a, t, 200, "application/json", good,
			     strlen(good), &f),
	    PERC_ERR_FORMAT);
	kmf_api_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_many_faults),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
