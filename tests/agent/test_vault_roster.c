/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REQ-W-6: names and the SSRCs they stand for come from the KMF's signed
 * roster and from nowhere else; an old, forged or forked one does not count,
 * and the user is told.
 */
#include <stdlib.h>
#include <string.h>

#include "vaultkit.h"

#define CONF "c_roster"

struct world {
	struct perc_loop *loop;
	struct kit_kmf kmf, other;
	struct kit_conf conf;
	struct kit *m[3]; /* only the first has a vault */
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned i;

	assert_int_equal(perc_loop_new(&w->loop), 0);
	kit_kmf_open(&w->kmf);
	kit_kmf_open(&w->other);
	kit_conf_init(&w->conf, CONF);
	for (i = 0; i < 3; i++)
		w->m[i] = calloc(1, sizeof(*w->m[i]));
	kit_open(w->m[0], w->loop, &w->kmf, "alice", 0);
	kit_join(w->m[0], &w->kmf, &w->conf);
	for (i = 1; i < 3; i++) {
		strcpy(w->m[i]->member, i == 1 ? "m_bob" : "m_carol");
		strcpy(w->m[i]->name, i == 1 ? "Bob" : "Carol");
		w->m[i]->ssrc[0] = 0x2000 * i + 1;
		w->m[i]->ssrc[1] = 0x2000 * i + 2;
	}
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	unsigned i;

	kit_close(w->m[0]);
	for (i = 0; i < 3; i++)
		free(w->m[i]);
	kit_kmf_close(&w->kmf);
	kit_kmf_close(&w->other);
	perc_loop_free(w->loop);
	free(w);
	return 0;
}

static int
give(struct world *w, char *jws)
{
	int r = kit_err(kit_call(w->m[0], VAULT_ROSTER, 2, CONF, jws));

	free(jws);
	return r;
}

static char *
roster(struct world *w, unsigned n, json_t *over)
{
	return kit_roster(w->kmf.key, &w->conf, w->m, n, over);
}

static void
expect(struct world *w, const char *state, int64_t seq, int64_t members)
{
	json_t *st = kit_status(w->m[0], CONF);
	json_t *r = json_object_get(st, "roster");

	assert_string_equal(
	    json_string_value(json_object_get(r, "state")), state);
	assert_int_equal(json_integer_value(json_object_get(r, "seq")), seq);
	assert_int_equal(
	    json_integer_value(json_object_get(r, "members")), members);
	json_decref(st);
}

/* REQ-R-3c, REQ-R-4.2b: as the KMF made it. */
static void
test_roster_is_taken(void **state)
{
	struct world *w = *state;
	char *jws = roster(w, 3, NULL);
	struct kit_done d = kit_call(w->m[0], VAULT_ROSTER, 2, CONF, jws);

	assert_int_equal(d.err, 0);
	assert_true(json_is_true(json_object_get(d.json, "fresh")));
	assert_true(json_is_true(json_object_get(d.json, "listed")));
	assert_true(json_is_false(json_object_get(d.json, "forked")));
	assert_int_equal(
	    json_integer_value(json_object_get(d.json, "members")), 3);
	kit_done_clear(&d);
	assert_int_equal(give(w, jws), 0); /* the very same again: no harm */
	expect(w, "fresh", 1, 3);
}

static void
test_forged_roster(void **state)
{
	struct world *w = *state;
	char *jws = kit_roster(w->other.key, &w->conf, w->m, 3, json_object());

	assert_int_not_equal(give(w, jws), 0);
	jws = roster(w, 3, json_object());
	jws[strlen(jws) - 5] ^= 1;
	assert_int_not_equal(give(w, jws), 0);
	assert_int_equal(
	    give(w, roster(w, 3, json_pack("{s:s}", "conference", "c_other"))),
	    PERC_ERR_DENIED);
	assert_int_equal(
	    give(w,
		roster(w, 3, json_pack("{s:s}", "iss", "https://evil.test"))),
	    PERC_ERR_DENIED);
	/* a statement is no roster */
	assert_int_equal(give(w, kit_statement(w->kmf.key, &w->conf, NULL)),
	    PERC_ERR_DENIED);
	expect(w, "none", 0, 0);
	assert_int_equal(kit_port(w->m[0], w->m[1]->ssrc[0]), 0);
}

static void
test_expired_roster(void **state)
{
	struct world *w = *state;
	json_int_t now = (json_int_t)(perc_wall_ms() / 1000);

	assert_int_equal(give(w, roster(w, 3, json_pack("{s:I}", "exp", now))),
	    PERC_ERR_EXPIRED);
	assert_int_equal(
	    give(w, roster(w, 3, json_pack("{s:I}", "iat", now + 100))),
	    PERC_ERR_EXPIRED);
	/* one that ends soon goes stale, and says so */
	assert_int_equal(
	    give(w, roster(w, 3, json_pack("{s:I}", "exp", now + 1))), 0);
	kit_settle(w->m[0], 1100);
	expect(w, "stale", 1, 3);
}

static void
test_chain(void **state)
{
	struct world *w = *state;
	char *old;

	assert_int_equal(give(w, roster(w, 2, NULL)), 0);
	old = roster(w, 2, json_object());
	assert_int_equal(give(w, roster(w, 3, NULL)), 0);
	expect(w, "fresh", 2, 3);
	/* another second one: the KMF told two stories */
	assert_int_equal(give(w, old), PERC_ERR_CONFLICT);
	expect(w, "forked", 2, 3);
}

static void
test_successor_that_does_not_follow(void **state)
{
	struct world *w = *state;
	struct kit_done d;
	char *jws;

	assert_int_equal(give(w, roster(w, 2, NULL)), 0);
	jws = roster(w, 3,
	    json_pack("{s:s}", "prev",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	d = kit_call(w->m[0], VAULT_ROSTER, 2, CONF, jws);
	assert_int_equal(d.err, PERC_ERR_CONFLICT);
	assert_true(json_is_true(json_object_get(d.json, "forked")));
	kit_done_clear(&d);
	free(jws);
	expect(w, "forked", 1, 2);
}

static void
test_gap_is_no_fork(void **state)
{
	struct world *w = *state;
	struct kit_done d;
	char *jws;

	assert_int_equal(give(w, roster(w, 2, NULL)), 0);
	free(roster(w, 3, NULL));
	free(roster(w, 2, NULL));
	jws = roster(w, 3, NULL);
	d = kit_call(w->m[0], VAULT_ROSTER, 2, CONF, jws);
	assert_int_equal(d.err, 0);
	assert_true(json_is_true(json_object_get(d.json, "gap")));
	kit_done_clear(&d);
	free(jws);
	expect(w, "fresh", 4, 3);
}

static void
test_older_roster(void **state)
{
	struct world *w = *state;
	char *first = roster(w, 2, NULL);

	assert_int_equal(give(w, strdup(first)), 0);
	assert_int_equal(give(w, roster(w, 3, NULL)), 0);
	assert_int_equal(give(w, first), PERC_ERR_REPLAY);
	expect(w, "fresh", 2, 3);
}

/* A roster of an epoch we have no key of tells to fetch it first. */
static void
test_roster_of_an_unknown_epoch(void **state)
{
	struct world *w = *state;
	json_int_t next = (json_int_t)w->conf.epoch + 1;

	assert_int_equal(
	    give(w, roster(w, 3, json_pack("{s:I}", "epoch", next))),
	    PERC_ERR_UNKNOWN_KEY);
	expect(w, "none", 0, 0);
}

/* One SSRC under two names, or under another's name than ours. */
static void
test_ssrc_twice(void **state)
{
	struct world *w = *state;

	w->m[2]->ssrc[0] = w->m[1]->ssrc[0];
	assert_int_equal(give(w, roster(w, 3, json_object())), PERC_ERR_FORMAT);
	w->m[2]->ssrc[0] = w->m[0]->ssrc[0];
	assert_int_equal(give(w, roster(w, 3, json_object())), PERC_ERR_FORMAT);
	expect(w, "none", 0, 0);
}

static void
test_malformed_roster(void **state)
{
	static const char *const bad[] = {
		"{\"members\":null}",
		"{\"members\":{}}",
		"{\"members\":[1]}",
		"{\"members\":[{\"member\":\"m_x\",\"ssrcs\":[]}]}",
		"{\"members\":[{\"member\":\"\",\"name\":\"\",\"ssrcs\":[]}]}",
		("{\"members\":[{\"member\":\"m_x\",\"name\":\"x\",\"ssrcs\":"
		 "[{\"ssrc\":-1,\"media\":\"audio\"}]}]}"),
		"{\"seq\":-1}",
		"{\"seq\":null}",
		"{\"epoch\":\"1\"}",
		"{\"exp\":null}",
		"{\"prev\":null}",
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    give(w, roster(w, 3, json_loads(bad[i], 0, NULL))),
		    PERC_ERR_FORMAT);
	expect(w, "none", 0, 0);
}

/* A stream keeps its port as long as its member stays, and gets it again when
 * he comes back, if nobody else needed it. */
static void
test_ports_are_stable(void **state)
{
	struct world *w = *state;
	struct kit *ac[2] = { w->m[0], w->m[2] };
	uint16_t bob, carol;

	assert_int_equal(give(w, roster(w, 3, NULL)), 0);
	bob = kit_port(w->m[0], w->m[1]->ssrc[0]);
	carol = kit_port(w->m[0], w->m[2]->ssrc[0]);
	assert_int_not_equal(bob, 0);
	assert_int_not_equal(bob, carol);
	assert_int_equal(bob % 2, 0);
	assert_int_equal(kit_port(w->m[0], w->m[0]->ssrc[0]), 0);
	assert_int_equal(
	    give(w, kit_roster(w->kmf.key, &w->conf, ac, 2, NULL)), 0);
	assert_int_equal(kit_port(w->m[0], w->m[1]->ssrc[0]), 0);
	assert_int_equal(kit_port(w->m[0], w->m[2]->ssrc[0]), carol);
	assert_int_equal(give(w, roster(w, 3, NULL)), 0);
	assert_int_equal(kit_port(w->m[0], w->m[2]->ssrc[0]), carol);
	/* Bob's player waits where it was; what he sent before opens no more */
	assert_int_equal(kit_port(w->m[0], w->m[1]->ssrc[0]), bob);
}

/* More people than ports: all are heard of, the first have ports. */
static void
test_thousand_members(void **state)
{
	struct world *w = *state;
	json_t *list = json_array();
	struct kit_done d;
	char *jws;
	int i;

	for (i = 0; i < 1000; i++)
		json_array_append_new(list,
		    json_pack("{s:o,s:s,s:[{s:i,s:s},{s:i,s:s}]}", "member",
			json_sprintf("m_%d", i), "name", "Somebody", "ssrcs",
			"ssrc", 100 + 2 * i, "media", "audio", "ssrc",
			101 + 2 * i, "media", "video"));
	jws = roster(w, 0, json_pack("{s:o}", "members", list));
	d = kit_call(w->m[0], VAULT_ROSTER, 2, CONF, jws);
	assert_int_equal(d.err, 0);
	assert_int_equal(
	    json_integer_value(json_object_get(d.json, "members")), 1000);
	assert_true(json_is_false(json_object_get(d.json, "listed")));
	kit_done_clear(&d);
	free(jws);
	assert_int_not_equal(kit_port(w->m[0], 100), 0);
	assert_int_not_equal(kit_port(w->m[0], 100 + VAULT_OUT_STREAMS - 1), 0);
	assert_int_equal(kit_port(w->m[0], 100 + VAULT_OUT_STREAMS), 0);
}

/* ---- notices
 * ----------------------------------------------------------------- */

static int
notice(struct world *w, char *jws)
{
	int r = kit_err(kit_call(w->m[0], VAULT_NOTICE, 2, CONF, jws));

	free(jws);
	return r;
}

/* REQ-WC-4.9: the KMF's word erases; nobody else's does. */
static void
test_REQ_WC_4_9_notice(void **state)
{
	struct world *w = *state;
	struct perc_jwk *k = w->kmf.key;
	struct kit_msg m;
	json_t *st;

	assert_int_not_equal(
	    notice(w, kit_notice(w->other.key, CONF, "ended", NULL)), 0);
	assert_int_equal(notice(w, kit_notice(k, "c_other", "ended", NULL)),
	    PERC_ERR_DENIED);
	assert_int_equal(notice(w, kit_notice(k, CONF, "evicted", "m_bob")),
	    PERC_ERR_DENIED);
	assert_int_equal(
	    notice(w, kit_notice(k, CONF, "evicted", NULL)), PERC_ERR_DENIED);
	assert_int_equal(
	    notice(w, kit_notice(k, CONF, "paused", NULL)), PERC_ERR_DENIED);
	st = kit_status(w->m[0], CONF);
	assert_string_equal(
	    json_string_value(json_object_get(st, "state")), "live");
	json_decref(st);
	assert_int_equal(
	    notice(w, kit_notice(k, CONF, "evicted", "m_alice")), 0);
	assert_true(kit_take(w->m[0], VAULT_ERASED, &m));
	assert_non_null(memmem(m.data, m.len, "evicted", 7));
	kit_msg_clear(&m);
	/* what comes after is late, not wrong */
	assert_int_equal(
	    notice(w, kit_notice(k, CONF, "ended", NULL)), PERC_ERR_STATE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_roster_is_taken),
		TEST(test_forged_roster),
		TEST(test_expired_roster),
		TEST(test_chain),
		TEST(test_successor_that_does_not_follow),
		TEST(test_gap_is_no_fork),
		TEST(test_older_roster),
		TEST(test_roster_of_an_unknown_epoch),
		TEST(test_ssrc_twice),
		TEST(test_malformed_roster),
		TEST(test_ports_are_stable),
		TEST(test_thousand_members),
		TEST(test_REQ_WC_4_9_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
