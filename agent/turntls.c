/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8656 section 3.1 and RFC 8489 section 6.2.3: the name of the URI must
 * be the certificate's, by an anchor that is trusted here. libre's TLS
 * verifies nothing unless told, and reports no reason when it does, so the
 * reason is caught in OpenSSL's own callback.
 */
#include "agent/turntls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct turn_tls {
	struct tls *tls;
	struct tls_conn *conn;
	int why; /* X509_V_ */
};

static int
on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct turn_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!ok)
		t->why = X509_STORE_CTX_get_error(store);
	return ok;
}

static void
destroy(void *arg)
{
	struct turn_tls *t = arg;

	mem_deref(t->conn);
	mem_deref(t->tls);
}

static bool
context_fill(struct turn_tls *t, const char *ca_file)
{
	SSL_CTX *ctx;

	if (tls_alloc(&t->tls, TLS_METHOD_SSLV23, NULL, NULL) != 0)
		return false;
	ctx = tls_openssl_context(t->tls);
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		return false;
	return ca_file != NULL ? tls_add_ca(t->tls, ca_file) == 0
			       : SSL_CTX_set_default_verify_paths(ctx) == 1;
}

struct turn_tls *
turn_tls_start(struct tcp_conn *tcp, const char *host, const char *ca_file)
{
	struct turn_tls *t = mem_zalloc(sizeof(*t), destroy);
	struct sa literal;

	if (t == NULL)
		return NULL;
	t->why = X509_V_OK;
	if (!context_fill(t, ca_file) ||
	    tls_start_tcp(&t->conn, t->tls, tcp, 0) != 0 ||
	    tls_set_verify_server(t->conn, host) != 0)
		return mem_deref(t);
	/* RFC 6066 section 3: no literal addresses */
	if (sa_set_str(&literal, host, 0) != 0 &&
	    tls_set_servername(t->conn, host) != 0)
		return mem_deref(t);
	return t;
}

const char *
turn_tls_why(const struct turn_tls *t)
{
	return t != NULL && t->why != X509_V_OK
	    ? X509_verify_cert_error_string(t->why)
	    : NULL;
}
