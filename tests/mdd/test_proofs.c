/* SPDX-License-Identifier: Apache-2.0 */
/* Each proof once, and what one peer uses up is no other's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "mdd/proofs.h"

#define NOW 1000000

static struct mdd_proofs q;

static int
setup(void **state)
{
	memset(&q, 0, sizeof(q));
	return 0;
}

static bool
fresh(const char *jkt, unsigned jti, int64_t now_s)
{
	char hash[PERC_JKT_LEN + 1];

	(void)snprintf(hash, sizeof(hash), "h%u", jti);
	return mdd_proofs_fresh(&q, jkt, hash, now_s);
}

static void
test_once(void **state)
{
	assert_true(fresh("a", 1, NOW));
	assert_false(fresh("a", 1, NOW));
	assert_false(fresh("a", 1, NOW + MDD_PROOF_LIFE_S));
	assert_true(fresh("a", 2, NOW));
	assert_true(fresh("b", 1, NOW)); /* another's jti */
}

/* Whoever links to us and turns against us: its own requests end. */
static void
test_REQ_F_8_1c_hostile_peer_fills_its_own(void **state)
{
	unsigned i, n = 0;

	for (i = 0; i < 3 * MDD_PROOFS_OF_KEY; i++)
		n += fresh("bad", i, NOW + i / 200);
	assert_int_equal(n, MDD_PROOFS_OF_KEY);
	assert_true(fresh("good", 1, NOW + 15));
	assert_false(fresh("bad", 1, NOW + 15));
	/* What is too old for perc_dpop_check makes room. */
	for (i = 0, n = 0; i < 10; i++)
		n += fresh("bad", 10000 + i, NOW + 1 + MDD_PROOF_LIFE_S);
	assert_int_equal(n, 10);
}

/* Keys that a reload took out: remembered until nothing of them counts. */
static void
test_keys_come_and_go(void **state)
{
	char key[16];
	unsigned i;

	for (i = 0; i < MDD_PEER_MAX; i++) {
		(void)snprintf(key, sizeof(key), "k%u", i);
		assert_true(fresh(key, 1, NOW));
	}
	assert_false(fresh("one more", 1, NOW + MDD_PROOF_LIFE_S));
	assert_false(fresh("k0", 1, NOW + MDD_PROOF_LIFE_S));
	assert_true(fresh("one more", 1, NOW + MDD_PROOF_LIFE_S + 1));
	assert_true(fresh("one more", 2, NOW + MDD_PROOF_LIFE_S + 1));
	assert_false(fresh("one more", 1, NOW + MDD_PROOF_LIFE_S + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_once, setup),
		cmocka_unit_test_setup(
		    test_REQ_F_8_1c_hostile_peer_fills_its_own, setup),
		cmocka_unit_test_setup(test_keys_come_and_go, setup),
	};

	return cmocka_run_group_tests_name("proofs", tests, NULL, NULL);
}
