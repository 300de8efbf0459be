/* SPDX-License-Identifier: Apache-2.0 */
/* perc/cef.c: two escapings, and a reader that undoes them gets it back. */
#include "tests/perc/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "perc/cef.h"
#include "perc/json.h"

static char *
cef(json_t *v)
{
	char *text = perc_cef_text(v, "1|0");

	json_decref(v);
	return text;
}

static json_t *
record(const char *kind, const char *actor, json_t *detail)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o*}", "seq", 7,
	    "at", "2026-11-21T09:30:00Z", "kind", kind, "actor", actor,
	    "conference", "c_x", "subject", "", "hash", "h", "detail", detail);
}

static void
test_fields(void **state)
{
	char *text = cef(record("login_failed", "",
	    json_pack("{s:s, s:s, s:i}", "reason", "bad key", "peer",
		"192.0.2.1", "count", 3)));

	assert_string_equal(text,
	    "CEF:0|Perch|perch-kmf|1\\|0|login_failed|login failed|6|"
	    "rt=1795253400000 externalId=7 src=192.0.2.1 reason=bad key "
	    "cs1Label=conference cs1=c_x cs3Label=hash cs3=h "
	    "msg={\"count\":3,\"peer\":\"192.0.2.1\",\"reason\":\"bad key\"}");
	free(text);
}

static void
test_escapes(void **state)
{
	char *text = cef(record("a|b\\c=d", "x=y|z\\w\n\r", NULL));

	assert_non_null(strstr(text, "|a\\|b\\\\c=d|a\\|b\\\\c=d|3|"));
	assert_non_null(strstr(text, " suser=x\\=y|z\\\\w\\n\\r cs1Label="));
	assert_null(strchr(text, '\n'));
	assert_null(strchr(text, '\r'));
	assert_null(strstr(text, "msg="));
	free(text);
}

static void
test_no_record(void **state)
{
	assert_null(cef(json_object()));
	assert_null(cef(
	    json_pack("{s:s, s:i, s:s}", "kind", "x", "seq", 1, "at", "soon")));
	assert_null(cef(json_pack(
	    "{s:s, s:s}", "kind", "x", "at", "2026-11-21T09:30:00Z")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_fields),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_no_record) };

	return cmocka_run_group_tests_name("cef", tests, NULL, NULL);
}
