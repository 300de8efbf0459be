/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Coming and going costs something, and a person has so many endpoints.
 */
#include "tests/kmf/kitroom.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "perc/proc.h"

static struct db_conf
row(void)
{
	struct db_conf c;

	assert_int_equal(db_conf_find(t.k->db, &c, conf), 0);
	return c;
}

/* Come and go until refused; how often it went well. */
static unsigned
loop(struct kit_end *e)
{
	unsigned n;

	for (n = 0; kit_keys(&t, e)->status == 200; n++) {
		assert_true(n < 200);
		assert_int_equal(
		    kit_as(&t, e, KMF_OP_LEASE_END, NULL)->status, 204);
	}
	assert_int_equal(t.r.status, 429);
	assert_string_equal(t.r.code, "slow_down");
	return n;
}

static void
enter(struct kit_end *e, const char *sub)
{
	kit_end_open(e, sub);
	assert_int_equal(kit_token1(&t, e, conf)->status, 200);
}

/* Alone in a room, by coming and going: 65,536 SPIs were three minutes. */
static void
test_a_loop_of_one_is_slowed_down(void **state)
{
	struct kit_end bob;

	enter(&bob, "bob");
	assert_int_equal(loop(&bob), 20);
	assert_true(row().epoch <= 21);
	assert_true(t.r.retry_after_s >= 1 && t.r.retry_after_s <= 5);
	kit_restart(&t); /* which gives nothing away */
	assert_int_equal(kit_keys(&t, &bob)->status, 429);
	t.now_ms += (int64_t)t.r.retry_after_s * 1000;
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	kit_end_close(&bob);
}

/* Another key is the same person; another person is not. */
static void
test_the_budget_is_the_persons(void **state)
{
	struct kit_end bob, key2, alice;

	enter(&bob, "bob");
	enter(&key2, "bob");
	kit_end_open(&alice, "alice");
	alice.email = "alice@example.org";
	assert_int_equal(loop(&bob), 20);
	assert_int_equal(kit_keys(&t, &key2)->status, 429);
	kit_join(&t, &alice, conf);
	/* who is inside pays nothing: keys again, leases, a restart */
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
	kit_end_close(&bob);
	kit_end_close(&key2);
	kit_end_close(&alice);
}

/* Many persons together: the conference has a budget too. */
static void
test_openings_are_bounded(void **state)
{
	struct kit_end guest[5];
	char inv[40], name[16];
	unsigned n = 0, i;

	for (i = 0; i < 5; i++) {
		kit_end_open(&guest[i], "");
		snprintf(name, sizeof(name), "Guest %u", i);
		kit_code(&t, conf, &guest[i], name, inv);
		assert_int_equal(kit_token1(&t, &guest[i], conf)->status, 200);
	}
	for (i = 0; i < 5; i++)
		n += loop(&guest[i]);
	assert_int_equal(n, 60);
	assert_true(row().epoch <= 61);
	for (i = 0; i < 5; i++)
		kit_end_close(&guest[i]);
}

/* How many this conference ever gave. */
static int
ssrcs(void)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int n;

	kit_stop(&t);
	assert_int_equal(sqlite3_open(t.db_file, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(db, "SELECT count(*) FROM ssrc", -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	kit_start(&t);
	return n;
}

/* A person's 17th key takes the place of the first that is not in use. */
static void
test_one_person_cannot_fill_a_conference(void **state)
{
	struct db_member *list = NULL;
	struct kit_end bob, more[40];
	unsigned i;
	size_t n;

	enter(&bob, "bob");
	assert_int_equal(kit_keys(&t, &bob)->status, 200); /* sits here */
	for (i = 0; i < 40; i++)
		enter(&more[i], "bob");
	assert_int_equal(db_member_of_person(t.k->db, &list, &n, conf,
			     "https://idp.example", "bob"),
	    0);
	assert_int_equal(n, 16);
	assert_string_equal(list[0].id, bob.member);
	assert_int_equal(list[0].state, DB_MEMBER_LIVE);
	free(list);
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	assert_int_equal(kit_keys(&t, &more[0])->status, 404); /* made room */
	assert_int_equal(kit_keys(&t, &more[39])->status, 200);
	/* an SSRC that was given stays given */
	assert_int_equal(ssrcs(), 2 * 41);
	kit_end_close(&bob);
	for (i = 0; i < 40; i++)
		kit_end_close(&more[i]);
}

/* Sixteen that all sit inside: the next is told so. */
static void
test_all_seats_taken(void **state)
{
	struct kit_end bob[17];
	unsigned i;

	for (i = 0; i < 16; i++) {
		enter(&bob[i], "bob");
		assert_int_equal(kit_keys(&t, &bob[i])->status, 200);
	}
	kit_end_open(&bob[16], "bob");
	bob[16].direct = true;
	strcpy(bob[16].conf, conf);
	assert_int_equal(kit_keys(&t, &bob[16])->status, 409);
	assert_string_equal(t.r.code, "too_many_endpoints");
	bob[16].direct = false;
	assert_int_equal(kit_token1(&t, &bob[16], conf)->status, 400);
	/* who left is on the roster until the next epoch shut him out */
	assert_int_equal(
	    kit_as(&t, &bob[3], KMF_OP_LEASE_END, NULL)->status, 204);
	assert_int_equal(kit_token1(&t, &bob[16], conf)->status, 400);
	kit_pass(&t, 500);
	assert_int_equal(kit_token1(&t, &bob[16], conf)->status, 200);
	for (i = 0; i < 17; i++)
		kit_end_close(&bob[i]);
}

/* A front that died leaves nothing behind. */
static void
test_dead_fronts_are_buried(void **state)
{
	const struct kmf_front *f;
	unsigned i, n = 0;
	int sv[2];

	for (i = 0; i < 20; i++) {
		assert_int_equal(perc_proc_pair(sv), 0);
		assert_int_equal(kmf_keeper_front_add(t.k, sv[0]), 0);
		close(sv[1]);
		kit_turn(&t);
		kit_turn(&t);
	}
	for (f = t.k->fronts; f != NULL; f = f->next)
		n++;
	assert_int_equal(n, 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_loop_of_one_is_slowed_down),
		T(test_the_budget_is_the_persons),
		T(test_openings_are_bounded),
		T(test_one_person_cannot_fill_a_conference),
		T(test_all_seats_taken),
		T(test_dead_fronts_are_buried),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
