/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EKTCiphertext is AES key wrap with padding (RFC 5649, not 3394) of
 *
 *	KeyLen(1) | SRTPMasterKey | SSRC(4) | ROC(4)
 *
 * and the field that carries it (RFC 8870 section 4.1) is
 *
 *	EKTCiphertext | SPI(2) | Epoch(2) | Length(2) | 0x02
 *
 * What stands behind the ciphertext is authenticated by nothing. The RFC's
 * size formula has a slip; a wrap gives whole blocks of 8 plus one.
 */
#include "perc/ekt.h"

#include <string.h>

#include "perc/keywrap.h"
#include "perc/secret.h"
#include "perc/tail.h"
#include "perc/wire.h"

#define PLAIN_FIXED   9 /* KeyLen, SSRC, ROC */
#define PLAIN_MAX     (PLAIN_FIXED + PERC_EKT_KEY_MAX)
#define CIPHER_MAX    PERC_KWP_LEN(PLAIN_MAX)
#define FIELD_TRAILER 7

struct perc_ekt_set {
	uint16_t spi;
	bool recvonly;
	size_t keylen, srtp_keylen;
	int64_t expires_ms;
	uint8_t key[PERC_EKT_KEY_MAX];
	uint8_t salt[PERC_EKT_SALT_LEN];
};

struct perc_ekt {
	unsigned n;
	struct perc_ekt_set set[PERC_EKT_SETS_MAX];
};

int
perc_ekt_new(struct perc_ekt **ep)
{
	struct perc_ekt *e = perc_secmem_alloc(sizeof(*e));

	*ep = e;
	if (e == NULL)
		return PERC_ERR_NOMEM;
	memset(e, 0, sizeof(*e));
	return 0;
}

void
perc_ekt_free(struct perc_ekt *e)
{
	if (e == NULL)
		return;
	perc_wipe(e, sizeof(*e));
	perc_secmem_free(e);
}

static const struct perc_ekt_set *
set_find(const struct perc_ekt *e, uint16_t spi)
{
	unsigned i;

	for (i = 0; i < e->n; i++)
		if (e->set[i].spi == spi)
			return &e->set[i];
	return NULL;
}

static void
set_remove(struct perc_ekt *e, unsigned i)
{
	e->n--;
	if (i != e->n)
		e->set[i] = e->set[e->n];
	perc_wipe(&e->set[e->n], sizeof(e->set[e->n]));
}

static int
set_make(struct perc_ekt_set *s, const struct perc_enckey *k)
{
	memset(s, 0, sizeof(*s));
	if (k->profile == PERC_DOUBLE_128)
		s->srtp_keylen = 16;
	else if (k->profile == PERC_DOUBLE_256)
		s->srtp_keylen = 32;
	else
		return PERC_ERR_INVAL;
	if (k->keylen != (k->cipher == PERC_AESKW128 ? 16 : 32) ||
	    (k->cipher != PERC_AESKW128 && k->cipher != PERC_AESKW256))
		return PERC_ERR_INVAL;
	/* RFC 8870 section 6: no weaker than what it carries */
	if (k->keylen < s->srtp_keylen)
		return PERC_ERR_UNSUPPORTED;
	s->spi = k->spi;
	s->recvonly = k->recvonly;
	s->keylen = k->keylen;
	memcpy(s->key, k->key, k->keylen);
	memcpy(s->salt, k->salt, sizeof(s->salt));
	return 0;
}

static bool
set_same(const struct perc_ekt_set *a, const struct perc_ekt_set *b)
{
	return a->keylen == b->keylen && a->srtp_keylen == b->srtp_keylen &&
	    a->recvonly == b->recvonly &&
	    perc_equal(a->key, b->key, sizeof(a->key)) &&
	    perc_equal(a->salt, b->salt, sizeof(a->salt));
}

int
perc_ekt_add(
    struct perc_ekt *e, const struct perc_enckey *k, int64_t expires_ms)
{
	const struct perc_ekt_set *old;
	struct perc_ekt_set s;
	int r;

	if ((r = set_make(&s, k)) != 0)
		goto out;
	s.expires_ms = expires_ms;
	if ((old = set_find(e, k->spi)) != NULL)
		r = set_same(old, &s) ? PERC_ERR_EXISTS : PERC_ERR_CONFLICT;
	else if (e->n == PERC_EKT_SETS_MAX)
		r = PERC_ERR_LIMIT;
	else
		e->set[e->n++] = s;
out:
	perc_wipe(&s, sizeof(s));
	return r;
}

unsigned
perc_ekt_drop(struct perc_ekt *e, uint16_t spi)
{
	unsigned i;

	for (i = 0; i < e->n; i++) {
		if (e->set[i].spi == spi) {
			set_remove(e, i);
			return 1;
		}
	}
	return 0;
}

unsigned
perc_ekt_expire(struct perc_ekt *e, int64_t now_ms)
{
	unsigned i = 0, gone = 0;

	while (i < e->n) {
		if (e->set[i].expires_ms > now_ms) {
			i++;
			continue;
		}
		set_remove(e, i);
		gone++;
	}
	return gone;
}

bool
perc_ekt_has(const struct perc_ekt *e, uint16_t spi)
{
	return set_find(e, spi) != NULL;
}

bool
perc_ekt_live(const struct perc_ekt *e, uint16_t spi, int64_t now_ms)
{
	const struct perc_ekt_set *s = set_find(e, spi);

	return s != NULL && now_ms < s->expires_ms;
}

unsigned
perc_ekt_count(const struct perc_ekt *e)
{
	return e->n;
}

size_t
perc_ekt_keylen(const struct perc_ekt *e, uint16_t spi)
{
	const struct perc_ekt_set *s = set_find(e, spi);

	return s == NULL ? 0 : s->srtp_keylen;
}

bool
perc_ekt_may_send(const struct perc_ekt *e, uint16_t spi)
{
	const struct perc_ekt_set *s = set_find(e, spi);

	return s != NULL && !s->recvonly;
}

int
perc_ekt_gcm(const struct perc_ekt *e, uint16_t spi, const uint8_t *srtp_key,
    size_t keylen, struct perc_gcm **gp)
{
	const struct perc_ekt_set *s = set_find(e, spi);

	*gp = NULL;
	if (s == NULL)
		return PERC_ERR_UNKNOWN_KEY;
	return perc_gcm_new(gp, srtp_key, keylen, s->salt);
}

int
perc_ekt_full(const struct perc_ekt *e, uint16_t spi, uint16_t epoch,
    const uint8_t *srtp_key, size_t keylen, uint32_t ssrc, uint32_t roc,
    uint8_t *out, size_t *outlen)
{
	const struct perc_ekt_set *s = set_find(e, spi);
	uint8_t plain[PLAIN_MAX];
	struct perc_wire w;
	size_t n;
	int r;

	if (s == NULL)
		return PERC_ERR_UNKNOWN_KEY;
	if (keylen != s->srtp_keylen)
		return PERC_ERR_INVAL;
	perc_wire_writer(&w, plain, sizeof(plain));
	perc_wire_put_u8(&w, (uint8_t)keylen);
	perc_wire_put_bytes(&w, srtp_key, keylen);
	perc_wire_put_u32(&w, ssrc);
	perc_wire_put_u32(&w, roc);
	n = PERC_KWP_LEN(w.pos);
	if ((r = perc_wire_end(&w)) != 0 ||
	    (r = perc_kwp_wrap(out, s->key, s->keylen, plain, w.pos)) != 0)
		goto out;
	perc_wire_writer(&w, out + n, FIELD_TRAILER);
	perc_wire_put_u16(&w, spi);
	perc_wire_put_u16(&w, epoch);
	perc_wire_put_u16(&w, (uint16_t)(n + FIELD_TRAILER));
	perc_wire_put_u8(&w, PERC_TAIL_FULL);
	if ((r = perc_wire_end(&w)) == 0)
		*outlen = n + FIELD_TRAILER;
out:
	perc_wipe(plain, sizeof(plain));
	return r;
}

static int
plain_get(struct perc_ekt_plain *p, const uint8_t *buf, size_t n)
{
	struct perc_wire w;
	const uint8_t *key;
	int r;

	perc_wire_reader(&w, buf, n);
	p->keylen = perc_wire_get_u8(&w);
	key = perc_wire_get_bytes(&w, p->keylen);
	p->ssrc = perc_wire_get_u32(&w);
	p->roc = perc_wire_get_u32(&w);
	if ((r = perc_wire_end(&w)) != 0)
		return PERC_ERR_FORMAT;
	if (p->keylen < 1 || p->keylen > sizeof(p->key))
		return PERC_ERR_FORMAT;
	memcpy(p->key, key, p->keylen);
	return 0;
}

int
perc_ekt_open(const struct perc_ekt *e, uint16_t spi, const uint8_t *ct,
    size_t n, struct perc_ekt_plain *p)
{
	const struct perc_ekt_set *s = set_find(e, spi);
	uint8_t buf[CIPHER_MAX];
	size_t len;
	int r;

	memset(p, 0, sizeof(*p));
	if (s == NULL)
		return PERC_ERR_UNKNOWN_KEY;
	/* more than our longest key would need cannot be for us */
	if (n < 16 || n > sizeof(buf) || n % 8 != 0)
		return PERC_ERR_FORMAT;
	if ((r = perc_kwp_unwrap(buf, &len, s->key, s->keylen, ct, n)) == 0)
		r = plain_get(p, buf, len);
	if (r != 0)
		perc_wipe(p, sizeof(*p));
	perc_wipe(buf, sizeof(buf));
	return r;
}

int
perc_ekt_unwrap(const struct perc_ekt *e, uint16_t spi, const uint8_t *ct,
    size_t n, uint32_t ssrc, uint8_t *key, size_t *keylen, uint32_t *roc)
{
	struct perc_ekt_plain p;
	int r;

	perc_wipe(key, PERC_EKT_KEY_MAX);
	if ((r = perc_ekt_open(e, spi, ct, n, &p)) != 0)
		return r;
	if (p.ssrc != ssrc || p.keylen != perc_ekt_keylen(e, spi)) {
		r = PERC_ERR_FORMAT;
		goto out;
	}
	memcpy(key, p.key, p.keylen);
	*keylen = p.keylen;
	*roc = p.roc;
out:
	perc_wipe(&p, sizeof(p));
	return r;
}

static struct perc_epoch *
epoch_find(const struct perc_epochs *s, uint16_t spi)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (s->e[i].spi == spi)
			return (struct perc_epoch *)&s->e[i];
	return NULL;
}

int32_t
perc_epochs_high(const struct perc_epochs *s, uint16_t spi)
{
	const struct perc_epoch *p = epoch_find(s, spi);

	return p == NULL ? -1 : p->high;
}

int
perc_epochs_check(const struct perc_epochs *s, uint16_t spi, uint16_t epoch)
{
	const struct perc_epoch *p = epoch_find(s, spi);

	if (p == NULL)
		return s->n == PERC_EKT_SETS_MAX ? PERC_ERR_LIMIT : 0;
	return epoch > p->high ? 0 : PERC_ERR_REPLAY;
}

void
perc_epochs_commit(struct perc_epochs *s, uint16_t spi, uint16_t epoch)
{
	struct perc_epoch *p = epoch_find(s, spi);

	if (p == NULL) {
		if (s->n == PERC_EKT_SETS_MAX)
			return;
		s->e[s->n++] = (struct perc_epoch){ spi, epoch, -1 };
		return;
	}
	p->before = p->high;
	p->high = epoch;
}

void
perc_epochs_lower(struct perc_epochs *s, uint16_t spi, uint16_t epoch)
{
	struct perc_epoch *p = epoch_find(s, spi);

	if (p != NULL && epoch < p->high && (int32_t)epoch > p->before)
		p->high = epoch;
}

void
perc_epochs_purge(struct perc_epochs *s, const struct perc_ekt *e)
{
	unsigned i = 0;

	while (i < s->n) {
		if (perc_ekt_has(e, s->e[i].spi))
			i++;
		else
			s->e[i] = s->e[--s->n];
	}
}
