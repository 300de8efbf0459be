/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of the HTTPS server. microhttpd asks a callback for the pair
 * of each new connection, so a reload is a change of one pointer; GnuTLS goes
 * on using the old pair until the handshakes under way are done, therefore
 * it lives another minute. A client certificate is requested, and looked at
 * in perc/httpd_cert.c when somebody needs to know.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/httpd_int.h"
#include "perc/secret.h"

#define CERT_MAX  (256u << 10) /* octets of one PEM file */
#define RETIRE_MS 60000

static void
pair_free(struct httpd_pair *p)
{
	unsigned i;

	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++)
		gnutls_pcert_deinit(&p->chain[i]);
	if (p->key != NULL)
		gnutls_privkey_deinit(p->key);
	free(p);
}

static int
file_load(gnutls_datum_t *d, const char *path)
{
	FILE *f = fopen(path, "re");
	int r = PERC_ERR_SYS;

	d->data = NULL;
	d->size = 0;
	if (f == NULL)
		return PERC_ERR_SYS;
	if ((d->data = malloc(CERT_MAX)) == NULL) {
		r = PERC_ERR_NOMEM;
		goto out;
	}
	d->size = (unsigned)fread(d->data, 1, CERT_MAX, f);
	if (ferror(f) || d->size == CERT_MAX) {
		r = PERC_ERR_LIMIT;
		goto out;
	}
	r = 0;
out:
	fclose(f);
	return r;
}

static void
file_clear(gnutls_datum_t *d)
{
	perc_wipe(d->data, d->size);
	free(d->data);
	d->data = NULL;
}

/* The key must be that of the first certificate, or every handshake fails
 * much later and far from here. */
static bool
pair_fits(struct httpd_pair *p)
{
	unsigned char a[64], b[64];
	size_t an = sizeof(a), bn = sizeof(b);
	gnutls_pubkey_t pub = NULL;
	bool fits = false;

	if (gnutls_pubkey_init(&pub) < 0)
		return false;
	if (gnutls_pubkey_import_privkey(pub, p->key, 0, 0) >= 0 &&
	    gnutls_pubkey_get_key_id(pub, GNUTLS_KEYID_USE_SHA256, a, &an) >=
		0 &&
	    gnutls_pubkey_get_key_id(
		p->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &bn) >= 0)
		fits = an == bn && memcmp(a, b, an) == 0;
	gnutls_pubkey_deinit(pub);
	return fits;
}

int
httpd_tls_load(struct httpd_pair **pp, const char *cert_file,
    const char *key_file, char *why, size_t whycap)
{
	struct httpd_pair *p = calloc(1, sizeof(*p));
	gnutls_datum_t cert = { NULL, 0 }, key = { NULL, 0 };
	const char *bad = cert_file;
	int r = PERC_ERR_NOMEM, g;

	*pp = NULL;
	if (p == NULL)
		goto out;
	if ((r = file_load(&cert, cert_file)) != 0) {
		snprintf(why, whycap, "%s: cannot read the certificate: %m",
		    cert_file);
		goto out;
	}
	if ((r = file_load(&key, key_file)) != 0) {
		snprintf(
		    why, whycap, "%s: cannot read the TLS key: %m", key_file);
		goto out;
	}
	r = PERC_ERR_FORMAT;
	p->n = HTTPD_CHAIN_MAX;
	g = gnutls_pcert_list_import_x509_raw(
	    p->chain, &p->n, &cert, GNUTLS_X509_FMT_PEM, 0);
	if (g < 0) {
		p->n = 0;
		goto bad;
	}
	bad = key_file;
	if ((g = gnutls_privkey_init(&p->key)) < 0 ||
	    (g = gnutls_privkey_import_x509_raw(
		 p->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0)) < 0)
		goto bad;
	if (!pair_fits(p)) {
		snprintf(why, whycap, "%s: not the key of the certificate %s",
		    key_file, cert_file);
		goto out;
	}
	*pp = p;
	p = NULL;
	r = 0;
	goto out;
bad:
	snprintf(why, whycap, "%s: %s", bad, gnutls_strerror(g));
out:
	file_clear(&cert);
	file_clear(&key);
	pair_free(p);
	return r;
}

int
perc_httpd_check_cert(
    const char *cert_file, const char *key_file, char *why, size_t whycap)
{
	struct httpd_pair *p = NULL;
	int r = httpd_tls_load(&p, cert_file, key_file, why, whycap);

	pair_free(p);
	return r;
}

int
httpd_tls_init(struct perc_httpd *h)
{
	if (gnutls_session_ticket_key_generate(&h->ticket_key) < 0)
		return PERC_ERR_CRYPTO;
	return 0;
}

void
httpd_tls_clear(struct perc_httpd *h)
{
	struct httpd_pair *p;

	while ((p = h->pair) != NULL) {
		h->pair = p->next;
		pair_free(p);
	}
	if (h->ticket_key.data != NULL) {
		perc_wipe(h->ticket_key.data, h->ticket_key.size);
		gnutls_free(h->ticket_key.data);
		h->ticket_key.data = NULL;
	}
}

/* For a connection that has just been accepted. */
void
httpd_tls_session(struct perc_httpd *h, gnutls_session_t s)
{
	gnutls_session_set_ptr(s, h);
	gnutls_session_ticket_enable_server(s, &h->ticket_key);
	if (h->ask_client_cert)
		gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUEST);
}

int
httpd_tls_pair(gnutls_session_t s, const gnutls_datum_t *ca, int nca,
    const gnutls_pk_algorithm_t *algs, int nalgs, gnutls_pcert_st **chain,
    unsigned *n, gnutls_privkey_t *key)
{
	struct perc_httpd *h = gnutls_session_get_ptr(s);

	if (h == NULL || h->pair == NULL)
		return -1;
	*chain = h->pair->chain;
	*n = h->pair->n;
	*key = h->pair->key;
	return 0;
}

void
httpd_tls_retire(struct perc_httpd *h, int64_t now_ms)
{
	struct httpd_pair **pp, *p;

	for (pp = &h->pair; (p = *pp) != NULL;) {
		if (p->retired_ms != 0 && now_ms - p->retired_ms > RETIRE_MS) {
			*pp = p->next;
			pair_free(p);
		} else
			pp = &p->next;
	}
}

int
perc_httpd_reload_cert(struct perc_httpd *h, const char *cert_file,
    const char *key_file, char *why, size_t whycap)
{
	struct httpd_pair *p;
	int r;

	if ((r = httpd_tls_load(&p, cert_file, key_file, why, whycap)) != 0)
		return r;
	h->pair->retired_ms = perc_now_ms();
	p->next = h->pair;
	h->pair = p;
	return 0;
}
