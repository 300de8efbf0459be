/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rotation of the signing keys. A row of signing_key is, by its times alone,
 * "next" (published, so that everybody knows it before it is used), "signs",
 * "old" (published while anything it signed may still be shown) or "past".
 * The clock moves it on, so a restart in the middle finds its place again.
 * What is past stays as a public key: the audit chain's checkpoints of that
 * time are verified with it.
 */
#include "kmf/keeper_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const uses[] = { "token", "statement" };
#define NUSES (sizeof(uses) / sizeof(uses[0]))

const struct db_signing_key *
kmf_signer_of(const struct db_signing_key *list, size_t n, const char *use,
    int64_t now_ms)
{
	const struct db_signing_key *best = NULL, *k;
	bool ready, have;
	size_t i;

	for (i = 0; i < n; i++) {
		k = &list[i];
		if (k->retired_ms != 0 || strcmp(k->use, use) != 0)
			continue;
		ready = k->active_ms <= now_ms;
		have = best != NULL && best->active_ms <= now_ms;
		/* The newest that may; before them all (the clock was set
		 * back) the first that will. */
		if (best == NULL ||
		    (ready ? !have || k->active_ms > best->active_ms
			   : !have && k->active_ms < best->active_ms))
			best = k;
	}
	return best;
}

const char *
kmf_signing_key_state(const struct db_signing_key *list, size_t n,
    const struct db_signing_key *k, int64_t now_ms)
{
	if (k->retired_ms != 0)
		return now_ms < k->retired_ms + KMF_KEY_KEEP_MS ? "old"
								: "past";
	return k == kmf_signer_of(list, n, k->use, now_ms) ? "signs" : "next";
}

/* A signer that another has followed: its private half is destroyed. */
static int
retire(struct kmf_keeper *k, const struct db_signing_key *row)
{
	int r;

	if ((r = db_signing_key_retire(k->db, row->kid, k->now_ms)) != 0)
		return r;
	k->scrub = true;
	return kmf_audit(k, KMF_AUDIT_SIGNING_KEY, "", "", row->kid,
	    json_pack("{s:s, s:s}", "use", row->use, "state", "old"));
}

static int
retire_due(struct kmf_keeper *k)
{
	struct db_signing_key *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_signing_key_list(k->db, &list, &n)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		if (list[i].retired_ms == 0 && list[i].active_ms <= k->now_ms &&
		    &list[i] != kmf_signer_of(list, n, list[i].use, k->now_ms))
			r = retire(k, &list[i]);
	free(list);
	return r;
}

/* In a transaction of its own, as the keys must be read back from it. */
static int
alone(struct kmf_keeper *k, int (*fn)(struct kmf_keeper *))
{
	int r;

	if (db_in_transaction(k->db))
		return PERC_ERR_STATE;
	if ((r = kmf_turn_begin(k)) == 0 && (r = fn(k)) == 0 &&
	    (r = kmf_turn_commit(k)) == 0) {
		if (k->scrub && db_scrub(k->db) == 0)
			k->scrub = false;
		return 0;
	}
	if (db_in_transaction(k->db))
		db_rollback(k->db);
	return r;
}

static int
keys_reload(struct kmf_keeper *k)
{
	char why[160] = "", *was = k->jwks;
	int r;

	k->jwks = NULL;
	if ((r = kmf_keys_load(k, why, sizeof(why))) != 0) {
		log_warnx("keys.load_failed why=\"%s\"", why);
		k->jwks = was;
		return r;
	}
	if (strcmp(was, k->jwks) != 0) {
		log_info("keys.published");
		kmf_keys_file_put(k);
		kmf_keeper_welcome_all(k);
	}
	perc_json_free(was);
	return 0;
}

int
kmf_keys_tick(struct kmf_keeper *k)
{
	struct db_signing_key *list = NULL;
	int64_t now = k->clock(k->clock_arg);
	char *text = NULL;
	bool due = false;
	size_t i, n;
	int r;

	if ((r = db_signing_key_list(k->db, &list, &n)) != 0)
		return r;
	for (i = 0; i < n; i++)
		due = due ||
		    (list[i].retired_ms == 0 && list[i].active_ms <= now &&
			&list[i] != kmf_signer_of(list, n, list[i].use, now));
	free(list);
	if (due && (r = alone(k, retire_due)) != 0)
		return r;
	if ((r = kmf_keys_jwks(&text, k->db, k->base, now, false)) == 0 &&
	    strcmp(text, k->jwks) != 0)
		r = keys_reload(k);
	perc_json_free(text);
	return r;
}

static int
make_both(struct kmf_keeper *k)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < NUSES; i++)
		r = kmf_signing_key_make(k->db, k->root->data, uses[i],
		    k->now_ms, k->now_ms + k->rotate_after_ms);
	if (r != 0)
		return r;
	return kmf_audit(k, KMF_AUDIT_SIGNING_KEY, "", "", "",
	    json_pack("{s:s, s:I}", "state", "next", "after_s",
		(json_int_t)(k->rotate_after_ms / 1000)));
}

int
kmf_keys_rotate(struct kmf_keeper *k, int64_t after_ms, char *why, size_t cap)
{
	struct db_signing_key *list = NULL;
	int64_t now = k->clock(k->clock_arg);
	char at[PERC_TIME_LEN];
	size_t i, n;
	int r;

	if ((r = db_signing_key_list(k->db, &list, &n)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		if (list[i].retired_ms != 0 || list[i].active_ms <= now)
			continue;
		perc_time_put(at, list[i].active_ms);
		snprintf(why, cap, "a rotation is under way until %s", at);
		r = PERC_ERR_EXISTS;
	}
	free(list);
	k->rotate_after_ms = after_ms;
	if (r != 0 || (r = alone(k, make_both)) != 0 ||
	    (r = kmf_keys_tick(k)) != 0)
		return r;
	perc_time_put(at, now + after_ms);
	snprintf(why, cap,
	    "the next keys are published and sign from %s on; bring the "
	    "new " KMF_KEYS_FILE " to MDDs and users' machines before",
	    at);
	return 0;
}
