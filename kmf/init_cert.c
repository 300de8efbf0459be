/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The certificate of a first run: P-256, self-signed, for the host of the
 * public URL and for this machine. Users pin or trust it by hand; a real one
 * replaces it without a restart (SIGHUP).
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmf/kmf.h"
#include "perc/crypto.h"

#define DAYS 825

static int
add_ext(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	if ((e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return PERC_ERR_CRYPTO;
	ok = X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok == 1 ? 0 : PERC_ERR_CRYPTO;
}

static int
names_put(char *san, size_t cap, const char *host)
{
	struct in6_addr any;
	bool ip = inet_pton(AF_INET, host, &any) == 1 ||
	    inet_pton(AF_INET6, host, &any) == 1;
	int n = snprintf(san, cap, "%s:%s,DNS:localhost,IP:127.0.0.1",
	    ip ? "IP" : "DNS", host);

	return n > 0 && (size_t)n < cap && strchr(host, ',') == NULL
	    ? 0
	    : PERC_ERR_FORMAT;
}

static int
cert_make(X509 **xp, EVP_PKEY *key, const char *host)
{
	X509 *x = X509_new();
	X509_NAME *name;
	char san[400];
	uint32_t serial;
	int r = PERC_ERR_CRYPTO;

	if (x == NULL)
		return PERC_ERR_NOMEM;
	serial = perc_random_u32() >> 1;
	name = X509_get_subject_name(x);
	if (names_put(san, sizeof(san), host) != 0 ||
	    X509_set_version(x, 2) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)serial) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(x), -300) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), DAYS * 86400L) == NULL ||
	    X509_set_pubkey(x, key) != 1 ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		(const unsigned char *)"perch-kmf", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, name) != 1 ||
	    add_ext(x, NID_subject_alt_name, san) != 0 ||
	    add_ext(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") !=
		0 ||
	    add_ext(x, NID_ext_key_usage, "serverAuth") != 0 ||
	    X509_sign(x, key, EVP_sha256()) == 0)
		goto out;
	*xp = x;
	x = NULL;
	r = 0;
out:
	X509_free(x);
	return r;
}

/* Born with its mode; fails when the file exists. */
static int
file_new(FILE **fp, const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return errno == EEXIST ? PERC_ERR_EXISTS : PERC_ERR_SYS;
	if ((*fp = fdopen(fd, "w")) == NULL) {
		close(fd);
		return PERC_ERR_NOMEM;
	}
	return 0;
}

int
kmf_selfsigned(const char *cert_file, const char *key_file, const char *host)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = NULL;
	FILE *f = NULL;
	int r = PERC_ERR_CRYPTO;

	if (key == NULL || (r = cert_make(&x, key, host)) != 0)
		goto out;
	if ((r = file_new(&f, key_file, 0600)) != 0)
		goto out;
	r = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1
	    ? 0
	    : PERC_ERR_CRYPTO;
	if (fclose(f) != 0 || r != 0 ||
	    (r = file_new(&f, cert_file, 0644)) != 0)
		goto out;
	r = PEM_write_X509(f, x) == 1 ? 0 : PERC_ERR_CRYPTO;
	if (fclose(f) != 0)
		r = PERC_ERR_SYS;
out:
	X509_free(x);
	EVP_PKEY_free(key);
	return r;
}
