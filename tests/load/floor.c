/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pushing to one member cannot cost less than: one AES-256-GCM seal of
 * a key, and one TLS 1.3 record of an epoch event written to a loopback
 * socket by the library that the KMF uses, kernel included.
 */
#include "tests/load/load.h"

#include <gnutls/gnutls.h>
#include <string.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "perc/crypto.h"

#define ROUNDS 4000
#define BATCH  40 /* records before the reader empties its socket */

static double
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
seal_measure(double *us)
{
	uint8_t key[32], in[30], out[sizeof(in) + PERC_SEAL_OVERHEAD];
	double t0;
	int i, r = 0;

	perc_random(key, sizeof(key));
	perc_random(in, sizeof(in));
	t0 = cpu_us();
	for (i = 0; r == 0 && i < ROUNDS; i++)
		r = perc_seal(
		    out, key, "perch-epoch|c|1|m", 17, in, sizeof(in));
	*us = (cpu_us() - t0) / ROUNDS;
	return r;
}

/* Two connected TCP sockets on loopback. */
static int
pair_open(int sv[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int ls = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(a);

	sv[0] = sv[1] = -1;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (ls >= 0 && bind(ls, (struct sockaddr *)&a, n) == 0 &&
	    listen(ls, 1) == 0 &&
	    getsockname(ls, (struct sockaddr *)&a, &n) == 0 &&
	    (sv[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 &&
	    connect(sv[0], (struct sockaddr *)&a, sizeof(a)) == 0)
		sv[1] = accept(ls, NULL, NULL);
	if (ls >= 0)
		close(ls);
	if (sv[1] < 0)
		return PERC_ERR_SYS;
	(void)fcntl(sv[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(sv[1], F_SETFL, O_NONBLOCK);
	return 0;
}

static int
session_open(gnutls_session_t *s, unsigned flags, int fd,
    gnutls_certificate_credentials_t cred)
{
	if (gnutls_init(s, flags | GNUTLS_NONBLOCK) < 0 ||
	    gnutls_priority_set_direct(
		*s, "SECURE128:-VERS-ALL:+VERS-TLS1.3", NULL) < 0 ||
	    gnutls_credentials_set(*s, GNUTLS_CRD_CERTIFICATE, cred) < 0)
		return PERC_ERR_CRYPTO;
	gnutls_transport_set_int(*s, fd);
	return 0;
}

static int
shake(gnutls_session_t a, gnutls_session_t b)
{
	int i, ra = -1, rb = -1;

	for (i = 0; i < 10000 && (ra != 0 || rb != 0); i++) {
		if (ra != 0 && (ra = gnutls_handshake(a)) != 0 &&
		    gnutls_error_is_fatal(ra))
			return PERC_ERR_CRYPTO;
		if (rb != 0 && (rb = gnutls_handshake(b)) != 0 &&
		    gnutls_error_is_fatal(rb))
			return PERC_ERR_CRYPTO;
	}
	return ra == 0 && rb == 0 ? 0 : PERC_ERR_TIMEOUT;
}

static int
record_measure(double *us, gnutls_session_t from, int reader, size_t octets)
{
	char event[4096], bin[65536];
	double t0, sum = 0;
	int i, k;

	memset(event, 'x', sizeof(event));
	for (i = 0; i < ROUNDS / BATCH; i++) {
		t0 = cpu_us();
		for (k = 0; k < BATCH; k++)
			if (gnutls_record_send(from, event, octets) !=
			    (ssize_t)octets)
				return PERC_ERR_SYS;
		sum += cpu_us() - t0;
		while (read(reader, bin, sizeof(bin)) > 0)
			;
	}
	*us = sum / ROUNDS;
	return 0;
}

int
load_floor_measure(
    struct load_floor *f, const char *cert, const char *key, size_t octets)
{
	gnutls_certificate_credentials_t cred = NULL;
	gnutls_session_t a = NULL, b = NULL;
	int sv[2] = { -1, -1 }, r;

	if ((r = seal_measure(&f->seal_us)) != 0 || (r = pair_open(sv)) != 0)
		goto out;
	r = PERC_ERR_CRYPTO;
	if (octets > 4096 ||
	    gnutls_certificate_allocate_credentials(&cred) < 0 ||
	    gnutls_certificate_set_x509_key_file(
		cred, cert, key, GNUTLS_X509_FMT_PEM) < 0 ||
	    session_open(&a, GNUTLS_SERVER, sv[0], cred) != 0 ||
	    session_open(&b, GNUTLS_CLIENT, sv[1], cred) != 0 ||
	    (r = shake(a, b)) != 0)
		goto out;
	r = record_measure(&f->record_us, a, sv[1], octets);
out:
	if (a != NULL)
		gnutls_deinit(a);
	if (b != NULL)
		gnutls_deinit(b);
	if (cred != NULL)
		gnutls_certificate_free_credentials(cred);
	for (int i = 0; i < 2; i++)
		if (sv[i] >= 0)
			close(sv[i]);
	return r;
}
