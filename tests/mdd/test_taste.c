/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subscription of docs/wire/join.md: its form, each thing that is refused
 * and the words for it, its bounds, and its way to the worker.
 */
#include "tests/perc/unit.h"

#include <stdio.h>

#include "mdd/taste.h"

static struct mdd_taste t;
static char why[MDD_TASTE_WHY];

static int
parse(const char *text)
{
	return mdd_taste_parse(&t, text, strlen(text), why);
}

static void
test_form(void **state)
{
	assert_int_equal(parse("{}"), 0);
	assert_false(t.set); /* everything */
	assert_int_equal(
	    parse("{\"audio\": true, \"video\": false, \"max_layer\": 1, "
		  "\"last_n\": 6, \"rules\": [{\"member\": \"m_a\", "
		  "\"audio\": false, \"pin\": true}, {\"ssrc\": 4294967295, "
		  "\"max_layer\": 0}]}"),
	    0);
	assert_true(t.set);
	assert_int_equal(t.wish, MDD_WISH_AUDIO);
	assert_int_equal(t.layer, 1);
	assert_int_equal(t.last_n, 6);
	assert_int_equal(t.nrules, 2);
	assert_true(t.rule[0].member == mdd_select_member("m_a"));
	assert_int_equal(t.rule[0].wish, MDD_WISH_VIDEO | MDD_WISH_PIN);
	assert_int_equal(t.rule[0].layer, MDD_LAYER_ALL);
	assert_true(t.rule[1].member == 0);
	assert_int_equal(t.rule[1].ssrc, 0xffffffff);
	assert_int_equal(t.rule[1].wish, MDD_WISH_ALL);
	assert_int_equal(t.rule[1].layer, 0);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = { "", "[]", "{\"audio\": 1}",
		"{\"vidio\": true}", "{\"pin\": true}", "{\"last_n\": 0}",
		"{\"last_n\": 256}", "{\"last_n\": \"3\"}",
		"{\"max_layer\": -1}", "{\"max_layer\": 255}",
		"{\"rules\": {}}", "{\"rules\": [1]}", "{\"rules\": [{}]}",
		"{\"rules\": [{\"member\": \"m\", \"ssrc\": 1}]}",
		"{\"rules\": [{\"member\": \"\"}]}",
		"{\"rules\": [{\"member\": 7}]}",
		"{\"rules\": [{\"ssrc\": 4294967296}]}",
		"{\"rules\": [{\"ssrc\": 1, \"last_n\": 1}]}",
		"{\"audio\": true, \"audio\": true}", "{} {}" };
	size_t i;

	for (i = 0; i < COUNT(bad); i++) {
		assert_int_not_equal(parse(bad[i]), 0);
		assert_int_not_equal(why[0], '\0');
	}
}

static void
test_bounds(void **state)
{
	char text[8192];
	unsigned n, i, at;

	for (n = MDD_RULES_MAX; n <= MDD_RULES_MAX + 1; n++) {
		at = (unsigned)sprintf(text, "{\"rules\": [");
		for (i = 0; i < n; i++)
			at += (unsigned)sprintf(text + at, "%s{\"ssrc\": %u}",
			    i > 0 ? "," : "", 0xffffff00 + i);
		(void)sprintf(text + at, "]}");
		assert_int_equal(parse(text) == 0, n == MDD_RULES_MAX);
	}
	memset(text, ' ', sizeof(text)); /* too long */
	memcpy(text, "{}", 2);
	assert_int_not_equal(mdd_taste_parse(&t, text, 5000, why), 0);
}

static void
test_message(void **state)
{
	struct mdd_subscribe m = { .leg = "l_abc" }, q;
	uint8_t buf[MDD_MSG_MAX];
	int n, i;

	m.taste.set = true;
	m.taste.nrules = MDD_RULES_MAX;
	for (i = 0; i < MDD_RULES_MAX; i++)
		m.taste.rule[i] = (struct mdd_rule){ UINT64_MAX - (unsigned)i,
			(uint32_t)i, (uint8_t)i, 3 };
	n = mdd_subscribe_put(buf, &m);
	assert_true(n > 0);
	assert_int_equal(mdd_subscribe_get(&q, buf, (size_t)n), 0);
	assert_memory_equal(&q, &m, sizeof(m));
	for (i = 0; i < n; i++)
		assert_int_not_equal(mdd_subscribe_get(&q, buf, (size_t)i), 0);
	assert_int_not_equal(mdd_subscribe_get(&q, buf, (size_t)n + 1), 0);
	buf[4 + 6 + 4]++; /* one rule more than there can be, and it is there */
	memset(buf + n, 0, 14);
	assert_int_not_equal(mdd_subscribe_get(&q, buf, (size_t)n + 14), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_message),
	};

	return cmocka_run_group_tests_name("mdd/taste", tests, NULL, NULL);
}
