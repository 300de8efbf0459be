/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side is kept as cheap as it can be, since it runs on the same
 * machine: requests are octets that were made before the clock runs, and one
 * thread writes the next one of a connection as soon as its answer is there,
 * so that a thousand connections cost no more each than ten. GnuTLS, as at
 * the server; session by session, no resumption.
 */
#include "tests/bench/kmf.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/text.h"

#define HEAD_MAX   4096 /* of an answer; of a longer one the rest is counted */
#define ANSWER_MAX (1u << 20)
#define BATCH	   64
#define WAIT_S	   20

struct line {
	gnutls_session_t tls;
	int fd;
	char head[HEAD_MAX + 1];
	size_t got, whole; /* octets of the answer; whole 0: not known yet */
	size_t k;	   /* the request under way */
	int64_t t0;
};

struct bench_wire {
	unsigned n;
	int ep;
	gnutls_certificate_credentials_t cred;
	struct line *line;
	/* this round's */
	const struct bench_text *texts;
	size_t per;
	int want;
	unsigned busy; /* lines that still have something to ask */
	struct bench_round *r;
};

/* --- opening -------------------------------------------------------------- */
static int
line_connect(struct line *c, unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	struct timeval tv = { .tv_sec = WAIT_S };
	const int on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
		setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) !=
		    0 ||
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) !=
		    0 ||
		connect(c->fd, (struct sockaddr *)&a, sizeof(a)) != 0
	    ? PERC_ERR_SYS
	    : 0;
}

static int
line_open(struct bench_wire *w, unsigned i, unsigned port)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };
	struct line *c = &w->line[i];
	int r;

	if ((r = line_connect(c, port)) != 0)
		return r;
	if (gnutls_init(&c->tls, GNUTLS_CLIENT) < 0 ||
	    gnutls_set_default_priority(c->tls) < 0 ||
	    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, w->cred) < 0)
		return PERC_ERR_CRYPTO;
	gnutls_session_set_verify_cert(c->tls, "localhost", 0);
	gnutls_transport_set_int(c->tls, c->fd);
	while ((r = gnutls_handshake(c->tls)) != 0)
		if (gnutls_error_is_fatal(r))
			return PERC_ERR_AUTH;
	return fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0 &&
		epoll_ctl(w->ep, EPOLL_CTL_ADD, c->fd, &ev) == 0
	    ? 0
	    : PERC_ERR_SYS;
}

int
bench_wire_open(
    struct bench_wire **wp, unsigned n, unsigned port, const char *ca)
{
	struct bench_wire *w = calloc(1, sizeof(*w));
	int r = 0;

	if ((*wp = w) == NULL ||
	    (w->line = calloc(n, sizeof(*w->line))) == NULL)
		return PERC_ERR_NOMEM;
	w->n = n;
	for (unsigned i = 0; i < n; i++)
		w->line[i].fd = -1;
	if ((w->ep = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
	    gnutls_certificate_allocate_credentials(&w->cred) < 0 ||
	    gnutls_certificate_set_x509_trust_file(
		w->cred, ca, GNUTLS_X509_FMT_PEM) < 1)
		return PERC_ERR_CRYPTO;
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = line_open(w, i, port);
	return r;
}

void
bench_wire_close(struct bench_wire *w)
{
	if (w == NULL)
		return;
	for (unsigned i = 0; i < w->n; i++) {
		if (w->line[i].tls != NULL)
			gnutls_deinit(w->line[i].tls);
		if (w->line[i].fd >= 0)
			close(w->line[i].fd);
	}
	if (w->cred != NULL)
		gnutls_certificate_free_credentials(w->cred);
	if (w->ep >= 0)
		close(w->ep);
	free(w->line);
	free(w);
}

/* --- asking --------------------------------------------------------------- */
static bool
line_ask(struct bench_wire *w, struct line *c)
{
	const struct bench_text *t =
	    &w->texts[(size_t)(c - w->line) * w->per + c->k];
	struct pollfd p = { c->fd, POLLOUT, 0 };
	size_t at = 0;
	ssize_t n;

	c->got = c->whole = 0;
	c->t0 = load_us();
	while (at < t->len) {
		n = gnutls_record_send(c->tls, t->p + at, t->len - at);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			(void)poll(&p, 1, WAIT_S * 1000);
		else if (n <= 0)
			return false;
		else
			at += (size_t)n;
	}
	return true;
}

/* How long is the answer whose head has come? */
static bool
line_measure(struct line *c)
{
	const char *end, *length;

	c->head[c->got < HEAD_MAX ? c->got : HEAD_MAX] = '\0';
	if ((end = strstr(c->head, "\r\n\r\n")) == NULL)
		return c->got < HEAD_MAX;
	length = strcasestr(c->head, "\r\ncontent-length:");
	if (length == NULL || length > end)
		return false;
	c->whole = (size_t)(end + 4 - c->head) + strtoul(length + 17, NULL, 10);
	return c->whole < ANSWER_MAX;
}

/* What there is of the answer. False: there will be none. */
static bool
line_read(struct line *c)
{
	char rest[16384];
	ssize_t n;

	do {
		n = c->got < HEAD_MAX
		    ? gnutls_record_recv(
			  c->tls, c->head + c->got, HEAD_MAX - c->got)
		    : gnutls_record_recv(c->tls, rest, sizeof(rest));
		/* A session ticket on the way says AGAIN too. */
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			return true;
		if (n <= 0)
			return false;
		c->got += (size_t)n;
		if (c->whole == 0 && !line_measure(c))
			return false;
	} while (c->whole == 0 || c->got < c->whole);
	return true;
}

static void
line_bad(struct bench_wire *w, const struct line *c, int status)
{
	const char *body = strstr(c->head, "\r\n\r\n");

	if (w->r->bad++ != 0)
		return;
	w->r->bad_status = status;
	text_put(w->r->bad_body, sizeof(w->r->bad_body), "%.199s",
	    status > 0 && body != NULL ? body + 4 : "");
}

/* An answer is there, or (lost) will not be: the next request. */
static void
line_next(struct bench_wire *w, struct line *c, bool lost)
{
	int status = lost || c->got < 13 ? -1 : atoi(c->head + 9);

	w->r->lat_us[(size_t)(c - w->line) * w->per + c->k] =
	    (double)(load_us() - c->t0);
	w->r->octets = c->got;
	if (status != w->want)
		line_bad(w, c, status);
	c->k++;
	if (!lost && c->k < w->per && line_ask(w, c))
		return;
	w->r->bad += w->per - c->k; /* never asked */
	w->busy--;
}

static void
line_event(struct bench_wire *w, struct line *c)
{
	bool ok = line_read(c);

	if (!ok)
		(void)epoll_ctl(w->ep, EPOLL_CTL_DEL, c->fd, NULL);
	if (c->k < w->per && (!ok || (c->whole != 0 && c->got >= c->whole)))
		line_next(w, c, !ok);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
lines_run(struct bench_wire *w)
{
	struct epoll_event ev[BATCH];
	int i, k;

	w->busy = w->n;
	for (i = 0; i < (int)w->n; i++) {
		w->line[i].k = 0;
		if (!line_ask(w, &w->line[i]))
			line_next(w, &w->line[i], true);
	}
	while (w->busy > 0) {
		if ((k = epoll_wait(w->ep, ev, BATCH, WAIT_S * 1000)) <= 0)
			break;
		for (i = 0; i < k; i++)
			line_event(w, &w->line[ev[i].data.u32]);
	}
}

int
bench_wire_run(struct bench_round *r, struct bench_wire *w,
    const struct bench_text *texts, size_t per, int want)
{
	int64_t t0;

	memset(r, 0, sizeof(*r));
	r->n = w->n * per;
	if ((r->lat_us = calloc(r->n, sizeof(double))) == NULL)
		return PERC_ERR_NOMEM;
	w->texts = texts;
	w->per = per;
	w->want = want;
	w->r = r;
	t0 = load_us();
	lines_run(w);
	r->wall_s = (double)(load_us() - t0) / 1e6;
	if (w->busy != 0) /* nobody answers any more */
		r->bad += w->busy;
	qsort(r->lat_us, r->n, sizeof(double), by_value);
	return 0;
}
