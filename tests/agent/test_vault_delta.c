/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REQ-W-6, by differences: the vault's list is what the KMF signed at every
 * step, whoever is taken out is heard no more, and a difference that does not
 * follow, lies about where it leads, or is one of two of a number does not
 * count. A whole roster and a chain of differences are one story.
 */
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/json.h"
#include "perc/roster.h"
#include "vaultkit.h"

#define CONF "c_delta"

struct world {
	struct perc_loop *loop;
	struct kit_kmf kmf;
	struct kit_conf conf;
	struct kit *me;
	json_t *members; /* object: id -> entry */
	json_int_t seq;
	uint8_t head[PERC_ROSTER_HASH];
};

static json_t *
entry(const char *id, int ssrc)
{
	return json_pack("{s:s, s:s, s:[{s:i, s:s}]}", "member", id, "name", id,
	    "ssrcs", "ssrc", ssrc, "media", "audio");
}

static void
listed(struct world *w, json_t *e)
{
	json_object_set_new(w->members, perc_json_str(e, "member"), e);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(perc_loop_new(&w->loop), 0);
	kit_kmf_open(&w->kmf);
	kit_conf_init(&w->conf, CONF);
	w->me = calloc(1, sizeof(*w->me));
	kit_open(w->me, w->loop, &w->kmf, "alice", 0);
	kit_join(w->me, &w->kmf, &w->conf);
	w->members = json_object();
	listed(w, entry("m_bob", 1001));
	listed(w, entry("m_carol", 1002));
	w->seq = 1;
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	kit_close(w->me);
	free(w->me);
	json_decref(w->members);
	kit_kmf_close(&w->kmf);
	perc_loop_free(w->loop);
	free(w);
	return 0;
}

static int
id_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Of w->members as roster w->seq, which builds on `before`. */
static void
head_put(struct world *w, const uint8_t before[static PERC_ROSTER_HASH])
{
	struct perc_roster_step step = { .seq = (uint64_t)w->seq,
		.epoch = w->conf.epoch };
	size_t n = 0, i, all = json_object_size(w->members);
	uint8_t *leaves = calloc(all + 1, PERC_ROSTER_HASH);
	const char **ids = calloc(all + 1, sizeof(*ids)), *id;
	json_t *e;

	memcpy(step.before, before, sizeof(step.before));
	json_object_foreach(w->members, id, e) ids[n++] = id;
	qsort(ids, n, sizeof(*ids), id_cmp);
	for (i = 0; i < n; i++)
		assert_int_equal(perc_roster_leaf(leaves + i * PERC_ROSTER_HASH,
				     json_object_get(w->members, ids[i])),
		    0);
	assert_int_equal(perc_roster_head(w->head, &step, leaves, n), 0);
	free(leaves);
	free(ids);
}

static char *
b64(char out[static 44], const uint8_t *hash)
{
	perc_b64_put(out, hash, PERC_ROSTER_HASH);
	return out;
}

static char *
text_of(struct world *w, const char *typ, json_t *rest, json_t *over)
{
	json_int_t now = (json_int_t)(perc_wall_ms() / 1000);
	json_t *v = json_pack("{s:s, s:I, s:I, s:s, s:I, s:I}", "iss", KIT_KMF,
	    "iat", now, "exp", now + 75, "conference", CONF, "seq", w->seq,
	    "epoch", (json_int_t)w->conf.epoch);
	char *text;

	json_object_update_new(v, rest);
	if (over != NULL)
		json_object_update_new(v, over);
	assert_int_equal(perc_jws_sign(&text, w->kmf.key, typ, v, false), 0);
	json_decref(v);
	return text;
}

static int
give(struct world *w, char *text)
{
	int r = kit_err(kit_call(w->me, VAULT_ROSTER, 2, CONF, text));

	free(text);
	return r;
}

/* The first roster, whole; before: NULL says nothing of a head. */
static char *
whole(struct world *w, const uint8_t *before)
{
	static const uint8_t none[PERC_ROSTER_HASH];
	json_t *list = json_array(), *e;
	char text[44] = "";
	const char *id;

	json_object_foreach(w->members, id, e) json_array_append(list, e);
	head_put(w, before != NULL ? before : none);
	return text_of(w, "perch-roster+jwt",
	    json_pack("{s:s, s:s, s:o}", "prev", "", "head_before",
		before != NULL ? b64(text, before) : "", "members", list),
	    NULL);
}

/* The next step: e comes or changes, id goes (either may be NULL). */
static char *
delta(struct world *w, json_t *e, const char *id, json_t *over)
{
	json_t *added = json_array(), *removed = json_array();
	uint8_t before[PERC_ROSTER_HASH];
	char t0[44], t1[44];

	memcpy(before, w->head, sizeof(before));
	w->seq++;
	if (e != NULL) {
		listed(w, json_incref(e));
		json_array_append_new(added, e);
	}
	if (id != NULL) {
		json_object_del(w->members, id);
		json_array_append_new(removed, json_string(id));
	}
	head_put(w, before);
	return text_of(w, "perch-roster-delta+jwt",
	    json_pack("{s:s, s:s, s:I, s:o, s:o}", "head_before",
		b64(t0, before), "head", b64(t1, w->head), "count",
		(json_int_t)json_object_size(w->members), "added", added,
		"removed", removed),
	    over);
}

static void
expect(struct world *w, const char *state, json_int_t seq, json_int_t n)
{
	json_t *st = kit_status(w->me, CONF);
	json_t *r = json_object_get(st, "roster");

	assert_string_equal(
	    json_string_value(json_object_get(r, "state")), state);
	assert_int_equal(json_integer_value(json_object_get(r, "seq")), seq);
	assert_int_equal(json_integer_value(json_object_get(r, "members")), n);
	json_decref(st);
}

static void
test_differences_are_followed(void **state)
{
	struct world *w = *state;
	uint16_t carol;

	assert_int_equal(give(w, whole(w, NULL)), 0);
	carol = kit_port(w->me, 1002);
	assert_int_not_equal(carol, 0);
	assert_int_equal(
	    give(w, delta(w, entry("m_dave", 1003), NULL, NULL)), 0);
	expect(w, "fresh", 2, 3);
	assert_int_not_equal(kit_port(w->me, 1003), 0);
	assert_int_equal(kit_port(w->me, 1002), carol); /* who stays, stays */
	assert_int_equal(give(w, delta(w, NULL, "m_bob", NULL)), 0);
	expect(w, "fresh", 3, 2);
	assert_int_equal(kit_port(w->me, 1001), 0); /* heard no more */
	/* an entry that changes takes the place of the old one */
	assert_int_equal(
	    give(w, delta(w, entry("m_carol", 1012), NULL, NULL)), 0);
	expect(w, "fresh", 4, 2);
	assert_int_equal(kit_port(w->me, 1002), 0);
	assert_int_not_equal(kit_port(w->me, 1012), 0);
	assert_int_equal(give(w, delta(w, NULL, NULL, NULL)), 0);
	expect(w, "fresh", 5, 2);
}

/* Whole rosters in between, of the same number and of the next. */
static void
test_both_forms_are_one_story(void **state)
{
	struct world *w = *state;
	uint8_t before[PERC_ROSTER_HASH];

	assert_int_equal(give(w, whole(w, NULL)), 0);
	memcpy(before, w->head, sizeof(before));
	assert_int_equal(give(w, delta(w, entry("m_dave", 3), NULL, NULL)), 0);
	assert_int_equal(give(w, whole(w, before)), 0);
	expect(w, "fresh", 2, 3);
	memcpy(before, w->head, sizeof(before));
	w->seq++;
	assert_int_equal(give(w, whole(w, before)), 0);
	expect(w, "fresh", 3, 3);
	assert_int_equal(give(w, delta(w, NULL, "m_dave", NULL)), 0);
	expect(w, "fresh", 4, 2);
}

static void
test_gap_asks_for_the_whole(void **state)
{
	struct world *w = *state;
	uint8_t before[PERC_ROSTER_HASH];

	assert_int_equal(give(w, delta(w, NULL, "m_bob", NULL)),
	    PERC_ERR_NOTFOUND); /* none is held */
	expect(w, "none", 0, 0);
	assert_int_equal(give(w, whole(w, NULL)), 0);
	free(delta(w, entry("m_dave", 3), NULL, NULL)); /* lost */
	memcpy(before, w->head, sizeof(before));
	assert_int_equal(give(w, delta(w, entry("m_erin", 4), NULL, NULL)),
	    PERC_ERR_NOTFOUND);
	assert_int_equal(give(w, whole(w, before)), 0);
	expect(w, "fresh", 4, 3);
	assert_int_equal(give(w, delta(w, NULL, "m_erin", NULL)), 0);
	expect(w, "fresh", 5, 2);
}

static void
test_two_stories_are_a_fork(void **state)
{
	struct world *w = *state;
	uint8_t head[PERC_ROSTER_HASH];
	char *one;

	assert_int_equal(give(w, whole(w, NULL)), 0);
	memcpy(head, w->head, sizeof(head));
	one = delta(w, entry("m_dave", 3), NULL, NULL);
	memcpy(w->head, head, sizeof(head));
	w->seq--;
	json_object_del(w->members, "m_dave");
	assert_int_equal(give(w, delta(w, NULL, "m_bob", NULL)), 0);
	assert_int_equal(give(w, one), PERC_ERR_CONFLICT);
	expect(w, "forked", 2, 1);
}

static void
test_another_past_is_a_fork(void **state)
{
	struct world *w = *state;

	assert_int_equal(give(w, whole(w, NULL)), 0);
	w->head[0] ^= 1;
	assert_int_equal(
	    give(w, delta(w, NULL, "m_bob", NULL)), PERC_ERR_CONFLICT);
	expect(w, "forked", 1, 2);
	assert_int_not_equal(kit_port(w->me, 1001), 0);
}

/* The same number whole, and other than where the difference led. */
static void
test_whole_that_differs_is_a_fork(void **state)
{
	struct world *w = *state;
	uint8_t before[PERC_ROSTER_HASH];

	assert_int_equal(give(w, whole(w, NULL)), 0);
	memcpy(before, w->head, sizeof(before));
	assert_int_equal(give(w, delta(w, entry("m_dave", 3), NULL, NULL)), 0);
	json_object_del(w->members, "m_dave");
	assert_int_equal(give(w, whole(w, before)), PERC_ERR_CONFLICT);
	expect(w, "forked", 2, 3);
}

/* It hides a member, or invents one: the head that was signed is another. */
static void
test_lie_about_the_result(void **state)
{
	struct world *w = *state;
	struct world was;

	assert_int_equal(give(w, whole(w, NULL)), 0);
	was = *w;
	assert_int_equal(give(w,
			     delta(w, entry("m_dave", 3), NULL,
				 json_pack("{s:[]}", "added"))),
	    PERC_ERR_FORMAT); /* not that many */
	expect(w, "fresh", 1, 2);
	memcpy(w->head, was.head, sizeof(w->head));
	w->seq = was.seq;
	assert_int_equal(
	    give(w,
		delta(w, entry("m_dave", 3), NULL,
		    json_pack("{s:[o]}", "added", entry("m_eve", 3)))),
	    PERC_ERR_CONFLICT);
	expect(w, "fresh", 1, 2);
	assert_int_equal(kit_port(w->me, 3), 0);
}

static void
test_malformed_differences(void **state)
{
	static const char *const bad[] = {
		"{\"added\":null}",
		"{\"removed\":{}}",
		"{\"added\":[1]}",
		"{\"added\":[{\"member\":\"m_x\",\"ssrcs\":[]}]}",
		"{\"count\":\"3\"}",
		"{\"head\":\"AAAA\"}",
		"{\"head\":null}",
		"{\"head_before\":\"AAAA\"}",
		"{\"head_before\":null}",
		"{\"seq\":-1}",
		/* one voice, two names */
		("{\"count\":3,\"added\":[{\"member\":\"m_x\",\"name\":\"x\","
		 "\"ssrcs\":[{\"ssrc\":1001,\"media\":\"audio\"}]}]}"),
	};
	struct world *w = *state;
	uint8_t head[PERC_ROSTER_HASH];
	size_t i;

	assert_int_equal(give(w, whole(w, NULL)), 0);
	memcpy(head, w->head, sizeof(head));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
		    give(w, delta(w, NULL, NULL, json_loads(bad[i], 0, NULL))),
		    PERC_ERR_FORMAT);
		w->seq = 1;
		memcpy(w->head, head, sizeof(head));
	}
	expect(w, "fresh", 1, 2);
	assert_int_equal(give(w, delta(w, NULL, "m_bob", NULL)), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_differences_are_followed),
		T(test_both_forms_are_one_story),
		T(test_gap_asks_for_the_whole),
		T(test_two_stories_are_a_fork),
		T(test_another_past_is_a_fork),
		T(test_whole_that_differs_is_a_fork),
		T(test_lie_about_the_result),
		T(test_malformed_differences),
	};

	return cmocka_run_group_tests_name("vault delta", tests, NULL, NULL);
}
