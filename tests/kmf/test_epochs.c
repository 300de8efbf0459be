/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Epochs as those see them who hold them or lag behind: resumed streams, and
 * what a scheduler is told of each endpoint.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kit t;
static struct kit_end alice, bob;
static char conf[40];

static int
setup(void **state)
{
	kit_open(&t);
	kit_conf(&t, conf, NULL);
	kit_end_open(&alice, "a-1");
	alice.email = "alice@example.org";
	alice.name = "Alice";
	kit_end_open(&bob, "bob");
	bob.name = "Bob";
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&alice);
	kit_end_close(&bob);
	kit_close(&t);
	return 0;
}

static int64_t
num(const json_t *o, const char *name)
{
	int64_t v = -1;

	assert_int_equal(perc_json_int(&v, o, name, 0, INT64_MAX), 0);
	return v;
}

/* All events of a stream so far, their names with blanks between. */
static void
names(uint32_t stream, char *out, size_t cap, uint64_t *last)
{
	struct kit_event *e;

	out[0] = '\0';
	while ((e = kit_event(&t, stream, "")) != NULL) {
		snprintf(out + strlen(out), cap - strlen(out), "%s ", e->name);
		*last = e->id;
	}
}

/* Resumed by an id of this conference: what was missed, newest form. */
static void
test_resume_tells_what_was_missed(void **state)
{
	char seen[200], after[24];
	uint64_t last = 0, now = 0;
	uint32_t s;

	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	names(s, seen, sizeof(seen), &last);
	assert_string_equal(seen, "roster ");
	snprintf(after, sizeof(after), "%llu", (unsigned long long)last);
	s = kit_stream_after(&t, &alice, after);
	names(s, seen, sizeof(seen), &now);
	assert_string_equal(seen, "roster "); /* nothing was */
	assert_int_equal(now, last);
	kit_pass(&t, 3000);
	kit_join(&t, &bob, conf);
	s = kit_stream_after(&t, &alice, after);
	names(s, seen, sizeof(seen), &now);
	assert_string_equal(seen, "conference epoch roster ");
	assert_true(now > last);
}

/* An id that this conference never gave: fetch. So does rubbish. */
static void
test_unknown_event_id_is_reset(void **state)
{
	static const char *const odd[] = { "99999", "abc", "-1",
		"18446744073709551615" };
	struct kit_event *e;
	uint32_t s;
	size_t i;

	kit_join(&t, &alice, conf);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		s = kit_stream_after(&t, &alice, odd[i]);
		e = kit_event(&t, s, "reset");
		assert_non_null(e);
		assert_int_equal(num(e->data, "epoch"), 1);
		assert_true(num(e->data, "seq") >= 1);
		assert_non_null(kit_event(&t, s, "roster"));
	}
	s = kit_stream(&t, &alice);
	assert_null(kit_event(&t, s, "reset"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_resume_tells_what_was_missed),
		T(test_unknown_event_id_is_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
