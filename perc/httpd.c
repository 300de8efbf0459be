/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTPS server's place in our loop. microhttpd lends its epoll
 * descriptor; MHD_run is called when that is ready or when it asked for it.
 * Its epoll mode asks for the next turn at once, for ever, while a TLS
 * handshake is half done, and one silent client would cost a core. So turns
 * that move nothing are counted, and after a few of them we wait longer and
 * longer unless the descriptor has an event. microhttpd's own timeout is
 * inactivity only, hence the deadlines per connection in the ticker, which
 * also looks after suspended connections, since nobody else does.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/httpd_int.h"
#include "perc/log.h"
#include "perc/secret.h"

#define TLS_PRIORITY "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
/* All of a request's head, and of an answer's. microhttpd clears the whole of
 * it after each request, so all of it is resident in every connection: a
 * token of PERC_JOSE_TOKEN_MAX, a proof and what proxies add must fit, and
 * no more. */
#define POOL	     12800
#define QUIET_TURNS  4 /* turns without progress before we wait */
#define QUIET_MS     10
#define QUIET_MAX_MS 80
#define TICK_MS	     1000
#define IDLE_S	     30 /* microhttpd's inactivity timeout */

static void turn(void *arg);

static void
arm(struct perc_httpd *h, struct perc_timer *t, int64_t ms, perc_loop_fn fn)
{
	if (perc_timer_set(h->loop, t, ms, fn, h) != 0)
		log_warnx("httpd.timer err=no_memory");
}

void
httpd_kick(struct perc_httpd *h)
{
	h->quiet = 0;
	arm(h, &h->turn, 0, turn);
}

/* GnuTLS holds octets of a request that microhttpd takes a few at a time:
 * one that fills more than half of its pool. */
static bool
half_read(const struct perc_httpd *h)
{
	const struct httpd_conn *c;

	for (c = h->conns; c != NULL; c = c->next)
		if (c->phase == HTTPD_WAITING && c->tls != NULL &&
		    gnutls_record_check_pending(c->tls) > 0)
			return true;
	return false;
}

/* How long until MHD_run must be called again without an event. */
static void
schedule(struct perc_httpd *h, bool more)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int64_t wait;
	unsigned over;

	if (h->progress || more)
		h->quiet = 0;
	if (more) {
		arm(h, &h->turn, 0, turn);
		return;
	}
	if (MHD_get_timeout(h->mhd, &ms) != MHD_YES || ms > TICK_MS)
		return; /* the ticker comes first */
	wait = (int64_t)ms;
	if (wait == 0 && !h->progress && ++h->quiet > QUIET_TURNS &&
	    !half_read(h)) {
		over = h->quiet - QUIET_TURNS - 1;
		wait = over > 3 ? QUIET_MAX_MS : QUIET_MS << over;
	}
	arm(h, &h->turn, wait, turn);
}

static void
turn(void *arg)
{
	struct perc_httpd *h = arg;
	bool more;

	h->progress = false;
	more = httpd_stream_wake_batch(h);
	if (MHD_run(h->mhd) != MHD_YES)
		log_warnx("httpd.run err=failed");
	schedule(h, more);
}

static void
on_epoll(int fd, uint32_t events, void *arg)
{
	struct perc_httpd *h = arg;

	h->quiet = 0;
	turn(h);
}

/* --- connections ---------------------------------------------------------- */
static void
conn_started(struct perc_httpd *h, struct MHD_Connection *mc, void **ctx)
{
	struct httpd_conn *c = calloc(1, sizeof(*c));
	const union MHD_ConnectionInfo *i;

	h->progress = true;
	i = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (i != NULL && i->tls_session != NULL)
		httpd_tls_session(h, i->tls_session);
	if (c == NULL)
		return; /* its requests are refused: no context */
	c->tls = i == NULL ? NULL : i->tls_session;
	i = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);
	c->h = h;
	c->mc = mc;
	c->fd = i == NULL ? -1 : i->connect_fd;
	c->phase = HTTPD_WAITING;
	c->until_ms = perc_now_ms() + h->deadline_ms;
	if ((c->next = h->conns) != NULL)
		c->next->prevp = &c->next;
	c->prevp = &h->conns;
	h->conns = c;
	*ctx = c;
}

static void
conn_closed(struct perc_httpd *h, void **ctx)
{
	struct httpd_conn *c = *ctx;

	h->progress = true;
	if (c == NULL)
		return;
	if (!c->asked)
		h->malformed++;
	if (c->stream != NULL)
		c->stream->c = NULL;
	if (c->req != NULL)
		c->req->c = NULL;
	if ((*c->prevp = c->next) != NULL)
		c->next->prevp = c->prevp;
	free(c);
	*ctx = NULL;
}

static void
on_conn(void *cls, struct MHD_Connection *mc, void **ctx,
    enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		conn_started(cls, mc, ctx);
	else
		conn_closed(cls, ctx);
}

/* microhttpd sees the end of its socket and tidies up by itself. */
void
httpd_conn_cut(struct httpd_conn *c)
{
	if (c->fd >= 0 && !c->cut)
		(void)shutdown(c->fd, SHUT_RDWR);
	c->cut = true;
}

static bool
conn_lost(const struct httpd_conn *c)
{
	struct pollfd p = { c->fd, POLLRDHUP, 0 };

	return poll(&p, 1, 0) == 1 &&
	    (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void
conn_check(struct httpd_conn *c, int64_t now)
{
	struct perc_httpd_req *r = c->req;
	void (*gone)(struct perc_httpd_req *, void *);

	if (c->until_ms != 0 && now >= c->until_ms) {
		if (c->stream != NULL)
			httpd_stream_kill(c->stream);
		else
			httpd_conn_cut(c);
	} else if (c->stream != NULL) {
		if (c->stream->suspended && conn_lost(c))
			httpd_stream_kill(c->stream);
	} else if (r != NULL && r->suspended && !r->answered && !c->cut &&
	    conn_lost(c)) {
		c->cut = true;
		gone = r->gone;
		r->gone = NULL;
		if (gone != NULL)
			gone(r, r->data);
	}
}

static bool
drained(struct perc_httpd *h, int64_t now)
{
	struct httpd_conn *c;

	for (c = h->conns; c != NULL; c = c->next) {
		if (now >= h->drain_until_ms)
			httpd_conn_cut(c);
		else if (c->phase == HTTPD_WAITING && c->req == NULL &&
		    c->asked)
			httpd_conn_cut(c); /* idle; a new one may ask once */
	}
	return h->conns == NULL || now >= h->drain_until_ms + TICK_MS;
}

static void
tick(void *arg)
{
	struct perc_httpd *h = arg;
	struct httpd_conn *c, *next;
	int64_t now = perc_now_ms();
	perc_loop_fn done;

	for (c = h->conns; c != NULL; c = next) {
		next = c->next;
		conn_check(c, now);
	}
	httpd_tls_retire(h, now);
	turn(h);
	if (h->draining && h->done != NULL && drained(h, now)) {
		done = h->done;
		h->done = NULL;
		done(h->done_arg); /* may free h */
		return;
	}
	arm(h, &h->tick, h->draining ? 50 : TICK_MS, tick);
}

/* --- life ----------------------------------------------------------------- */
static void
on_log(void *cls, const char *fmt, va_list ap)
{
	char line[256], safe[512];

	vsnprintf(line, sizeof(line), fmt, ap);
	log_debug("httpd.note text=\"%s\"",
	    perc_log_escape(safe, sizeof(safe), line, strcspn(line, "\n")));
}

static int
daemon_start(struct perc_httpd *h, int fd, const struct perc_httpd_conf *conf)
{
	struct MHD_OptionItem more[] = {
		{ MHD_OPTION_LISTEN_SOCKET, fd, NULL },
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, conf->max_conns, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, conf->max_conns_per_ip,
		    NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		    (void *)(uintptr_t)TLS_PRIORITY },
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)httpd_tls_pair },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)httpd_req_begin, h },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_conn, h },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)httpd_req_completed,
		    h },
		{ h->client_ca != NULL ? MHD_OPTION_HTTPS_MEM_TRUST
				       : MHD_OPTION_END,
		    0, h->client_ca },
		{ MHD_OPTION_END, 0, NULL },
	};
	const union MHD_DaemonInfo *i;

	h->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TLS |
		MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
	    0, NULL, NULL, httpd_req_handle, h, MHD_OPTION_EXTERNAL_LOGGER,
	    on_log, h, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
	if (h->mhd == NULL)
		return PERC_ERR_SYS;
	i = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (i == NULL)
		return PERC_ERR_UNSUPPORTED;
	return perc_loop_add(
	    h->loop, &h->io, i->epoll_fd, EPOLLIN, on_epoll, h);
}

static unsigned
port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &n) != 0)
		return 0;
	if (ss.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

int
perc_httpd_new(struct perc_httpd **hp, struct perc_loop *l,
    const struct perc_httpd_conf *conf, perc_httpd_fn fn, void *arg, char *why,
    size_t whycap)
{
	struct perc_httpd *h = calloc(1, sizeof(*h));
	int r, fd = conf->listen_fd;

	if (h == NULL)
		return PERC_ERR_NOMEM;
	h->loop = l;
	h->fn = fn;
	h->arg = arg;
	h->max_body = conf->max_body;
	h->deadline_ms = conf->deadline_ms;
	h->ask_client_cert = conf->ask_client_cert || conf->client_ca != NULL;
	h->wake_end = &h->wake;
	/* GnuTLS writes without MSG_NOSIGNAL. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (conf->client_ca != NULL &&
	    (h->client_ca = strdup(conf->client_ca)) == NULL) {
		r = PERC_ERR_NOMEM;
		goto out;
	}
	if ((r = httpd_tls_load(
		 &h->pair, conf->cert_file, conf->key_file, why, whycap)) != 0)
		goto out;
	if (fd < 0 &&
	    (r = perc_httpd_listen(
		 &fd, conf->listen, conf->reuseport, why, whycap)) != 0)
		goto out;
	h->port = port_of(fd);
	if ((r = httpd_tls_init(h)) != 0 ||
	    (r = daemon_start(h, fd, conf)) != 0) {
		snprintf(why, whycap, "the HTTPS server does not start: %s",
		    perc_strerror(r));
		goto out;
	}
	fd = -1; /* the daemon's now */
	arm(h, &h->tick, TICK_MS, tick);
	*hp = h;
	h = NULL;
out:
	if (h != NULL && h->mhd == NULL && fd >= 0)
		close(fd);
	perc_httpd_free(h);
	return r;
}

void
perc_httpd_drain(
    struct perc_httpd *h, unsigned grace_ms, perc_loop_fn done, void *arg)
{
	struct httpd_conn *c;
	MHD_socket fd;

	if (h->draining)
		return;
	h->draining = true;
	h->done = done;
	h->done_arg = arg;
	h->drain_until_ms = perc_now_ms() + grace_ms;
	if ((fd = MHD_quiesce_daemon(h->mhd)) != MHD_INVALID_SOCKET)
		close(fd);
	for (c = h->conns; c != NULL; c = c->next)
		if (c->stream != NULL)
			perc_httpd_stream_close(c->stream);
	arm(h, &h->tick, 0, tick);
}

/* A daemon must not stop while a connection is suspended: it aborts. */
static void
resume_all(struct perc_httpd *h)
{
	struct httpd_conn *c;
	int i;

	h->dying = true;
	for (c = h->conns; c != NULL; c = c->next) {
		httpd_conn_cut(c);
		if (c->req != NULL && c->req->suspended && !c->req->answered)
			MHD_resume_connection(c->mc);
		else if (c->stream != NULL)
			httpd_stream_kill(c->stream);
	}
	while (httpd_stream_wake_batch(h))
		(void)MHD_run(h->mhd);
	for (i = 0; i < 100 && h->conns != NULL; i++)
		(void)MHD_run(h->mhd);
}

void
perc_httpd_free(struct perc_httpd *h)
{
	if (h == NULL)
		return;
	if (h->mhd != NULL) {
		resume_all(h);
		perc_loop_del(h->io);
		MHD_stop_daemon(h->mhd);
	}
	perc_timer_stop(h->loop, &h->turn);
	perc_timer_stop(h->loop, &h->tick);
	httpd_tls_clear(h);
	free(h->client_ca);
	free(h);
}

unsigned
perc_httpd_port(const struct perc_httpd *h)
{
	return h->port;
}

unsigned
perc_httpd_conns(const struct perc_httpd *h)
{
	const union MHD_DaemonInfo *i =
	    MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return i == NULL ? 0 : i->num_connections;
}

uint64_t
perc_httpd_malformed(const struct perc_httpd *h)
{
	return h->malformed;
}
