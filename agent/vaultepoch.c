/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EKT keys coming and going. Two ways in, the sealed answer (vaultkey.c) and
 * the pushed epoch; one rule for both: newer than what is held, no weaker,
 * and no SPI or keyid that was seen with other octets. One way out: time.
 *
 * One exception: an answer to our question may overtake the stream, where
 * the epochs before it are still on their way, and others encrypt with
 * those. Such a statement is taken to receive with, for as long as its
 * epoch would have had if it had come in order.
 *
 * An epoch lives from its receipt (docs/http-key.md), but a statement that
 * was held back for longer than clocks differ loses the lateness, or the
 * network could stretch a ttl to twice its length.
 */
#include <stdio.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/b64.h"

static struct vault_epoch *
epoch_find(struct vault_slot *s, uint64_t epoch)
{
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].epoch == epoch && epoch != 0)
			return &s->epochs[i];
	return NULL;
}

const struct vault_epoch *
vault_epoch_held(const struct vault_slot *s, uint16_t spi)
{
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].held && s->epochs[i].spi == spi)
			return &s->epochs[i];
	return NULL;
}

bool
vault_epoch_known(const struct vault_slot *s, uint16_t spi)
{
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].epoch != 0 && s->epochs[i].spi == spi)
			return true;
	return false;
}

static int
set_hash(uint8_t hash[static PERC_SHA256_LEN], const struct perc_enckey *k)
{
	uint8_t buf[PERC_EKT_KEY_MAX + PERC_EKT_SALT_LEN];
	int r;

	memcpy(buf, k->key, k->keylen);
	memcpy(buf + k->keylen, k->salt, sizeof(k->salt));
	r = perc_sha256(hash, buf, k->keylen + sizeof(k->salt));
	perc_wipe(buf, sizeof(buf));
	return r;
}

/* A keyid or SPI that comes back with other octets is an attack. */
static int
set_fits(struct vault_slot *s, uint64_t epoch, const struct perc_enckey *k,
    const uint8_t hash[static PERC_SHA256_LEN])
{
	const struct vault_epoch *e;
	bool same;
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++) {
		e = &s->epochs[i];
		if (e->epoch == 0)
			continue;
		same = e->spi == k->spi && strcmp(e->keyid, k->keyid) == 0 &&
		    perc_equal(e->hash, hash, sizeof(e->hash));
		if (e->epoch == epoch && !same)
			return vault_refuse(s->v, PERC_ERR_CONFLICT,
			    "epoch held with another key");
		if (e->epoch != epoch &&
		    (e->spi == k->spi || strcmp(e->keyid, k->keyid) == 0))
			return vault_refuse(s->v, PERC_ERR_CONFLICT,
			    "spi or keyid of another epoch");
	}
	if (s->cipher > k->cipher || s->profile > k->profile)
		return vault_refuse(
		    s->v, PERC_ERR_DENIED, "weaker cipher than the one held");
	return 0;
}

/* Old keys stay for late packets, but not for long: RFC 8871 section 4.5.2. */
static void
epochs_supersede(struct vault_slot *s, int64_t now)
{
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].held && s->epochs[i].drop_ms == 0)
			s->epochs[i].drop_ms = now + s->overlap_ms;
}

static int
senders_switch(struct vault_slot *s, uint16_t spi, int64_t now)
{
	unsigned i;
	int r;

	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		if (s->local[i].tx != NULL &&
		    (r = perc_double_tx_switch(s->local[i].tx, spi, now)) != 0)
			return r;
	return 0;
}

static struct vault_epoch *
epoch_record(struct vault_slot *s, uint64_t epoch, const struct perc_enckey *k,
    const uint8_t hash[static PERC_SHA256_LEN], int64_t expires_ms)
{
	struct vault_epoch *e = &s->epochs[s->nepochs++ % VAULT_EPOCHS_MAX];

	memset(e, 0, sizeof(*e));
	e->epoch = epoch;
	e->spi = k->spi;
	e->held = true;
	memcpy(e->keyid, k->keyid, sizeof(e->keyid));
	memcpy(e->hash, hash, sizeof(e->hash));
	e->expires_ms = expires_ms;
	return e;
}

static void
epoch_drop(struct vault_slot *s, struct vault_epoch *e)
{
	unsigned i;

	perc_ekt_drop(s->ekt, e->spi);
	perc_double_rx_drop(s->rx, e->spi);
	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		if (s->local[i].tx != NULL)
			perc_double_tx_drop(s->local[i].tx, e->spi);
	e->held = false;
}

/* A burst of rekeys within the overlap: the oldest gives way. */
static void
epochs_make_room(struct vault_slot *s)
{
	struct vault_epoch *oldest = NULL, *e;
	unsigned i;

	if (perc_ekt_count(s->ekt) < PERC_EKT_SETS_MAX)
		return;
	for (i = 0; i < VAULT_EPOCHS_MAX; i++) {
		e = &s->epochs[i];
		if (e->held && (oldest == NULL || e->epoch < oldest->epoch))
			oldest = e;
	}
	if (oldest != NULL)
		epoch_drop(s, oldest);
}

int
vault_epoch_install(struct vault_slot *s, uint64_t epoch,
    const struct perc_enckey *k, int64_t life_ms)
{
	uint8_t hash[PERC_SHA256_LEN];
	struct vault_epoch *e;
	int64_t now = perc_boot_ms(), expires = now + life_ms;
	int r;

	if ((r = set_hash(hash, k)) != 0 ||
	    (r = set_fits(s, epoch, k, hash)) != 0)
		return r;
	if (epoch < s->epoch)
		return vault_refuse(
		    s->v, PERC_ERR_REPLAY, "epoch older than the one held");
	if ((e = epoch_find(s, epoch)) != NULL && !e->held)
		return vault_refuse(s->v, PERC_ERR_REPLAY,
		    "key of this epoch was wiped already");
	if (e != NULL) { /* told again: the KMF lets it live on */
		if (expires <= e->expires_ms)
			return 0;
		perc_ekt_drop(s->ekt, k->spi);
		if ((r = perc_ekt_add(s->ekt, k, expires)) != 0)
			return vault_refuse(s->v, r, "EKT key refused");
		e->expires_ms = expires;
		s->due_ms = 0;
		return 0;
	}
	epochs_make_room(s);
	if ((r = perc_ekt_add(s->ekt, k, expires)) != 0)
		return vault_refuse(s->v, r, "EKT key refused");
	if ((r = senders_switch(s, k->spi, now)) != 0) {
		perc_ekt_drop(s->ekt, k->spi);
		return vault_refuse(s->v, r, "senders could not switch");
	}
	epochs_supersede(s, now);
	(void)epoch_record(s, epoch, k, hash, expires);
	s->epoch = epoch;
	s->epoch_ms = now;
	s->spi = k->spi;
	s->cipher = k->cipher;
	s->profile = k->profile;
	s->state = VAULT_SLOT_LIVE;
	s->due_ms = 0;
	vault_slot_tick(s);
	vault_hold_try(s, 0);
	return 0;
}

/* One that was jumped over, and would still be kept had it come in time? */
static bool
late_is_welcome(const struct vault_slot *s, uint64_t epoch, int64_t now)
{
	bool before = false;
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++) {
		if (s->epochs[i].epoch == epoch)
			return false; /* it did come */
		before = before ||
		    (s->epochs[i].epoch != 0 && s->epochs[i].epoch < epoch);
	}
	return before && epoch < s->epoch && now < s->epoch_ms + s->overlap_ms;
}

/* Nothing is sent under it. */
static int
late_install(struct vault_slot *s, uint64_t epoch, const struct perc_enckey *k,
    int64_t life_ms, int64_t now)
{
	uint8_t hash[PERC_SHA256_LEN];
	struct vault_epoch *e;
	int r;

	if ((r = set_hash(hash, k)) != 0 ||
	    (r = set_fits(s, epoch, k, hash)) != 0)
		return r;
	if (perc_ekt_count(s->ekt) >= PERC_EKT_SETS_MAX)
		return vault_refuse(s->v, PERC_ERR_LIMIT, "newer ones fill it");
	if ((r = perc_ekt_add(s->ekt, k, now + life_ms)) != 0)
		return vault_refuse(s->v, r, "EKT key refused");
	e = epoch_record(s, epoch, k, hash, now + life_ms);
	e->drop_ms = s->epoch_ms + s->overlap_ms;
	s->due_ms = 0;
	vault_slot_tick(s);
	vault_hold_try(s, 0);
	return 0;
}

/* ---- the pushed epoch ---------------------------------------------------- */

/* Open this member's copy and hold it against the signed hash. */
static int
copy_open(struct vault_slot *s, const struct vault_statement *st,
    const char *sealed, struct perc_enckey *k)
{
	uint8_t box[PERC_EKT_KEY_MAX + PERC_EKT_SALT_LEN + PERC_SEAL_OVERHEAD];
	uint8_t hash[PERC_SHA256_LEN];
	uint8_t plain[PERC_EKT_KEY_MAX + PERC_EKT_SALT_LEN];
	size_t n = sizeof(box), keylen = st->cipher == PERC_AESKW256 ? 32 : 16;
	char aad[256];
	int len, r;

	if (perc_b64_get(box, &n, sealed, strlen(sealed)) != 0 ||
	    n != keylen + PERC_EKT_SALT_LEN + PERC_SEAL_OVERHEAD)
		return vault_refuse(s->v, PERC_ERR_FORMAT, "copy malformed");
	len = snprintf(aad, sizeof(aad), "perch-epoch|%s|%llu|%s", s->conf,
	    (unsigned long long)st->epoch, s->member);
	r = perc_unseal(plain, s->delivery->data, aad, (size_t)len, box, n);
	if (r != 0) {
		vault_refuse(s->v, r, "copy is not sealed to this member");
		goto out;
	}
	if ((r = perc_sha256(hash, plain, keylen + PERC_EKT_SALT_LEN)) != 0)
		goto out;
	if (!perc_equal(hash, st->hash, sizeof(hash))) {
		r = vault_refuse(s->v, PERC_ERR_AUTH,
		    "copy is not the key of the statement");
		goto out;
	}
	memset(k, 0, sizeof(*k));
	memcpy(k->keyid, st->keyid, sizeof(k->keyid));
	memcpy(k->key, plain, keylen);
	memcpy(k->salt, plain + keylen, sizeof(k->salt));
	k->keylen = keylen;
	k->cipher = st->cipher;
	k->profile = st->profile;
	k->spi = st->spi;
	k->ttl_s = st->ttl_s;
out:
	perc_wipe(plain, sizeof(plain));
	return r;
}

int
vault_epoch_take(
    struct vault_slot *s, const char *statement, const char *sealed)
{
	struct vault *v = s->v;
	struct vault_statement st;
	struct perc_enckey k = { 0 };
	struct perc_jws j = { 0 };
	int64_t now_s = perc_wall_ms() / 1000, late_s, life_ms;
	int64_t now = perc_boot_ms();
	int r;

	if ((r = perc_jws_verify_set(&j, statement, strlen(statement),
		 PERC_JOSE_TOKEN_MAX, s->kmf->set, "perch-epoch+jwt")) != 0) {
		vault_refuse(v, r, "statement not signed by the pinned KMF");
		goto out;
	}
	if ((r = vault_claims_common(
		 j.payload, s->kmf->url, s->conf, now_s, &v->why)) != 0 ||
	    (r = vault_statement_get(&st, j.payload, now_s, &v->why)) != 0)
		goto out;
	if (st.epoch <= s->epoch && !late_is_welcome(s, st.epoch, now)) {
		r = vault_refuse(v, PERC_ERR_REPLAY, "epoch is not newer");
		goto out;
	}
	if ((r = copy_open(s, &st, sealed, &k)) != 0)
		goto out;
	late_s = now_s - st.iat_s - VAULT_SKEW_S / 2;
	life_ms = ((int64_t)st.ttl_s - (late_s > 0 ? late_s : 0)) * 1000;
	r = st.epoch < s->epoch ? late_install(s, st.epoch, &k, life_ms, now)
				: vault_epoch_install(s, st.epoch, &k, life_ms);
out:
	perc_wipe(&k, sizeof(k));
	perc_jws_clear(&j);
	return r;
}

/* ---- time ---------------------------------------------------------------- */

static void
tick(void *arg)
{
	struct vault_slot *s = arg;

	s->due_ms = 0; /* look, and set the timer again */
	vault_slot_tick(s);
}

static int64_t
due_ms(const struct vault_epoch *e)
{
	return e->drop_ms != 0 && e->drop_ms < e->expires_ms ? e->drop_ms
							     : e->expires_ms;
}

/* The next end of a held epoch, what is over dropped. 0: none would be left,
 * and they are still there for the receipt to name. */
static int64_t
epochs_sweep(struct vault_slot *s, int64_t now)
{
	int64_t next = 0, due;
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++) {
		due = s->epochs[i].held ? due_ms(&s->epochs[i]) : 0;
		if (due > now && (next == 0 || due < next))
			next = due;
	}
	for (i = 0; next != 0 && i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].held && due_ms(&s->epochs[i]) <= now)
			epoch_drop(s, &s->epochs[i]);
	return next;
}

/* Before each packet too, since timers sleep when the machine does. */
void
vault_slot_tick(struct vault_slot *s)
{
	int64_t now = perc_boot_ms(), in;

	if (s->state != VAULT_SLOT_LIVE || now < s->due_ms)
		return;
	s->due_ms = epochs_sweep(s, now);
	if (s->due_ms == 0) {
		vault_slot_erase(s, "expired");
		return;
	}
	perc_ekt_expire(s->ekt, now);
	in = s->due_ms - now < VAULT_TICK_MS ? s->due_ms - now : VAULT_TICK_MS;
	if (perc_timer_set(s->v->loop, &s->timer, in, tick, s) != 0)
		vault_slot_erase(s, "expired"); /* no clock, no keys */
}
