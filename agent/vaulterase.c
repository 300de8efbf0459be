/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a conference at this endpoint: every key of it is wiped, then
 * the vault signs that it was. The receipt is made last, from numbers kept
 * aside, so that a failure to sign cannot keep a key alive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/json.h"
#include "perc/log.h"

unsigned
vault_keys_held(const struct vault_slot *s)
{
	unsigned i, n = 0;

	if (s->ekt != NULL)
		n += perc_ekt_count(s->ekt);
	if (s->delivery != NULL)
		n++;
	if (s->rx != NULL)
		n += perc_double_rx_stats(s->rx)->keys;
	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		if (s->local[i].tx != NULL)
			n++;
	return n;
}

static void
locals_wipe(struct vault_slot *s)
{
	struct vault_local *l;
	unsigned i;

	for (i = 0; i < VAULT_LOCAL_STREAMS; i++) {
		l = &s->local[i];
		perc_double_tx_free(l->tx);
		l->tx = NULL;
		l->ssrc = 0;
		l->layered = false;
		l->started = false;
		l->key_frame_ms = 0;
		memset(&l->frame, 0, sizeof(l->frame));
		memset(&l->rtp_peer, 0, sizeof(l->rtp_peer));
		memset(&l->rtcp_peer, 0, sizeof(l->rtcp_peer));
	}
}

void
vault_slot_wipe(struct vault_slot *s)
{
	struct vault *v = s->v;

	perc_timer_stop(v->loop, &s->timer);
	perc_timer_stop(v->loop, &s->speak_timer);
	memset(&s->code, 0, sizeof(s->code));
	s->speak_new = false;
	s->epoch_ms = 0;
	locals_wipe(s);
	perc_double_rx_free(s->rx);
	s->rx = NULL;
	perc_ekt_free(s->ekt);
	s->ekt = NULL;
	perc_secret_free(s->delivery);
	s->delivery = NULL;
	vault_roster_clear(s);
	vault_hold_clear(&s->hold);
	memset(s->epochs, 0, sizeof(s->epochs));
	memset(s->wanted, 0, sizeof(s->wanted));
	s->nepochs = 0;
	s->due_ms = 0;
	s->epoch = 0;
	s->spi = 0;
	s->cipher = 0;
	s->profile = 0;
	s->roster_min = 0;
	/* What others said is as secret as what they said it with. */
	perc_wipe(v->in, sizeof(v->in));
	perc_wipe(v->out, sizeof(v->out));
	perc_wipe(v->work, sizeof(v->work));
	v->nout = 0;
}

static char *
receipt_make(
    struct vault_slot *s, const char *reason, json_t *spis, unsigned keys)
{
	char *text = NULL;
	json_t *claims;

	claims = json_pack("{s:I, s:s, s:s, s:s, s:O, s:i}", "iat",
	    (json_int_t)(perc_wall_ms() / 1000), "conference", s->conf,
	    "member", s->member, "reason", reason, "erased_spis", spis,
	    "keys_erased", (int)keys);
	if (claims == NULL ||
	    perc_jws_sign(
		&text, s->v->sign, "perch-receipt+jwt", claims, true) != 0)
		log_warnx("receipt conf=%s reason=unsigned", s->conf);
	json_decref(claims);
	return text;
}

void
vault_slot_erase(struct vault_slot *s, const char *reason)
{
	bool had_key = s->state == VAULT_SLOT_LIVE;
	unsigned i, keys = vault_keys_held(s);
	json_t *spis = json_array();
	char *receipt = NULL;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].held)
			json_array_append_new(
			    spis, json_integer(s->epochs[i].spi));
	vault_slot_wipe(s);
	s->state = VAULT_SLOT_ERASED;
	if (had_key)
		receipt = receipt_make(s, reason, spis, keys);
	vault_send(s->v, VAULT_ERASED, 0, NULL,
	    (const char *const[]){
		s->conf, reason, receipt == NULL ? "" : receipt },
	    3);
	log_info("erased conf=%s reason=%s keys=%u", s->conf, reason, keys);
	json_decref(spis);
	free(receipt);
}
