/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients' certificates. TLS proves that the peer has the key; whose
 * certificate that is, GnuTLS's chain check decides here, when somebody asks
 * who it is, and not during the handshake: a browser that shows none, or one
 * of somebody else, must not be turned away. A revocation list that nobody
 * renewed proves nothing, so its end is an end here too.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perc/b64.h"
#include "perc/httpd_int.h"

#define NAMES_MAX   64 /* alternative names looked at */
#define NAME_OCTETS 512

struct perc_httpd_ca {
	gnutls_x509_trust_list_t list;
	time_t crl_until; /* earliest next update; 0: no lists */
};

static int
crls_add(struct perc_httpd_ca *a, const char *file, char *why, size_t whycap)
{
	gnutls_x509_crl_t *crls = NULL;
	gnutls_datum_t text = { NULL, 0 };
	unsigned n = 0, i;
	time_t until;
	int r = PERC_ERR_FORMAT, g;

	if ((g = gnutls_load_file(file, &text)) < 0 ||
	    (g = gnutls_x509_crl_list_import2(
		 &crls, &n, &text, GNUTLS_X509_FMT_PEM, 0)) < 0) {
		snprintf(why, whycap, "%s: %s", file, gnutls_strerror(g));
		goto out;
	}
	for (i = 0; i < n; i++) {
		until = gnutls_x509_crl_get_next_update(crls[i]);
		if (until != (time_t)-1 &&
		    (a->crl_until == 0 || until < a->crl_until))
			a->crl_until = until;
	}
	/* Takes the lists over; those that it cannot verify it leaves out. */
	g = gnutls_x509_trust_list_add_crls(
	    a->list, crls, (int)n, GNUTLS_TL_VERIFY_CRL, 0);
	if (n != 0 && g == (int)n)
		r = 0;
	else
		snprintf(why, whycap,
		    "%s: a revocation list is not of the CA, or out of date",
		    file);
	gnutls_free(crls);
out:
	gnutls_free(text.data);
	return r;
}

int
perc_httpd_ca_new(struct perc_httpd_ca **ap, const char *ca_file,
    const char *crl_file, char *why, size_t whycap)
{
	struct perc_httpd_ca *a = calloc(1, sizeof(*a));
	int r = PERC_ERR_NOMEM, g;

	snprintf(why, whycap, "%s: out of memory", ca_file);
	if (a == NULL || gnutls_x509_trust_list_init(&a->list, 0) < 0)
		goto out;
	r = PERC_ERR_FORMAT;
	g = gnutls_x509_trust_list_add_trust_file(
	    a->list, ca_file, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	if (g <= 0) {
		snprintf(why, whycap, "%s: %s", ca_file,
		    g == 0 ? "no certificate in it" : gnutls_strerror(g));
		goto out;
	}
	if (crl_file != NULL && (r = crls_add(a, crl_file, why, whycap)) != 0)
		goto out;
	*ap = a;
	a = NULL;
	r = 0;
out:
	perc_httpd_ca_free(a);
	return r;
}

void
perc_httpd_ca_free(struct perc_httpd_ca *a)
{
	if (a == NULL)
		return;
	if (a->list != NULL)
		gnutls_x509_trust_list_deinit(a->list, 1);
	free(a);
}

static const gnutls_datum_t *
peers(const struct perc_httpd_req *r, unsigned *n)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
	    r->c->mc, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	*n = 0;
	if (i == NULL || i->tls_session == NULL)
		return NULL;
	return gnutls_certificate_get_peers(i->tls_session, n);
}

void
perc_httpd_client_x5t(const struct perc_httpd_req *r, char out[44])
{
	const gnutls_datum_t *list;
	uint8_t hash[32];
	size_t len = sizeof(hash);
	unsigned n;

	out[0] = '\0';
	if ((list = peers(r, &n)) == NULL || n == 0)
		return;
	if (gnutls_fingerprint(GNUTLS_DIG_SHA256, &list[0], hash, &len) >= 0)
		perc_b64_put(out, hash, sizeof(hash));
}

/* An octet that is not printed could hide what follows it. */
static bool
same(const char *have, size_t n, const char *name)
{
	return strlen(name) == n && memcmp(have, name, n) == 0;
}

static bool
has_alt_name(gnutls_x509_crt_t crt, unsigned type, const char *name)
{
	char have[NAME_OCTETS];
	unsigned i, kind;
	size_t n;
	int g;

	for (i = 0; i < NAMES_MAX; i++) {
		n = sizeof(have);
		g = gnutls_x509_crt_get_subject_alt_name2(
		    crt, i, have, &n, &kind, NULL);
		if (g == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return false;
		if (g >= 0 && kind == type && same(have, n, name))
			return true;
	}
	return false;
}

/* Two common names could be read in two ways: none counts then. */
static bool
has_cn(gnutls_x509_crt_t crt, const char *name)
{
	char have[NAME_OCTETS];
	size_t n = sizeof(have), none = 0;

	if (gnutls_x509_crt_get_dn_by_oid(
		crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, have, &n) < 0)
		return false;
	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 1,
		0, NULL, &none) != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return false;
	return same(have, n, name);
}

static bool
bears(gnutls_x509_crt_t crt, enum perc_httpd_name kind, const char *name)
{
	static const unsigned types[] = {
		[PERC_HTTPD_URI] = GNUTLS_SAN_URI,
		[PERC_HTTPD_DNS] = GNUTLS_SAN_DNSNAME,
		[PERC_HTTPD_EMAIL] = GNUTLS_SAN_RFC822NAME,
	};

	if (name[0] == '\0')
		return false;
	return kind == PERC_HTTPD_CN ? has_cn(crt, name)
				     : has_alt_name(crt, types[kind], name);
}

static int
status_why(unsigned status, const char **why)
{
	static const struct {
		unsigned bit;
		const char *why;
	} reasons[] = {
		{ GNUTLS_CERT_REVOKED, "it was revoked" },
		{ GNUTLS_CERT_EXPIRED, "it has expired" },
		{ GNUTLS_CERT_NOT_ACTIVATED, "not valid yet" },
		{ GNUTLS_CERT_PURPOSE_MISMATCH, "not for TLS clients" },
	};
	size_t i;

	*why = "of another CA";
	if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0)
		return PERC_ERR_UNKNOWN_KEY;
	*why = "its chain";
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if ((status & reasons[i].bit) != 0) {
			*why = reasons[i].why;
			break;
		}
	return PERC_ERR_AUTH;
}

static int
chain_check(const struct perc_httpd_ca *a, gnutls_x509_crt_t *crts, unsigned n,
    const char **why)
{
	gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT };
	unsigned status = 0;

	*why = "its revocation list is out of date";
	if (a->crl_until != 0 && time(NULL) >= a->crl_until)
		return PERC_ERR_EXPIRED;
	*why = "a CA, not a device";
	if (gnutls_x509_crt_get_ca_status(crts[0], NULL) > 0)
		return PERC_ERR_DENIED;
	*why = "its chain cannot be looked at";
	if (gnutls_x509_trust_list_verify_crt2(
		a->list, crts, n, &purpose, 1, 0, &status, NULL) < 0)
		return PERC_ERR_CRYPTO;
	if (status == 0)
		return 0;
	return status_why(status, why);
}

int
perc_httpd_client_cert(const struct perc_httpd_req *r,
    const struct perc_httpd_ca *a, enum perc_httpd_name kind, const char *name,
    const char **why)
{
	gnutls_x509_crt_t crts[HTTPD_CHAIN_MAX] = { NULL };
	const gnutls_datum_t *list;
	unsigned n, i;
	int err = PERC_ERR_NOTFOUND;

	*why = "no certificate on this connection";
	if ((list = peers(r, &n)) == NULL || n == 0)
		return err;
	*why = "its chain is too long";
	err = PERC_ERR_LIMIT;
	if (n > HTTPD_CHAIN_MAX)
		return err;
	*why = "it is malformed";
	err = PERC_ERR_FORMAT;
	for (i = 0; i < n; i++)
		if (gnutls_x509_crt_init(&crts[i]) < 0 ||
		    gnutls_x509_crt_import(
			crts[i], &list[i], GNUTLS_X509_FMT_DER) < 0)
			goto out;
	if ((err = chain_check(a, crts, n, why)) == 0 &&
	    !bears(crts[0], kind, name)) {
		*why = "it has another name";
		err = PERC_ERR_DENIED;
	}
out:
	for (i = 0; i < HTTPD_CHAIN_MAX; i++)
		if (crts[i] != NULL)
			gnutls_x509_crt_deinit(crts[i]);
	return err;
}
