/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of Double. receive_sequence is the endpoint's whole receiver, so
 * it needs what an endpoint has: an EKT set whose salt is the inner salt, and
 * EKT fields that bring the inner key and start ROC; it makes both up.
 */
#include "tests/tools/packet.h"

#include <string.h>

#include "perc/double.h"
#include "perc/forward.h"
#include "perc/inner.h"

#define SEQUENCE_MAX	   100000 /* packets */
#define SEQUENCE_SSRCS_MAX 64

static enum perc_srtp_profile
profile(size_t keylen)
{
	return keylen == 16 ? PERC_AEAD_AES_128_GCM : PERC_AEAD_AES_256_GCM;
}

static int
outer_new(struct perc_srtp **sp, const uint8_t *key, size_t keylen,
    const uint8_t *salt, uint32_t ssrc, uint32_t roc)
{
	int r;

	r = perc_srtp_new(sp, profile(keylen), key, salt, 1, 64);
	return r != 0 ? r : perc_srtp_roc_set(*sp, ssrc, roc);
}

struct both { /* the two layers of a Double master key */
	struct bytes key, salt, packet;
	struct perc_rtp h;
	struct perc_gcm *inner;
	struct perc_srtp *outer;
	uint32_t inner_roc, outer_roc;
};

static int
both_open(struct req *q, struct both *b)
{
	size_t half;
	int r;

	req_key(q, "master_key", &b->key, 32, 64);
	req_key(q, "master_salt", &b->salt, 24, 24);
	req_bytes(q, "packet", &b->packet, 0, PACKET_MAX);
	b->inner_roc = (uint32_t)req_int(q, "inner_roc", 0, UINT32_MAX);
	b->outer_roc = (uint32_t)req_int(q, "outer_roc", 0, UINT32_MAX);
	if (q->bad)
		return PERC_ERR_INVAL;
	half = b->key.n / 2;
	if ((r = perc_rtp_parse(&b->h, b->packet.p, b->packet.n)) != 0 ||
	    (r = perc_gcm_new(&b->inner, b->key.p, half, b->salt.p)) != 0)
		return r;
	return outer_new(&b->outer, b->key.p + half, half, b->salt.p + 12,
	    b->h.ssrc, b->outer_roc);
}

static void
both_close(struct both *b)
{
	perc_gcm_free(b->inner);
	perc_srtp_free(b->outer);
}

static uint64_t
index_at(uint32_t roc, uint16_t seq)
{
	return (uint64_t)roc << 16 | seq;
}

int
op_double_protect(struct req *q)
{
	struct both b = { .inner = NULL };
	struct bytes *p = &b.packet;
	int r;

	if ((r = both_open(q, &b)) != 0 ||
	    (r = perc_inner_seal(b.inner, &b.h, index_at(b.inner_roc, b.h.seq),
		 p->p, p->n, p->p)) != 0)
		goto out;
	p->n += PERC_INNER_ROOM;
	if ((r = perc_srtp_protect(b.outer, &b.h, p->p, p->n, p->p, &p->n)) !=
	    0)
		goto out;
	ans_bytes(q, "packet", p->p, p->n);
out:
	both_close(&b);
	return r;
}

int
op_double_unprotect(struct req *q)
{
	struct both b = { .inner = NULL };
	struct bytes *p = &b.packet, plain;
	struct perc_inner in;
	int r;

	if ((r = both_open(q, &b)) != 0 ||
	    (r = perc_srtp_unprotect(b.outer, &b.h, p->p, p->n, p->p, &p->n)) !=
		0 ||
	    (r = perc_inner_parse(&in, p->p, p->n)) != 0 ||
	    (r = perc_inner_open(b.inner, &in, index_at(b.inner_roc, in.seq),
		 plain.p, &plain.n)) != 0)
		goto out;
	ans_bytes(q, "inner", plain.p, plain.n);
	ans_int(q, "outer_pt", in.h.pt);
	ans_int(q, "outer_seq", in.h.seq);
out:
	both_close(&b);
	return r;
}

static void
rewrite_get(struct req *q, struct perc_rewrite *w, struct bytes *ext)
{
	*w = (struct perc_rewrite){
		.set_pt = req_has(q, "pt"),
		.set_seq = req_has(q, "seq"),
		.set_marker = req_has(q, "m"),
		.set_ext = req_has(q, "ext"),
		.pt = (uint8_t)req_int_or(q, "pt", 0, 127, 0),
		.seq = (uint16_t)req_int_or(q, "seq", 0, 65535, 0),
		.marker = req_bool_or(q, "m", false),
	};
	if (!w->set_ext)
		return;
	req_bytes(q, "ext", ext, 0, PACKET_MAX);
	w->extlen = ext->n;
	w->ext = ext->n > 0 ? ext->p : NULL;
}

int
op_md_rewrite(struct req *q)
{
	struct bytes rx_key, rx_salt, tx_key, tx_salt, p, out, ext;
	struct perc_srtp *rx = NULL, *tx = NULL;
	struct perc_rewrite w;
	struct perc_rtp h;
	uint32_t rx_roc, tx_roc;
	int r;

	req_key(q, "rx_key", &rx_key, 16, 32);
	req_key(q, "rx_salt", &rx_salt, 12, 12);
	req_key(q, "tx_key", &tx_key, 16, 32);
	req_key(q, "tx_salt", &tx_salt, 12, 12);
	rx_roc = (uint32_t)req_int(q, "rx_roc", 0, UINT32_MAX);
	tx_roc = (uint32_t)req_int(q, "tx_roc", 0, UINT32_MAX);
	req_bytes(q, "packet", &p, 0, PACKET_MAX);
	rewrite_get(q, &w, &ext);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = perc_rtp_parse(&h, p.p, p.n)) != 0 ||
	    (r = outer_new(
		 &rx, rx_key.p, rx_key.n, rx_salt.p, h.ssrc, rx_roc)) != 0 ||
	    (r = outer_new(
		 &tx, tx_key.p, tx_key.n, tx_salt.p, h.ssrc, tx_roc)) != 0 ||
	    (r = perc_srtp_unprotect(rx, &h, p.p, p.n, p.p, &p.n)) != 0 ||
	    (r = perc_forward(
		 tx, &w, p.p, p.n, out.p, sizeof(out.p), &out.n)) != 0)
		goto out;
	ans_bytes(q, "packet", out.p, out.n);
out:
	perc_srtp_free(rx);
	perc_srtp_free(tx);
	return r;
}

struct receiver {
	struct perc_ekt *ekt;
	struct perc_double_rx *rx;
	struct perc_srtp *outer;
	const struct bytes *key;
	uint32_t inner_roc, outer_roc;
	unsigned n; /* SSRCs seen */
	uint32_t ssrc[SEQUENCE_SSRCS_MAX];
	bool keyed[SEQUENCE_SSRCS_MAX]; /* its key has opened a packet */
};

static int
receiver_open(struct receiver *v, const struct bytes *key,
    const struct bytes *salt, unsigned window)
{
	size_t half = key->n / 2;
	struct perc_enckey set = { .keylen = half,
		.cipher = half == 16 ? PERC_AESKW128 : PERC_AESKW256,
		.profile = half == 16 ? PERC_DOUBLE_128 : PERC_DOUBLE_256 };
	int r;

	v->key = key;
	memcpy(set.salt, salt->p, sizeof(set.salt));
	if ((r = perc_ekt_new(&v->ekt)) != 0 ||
	    (r = perc_ekt_add(v->ekt, &set, INT64_MAX)) != 0 ||
	    (r = perc_double_rx_new(
		 &v->rx, v->ekt, SEQUENCE_SSRCS_MAX, window)) != 0)
		return r;
	return perc_srtp_new(&v->outer, profile(half), key->p + half,
	    salt->p + 12, SEQUENCE_SSRCS_MAX, window);
}

static void
receiver_close(struct receiver *v)
{
	perc_double_rx_free(v->rx);
	perc_ekt_free(v->ekt);
	perc_srtp_free(v->outer);
}

/* The place of an SSRC; a new one is listed and gets its outer ROC. */
static int
receiver_ssrc(struct receiver *v, uint32_t ssrc, unsigned *i)
{
	int r;

	for (*i = 0; *i < v->n; ++*i)
		if (v->ssrc[*i] == ssrc)
			return 0;
	if (v->n == SEQUENCE_SSRCS_MAX)
		return PERC_ERR_LIMIT;
	v->ssrc[v->n++] = ssrc;
	if ((r = perc_double_rx_list(v->rx, v->ssrc, v->n)) != 0)
		return r;
	return perc_srtp_roc_set(v->outer, ssrc, v->outer_roc);
}

static int
receiver_packet(struct receiver *v, struct bytes *p, struct bytes *out)
{
	struct perc_double_in info;
	struct perc_rtp h;
	uint16_t unknown;
	size_t field = 1;
	unsigned i;
	int r;

	if ((r = perc_rtp_parse(&h, p->p, p->n)) != 0 ||
	    (r = receiver_ssrc(v, h.ssrc, &i)) != 0 ||
	    (r = perc_srtp_unprotect(v->outer, &h, p->p, p->n, p->p, &p->n)) !=
		0)
		return r;
	p->p[p->n] = 0; /* Short, unless the key is still to be brought */
	if (!v->keyed[i] &&
	    (r = perc_ekt_full(v->ekt, 0, 0, v->key->p, v->key->n / 2, h.ssrc,
		 v->inner_roc, p->p + p->n, &field)) != 0)
		return r;
	r = perc_double_rx_open(
	    v->rx, 0, p->p, p->n + field, out->p, &info, &unknown);
	if (r != 0)
		return r;
	v->keyed[i] = true;
	out->n = info.len;
	return 0;
}

int
op_receive_sequence(struct req *q)
{
	static struct bytes p, out;
	struct receiver v = { .n = 0 };
	struct bytes key, salt;
	const json_t *packets;
	json_t *results = NULL, *one;
	size_t i;
	int64_t window;
	int r;

	req_key(q, "master_key", &key, 32, 64);
	req_key(q, "master_salt", &salt, 24, 24);
	window = req_int_or(q, "window", 64, 1024, 64);
	v.inner_roc = (uint32_t)req_int_or(q, "inner_roc", 0, UINT32_MAX, 0);
	v.outer_roc = (uint32_t)req_int_or(q, "outer_roc", 0, UINT32_MAX, 0);
	packets = req_array(q, "packets", SEQUENCE_MAX);
	for (i = 0; !q->bad && i < json_array_size(packets); i++)
		q->bad =
		    !hex_get(json_array_get(packets, i), &p, 0, PACKET_MAX);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = receiver_open(&v, &key, &salt, (unsigned)window)) != 0)
		goto out;
	results = json_array();
	for (i = 0; i < json_array_size(packets); i++) {
		if (!hex_get(json_array_get(packets, i), &p, 0, PACKET_MAX))
			continue;
		r = receiver_packet(&v, &p, &out);
		one = r == 0
		    ? json_pack("{s:b, s:o}", "ok", 1, "inner",
			  hex_json(out.p, out.n))
		    : json_pack("{s:b, s:s}", "ok", 0, "reason", err_word(r));
		(void)json_array_append_new(results, one);
	}
	ans_json(q, "results", results);
	r = 0;
out:
	receiver_close(&v);
	return r;
}
