/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hop driven by a script, four octets a step: what to do, and with which
 * SSRC and SEQ. Nothing is ever accepted twice, damaged, or unsent; nothing
 * is sent twice. What remains of the input goes to the receiver as it is.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define PKTS	64
#define PKT_LEN 60

struct hop {
	struct perc_srtp *tx, *rx;
	struct {
		uint8_t p[PKT_LEN];
		size_t n;
		bool taken;
	} pkt[PKTS];
	unsigned n;
	uint16_t seq[4];
};

static void
step_send(struct hop *h, const uint8_t *s)
{
	uint8_t p[PKT_LEN] = { 0x80, 96 };
	struct perc_rtp rtp;
	unsigned i;

	if (h->n == PKTS)
		return;
	i = s[1] & 3;
	h->seq[i] += (uint16_t)(s[1] & 0x80 ? s[2] << 8 | s[3] : s[3]);
	p[2] = (uint8_t)(h->seq[i] >> 8);
	p[3] = (uint8_t)h->seq[i];
	p[11] = (uint8_t)i;
	if (perc_rtp_parse(&rtp, p, 40) != 0)
		abort();
	if (perc_srtp_protect(
		h->tx, &rtp, p, 40, h->pkt[h->n].p, &h->pkt[h->n].n) != 0)
		return;
	for (i = 0; i < h->n; i++) /* same nonce, same plaintext */
		if (memcmp(h->pkt[i].p, h->pkt[h->n].p, h->pkt[i].n) == 0)
			abort();
	h->n++;
}

static void
step_receive(struct hop *h, const uint8_t *s, bool damage)
{
	uint8_t p[PKT_LEN], out[PKT_LEN];
	unsigned i = s[1] % PKTS;
	struct perc_rtp rtp;
	size_t n, len;

	if (i >= h->n)
		return;
	n = h->pkt[i].n;
	memcpy(p, h->pkt[i].p, n);
	if (damage)
		p[s[2] % n] ^= (uint8_t)(s[3] == 0 ? 1 : s[3]);
	if (perc_rtp_parse(&rtp, p, n) != 0 ||
	    perc_srtp_unprotect(h->rx, &rtp, p, n, out, &len) != 0)
		return;
	if (damage || h->pkt[i].taken || len != n - 16)
		abort();
	h->pkt[i].taken = true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t key[32];
	struct hop h = { .n = 0 };
	struct perc_rtp rtp;
	uint8_t out[4096];
	size_t len;

	if (perc_srtp_new(&h.tx, PERC_AEAD_AES_128_GCM, key, key, 3, 64) != 0 ||
	    perc_srtp_new(&h.rx, PERC_AEAD_AES_128_GCM, key, key, 3, 64) != 0)
		abort();
	for (; n >= 4 && p[0] < 0x80; p += 4, n -= 4) {
		switch (p[0] & 7) {
		case 0:
		case 1:
			step_send(&h, p);
			break;
		case 2:
			step_receive(&h, p, true);
			break;
		case 3:
			perc_srtp_forget(h.rx, p[1] & 3);
			break;
		case 4:
			perc_srtp_forget(h.tx, p[1] & 3);
			break;
		case 5:
			(void)!perc_srtp_roc_set(h.tx, p[1] & 3, p[2]);
			(void)!perc_srtp_roc_set(h.rx, p[1] & 3, p[2]);
			break;
		default:
			step_receive(&h, p, false);
		}
	}
	/* no abort: a fuzzer that watches memcmp learns true packets by heart
	 */
	if (n <= sizeof(out) && perc_rtp_parse(&rtp, p, n) == 0)
		(void)!perc_srtp_unprotect(h.rx, &rtp, p, n, out, &len);
	perc_srtp_free(h.tx);
	perc_srtp_free(h.rx);
	return 0;
}
