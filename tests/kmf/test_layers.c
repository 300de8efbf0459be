/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Policy video_layers: an SSRC for each layer of a member's picture, told
 * alike by key answer, roster and token2; without it everything is as it was.
 */
#include "tests/kmf/kit.h"

#include <string.h>

static struct kit t;
static struct kit_end alice;
static char conf[40];

static int
setup(void **state)
{
	kit_open(&t);
	kit_end_open(&alice, "a-1");
	alice.group = "board";
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&alice);
	kit_close(&t);
	return 0;
}

static json_int_t
num(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* token2's numbers are those of list, in the same order. */
static void
token_names(const json_t *list)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN2, .conf = conf };
	struct kit_reply *r;
	json_t *v, *n;
	size_t i;

	c.id.who = KMF_WHO_MEMBER;
	c.id.sub = alice.member;
	c.id.token_conf = conf;
	c.id.jkt = alice.jkt;
	c.arg = KIT_MDD "/";
	c.arg2 = alice.jkt;
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 200);
	v = kit_verify(&t, perc_json_str(r->json, "access_token"), "at+jwt");
	n = json_object_get(v, "ssrcs");
	assert_int_equal(json_array_size(n), json_array_size(list));
	for (i = 0; i < json_array_size(list); i++)
		assert_int_equal(json_integer_value(json_array_get(n, i)),
		    num(json_array_get(list, i), "ssrc"));
	json_decref(v);
}

static void
roster_names(const json_t *list)
{
	struct kit_reply *r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	json_t *v = kit_verify(&t, r->text, "perch-roster+jwt");
	json_t *m = json_array_get(json_object_get(v, "members"), 0);

	assert_true(json_equal(json_object_get(m, "ssrcs"), list));
	json_decref(v);
}

static const json_t *
joined(const char *policy)
{
	kit_conf(&t, conf, policy);
	kit_join(&t, &alice, conf);
	return json_object_get(alice.claims, "ssrcs");
}

/* The worst first: a distributor knows the order by token2 alone. */
static void
test_layers_have_numbers(void **state)
{
	const json_t *list = joined("{\"video_layers\": 3}"), *o;
	json_t *before;
	size_t i, k;

	assert_int_equal(json_array_size(list), 4);
	assert_string_equal(
	    perc_json_str(json_array_get(list, 0), "media"), "audio");
	assert_null(json_object_get(json_array_get(list, 0), "layer"));
	for (i = 1; i < 4; i++) {
		o = json_array_get(list, i);
		assert_string_equal(perc_json_str(o, "media"), "video");
		assert_int_equal(num(o, "layer"), i - 1);
		for (k = 0; k < i; k++)
			assert_int_not_equal(num(o, "ssrc"),
			    num(json_array_get(list, k), "ssrc"));
	}
	token_names(list);
	roster_names(list);
	before = json_deep_copy(list);
	kit_stop(&t);
	kit_start(&t);
	kit_join(&t, &alice, conf);
	assert_true(json_equal(before, json_object_get(alice.claims, "ssrcs")));
	json_decref(before);
}

static void
test_two_layers(void **state)
{
	const json_t *list = joined("{\"video_layers\": 2}");

	assert_int_equal(json_array_size(list), 3);
	token_names(list);
}

/* Endpoints that know no layers read what they always read. */
static void
test_one_layer_is_none(void **state)
{
	const json_t *list = joined(NULL);
	size_t i;

	assert_int_equal(json_array_size(list), 2);
	for (i = 0; i < 2; i++)
		assert_int_equal(json_object_size(json_array_get(list, i)), 2);
	token_names(list);
	roster_names(list);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_layers_have_numbers),
		T(test_two_layers),
		T(test_one_layer_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
