/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side is kept as cheap as it can be, since it runs on the same
 * machine: requests are octets that were made before the clock runs, a
 * thread per connection writes one and reads its answer. GnuTLS, as at the
 * server; session by session, no resumption.
 */
#include "tests/bench/kmf.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/text.h"

#define ANSWER_MAX (1u << 20)
#define WAIT_S	   20

struct bench_conn {
	gnutls_session_t tls;
	gnutls_certificate_credentials_t cred;
	int fd;
	pthread_t thread;
	pthread_barrier_t *start;
	const struct bench_text *texts;
	size_t per, bad, octets;
	int want, bad_status;
	double *lat_us;
	char *buf, bad_body[200];
};

static int
conn_open(struct bench_conn *c, unsigned port, const char *ca)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	struct timeval tv = { .tv_sec = WAIT_S };
	int r;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((c->buf = malloc(ANSWER_MAX)) == NULL ||
	    (c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
	    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0 ||
	    connect(c->fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		return PERC_ERR_SYS;
	if (gnutls_certificate_allocate_credentials(&c->cred) < 0 ||
	    gnutls_certificate_set_x509_trust_file(
		c->cred, ca, GNUTLS_X509_FMT_PEM) < 1 ||
	    gnutls_init(&c->tls, GNUTLS_CLIENT) < 0 ||
	    gnutls_set_default_priority(c->tls) < 0 ||
	    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->cred) < 0)
		return PERC_ERR_CRYPTO;
	gnutls_session_set_verify_cert(c->tls, "localhost", 0);
	gnutls_transport_set_int(c->tls, c->fd);
	while ((r = gnutls_handshake(c->tls)) != 0)
		if (gnutls_error_is_fatal(r))
			return PERC_ERR_AUTH;
	return 0;
}

int
bench_wire_open(
    struct bench_conn **cp, unsigned n, unsigned port, const char *ca)
{
	int r = 0;

	if ((*cp = calloc(n, sizeof(**cp))) == NULL)
		return PERC_ERR_NOMEM;
	for (unsigned i = 0; i < n; i++)
		(*cp)[i].fd = -1;
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = conn_open(&(*cp)[i], port, ca);
	return r;
}

void
bench_wire_close(struct bench_conn *c, unsigned n)
{
	for (unsigned i = 0; c != NULL && i < n; i++) {
		if (c[i].tls != NULL)
			gnutls_deinit(c[i].tls);
		if (c[i].cred != NULL)
			gnutls_certificate_free_credentials(c[i].cred);
		if (c[i].fd >= 0)
			close(c[i].fd);
		free(c[i].buf);
	}
	free(c);
}

static bool
send_all(struct bench_conn *c, const struct bench_text *t)
{
	size_t at = 0;
	ssize_t n;

	for (; at < t->len; at += (size_t)n)
		if ((n = gnutls_record_send(c->tls, t->p + at, t->len - at)) <=
		    0)
			return false;
	return true;
}

/* One whole answer with Content-Length: its status, or -1. */
static int
answer_read(struct bench_conn *c)
{
	char *end = NULL, *length;
	size_t n = 0, whole = ANSWER_MAX;
	int64_t until = load_us() + WAIT_S * 1000000;
	ssize_t got;

	while (n < whole) {
		got =
		    gnutls_record_recv(c->tls, c->buf + n, ANSWER_MAX - 1 - n);
		/* A session ticket on the way says AGAIN too. */
		if (got < 0 && !gnutls_error_is_fatal((int)got) &&
		    load_us() < until)
			continue;
		if (got <= 0)
			return -1;
		n += (size_t)got;
		c->buf[n] = '\0';
		if (end != NULL || (end = strstr(c->buf, "\r\n\r\n")) == NULL)
			continue;
		length = strcasestr(c->buf, "\r\ncontent-length:");
		if (length == NULL || length > end)
			return -1;
		whole =
		    (size_t)(end + 4 - c->buf) + strtoul(length + 17, NULL, 10);
		if (whole >= ANSWER_MAX)
			return -1;
	}
	c->octets = n;
	return n > 12 ? atoi(c->buf + 9) : -1;
}

static void *
conn_run(void *arg)
{
	struct bench_conn *c = arg;
	int64_t t0;
	int status;

	pthread_barrier_wait(c->start);
	for (size_t k = 0; k < c->per; k++) {
		t0 = load_us();
		status = send_all(c, &c->texts[k]) ? answer_read(c) : -1;
		c->lat_us[k] = (double)(load_us() - t0);
		if (status == c->want)
			continue;
		if (c->bad++ == 0) {
			c->bad_status = status;
			text_put(c->bad_body, sizeof(c->bad_body), "%s",
			    status > 0 ? strstr(c->buf, "\r\n\r\n") + 4 : "");
		}
		if (status < 0)
			break;
	}
	return NULL;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int
bench_wire_run(struct bench_round *r, struct bench_conn *c, unsigned n,
    const struct bench_text *texts, size_t per, int want)
{
	pthread_barrier_t start;
	int64_t t0;

	memset(r, 0, sizeof(*r));
	r->n = n * per;
	if ((r->lat_us = calloc(r->n, sizeof(double))) == NULL ||
	    pthread_barrier_init(&start, NULL, n + 1) != 0)
		return PERC_ERR_NOMEM;
	for (unsigned i = 0; i < n; i++) {
		c[i].start = &start;
		c[i].texts = texts + i * per;
		c[i].per = per;
		c[i].want = want;
		c[i].bad = 0;
		c[i].lat_us = r->lat_us + i * per;
		if (pthread_create(&c[i].thread, NULL, conn_run, &c[i]) != 0)
			return PERC_ERR_SYS;
	}
	pthread_barrier_wait(&start);
	t0 = load_us();
	for (unsigned i = 0; i < n; i++) {
		(void)pthread_join(c[i].thread, NULL);
		if (c[i].bad != 0 && r->bad == 0) {
			r->bad_status = c[i].bad_status;
			memcpy(r->bad_body, c[i].bad_body, sizeof(r->bad_body));
		}
		r->bad += c[i].bad;
		r->octets = c[i].octets;
	}
	r->wall_s = (double)(load_us() - t0) / 1e6;
	pthread_barrier_destroy(&start);
	qsort(r->lat_us, r->n, sizeof(double), by_value);
	return 0;
}
