/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Refusals in the audit chain: all of them, and no flood.
 */
#include "tests/kmf/kitroom.h"

#include <stdio.h>
#include <string.h>

/* "refused" records of this actor, and the refusals that they stand for. */
static void
told(const char *actor, unsigned *records, int64_t *refusals)
{
	struct kmf_call c = { .op = KMF_OP_AUDIT, .arg = "limit=1000" };
	const json_t *item, *detail;
	int64_t n;
	size_t i;

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "auditor";
	assert_int_equal(kit_call(&t, &c)->status, 200);
	*records = 0;
	*refusals = 0;
	json_array_foreach(json_object_get(t.r.json, "items"), i, item)
	{
		if (strcmp(perc_json_str(item, "kind"), "refused") != 0 ||
		    strcmp(perc_json_str(item, "actor"), actor) != 0)
			continue;
		detail = json_object_get(item, "detail");
		++*records;
		n = 1;
		if (json_object_get(detail, "count") != NULL) {
			assert_int_equal(
			    perc_json_int(&n, detail, "count", 1, INT64_MAX),
			    0);
			assert_non_null(perc_json_str(detail, "first"));
			assert_non_null(perc_json_str(detail, "last"));
		}
		*refusals += n;
	}
}

static void
flush(void)
{
	t.now_ms += 61000;
	assert_int_equal(kmf_turn_begin(t.k), 0);
	assert_int_equal(kmf_refusals_flush(t.k), 0);
	kit_turn(&t);
}

static void
knock(struct kit_end *e, const char *where, unsigned times)
{
	strcpy(e->conf, where);
	while (times-- > 0)
		assert_int_equal(kit_as(&t, e, KMF_OP_KEYS, NULL)->status, 404);
}

static void
test_repeats_are_one_record(void **state)
{
	struct kit_end eve;
	unsigned records;
	int64_t refusals;

	kit_end_open(&eve, "eve");
	eve.direct = true;
	knock(&eve, conf, 1);
	told("eve", &records, &refusals); /* the first at once */
	assert_int_equal(records, 1);
	knock(&eve, conf, 300);
	told("eve", &records, &refusals);
	assert_int_equal(records, 1);
	kit_restart(&t); /* which loses none */
	flush();
	told("eve", &records, &refusals);
	assert_int_equal(records, 2);
	assert_int_equal(refusals, 301);
	flush(); /* nothing more to tell; the next is a first again */
	knock(&eve, conf, 1);
	told("eve", &records, &refusals);
	assert_int_equal(records, 3);
	assert_int_equal(refusals, 302);
	kit_end_close(&eve);
}

/* Ever new conferences that do not exist: told apart up to a point. */
static void
test_probing_is_bounded(void **state)
{
	struct kit_end eve;
	unsigned records, i;
	int64_t refusals;
	char id[40];

	kit_end_open(&eve, "eve");
	eve.direct = true;
	for (i = 0; i < 500; i++) {
		snprintf(id, sizeof(id), "c_AAAAAAAAAAAAAAAAAAA%03u", i);
		knock(&eve, id, 1);
	}
	flush();
	told("eve", &records, &refusals);
	assert_int_equal(refusals, 500);
	assert_true(records <= 22);
	kit_end_close(&eve);
}

/* Two people, one of each provider, are two actors. */
static void
test_people_are_told_apart(void **state)
{
	struct kit_end eve, other;
	unsigned records;
	int64_t refusals;

	kit_end_open(&eve, "eve");
	kit_end_open(&other, "eve");
	eve.direct = other.direct = true;
	other.iss = "https://other.example";
	knock(&eve, conf, 2);
	knock(&other, conf, 2);
	flush();
	told("eve", &records, &refusals);
	assert_int_equal(records, 4);
	assert_int_equal(refusals, 4);
	assert_non_null(strstr(t.r.text, "https://other.example"));
	kit_end_close(&eve);
	kit_end_close(&other);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_repeats_are_one_record),
		T(test_probing_is_bounded),
		T(test_people_are_told_apart),
	};

	return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
