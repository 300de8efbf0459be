/* SPDX-License-Identifier: Apache-2.0 */
/* perc/log_json.c: always one valid object, whatever the line was. */
#include "tests/perc/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "perc/log_json.h"

static char out[4096];

static json_t *
turn(const char *text, size_t cap)
{
	const struct perc_log_line l = { .time = "2026-11-21T09:30:00.123Z",
		.level = "info",
		.program = "perch-kmf",
		.role = "keeper",
		.text = text };
	size_t n = perc_log_json(out, cap, &l);
	json_t *v;

	assert_true(n <= cap);
	v = json_loadb(out, n, JSON_REJECT_DUPLICATES, NULL);
	if (v == NULL)
		fail_msg("no JSON: %.*s", (int)n, out);
	assert_string_equal(
	    json_string_value(json_object_get(v, "level")), "info");
	return v;
}

static const char *
member(const char *text, const char *name)
{
	static char value[256];
	json_t *v = turn(text, sizeof(out));
	const char *s = json_string_value(json_object_get(v, name));

	snprintf(value, sizeof(value), "%s", s != NULL ? s : "(none)");
	json_decref(v);
	return value;
}

static void
test_members(void **state)
{
	static const char line[] = "kmf.ready url=https://x:1/a?b=c fronts=2 "
				   "why=\"two words\" last=";

	assert_string_equal(member(line, "event"), "kmf.ready");
	assert_string_equal(member(line, "url"), "https://x:1/a?b=c");
	assert_string_equal(member(line, "fronts"), "2");
	assert_string_equal(member(line, "why"), "two words");
	assert_string_equal(member(line, "last"), "");
	assert_string_equal(member(line, "role"), "keeper");
	assert_string_equal(member("just.this", "event"), "just.this");
}

static void
test_what_is_no_pair(void **state)
{
	assert_string_equal(member("a b", "text"), "b");
	assert_string_equal(member("a: b=c", "text"), "a: b=c");
	assert_string_equal(member("", "text"), "");
	assert_string_equal(member("e k=v rest of it", "text"), "rest of it");
	assert_string_equal(member("e k=\"open", "k"), "open");
	assert_string_equal(member("e k=\"a\"b", "text"), "b");
}

static void
test_strangers_text(void **state)
{
	assert_string_equal(member("e k=\"a\\x22b\"", "k"), "a\\x22b");
	assert_string_equal(member("e k=\xc3\xa9", "k"), "\xc3\xa9");
	assert_string_equal(member("e k=\xc3", "k"), "?");
	assert_string_equal(member("e k=\xed\xa0\x80z", "k"), "???z");
	assert_string_equal(
	    member("e k=\xf0\x9f\x98\x80", "k"), "\xf0\x9f\x98\x80");
	assert_string_equal(member("e k=a\x01\x7f", "k"), "a??");
}

/* Any text, any room: valid, and never more than there is. */
static void
test_random(void **state)
{
	static const char some[] = "ab=\" \\\xc3\xa9\xff{}:,\t1.";
	char text[200];
	size_t i, n;
	json_t *v;
	int round;

	srand(1);
	for (round = 0; round < 20000; round++) {
		n = (size_t)rand() % (sizeof(text) - 3);
		memcpy(text, "e ", 2);
		for (i = 2; i < n; i++)
			text[i] = some[(size_t)rand() % (sizeof(some) - 1)];
		text[n > 2 ? n : 2] = '\0';
		for (i = 0; i < strlen(text); i++)
			if (text[i] == 'a') /* no name twice by accident */
				text[i] = (char)('c' + i % 20);
		n = 256 + (size_t)rand() % 100;
		n = perc_log_json(out, n,
		    &(struct perc_log_line){ .time = "t",
			.level = "info",
			.program = "p",
			.text = text });
		v = json_loadb(out, n, 0, NULL);
		if (v == NULL)
			fail_msg("no JSON: %.*s of %s", (int)n, out, text);
		json_decref(v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_members),
		cmocka_unit_test(test_what_is_no_pair),
		cmocka_unit_test(test_strangers_text),
		cmocka_unit_test(test_random) };

	return cmocka_run_group_tests_name("log_json", tests, NULL, NULL);
}
