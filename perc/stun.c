/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STUN for an ICE-lite distributor and its clients. MESSAGE-INTEGRITY and
 * FINGERPRINT each cover the header with a length field that pretends that
 * they stand last, so both are computed over a patched copy. Whatever stands
 * behind MESSAGE-INTEGRITY is not protected and is therefore not looked at,
 * FINGERPRINT and MESSAGE-INTEGRITY-SHA256 excepted (RFC 8489 section 14.5).
 * HMAC-SHA1 is what ICE prescribes; where the SHA256 form stands, it decides
 * (section 9.1.3), and the answer has the form that the request had.
 */
#include "perc/stun.h"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/secret.h"
#include "perc/wire.h"

#define STUN_HEADER	 20
#define STUN_COOKIE	 0x2112a442u
#define STUN_CRC_XOR	 0x5354554eu
#define STUN_MI_LEN	 20
#define STUN_MI256_LEN	 32
#define STUN_MI256_MIN	 16 /* may be cut, section 14.6 */
#define STUN_ATTR	 4  /* octets of an attribute's head */
#define STUN_UNKNOWN_MAX 8

enum stun_attr {
	STUN_USERNAME = 0x0006,
	STUN_INTEGRITY = 0x0008,
	STUN_ERROR_CODE = 0x0009,
	STUN_UNKNOWN = 0x000a,
	STUN_INTEGRITY256 = 0x001c,
	STUN_XOR_MAPPED = 0x0020,
	STUN_PRIORITY = 0x0024,
	STUN_USE_CANDIDATE = 0x0025,
	STUN_FINGERPRINT = 0x8028,
	STUN_CONTROLLED = 0x8029,
	STUN_CONTROLLING = 0x802a,
};

/* CRC-32 of ITU V.42, four bits at a time: a table that fits one cache line. */
static uint32_t
stun_crc32(const uint8_t *p, size_t n)
{
	static const uint32_t t[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8,
		0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0,
		0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t c = 0xffffffff;

	while (n-- > 0) {
		c ^= *p++;
		c = t[c & 15] ^ (c >> 4);
		c = t[c & 15] ^ (c >> 4);
	}
	return ~c;
}

/* HMAC of p[0..n) whose length field is replaced by `len`. */
static int
stun_hmac(uint8_t out[static STUN_MI256_LEN], const EVP_MD *md,
    const uint8_t *p, size_t n, size_t len, const char *pwd)
{
	uint8_t copy[PERC_STUN_MAX];
	unsigned got = STUN_MI256_LEN;

	if (n < STUN_HEADER || n > sizeof(copy))
		return PERC_ERR_SHORT;
	memcpy(copy, p, n);
	copy[2] = (uint8_t)(len >> 8);
	copy[3] = (uint8_t)len;
	if (HMAC(md, pwd, (int)strlen(pwd), copy, n, out, &got) == NULL)
		return PERC_ERR_CRYPTO;
	return 0;
}

/* ---- reading ---------------------------------------------------------- */

static int
attr_mapped(struct perc_stun *m, const uint8_t *v, size_t n)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&m->mapped;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&m->mapped;
	uint8_t a[16];
	size_t i, want = n > 1 && v[1] == 2 ? 16 : 4;

	if (n != 4 + want || (v[1] != 1 && v[1] != 2))
		return PERC_ERR_FORMAT;
	/* The mask is cookie and transaction id, octets 4..19 of the head. */
	for (i = 0; i < want; i++)
		a[i] = v[4 + i] ^ m->msg[4 + i];
	if (want == 4) {
		in->sin_family = AF_INET;
		in->sin_port =
		    htons((uint16_t)((v[2] << 8 | v[3]) ^ (STUN_COOKIE >> 16)));
		memcpy(&in->sin_addr, a, 4);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port =
		    htons((uint16_t)((v[2] << 8 | v[3]) ^ (STUN_COOKIE >> 16)));
		memcpy(&in6->sin6_addr, a, 16);
	}
	return 0;
}

static int
attr_number(uint64_t *out, const uint8_t *v, size_t n, size_t want)
{
	if (n != want)
		return PERC_ERR_FORMAT;
	for (*out = 0; n > 0; n--)
		*out = *out << 8 | *v++;
	return 0;
}

static int
attr_error(struct perc_stun *m, const uint8_t *v, size_t n)
{
	if (n < 4 || v[3] > 99)
		return PERC_ERR_FORMAT;
	m->error_code = (uint16_t)((v[2] & 7) * 100 + v[3]);
	return 0;
}

static int
integrity256_take(struct perc_stun *m, size_t n, size_t at)
{
	if (n < STUN_MI256_MIN || n > STUN_MI256_LEN || n % 4 != 0)
		return PERC_ERR_FORMAT;
	m->has_integrity = true;
	m->integrity256_at = at;
	m->integrity256_len = n;
	return 0;
}

/* at: offset of the attribute's head. Only the first of a kind counts. */
static int
attr_take(
    struct perc_stun *m, uint16_t type, const uint8_t *v, size_t n, size_t at)
{
	uint64_t u = 0;
	int r = 0;

	switch (type) {
	case STUN_USERNAME: /* RFC 8489 section 14.3: fewer than 509 */
		if (n == 0 || n > 508)
			return PERC_ERR_FORMAT;
		if (m->username == NULL) {
			m->username = (const char *)v;
			m->username_len = n;
		}
		return 0;
	case STUN_INTEGRITY:
		if (n != STUN_MI_LEN)
			return PERC_ERR_FORMAT;
		m->has_integrity = true;
		m->integrity_at = at;
		return 0;
	case STUN_ERROR_CODE:
		return attr_error(m, v, n);
	case STUN_UNKNOWN:
		return 0;
	case STUN_XOR_MAPPED:
		return attr_mapped(m, v, n);
	case STUN_PRIORITY:
		r = attr_number(&u, v, n, 4);
		m->priority = (uint32_t)u;
		return r;
	case STUN_USE_CANDIDATE:
		m->use_candidate = true;
		return n == 0 ? 0 : PERC_ERR_FORMAT;
	case STUN_CONTROLLED:
		m->controlled = true;
		return attr_number(&m->tie_breaker, v, n, 8);
	case STUN_CONTROLLING:
		m->controlling = true;
		return attr_number(&m->tie_breaker, v, n, 8);
	}
	if (type == STUN_INTEGRITY256)
		return integrity256_take(m, n, at);
	if (type < 0x8000 && m->unknown_n < STUN_UNKNOWN_MAX)
		m->unknown[m->unknown_n++] = type;
	return 0;
}

/* RFC 8489 section 14.7: last of all, over everything before it. */
static int
fingerprint_check(struct perc_stun *m, const uint8_t *v, size_t n, size_t at)
{
	uint64_t got;

	if (at + STUN_ATTR + 4 != m->len || attr_number(&got, v, n, 4) != 0 ||
	    got != (stun_crc32(m->msg, at) ^ STUN_CRC_XOR))
		return PERC_ERR_FORMAT;
	m->has_fingerprint = true;
	return 0;
}

int
perc_stun_parse(struct perc_stun *m, const uint8_t *p, size_t n)
{
	struct perc_wire w;
	const uint8_t *v, *txid;
	uint16_t type, len;
	size_t at;
	int r;

	memset(m, 0, sizeof(*m));
	if (n < STUN_HEADER || n > PERC_STUN_MAX || n % 4 != 0)
		return PERC_ERR_FORMAT;
	perc_wire_reader(&w, p, n);
	m->msg = p;
	m->len = n;
	m->type = perc_wire_get_u16(&w);
	len = perc_wire_get_u16(&w);
	if ((m->type & 0xc000) != 0 || len != n - STUN_HEADER ||
	    perc_wire_get_u32(&w) != STUN_COOKIE)
		return PERC_ERR_FORMAT;
	if ((txid = perc_wire_get_bytes(&w, sizeof(m->txid))) == NULL)
		return PERC_ERR_FORMAT;
	memcpy(m->txid, txid, sizeof(m->txid));
	while (perc_wire_left(&w) > 0) {
		at = n - perc_wire_left(&w);
		type = perc_wire_get_u16(&w);
		len = perc_wire_get_u16(&w);
		v = perc_wire_get_bytes(&w, len);
		if (v == NULL || perc_wire_get_bytes(&w, -len & 3) == NULL)
			return PERC_ERR_FORMAT;
		if (type == STUN_FINGERPRINT)
			r = fingerprint_check(m, v, len, at);
		else if (m->has_integrity &&
		    (type != STUN_INTEGRITY256 || m->integrity256_len > 0))
			r = 0; /* unprotected: not looked at */
		else
			r = attr_take(m, type, v, len, at);
		if (r != 0)
			return r;
	}
	return perc_wire_end(&w) != 0 ? PERC_ERR_FORMAT : 0;
}

int
perc_stun_verify(const struct perc_stun *m, const char *pwd)
{
	bool wide = m->integrity256_len > 0;
	size_t at = wide ? m->integrity256_at : m->integrity_at;
	size_t n = wide ? m->integrity256_len : STUN_MI_LEN;
	uint8_t mac[STUN_MI256_LEN];
	int r;

	if (!m->has_integrity)
		return PERC_ERR_AUTH;
	r = stun_hmac(mac, wide ? EVP_sha256() : EVP_sha1(), m->msg, at,
	    at - STUN_HEADER + STUN_ATTR + n, pwd);
	if (r == 0 && !perc_equal(mac, m->msg + at + STUN_ATTR, n))
		r = PERC_ERR_AUTH;
	perc_wipe(mac, sizeof(mac));
	return r;
}

/* ---- writing ---------------------------------------------------------- */

static void
stun_begin(
    struct perc_wire *w, uint8_t *out, uint16_t type, const uint8_t *txid)
{
	perc_wire_writer(w, out, PERC_STUN_MAX);
	perc_wire_put_u16(w, type);
	perc_wire_put_u16(w, 0); /* stun_finish writes it */
	perc_wire_put_u32(w, STUN_COOKIE);
	perc_wire_put_bytes(w, txid, 12);
}

static void
stun_attr(struct perc_wire *w, uint16_t type, const void *v, size_t n)
{
	static const uint8_t zero[4];

	perc_wire_put_u16(w, type);
	perc_wire_put_u16(w, (uint16_t)n);
	perc_wire_put_bytes(w, v, n);
	perc_wire_put_bytes(w, zero, -n & 3);
}

static void
stun_length(uint8_t *out, size_t n)
{
	out[2] = (uint8_t)((n - STUN_HEADER) >> 8);
	out[3] = (uint8_t)(n - STUN_HEADER);
}

/* Integrity (unless pwd is NULL), fingerprint, length. */
static int
stun_finish(
    struct perc_wire *w, uint8_t *out, size_t *n, const char *pwd, bool wide)
{
	uint8_t mac[STUN_MI256_LEN];
	size_t maclen = wide ? STUN_MI256_LEN : STUN_MI_LEN;
	int r;

	if (w->err != 0)
		return w->err;
	if (pwd != NULL) {
		r = stun_hmac(mac, wide ? EVP_sha256() : EVP_sha1(), out,
		    w->pos, w->pos - STUN_HEADER + STUN_ATTR + maclen, pwd);
		if (r != 0)
			return r;
		stun_attr(
		    w, wide ? STUN_INTEGRITY256 : STUN_INTEGRITY, mac, maclen);
	}
	stun_length(out, w->pos + STUN_ATTR + 4);
	perc_wire_put_u16(w, STUN_FINGERPRINT);
	perc_wire_put_u16(w, 4);
	perc_wire_put_u32(
	    w, stun_crc32(out, w->pos - STUN_ATTR) ^ STUN_CRC_XOR);
	*n = w->pos;
	return perc_wire_end(w);
}

/* What both roles' checks have in common (RFC 8445 section 7.1). */
static void
check_begin(struct perc_wire *w, uint8_t *out, const uint8_t txid[static 12],
    const char *username, uint32_t priority, uint16_t role,
    uint64_t tie_breaker)
{
	stun_begin(w, out, 0x0001, txid);
	stun_attr(w, STUN_USERNAME, username, strlen(username));
	perc_wire_put_u16(w, STUN_PRIORITY);
	perc_wire_put_u16(w, 4);
	perc_wire_put_u32(w, priority);
	perc_wire_put_u16(w, role);
	perc_wire_put_u16(w, 8);
	perc_wire_put_u64(w, tie_breaker);
}

int
perc_stun_request(uint8_t *out, size_t *n, const uint8_t txid[static 12],
    const char *username, const char *pwd, uint32_t priority,
    bool use_candidate, uint64_t tie_breaker)
{
	struct perc_wire w;

	check_begin(
	    &w, out, txid, username, priority, STUN_CONTROLLING, tie_breaker);
	if (use_candidate)
		stun_attr(&w, STUN_USE_CANDIDATE, "", 0);
	return stun_finish(&w, out, n, pwd, false);
}

int
perc_stun_check(uint8_t *out, size_t *n, const uint8_t txid[static 12],
    const char *username, const char *pwd, uint32_t priority,
    uint64_t tie_breaker)
{
	struct perc_wire w;

	check_begin(
	    &w, out, txid, username, priority, STUN_CONTROLLED, tie_breaker);
	return stun_finish(&w, out, n, pwd, false);
}

/* RFC 8489 section 14.2. */
static int
put_mapped(
    struct perc_wire *w, const uint8_t *head, const struct sockaddr *from)
{
	const struct sockaddr_in *in = (const void *)from;
	const struct sockaddr_in6 *in6 = (const void *)from;
	bool v6 = from->sa_family == AF_INET6;
	uint8_t v[20];
	size_t i, n = v6 ? 16 : 4;
	uint16_t port;

	if (!v6 && from->sa_family != AF_INET)
		return PERC_ERR_INVAL;
	port = ntohs(v6 ? in6->sin6_port : in->sin_port) ^
	    (uint16_t)(STUN_COOKIE >> 16);
	v[0] = 0;
	v[1] = v6 ? 2 : 1;
	v[2] = (uint8_t)(port >> 8);
	v[3] = (uint8_t)port;
	if (v6)
		memcpy(v + 4, &in6->sin6_addr, n);
	else
		memcpy(v + 4, &in->sin_addr, n);
	for (i = 0; i < n; i++)
		v[4 + i] ^= head[4 + i];
	stun_attr(w, STUN_XOR_MAPPED, v, 4 + n);
	return 0;
}

int
perc_stun_success(uint8_t *out, size_t *n, const struct perc_stun *request,
    const char *pwd, const struct sockaddr *from)
{
	struct perc_wire w;
	int r;

	stun_begin(&w, out, 0x0101, request->txid);
	if ((r = put_mapped(&w, out, from)) != 0)
		return r;
	return stun_finish(&w, out, n, pwd, request->integrity256_len > 0);
}

int
perc_stun_error(uint8_t *out, size_t *n, const struct perc_stun *request,
    const char *pwd, unsigned code)
{
	uint8_t v[4] = { 0, 0, (uint8_t)(code / 100), (uint8_t)(code % 100) };
	uint8_t list[2 * STUN_UNKNOWN_MAX];
	struct perc_wire w;
	unsigned i;

	if (code < 300 || code > 699)
		return PERC_ERR_INVAL;
	stun_begin(&w, out, 0x0111, request->txid);
	stun_attr(&w, STUN_ERROR_CODE, v, sizeof(v));
	for (i = 0; i < request->unknown_n; i++) {
		list[2 * i] = (uint8_t)(request->unknown[i] >> 8);
		list[2 * i + 1] = (uint8_t)request->unknown[i];
	}
	if (code == 420) /* RFC 8489 section 6.3.1 */
		stun_attr(&w, STUN_UNKNOWN, list, 2 * request->unknown_n);
	return stun_finish(&w, out, n, pwd, request->integrity256_len > 0);
}

/* RFC 8839 section 5.4: ALPHA / DIGIT / "+" / "/", six random bits each. */
static void
ice_text(char *out, size_t n)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				  "pqrstuvwxyz0123456789+/";
	size_t i;

	perc_random(out, n);
	for (i = 0; i < n; i++)
		out[i] = set[out[i] & 63];
	out[n] = '\0';
}

void
perc_ice_credentials(
    char ufrag[static PERC_ICE_UFRAG + 1], char pwd[static PERC_ICE_PWD + 1])
{
	ice_text(ufrag, PERC_ICE_UFRAG);
	ice_text(pwd, PERC_ICE_PWD);
}
