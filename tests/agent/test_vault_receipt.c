/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REQ-W-3.3, REQ-F-4.3b: on whatever path a conference ends here, no key is
 * left and a receipt says so, signed with the key of this endpoint's proofs.
 * The front's death has no receipt, for nobody is there to take it
 * (test_vault_chan.c, test_vault_process.c).
 */
#include <stdlib.h>
#include <string.h>

#include "perc/json.h"
#include "vaultroom.h"

#define CONF	   "c_receipt"
#define LATER_MS   (3600 * 1000 * 24) /* than any ttl */
#define KEYS_LEAST 4 /* two sets, the delivery key, a sender's */

static int64_t skew_ms;

int64_t __real_perc_boot_ms(void);
int64_t __wrap_perc_boot_ms(void);

int64_t
__wrap_perc_boot_ms(void)
{
	return __real_perc_boot_ms() + skew_ms;
}

/* ---- the paths ------------------------------------------------------------
 */

static void
leave(struct vaultroom *w)
{
	assert_int_equal(kit_err(kit_call(w->m[0], VAULT_LEAVE, 1, CONF)), 0);
}

static void
notice(struct vaultroom *w, const char *event)
{
	char *jws = kit_notice(w->kmf.key, CONF, event, w->m[0]->member);

	assert_int_equal(
	    kit_err(kit_call(w->m[0], VAULT_NOTICE, 2, CONF, jws)), 0);
	free(jws);
}

static void
evicted(struct vaultroom *w)
{
	notice(w, "evicted");
}

static void
ended(struct vaultroom *w)
{
	notice(w, "ended");
}

/* The KMF is away: the next packet finds the time over. */
static void
expired(struct vaultroom *w)
{
	skew_ms += LATER_MS;
	kit_app_send(w->m[0], VAULT_AUDIO, 111);
}

static void
stopped(struct vaultroom *w)
{
	vault_stop(w->m[0]->vault, "stopped");
}

static void
suspended(struct vaultroom *w)
{
	vault_stop(w->m[0]->vault, "suspended");
}

static void
locked(struct vaultroom *w)
{
	vault_stop(w->m[0]->vault, "locked");
}

static const struct path {
	const char *reason;
	void (*go)(struct vaultroom *w);
} paths[] = {
	{ "left", leave },
	{ "evicted", evicted },
	{ "ended", ended },
	{ "expired", expired },
	{ "stopped", stopped },
	{ "suspended", suspended },
	{ "locked", locked },
};

#define PATHS (sizeof(paths) / sizeof(paths[0]))

/* ---- what is left ---------------------------------------------------------
 */

static void
receipt_check(const struct kit *k, const char *jws, const char *reason)
{
	struct perc_jwk *sign = NULL;
	struct perc_jws j = { 0 };

	assert_int_equal(
	    perc_jwk_from_json(&sign, k->sign, strlen(k->sign), true), 0);
	assert_int_equal(perc_jws_verify(&j, jws, strlen(jws),
			     PERC_JOSE_TOKEN_MAX, sign, "perch-receipt+jwt"),
	    0);
	assert_string_equal(perc_json_str(j.payload, "conference"), CONF);
	assert_string_equal(perc_json_str(j.payload, "member"), k->member);
	assert_string_equal(perc_json_str(j.payload, "reason"), reason);
	assert_int_equal(
	    json_array_size(json_object_get(j.payload, "erased_spis")), 2);
	assert_true(json_integer_value(json_object_get(
			j.payload, "keys_erased")) >= KEYS_LEAST);
	perc_jws_clear(&j);
	perc_jwk_free(sign);
}

static void
test_REQ_W_3_3_receipt(void **state)
{
	const struct path *path = *state;
	struct vaultroom *w = vaultroom_open(CONF, 1);
	struct kit *k = w->m[0];
	struct perc_wire wire;
	struct kit_msg m;
	void *room = w;

	kit_conf_rekey(&w->conf);
	kit_push(k, &w->kmf, &w->conf);
	assert_true(vault_keys_held(&k->vault->slots[0]) >= KEYS_LEAST);
	path->go(w);
	assert_true(kit_wait(k, VAULT_ERASED, 0, &m));
	assert_int_equal(k->vault->slots[0].state, VAULT_SLOT_ERASED);
	assert_int_equal(vault_keys_held(&k->vault->slots[0]), 0);
	perc_wire_reader(&wire, m.data, m.len);
	assert_string_equal(perc_wire_get_str(&wire), CONF);
	assert_string_equal(perc_wire_get_str(&wire), path->reason);
	receipt_check(k, perc_wire_get_str(&wire), path->reason);
	assert_int_equal(perc_wire_end(&wire), 0);
	kit_msg_clear(&m);
	assert_false(kit_take(k, VAULT_ERASED, &m)); /* once */
	vaultroom_close(&room);
}

int
main(void)
{
	struct CMUnitTest tests[PATHS] = { 0 };
	size_t i;

	for (i = 0; i < PATHS; i++)
		tests[i] = (struct CMUnitTest){
			.name = paths[i].reason,
			.test_func = test_REQ_W_3_3_receipt,
			.initial_state = (void *)(uintptr_t)&paths[i],
		};
	return _cmocka_run_group_tests(
	    "vault_receipt", tests, PATHS, NULL, NULL);
}
