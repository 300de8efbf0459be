/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rewrite (eight octets and an extension block) of whatever a leg sent:
 * what comes out opens at the receiver, has the fields as asked, and what may
 * never change is as it was; the OHB says the sender's own values.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/forward.h"
#include "perc/inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define OUT_MAX 8192

/* PT, SEQ and M as the sender had them. */
static void
original(const struct perc_inner *i, uint8_t out[3])
{
	memcpy(out, i->header + 1, 3);
}

static void
check(const struct perc_rewrite *w, const uint8_t *in, size_t n,
    const uint8_t *out, size_t len)
{
	struct perc_inner before, after;
	struct perc_rtp h;
	uint8_t a[3], b[3];

	if (perc_rtp_parse(&h, out, len) != 0 || h.fixed_len > n ||
	    ((in[0] ^ out[0]) & ~0x10) != 0 ||
	    memcmp(in + 4, out + 4, h.fixed_len - 4) != 0 ||
	    (w->set_pt && h.pt != w->pt) || (w->set_seq && h.seq != w->seq) ||
	    (w->set_marker && h.marker != w->marker))
		abort();
	if (w->repair || perc_inner_parse(&before, in, n) != 0)
		return;
	if (perc_inner_parse(&after, out, len) != 0)
		abort();
	original(&before, a);
	original(&after, b);
	if (memcmp(a, b, 3) != 0 ||
	    before.ciphertext_len != after.ciphertext_len ||
	    memcmp(before.ciphertext, after.ciphertext, after.ciphertext_len) !=
		0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t key[32];
	static uint8_t out[OUT_MAX], back[OUT_MAX];
	struct perc_rewrite w;
	struct perc_srtp *tx, *rx;
	struct perc_rtp h;
	size_t len;

	if (n < 8 || n > OUT_MAX / 2)
		return 0;
	w = (struct perc_rewrite){ .set_pt = p[0] & 1,
		.set_seq = p[0] & 2,
		.set_marker = p[0] & 4,
		.set_ext = p[0] & 8,
		.marker = p[0] & 16,
		.repair = p[0] & 32,
		.pt = p[1],
		.seq = (uint16_t)(p[2] << 8 | p[3]),
		.extlen = p[4] };
	p += 8;
	n -= 8;
	if (w.set_ext && w.extlen > 0) {
		if (n < w.extlen)
			return 0;
		w.ext = p;
		p += w.extlen;
		n -= w.extlen;
	}
	if (perc_srtp_new(&tx, PERC_AEAD_AES_128_GCM, key, key, 1, 64) != 0 ||
	    perc_srtp_new(&rx, PERC_AEAD_AES_128_GCM, key, key, 1, 64) != 0)
		abort();
	if (perc_forward(tx, &w, p, n, out, sizeof(out), &len) == 0) {
		if (perc_rtp_parse(&h, out, len) != 0 ||
		    perc_srtp_unprotect(rx, &h, out, len, back, &len) != 0)
			abort();
		check(&w, p, n, back, len);
	}
	perc_srtp_free(tx);
	perc_srtp_free(rx);
	return 0;
}
