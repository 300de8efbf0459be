/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may be the peer: OpenSSL asks here before it goes on. A client without a
 * profile of ours is told so by an alert at its first flight; OpenSSL alone
 * would complete the handshake without SRTP (RFC 5764 section 4.1.1), and the
 * client would never learn why there is no media.
 */
#include "perc/dtls_id.h"

#include "perc/secret.h"
#include "perc/wire.h"

/* Called by OpenSSL instead of chain building (RFC 5763 section 5). */
int
perc_dtls_pin_check(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct perc_dtls *d = ssl == NULL ? NULL : SSL_get_app_data(ssl);
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	uint8_t fp[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (d == NULL)
		return 0;
	if (cert != NULL && X509_digest(cert, EVP_sha256(), fp, &n) == 1 &&
	    n == PERC_FINGERPRINT_LEN && perc_equal(fp, d->pin, n))
		return 1;
	d->refusal = PERC_DTLS_WRONG_PIN;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	return 0;
}

/* Is one of ours in the extension (RFC 5764 section 4.1.1)? */
static bool
profile_common(SSL *ssl, const unsigned char *p, size_t n)
{
	STACK_OF(SRTP_PROTECTION_PROFILE) *ours = SSL_get_srtp_profiles(ssl);
	struct perc_wire w;
	unsigned left, id;
	int i;

	perc_wire_reader(&w, p, n);
	for (left = perc_wire_get_u16(&w) / 2; left > 0 && w.err == 0; left--) {
		id = perc_wire_get_u16(&w);
		for (i = 0; i < sk_SRTP_PROTECTION_PROFILE_num(ours); i++)
			if (w.err == 0 &&
			    sk_SRTP_PROTECTION_PROFILE_value(ours, i)->id == id)
				return true;
	}
	return false;
}

int
perc_dtls_hello_check(SSL *ssl, int *alert, void *arg)
{
	struct perc_dtls *d = SSL_get_app_data(ssl);
	const unsigned char *p;
	size_t n;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_use_srtp, &p, &n) == 1 &&
	    profile_common(ssl, p, n))
		return SSL_CLIENT_HELLO_SUCCESS;
	if (d != NULL)
		d->refusal = PERC_DTLS_NO_PROFILE;
	*alert = SSL_AD_HANDSHAKE_FAILURE;
	return SSL_CLIENT_HELLO_ERROR;
}
