/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's DTLS 1.2 without a socket: a BIO of our own hands one datagram in
 * and any number out. What surprised us in 3.0: set_tlsext_use_srtp returns 0
 * for success; a peer without a common SRTP profile is no error for OpenSSL,
 * so we look ourselves; DTLSv1_listen cannot take a fragmented ClientHello
 * (today's browsers send one), so it is not used: the STUN check before has
 * proven the address. Nobody is trusted by a chain: the certificate's SHA-256
 * is compared with the pin.
 */
#include "perc/dtls.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "perc/dtls_id.h"
#include "perc/secret.h"

#define DTLS_UDP_OVERHEAD 28
#define DTLS_FIRST_US	  100000u /* first retransmission */
#define DTLS_CAP_US	  2000000u
#define DTLS_LABEL	  "EXTRACTOR-dtls_srtp"
#define DTLS_SPLIT_MAX	  (2 * (64 + 24))

/* ---- the BIO ---------------------------------------------------------- */

static int
bio_write(BIO *b, const char *p, int n)
{
	struct perc_dtls *d = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (n > 0)
		d->send((const uint8_t *)p, (size_t)n, d->arg);
	return n;
}

static int
bio_read(BIO *b, char *p, int n)
{
	struct perc_dtls *d = BIO_get_data(b);
	size_t len = d->inlen;

	BIO_clear_retry_flags(b);
	if (d->in == NULL || n <= 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	if (len > (size_t)n)
		len = (size_t)n; /* like recv: the rest of it is lost */
	memcpy(p, d->in, len);
	d->in = NULL;
	return (int)len;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
		return DTLS_UDP_OVERHEAD;
	case BIO_CTRL_DGRAM_QUERY_MTU:
	case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
		return PERC_DTLS_DATAGRAM;
	}
	return 0;
}

BIO_METHOD *
perc_dtls_bio_new(void)
{
	BIO_METHOD *m = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "perc-datagram");

	if (m != NULL &&
	    (BIO_meth_set_write(m, bio_write) != 1 ||
		BIO_meth_set_read(m, bio_read) != 1 ||
		BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
		BIO_meth_free(m);
		m = NULL;
	}
	return m;
}

/* ---- one association -------------------------------------------------- */

static unsigned
timer_us(SSL *ssl, unsigned us)
{
	if (us == 0)
		return DTLS_FIRST_US;
	return us * 2 > DTLS_CAP_US ? DTLS_CAP_US : us * 2;
}

static const char *
profile_name(enum perc_srtp_profile p)
{
	switch (p) {
	case PERC_AEAD_AES_128_GCM:
		return "SRTP_AEAD_AES_128_GCM";
	case PERC_AEAD_AES_256_GCM:
		return "SRTP_AEAD_AES_256_GCM";
	}
	return NULL;
}

static int
profiles_set(SSL *ssl, const enum perc_srtp_profile *p, unsigned n)
{
	static const enum perc_srtp_profile both[] = { PERC_AEAD_AES_256_GCM,
		PERC_AEAD_AES_128_GCM };
	char text[96] = "";
	const char *name;
	unsigned i;

	if (p == NULL) {
		p = both;
		n = 2;
	}
	if (n == 0 || n > 2)
		return PERC_ERR_INVAL;
	for (i = 0; i < n; i++) {
		if ((name = profile_name(p[i])) == NULL)
			return PERC_ERR_INVAL;
		if (i > 0)
			strcat(text, ":");
		strcat(text, name);
	}
	/* 0 is success here */
	return SSL_set_tlsext_use_srtp(ssl, text) == 0 ? 0 : PERC_ERR_CRYPTO;
}

int
perc_dtls_new(struct perc_dtls **dp, const struct perc_dtls_id *id, bool server,
    const uint8_t pin[static PERC_FINGERPRINT_LEN],
    const enum perc_srtp_profile *profiles, unsigned nprofiles,
    perc_dtls_send_fn send, void *arg)
{
	struct perc_dtls *d;
	BIO *bio = NULL;
	int r = PERC_ERR_NOMEM;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		goto out;
	d->server = server;
	d->send = send;
	d->arg = arg;
	memcpy(d->pin, pin, sizeof(d->pin));
	if ((d->ssl = SSL_new(id->ctx)) == NULL ||
	    (bio = BIO_new(id->bio)) == NULL)
		goto out;
	BIO_set_data(bio, d);
	BIO_set_init(bio, 1);
	SSL_set_bio(d->ssl, bio, bio);
	SSL_set_app_data(d->ssl, d);
	if ((r = profiles_set(d->ssl, profiles, nprofiles)) != 0)
		goto out;
	r = PERC_ERR_CRYPTO;
	if (DTLS_set_link_mtu(d->ssl, PERC_DTLS_DATAGRAM + DTLS_UDP_OVERHEAD) !=
	    1)
		goto out;
	DTLS_set_timer_cb(d->ssl, timer_us);
	if (server)
		SSL_set_accept_state(d->ssl);
	else
		SSL_set_connect_state(d->ssl);
	*dp = d;
	d = NULL;
	r = 0;
out:
	perc_dtls_free(d);
	return r;
}

void
perc_dtls_free(struct perc_dtls *d)
{
	if (d == NULL)
		return;
	SSL_free(d->ssl); /* and its BIO */
	free(d);
}

static int
dtls_fail(struct perc_dtls *d, int r)
{
	d->state = PERC_DTLS_FAILED;
	ERR_clear_error();
	return r;
}

/* RFC 5764 section 4.1.1 would go on without SRTP; we never do. */
static int
dtls_up(struct perc_dtls *d)
{
	SRTP_PROTECTION_PROFILE *p = SSL_get_selected_srtp_profile(d->ssl);

	if (p == NULL ||
	    (p->id != PERC_AEAD_AES_128_GCM &&
		p->id != PERC_AEAD_AES_256_GCM)) {
		(void)SSL_shutdown(d->ssl);
		d->refusal = PERC_DTLS_NO_PROFILE;
		return dtls_fail(d, PERC_ERR_AUTH);
	}
	d->state = PERC_DTLS_UP;
	return 0;
}

static int
dtls_result(struct perc_dtls *d, int ret)
{
	int e = SSL_get_error(d->ssl, ret);

	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
		ERR_clear_error();
		return 0;
	}
	if (e == SSL_ERROR_ZERO_RETURN) {
		d->state = PERC_DTLS_CLOSED;
		return 0;
	}
	return dtls_fail(d,
	    d->refusal != PERC_DTLS_NOT_REFUSED ? PERC_ERR_AUTH
						: PERC_ERR_CRYPTO);
}

/* Go as far as the datagram at hand allows. */
static int
dtls_step(struct perc_dtls *d)
{
	uint8_t scratch[256];
	int r;

	ERR_clear_error();
	if (d->state == PERC_DTLS_HANDSHAKE) {
		if ((r = SSL_do_handshake(d->ssl)) != 1)
			return dtls_result(d, r);
		return dtls_up(d);
	}
	/* A repeated last flight is answered in here; application data is
	 * nobody's media (RFC 5764 section 4.1) and is thrown away. */
	do
		r = SSL_read(d->ssl, scratch, sizeof(scratch));
	while (r > 0);
	perc_wipe(scratch, sizeof(scratch));
	return dtls_result(d, r);
}

static bool
dtls_over(const struct perc_dtls *d)
{
	return d->state == PERC_DTLS_CLOSED || d->state == PERC_DTLS_FAILED;
}

int
perc_dtls_start(struct perc_dtls *d)
{
	if (d->server || d->state != PERC_DTLS_HANDSHAKE)
		return PERC_ERR_STATE;
	return dtls_step(d);
}

int
perc_dtls_input(struct perc_dtls *d, const uint8_t *p, size_t n)
{
	int r;

	if (dtls_over(d))
		return PERC_ERR_STATE;
	if (n == 0 || n > PERC_MTU_MAX)
		return PERC_ERR_FORMAT;
	d->in = p;
	d->inlen = n;
	r = dtls_step(d);
	d->in = NULL;
	return r;
}

int
perc_dtls_next_ms(struct perc_dtls *d)
{
	struct timeval tv;

	if (dtls_over(d) || DTLSv1_get_timeout(d->ssl, &tv) != 1)
		return -1;
	return (int)(tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000);
}

int
perc_dtls_timeout(struct perc_dtls *d)
{
	if (dtls_over(d))
		return PERC_ERR_STATE;
	ERR_clear_error();
	if (DTLSv1_handle_timeout(d->ssl) < 0)
		return dtls_fail(d, PERC_ERR_TIMEOUT);
	return 0;
}

enum perc_dtls_state
perc_dtls_state(const struct perc_dtls *d)
{
	return d->state;
}

enum perc_dtls_refusal
perc_dtls_refusal(const struct perc_dtls *d)
{
	return d->refusal;
}

void
perc_dtls_close(struct perc_dtls *d)
{
	if (d->state != PERC_DTLS_UP)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(d->ssl);
	d->state = PERC_DTLS_CLOSED;
}

/* ---- keys ------------------------------------------------------------- */

int
perc_dtls_keys(struct perc_dtls *d, struct perc_dtls_keys *k)
{
	struct perc_dtls_split s;
	uint8_t m[DTLS_SPLIT_MAX];
	size_t n;
	int r;

	if (d->state != PERC_DTLS_UP)
		return PERC_ERR_STATE;
	k->profile =
	    (enum perc_srtp_profile)SSL_get_selected_srtp_profile(d->ssl)->id;
	n = k->profile == PERC_AEAD_AES_128_GCM ? 56 : 88;
	/* Without a context, which is not the same as an empty one. */
	if (SSL_export_keying_material(d->ssl, m, n, DTLS_LABEL,
		sizeof(DTLS_LABEL) - 1, NULL, 0, 0) != 1) {
		r = PERC_ERR_CRYPTO;
		goto out;
	}
	if ((r = perc_dtls_split(&s, k->profile, m, n)) != 0)
		goto out;
	k->keylen = s.keylen;
	memcpy(k->tx_key, d->server ? s.server_key : s.client_key, s.keylen);
	memcpy(k->rx_key, d->server ? s.client_key : s.server_key, s.keylen);
	memcpy(k->tx_salt, d->server ? s.server_salt : s.client_salt,
	    PERC_SRTP_SALT_LEN);
	memcpy(k->rx_salt, d->server ? s.client_salt : s.server_salt,
	    PERC_SRTP_SALT_LEN);
out:
	perc_wipe(m, sizeof(m));
	perc_wipe(&s, sizeof(s));
	return r;
}
