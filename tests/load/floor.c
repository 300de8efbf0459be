/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a push to N members cannot cost less than: for each one AES-256-GCM
 * seal with its own key, and one TLS 1.3 record of an epoch event on its own
 * connection, by the library that the KMF uses. The connections take turns
 * and a second process reads them, because a member is somebody else: its
 * kernel half and its waking are paid by whoever sends on loopback. (Forty
 * records in a row to a socket that nobody reads cost a fifth: Nagle's
 * algorithm keeps them in the sender's queue, and nothing is sent.) It
 * knows no HTTP, no queue and no list of who listens.
 */
#include "tests/load/load.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "perc/crypto.h"

#define PUSHES	 10000 /* over all rounds, and at least */
#define ROUNDS	 6     /* rounds, the first not counted */
#define PAUSE_US 50000 /* between rounds: who read goes to sleep */

struct line { /* one member's */
	gnutls_session_t tls;
	int fd;
	uint8_t key[32];
};

static double
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Handshakes are blocking: both processes do them in the same order. */
static int
line_open(struct line *c, int fd, unsigned flags,
    gnutls_certificate_credentials_t cred)
{
	const int on = 1;
	int g;

	if ((c->fd = fd) < 0)
		return PERC_ERR_SYS;
	if (gnutls_init(&c->tls, flags | GNUTLS_NO_TICKETS) < 0)
		return PERC_ERR_NOMEM;
	if (gnutls_priority_set_direct(
		c->tls, "SECURE128:-VERS-ALL:+VERS-TLS1.3", NULL) < 0 ||
	    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, cred) < 0)
		return PERC_ERR_CRYPTO;
	gnutls_transport_set_int(c->tls, fd);
	while ((g = gnutls_handshake(c->tls)) < 0)
		if (gnutls_error_is_fatal(g))
			return PERC_ERR_CRYPTO;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	perc_random(c->key, sizeof(c->key));
	return 0;
}

static void
lines_free(struct line *c, unsigned n)
{
	for (unsigned i = 0; c != NULL && i < n; i++) {
		if (c[i].tls != NULL)
			gnutls_deinit(c[i].tls);
		if (c[i].fd > 0)
			close(c[i].fd);
	}
	free(c);
}

/* --- the members: a process that reads until all have gone --------------- */
static void
lines_read(int ep, unsigned live)
{
	struct epoll_event ev[64];
	char bin[65536];
	int i, k;

	while (live > 0) {
		k = epoll_wait(ep, ev, 64, -1);
		for (i = 0; i < k; i++)
			if (read(ev[i].data.fd, bin, sizeof(bin)) == 0) {
				(void)epoll_ctl(
				    ep, EPOLL_CTL_DEL, ev[i].data.fd, NULL);
				live--;
			}
	}
}

static int
members(const struct sockaddr_in *a, unsigned n)
{
	struct line *c = calloc(n, sizeof(*c));
	gnutls_certificate_credentials_t cred = NULL;
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), r = PERC_ERR_SYS;
	unsigned i;

	if (c == NULL || ep < 0 ||
	    gnutls_certificate_allocate_credentials(&cred) < 0)
		return r;
	for (i = 0; i < n; i++) {
		ev.data.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(ev.data.fd, (const struct sockaddr *)a,
			sizeof(*a)) != 0 ||
		    (r = line_open(&c[i], ev.data.fd, GNUTLS_CLIENT, cred)) !=
			0 ||
		    epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev) != 0)
			return r;
	}
	lines_read(ep, n);
	return 0;
}

/* --- the server ----------------------------------------------------------- */
static int
round_measure(struct load_floor *f, struct line *c, unsigned n, size_t octets)
{
	char event[4096], aad[] = "perch-epoch|c_0123456789012345678901|1|m_0";
	uint8_t in[32], out[sizeof(in) + PERC_SEAL_OVERHEAD];
	double t0 = cpu_us(), t1;
	unsigned i;
	int r = 0;

	memset(event, 'x', sizeof(event));
	memset(in, 'k', sizeof(in));
	for (i = 0; r == 0 && i < n; i++)
		r = perc_seal(
		    out, c[i].key, aad, sizeof(aad) - 1, in, sizeof(in));
	t1 = cpu_us();
	for (i = 0; r == 0 && i < n; i++)
		if (gnutls_record_send(c[i].tls, event, octets) !=
		    (ssize_t)octets)
			r = PERC_ERR_SYS;
	f->seal_us += t1 - t0;
	f->record_us += cpu_us() - t1;
	return r;
}

static int
rounds_measure(struct load_floor *f, struct line *c, unsigned n, size_t octets)
{
	unsigned i, rounds = PUSHES / n < ROUNDS ? ROUNDS : PUSHES / n;
	int r = 0;

	for (i = 0; r == 0 && i <= rounds; i++) {
		if (i == 1)
			f->seal_us = f->record_us = 0;
		usleep(PAUSE_US);
		r = round_measure(f, c, n, octets);
	}
	f->seal_us /= (double)rounds * n;
	f->record_us /= (double)rounds * n;
	return r;
}

static int
listener_open(struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = { .tv_sec = 10 };
	socklen_t n = sizeof(*a);

	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && bind(fd, (struct sockaddr *)a, n) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		sizeof(patience)) == 0 &&
	    listen(fd, 16) == 0 &&
	    getsockname(fd, (struct sockaddr *)a, &n) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int
load_floor_measure(struct load_floor *f, unsigned n, const char *cert,
    const char *key, size_t octets)
{
	gnutls_certificate_credentials_t cred = NULL;
	struct line *c = calloc(n, sizeof(*c));
	struct sockaddr_in a;
	int ls = listener_open(&a), r = PERC_ERR_SYS;
	pid_t pid = -1;
	unsigned i;

	if (c == NULL || ls < 0 || octets > 4096 || (pid = fork()) < 0)
		goto out;
	if (pid == 0)
		_exit(members(&a, n) == 0 ? 0 : 1);
	if (gnutls_certificate_allocate_credentials(&cred) < 0 ||
	    gnutls_certificate_set_x509_key_file(
		cred, cert, key, GNUTLS_X509_FMT_PEM) < 0)
		goto out;
	for (i = 0, r = 0; r == 0 && i < n; i++)
		r = line_open(
		    &c[i], accept(ls, NULL, NULL), GNUTLS_SERVER, cred);
	if (r == 0)
		r = rounds_measure(f, c, n, octets);
out:
	if (ls >= 0)
		close(ls);
	lines_free(c, n);
	if (cred != NULL)
		gnutls_certificate_free_credentials(cred);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return r;
}
