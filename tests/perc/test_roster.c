/* SPDX-License-Identifier: Apache-2.0 */
/* The hashes of docs/wire/tokens.md, computed by another program (Python's
 * hashlib and json). */
#include "tests/perc/unit.h"

#include "perc/roster.h"

static const char bob[] =
    "{\"ssrcs\":[{\"ssrc\":305419896,\"media\":\"audio\"}],\"role\":\"member\","
    "\"member\":\"m_b\",\"name\":\"Bob \\\"\\u00e9\\\"\",\"kind\":\"person\","
    "\"identity\":{\"sub\":\"b-1\",\"iss\":\"https://i.example\"}}";
static const char alice[] =
    "{\"member\": \"m_a\", \"name\": \"Alice\", \"identity\": {\"iss\": "
    "\"https://i.example\", \"sub\": \"a-1\", \"email\": \"a@x.example\"}, "
    "\"kind\": \"room\", \"role\": \"host\", \"ssrcs\": []}";

static void
leaf_of(uint8_t out[static PERC_ROSTER_HASH], const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	assert_int_equal(perc_roster_leaf(out, o), 0);
	json_decref(o);
}

static void
expect(const uint8_t *have, const char *hex)
{
	uint8_t want[PERC_ROSTER_HASH];

	assert_int_equal(unhex(want, hex), sizeof(want));
	assert_memory_equal(have, want, sizeof(want));
}

static void
test_leaf_is_of_the_canonical_text(void **state)
{
	uint8_t leaf[PERC_ROSTER_HASH];

	leaf_of(leaf, alice);
	expect(leaf,
	    "c2d48c995196841ae62830f9b689f8bc0bb1dd40092205885f2622d137691736");
	leaf_of(leaf, bob);
	expect(leaf,
	    "bf5d6b3d603df2876f769f9d193ad33ba774cf28809075534967bad01dd125f4");
}

static void
test_head_is_chained(void **state)
{
	struct perc_roster_step step = { .seq = 1, .epoch = 1 };
	uint8_t head[PERC_ROSTER_HASH], leaves[2 * PERC_ROSTER_HASH] = { 0 };

	assert_int_equal(perc_roster_head(head, &step, leaves, 0), 0);
	expect(head,
	    "bf0541c2cc7a8abf7214da255afb53ca0c5e94cb67946679307d6e7ec58f05b7");
	memcpy(step.before, head, sizeof(head));
	step.seq = 2;
	leaf_of(leaves, alice);
	leaf_of(leaves + PERC_ROSTER_HASH, bob);
	assert_int_equal(perc_roster_head(head, &step, leaves, 2), 0);
	expect(head,
	    "459e4c3578a6539b43e4f75b380da06df552d8d40606a39bca1c0b970a574f61");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_is_of_the_canonical_text),
		cmocka_unit_test(test_head_is_chained),
	};

	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
