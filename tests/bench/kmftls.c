/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request costs a server that does nothing but TLS: the very octets
 * that the KMF is asked with, from the same client on as many connections,
 * and an answer as long as the KMF's. It looks for the end of the request and
 * knows no HTTP beyond that; GnuTLS, as at the KMF, in a process of its own,
 * so that it pays for what the KMF's front pays for: waking, the kernel's
 * half, and on loopback that of who reads the answer. Another server can be
 * run and asked in the same way.
 */
#include "tests/bench/kmf.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/text.h"

#define ASKED_MAX  16384      /* octets of a request */
#define OCTETS_MAX (1u << 20) /* and of an answer */
#define BATCH	   64
#define PRIORITY   "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct line { /* one client's, at the server */
	gnutls_session_t tls;
	int fd;
	char in[ASKED_MAX];
	size_t len;
};

struct bench_tls {
	pid_t pid;
	size_t *octets; /* of an answer; both processes' */
	struct bench_wire *wire;
};

/* --- the server ----------------------------------------------------------- */
static int
line_open(struct line *c, int fd, gnutls_certificate_credentials_t cred)
{
	const int on = 1;
	int g;

	if ((c->fd = fd) < 0 ||
	    gnutls_init(&c->tls, GNUTLS_SERVER | GNUTLS_NO_TICKETS) < 0 ||
	    gnutls_priority_set_direct(c->tls, PRIORITY, NULL) < 0 ||
	    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, cred) < 0)
		return PERC_ERR_CRYPTO;
	gnutls_transport_set_int(c->tls, fd);
	while ((g = gnutls_handshake(c->tls)) < 0)
		if (gnutls_error_is_fatal(g))
			return PERC_ERR_CRYPTO;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 ? 0 : PERC_ERR_SYS;
}

/* Is all of a request there? */
static bool
line_whole(const struct line *c)
{
	static const char name[] = "\r\nContent-Length: ";
	const char *end = memmem(c->in, c->len, "\r\n\r\n", 4), *length;
	size_t head;

	if (end == NULL)
		return false;
	head = (size_t)(end + 4 - c->in);
	length = memmem(c->in, head, name, sizeof(name) - 1);
	return c->len >= head +
	    (length != NULL ? strtoul(length + sizeof(name) - 1, NULL, 10) : 0);
}

static bool
line_answer(struct line *c, size_t octets)
{
	static char out[OCTETS_MAX];
	struct pollfd p = { c->fd, POLLOUT, 0 };
	size_t at = 0;
	ssize_t n;
	int head;

	head =
	    snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\nContent-Length: ");
	head += snprintf(out + head, sizeof(out) - (size_t)head,
	    "%07zu\r\n\r\n", octets - (size_t)head - 11);
	while (at < octets) {
		n = gnutls_record_send(c->tls, out + at, octets - at);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			(void)poll(&p, 1, -1);
		else if (n <= 0)
			return false;
		else
			at += (size_t)n;
	}
	return true;
}

/* False: it has ended. */
static bool
line_serve(struct line *c, const size_t *octets)
{
	ssize_t n;

	n = gnutls_record_recv(c->tls, c->in + c->len, ASKED_MAX - c->len);
	if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
		return true;
	if (n <= 0)
		return false;
	c->len += (size_t)n;
	if (!line_whole(c))
		return c->len < ASKED_MAX;
	c->len = 0;
	return line_answer(c, *octets);
}

static void
lines_serve(struct line *c, int ep, unsigned n, const size_t *octets)
{
	struct epoll_event ev[BATCH];
	int i, k;

	while (n > 0) {
		k = epoll_wait(ep, ev, BATCH, -1);
		for (i = 0; i < k; i++)
			if (!line_serve(&c[ev[i].data.u32], octets)) {
				close(c[ev[i].data.u32].fd);
				n--;
			}
	}
}

int
bench_tls_serve(
    int ls, unsigned n, const size_t *octets, const char *cert, const char *key)
{
	gnutls_certificate_credentials_t cred = NULL;
	struct line *c = calloc(n, sizeof(*c));
	int ep = epoll_create1(EPOLL_CLOEXEC), r = PERC_ERR_SYS;
	struct epoll_event ev = { .events = EPOLLIN };

	if (c == NULL || ep < 0 ||
	    gnutls_certificate_allocate_credentials(&cred) < 0 ||
	    gnutls_certificate_set_x509_key_file(
		cred, cert, key, GNUTLS_X509_FMT_PEM) < 0)
		return r;
	for (; ev.data.u32 < n; ev.data.u32++)
		if ((r = line_open(
			 &c[ev.data.u32], accept(ls, NULL, NULL), cred)) != 0 ||
		    epoll_ctl(ep, EPOLL_CTL_ADD, c[ev.data.u32].fd, &ev) != 0)
			return r;
	lines_serve(c, ep, n, octets);
	return 0;
}

/* --- who asks ------------------------------------------------------------- */
static int
listener_open(unsigned *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 &&
	    listen(fd, 16) == 0 &&
	    getsockname(fd, (struct sockaddr *)&a, &n) == 0) {
		*port = ntohs(a.sin_port);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

int
bench_tls_open(struct bench_tls **tp, bench_serve_fn serve, unsigned n,
    const char *cert, const char *key)
{
	struct bench_tls *t = calloc(1, sizeof(*t));
	unsigned port = 0;
	int ls, r = PERC_ERR_SYS;

	if ((*tp = t) == NULL)
		return PERC_ERR_NOMEM;
	t->octets = mmap(NULL, sizeof(*t->octets), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->octets == MAP_FAILED || (ls = listener_open(&port)) < 0)
		return r;
	if ((t->pid = fork()) == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(serve(ls, n, t->octets, cert, key) == 0 ? 0 : 1);
	}
	close(ls);
	return t->pid < 0 ? r : bench_wire_open(&t->wire, n, port, cert);
}

void
bench_tls_close(struct bench_tls *t)
{
	if (t == NULL)
		return;
	bench_wire_close(t->wire);
	if (t->pid > 0)
		(void)waitpid(t->pid, NULL, 0);
	free(t);
}

int
bench_tls_run(double *us, struct bench_tls *t, const struct bench_text *texts,
    size_t per, size_t octets)
{
	struct bench_round r;
	double before;
	int e;

	if (octets < 64 || octets > OCTETS_MAX)
		return PERC_ERR_LIMIT;
	*t->octets = octets;
	before = load_cpu_us(t->pid);
	e = bench_wire_run(&r, t->wire, texts, per, 200);
	if (e == 0 && r.bad != 0)
		e = PERC_ERR_FORMAT;
	if (e == 0)
		*us = (load_cpu_us(t->pid) - before) / (double)r.n;
	free(r.lat_us);
	return e;
}
