/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Memory ends at the Nth allocation of the database, N counting up, in every
 * operation of the road. Whatever was answered, what stands afterwards is
 * whole: the roster names just those who may know the epoch. (jansson 2.14 is
 * spared: its parser writes past its buffer when an append fails.)
 */
#include "tests/kmf/kit.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static struct kit t;
static struct kit_end alice, bob;
static char conf[40];
static sqlite3_mem_methods real;
static unsigned left; /* fail when it reaches 0; 0: never */
static unsigned next;
static bool armed, hit;

static bool
fails(void)
{
	if (!armed || left == 0 || --left != 0)
		return false;
	hit = true;
	return true;
}

static void *
sql_malloc(int n)
{
	return fails() ? NULL : real.xMalloc(n);
}

static void *
sql_realloc(void *p, int n)
{
	return fails() ? NULL : real.xRealloc(p, n);
}

static void
fault(bool on)
{
	armed = on;
	left = next;
}

static struct kit_reply *
call(enum kmf_op op)
{
	switch (op) {
	case KMF_OP_TOKEN1:
		return kit_token1(&t, &bob, conf);
	case KMF_OP_KEYS:
	case KMF_OP_ROSTER:
	case KMF_OP_LEASE_END:
		return kit_as(&t, &bob, op, NULL);
	case KMF_OP_LEASE_RENEW:
		return kit_as(&t, &bob, op, "{\"epoch\": 1}");
	case KMF_OP_CONF_PATCH:
		return kit_admin(&t, op, conf, "", "{\"title\": \"New\"}");
	default:
		return kit_admin(&t, op, conf, "", NULL);
	}
}

/* Bob out and in again, without faults, so that an op meets each state. */
static void
prepare(enum kmf_op op)
{
	t.fault = NULL;
	kit_pass(&t, 500);
	if (op == KMF_OP_KEYS) {
		kit_as(&t, &bob, KMF_OP_LEASE_END, NULL);
		kit_pass(&t, 2500); /* his next key is a join, a new epoch */
	} else
		assert_int_equal(kit_keys(&t, &bob)->status, 200);
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
	t.fault = fault;
}

/* Roster = grants, with everybody's SSRCs. */
static void
check(enum kmf_op op, unsigned n)
{
	struct db_member *list;
	struct kit_reply *r;
	struct db_conf c;
	json_t *v, *m;
	size_t i, count;

	t.fault = NULL;
	kit_pass(&t, 500);
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
	r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	assert_int_equal(r->status, 200);
	v = kit_verify(&t, r->text, "perch-roster+jwt");
	assert_int_equal(db_conf_find(t.k->db, &c, conf), 0);
	assert_int_equal(
	    db_member_granted(t.k->db, &list, &count, conf, c.epoch), 0);
	if (json_array_size(json_object_get(v, "members")) != count)
		fail_msg("op %d, allocation %u: a reader is hidden", op, n);
	json_array_foreach(json_object_get(v, "members"), i, m)
	    assert_int_equal(json_array_size(json_object_get(m, "ssrcs")), 2);
	free(list);
	json_decref(v);
}

static void
fail_each(enum kmf_op op)
{
	struct kit_reply *r;
	unsigned n;

	for (n = 1;; n += 1 + n / 4) {
		prepare(op);
		hit = false;
		next = n;
		r = call(op);
		next = 0;
		if (r->status >= 300 && r->status < 500)
			fail_msg("op %d, allocation %u: %u %s", op, n,
			    r->status, r->detail);
		check(op, n);
		if (!hit)
			break;
	}
	assert_true(n > 1); /* something was failed at all */
}

static void
test_every_allocation_may_fail(void **state)
{
	static const enum kmf_op ops[] = { KMF_OP_TOKEN1, KMF_OP_KEYS,
		KMF_OP_LEASE_RENEW, KMF_OP_ROSTER, KMF_OP_LEASE_END,
		KMF_OP_INV_CREATE, KMF_OP_INV_LIST, KMF_OP_CONF_GET,
		KMF_OP_CONF_PATCH, KMF_OP_CONF_LIST, KMF_OP_MEMBER_LIST,
		KMF_OP_CONF_REKEY, KMF_OP_AUDIT };
	size_t i;

	kit_open(&t);
	kit_conf(&t, conf, "{\"lease_s\": 300, \"max_epoch_age_s\": 86400}");
	kit_end_open(&alice, "a-1");
	alice.email = "alice@example.org";
	kit_end_open(&bob, "bob");
	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		fail_each(ops[i]);
	t.fault = NULL;
	kit_end_close(&alice);
	kit_end_close(&bob);
	kit_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_allocation_may_fail),
	};
	sqlite3_mem_methods mine;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK)
		return 1;
	mine = real;
	mine.xMalloc = sql_malloc;
	mine.xRealloc = sql_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) != SQLITE_OK ||
	    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
		return 1;
	perc_log_level_set(PERC_LOG_ERROR); /* each fault is a warning */
	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
