/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New hop keys for a leg that is up (RFC 5764 section 5.2, REQ-F-4.5g): its
 * endpoint begins a new handshake at the address where it is, and when that is
 * complete, with the same certificate, its keys take the place of the old ones.
 * Until then nothing changes, so that whoever can forge the address costs one
 * handshake in MDD_REKEY_MS and no packet. The old receiving keys stay for what
 * is still under way. The new contexts go on where the old ones were: a
 * rollover counter is never set back (RFC 3711 section 3.3.1).
 */
#include "mdd/worker.h"

#include <string.h>

#include "perc/log.h"
#include "perc/secret.h"

#define DTLS_HANDSHAKE	  22
#define DTLS_CLIENT_HELLO 1
#define DTLS_HEAD	  13 /* of a record: type, version, epoch, SEQ, length */

static bool
is_hello(const uint8_t *p, size_t n)
{
	/* a plain record: epoch 0 */
	return n > DTLS_HEAD && p[0] == DTLS_HANDSHAKE && p[3] == 0 &&
	    p[4] == 0 && p[DTLS_HEAD] == DTLS_CLIENT_HELLO;
}

bool
mdd_rekey_may(
    const struct mdd_leg *leg, const uint8_t *p, size_t n, int64_t now_ms)
{
	return is_hello(p, n) && leg->link == NULL &&
	    (leg->rekey_ms == 0 || now_ms - leg->rekey_ms >= MDD_REKEY_MS);
}

void
mdd_rekey_begin(struct mdd_leg *leg, int64_t now_ms)
{
	leg->rekeying = true;
	leg->rekey_ms = now_ms;
	leg->dtls_until_ms = now_ms + MDD_REKEY_MS;
}

void
mdd_rekey_forget(struct mdd_leg *leg)
{
	perc_srtp_free(leg->old_rx);
	perc_srtcp_free(leg->old_rx_rtcp);
	leg->old_rx = NULL;
	leg->old_rx_rtcp = NULL;
}

static int
contexts_new(struct mdd_worker *w, const struct mdd_leg *leg,
    struct perc_srtp *srtp[2], struct perc_srtcp *srtcp[2])
{
	struct perc_dtls_keys k;
	int r;

	if ((r = perc_dtls_keys(leg->dtls, &k)) != 0 ||
	    (r = perc_srtp_new(&srtp[0], k.profile, k.rx_key, k.rx_salt,
		 leg->nssrcs + mdd_hop_repairs(leg), MDD_HOP_WINDOW)) != 0 ||
	    (r = perc_srtp_new(&srtp[1], k.profile, k.tx_key, k.tx_salt,
		 mdd_hop_streams(w, leg), MDD_HOP_WINDOW)) != 0 ||
	    (r = perc_srtcp_new(
		 &srtcp[0], k.profile, k.rx_key, k.rx_salt, 1)) != 0)
		goto out;
	r = perc_srtcp_new(&srtcp[1], k.profile, k.tx_key, k.tx_salt, 0);
out:
	perc_wipe(&k, sizeof(k));
	return r;
}

/* The handshake is complete. */
int
mdd_rekey_end(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	struct perc_srtp *srtp[2] = { NULL, NULL };
	struct perc_srtcp *srtcp[2] = { NULL, NULL };
	int r;

	if ((r = contexts_new(w, leg, srtp, srtcp)) != 0)
		goto out;
	perc_srtp_follow(srtp[0], leg->rx);
	perc_srtp_follow(srtp[1], leg->tx);
	mdd_rekey_forget(leg);
	leg->old_rx = leg->rx;
	leg->old_rx_rtcp = leg->rx_rtcp;
	leg->old_until_ms = now_ms + MDD_REKEY_OLD_MS;
	perc_srtp_free(leg->tx);
	perc_srtcp_free(leg->tx_rtcp);
	leg->rx = srtp[0];
	leg->tx = srtp[1];
	leg->rx_rtcp = srtcp[0];
	leg->tx_rtcp = srtcp[1];
	srtp[0] = srtp[1] = NULL;
	srtcp[0] = srtcp[1] = NULL;
	leg->keys++;
	leg->rekeying = false;
	leg->dtls_until_ms = now_ms + MDD_DTLS_LINGER_MS;
	w->count[MDD_DTLS_REKEYED]++;
	log_info("leg has new keys id=%s", leg->id);
out:
	perc_srtp_free(srtp[0]);
	perc_srtp_free(srtp[1]);
	perc_srtcp_free(srtcp[0]);
	perc_srtcp_free(srtcp[1]);
	return r;
}

/* The new keys first (RFC 5764 section 5.2); both work in place, so the old
 * ones need the packet as it came. */
int
mdd_rekey_unprotect(struct mdd_leg *leg, const struct perc_rtp *h, uint8_t *p,
    size_t n, size_t *len)
{
	uint8_t copy[MDD_OUT_MAX];
	int r;

	if (leg->old_rx == NULL || n > sizeof(copy))
		return perc_srtp_unprotect(leg->rx, h, p, n, p, len);
	memcpy(copy, p, n);
	r = perc_srtp_unprotect(leg->rx, h, p, n, p, len);
	if ((r == PERC_ERR_AUTH || r == PERC_ERR_REPLAY) &&
	    perc_srtp_unprotect(leg->old_rx, h, copy, n, p, len) == 0)
		r = 0;
	perc_wipe(copy, sizeof(copy));
	return r;
}

int
mdd_rekey_unprotect_rtcp(struct mdd_leg *leg, uint8_t *p, size_t *n)
{
	_Alignas(16) uint8_t copy[MDD_OUT_MAX];
	size_t len = *n;
	int r;

	if (leg->old_rx_rtcp == NULL || len > sizeof(copy))
		return perc_srtcp_unprotect(leg->rx_rtcp, p, n);
	memcpy(copy, p, len);
	if ((r = perc_srtcp_unprotect(leg->rx_rtcp, p, n)) != 0 &&
	    perc_srtcp_unprotect(leg->old_rx_rtcp, copy, &len) == 0) {
		memcpy(p, copy, len);
		*n = len;
		r = 0;
	}
	perc_wipe(copy, sizeof(copy));
	return r;
}
