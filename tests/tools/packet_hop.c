/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on one hop: key derivation, SRTP, SRTCP, the DTLS split. */
#include "tests/tools/packet.h"

#include "perc/dtls.h"
#include "perc/srtp.h"

static enum perc_srtp_profile
profile(size_t keylen)
{
	return keylen == 16 ? PERC_AEAD_AES_128_GCM : PERC_AEAD_AES_256_GCM;
}

int
op_kdf(struct req *q)
{
	struct bytes key, salt;
	struct perc_session_keys k;
	json_t *keys;
	int r;

	req_key(q, "master_key", &key, 16, 32);
	req_key(q, "master_salt", &salt, 12, 12);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = perc_srtp_kdf(&k, key.p, key.n, salt.p)) != 0)
		return r;
	keys = json_pack("{s:o, s:o, s:o, s:o}", "rtp_key",
	    hex_json(k.rtp_key, k.keylen), "rtp_salt",
	    hex_json(k.rtp_salt, sizeof(k.rtp_salt)), "rtcp_key",
	    hex_json(k.rtcp_key, k.keylen), "rtcp_salt",
	    hex_json(k.rtcp_salt, sizeof(k.rtcp_salt)));
	ans_json(q, "keys", keys);
	return 0;
}

typedef int (*srtp_fn)(struct perc_srtp *, const struct perc_rtp *,
    const uint8_t *, size_t, uint8_t *, size_t *);

static int
srtp_once(struct req *q, srtp_fn fn)
{
	struct bytes key, salt, in, out;
	struct perc_srtp *s = NULL;
	struct perc_rtp h;
	uint32_t roc;
	int r;

	req_key(q, "master_key", &key, 16, 32);
	req_key(q, "master_salt", &salt, 12, 12);
	req_bytes(q, "packet", &in, 0, PACKET_MAX);
	roc = (uint32_t)req_int(q, "roc", 0, UINT32_MAX);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = perc_rtp_parse(&h, in.p, in.n)) != 0 ||
	    (r = perc_srtp_new(&s, profile(key.n), key.p, salt.p, 1, 64)) !=
		0 ||
	    (r = perc_srtp_roc_set(s, h.ssrc, roc)) != 0 ||
	    (r = fn(s, &h, in.p, in.n, out.p, &out.n)) != 0)
		goto out;
	ans_bytes(q, "packet", out.p, out.n);
out:
	perc_srtp_free(s);
	return r;
}

int
op_srtp_protect(struct req *q)
{
	return srtp_once(q, perc_srtp_protect);
}

int
op_srtp_unprotect(struct req *q)
{
	return srtp_once(q, perc_srtp_unprotect);
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

int
op_srtcp_protect(struct req *q)
{
	struct bytes key, salt, p;
	struct perc_srtcp *s = NULL;
	uint32_t index;
	bool encrypt;
	int r;

	req_key(q, "master_key", &key, 16, 32);
	req_key(q, "master_salt", &salt, 12, 12);
	req_bytes(q, "packet", &p, 0, PACKET_MAX);
	index = (uint32_t)req_int(q, "index", 0, INT32_MAX);
	encrypt = req_bool_or(q, "encrypt", true);
	if (q->bad)
		return PERC_ERR_INVAL;
	if (p.n < 8)
		return PERC_ERR_SHORT;
	if ((r = perc_srtcp_new(&s, profile(key.n), key.p, salt.p, 0)) != 0 ||
	    (!encrypt && (r = perc_srtcp_clear_text(s)) != 0) ||
	    (r = perc_srtcp_index_set(s, be32(p.p + 4), index)) != 0 ||
	    (r = perc_srtcp_protect(s, p.p, &p.n)) != 0)
		goto out;
	ans_bytes(q, "packet", p.p, p.n);
out:
	perc_srtcp_free(s);
	return r;
}

int
op_srtcp_unprotect(struct req *q)
{
	struct bytes key, salt, p;
	struct perc_srtcp *s = NULL;
	uint32_t word = 0;
	int r;

	req_key(q, "master_key", &key, 16, 32);
	req_key(q, "master_salt", &salt, 12, 12);
	req_bytes(q, "packet", &p, 0, PACKET_MAX);
	if (q->bad)
		return PERC_ERR_INVAL;
	if (p.n >= 4)
		word = be32(p.p + p.n - 4);
	if ((r = perc_srtcp_new(&s, profile(key.n), key.p, salt.p, 1)) != 0 ||
	    (r = perc_srtcp_unprotect(s, p.p, &p.n)) != 0)
		goto out;
	ans_bytes(q, "packet", p.p, p.n);
	ans_int(q, "index", word & 0x7fffffffu);
	ans_json(q, "encrypted", json_boolean(word >> 31));
out:
	perc_srtcp_free(s);
	return r;
}

int
op_dtls_split(struct req *q)
{
	struct perc_dtls_split s;
	struct bytes material;
	int64_t id;
	int r;

	id = req_int(q, "profile", 0, 0xffff);
	req_bytes(q, "material", &material, 0, 1024);
	if (q->bad)
		return PERC_ERR_INVAL;
	if ((r = perc_dtls_split(&s, (unsigned)id, material.p, material.n)) !=
	    0)
		return r;
	ans_bytes(q, "client_key", s.client_key, s.keylen);
	ans_bytes(q, "server_key", s.server_key, s.keylen);
	ans_bytes(q, "client_salt", s.client_salt, s.saltlen);
	ans_bytes(q, "server_salt", s.server_salt, s.saltlen);
	return 0;
}
