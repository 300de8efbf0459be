/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the owner of a running server asks it and tells it. A server that
 * retires takes no connection any more and ends each one it has with the next
 * answer, but streams go on as long as their readers do: an heir listens
 * meanwhile on the same socket.
 */
#include "config.h"

#include <unistd.h>

#include "perc/httpd_int.h"

void
perc_httpd_retire(struct perc_httpd *h)
{
	MHD_socket fd;

	if (h->draining || h->retired)
		return;
	h->retired = true;
	if ((fd = MHD_quiesce_daemon(h->mhd)) != MHD_INVALID_SOCKET)
		close(fd);
}

int64_t
perc_httpd_cert_until(const struct perc_httpd *h)
{
	gnutls_x509_crt_t crt = NULL;
	int64_t until = 0;

	if (gnutls_x509_crt_init(&crt) < 0)
		return 0;
	if (gnutls_x509_crt_import(
		crt, &h->pair->chain[0].cert, GNUTLS_X509_FMT_DER) >= 0)
		until = (int64_t)gnutls_x509_crt_get_expiration_time(crt);
	gnutls_x509_crt_deinit(crt);
	return until;
}
