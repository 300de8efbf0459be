/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libre's TURN client does the protocol: the long-term credential, nonces
 * that go stale (438), refreshes of allocation and channel. What it leaves to
 * us: which way to the server, the framing of a stream, and whom to believe
 * (turntls.c).
 *
 * libre calls us from the middle of its own work, so a link that has failed
 * only says so from a timer, behind which it may be freed.
 */
#include "agent/turnlink.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "agent/turnframe.h"
#include "agent/turnlookup.h"
#include "agent/turntls.h"

#define UP_MS	  8000	     /* from the name to the channel */
#define LIFETIME  600	     /* of an allocation, s */
#define HEADROOM  4	     /* a ChannelData header */
#define QUEUE_MAX (48 << 10) /* of media; behind it a stream is too late */
#define BUFFER	  (1 << 20)
#define RX_MAX	  (STUN_HEADER_SIZE + 65536 + 8192)

struct turn_link {
	const struct turn_server *server;
	const char *ca_file;
	struct sa peer;
	const struct turn_link_events *events;
	void *arg;
	struct turn_lookup *lookup;
	struct udp_sock *udp;
	struct tcp_conn *tcp;
	struct turn_tls *tls;
	struct turnc *turnc;
	struct mbuf *rx; /* of a stream */
	struct tmr late, over;
	bool up, failed;
	char why[TURN_WORDS_MAX];
};

/* A second once it is under way; a lost answer costs 0.25 s. */
static const struct stun_conf stun_settings = {
	.rto = 250, .rc = 4, .rm = 6, .ti = 5000
};

static void
on_over(void *arg)
{
	struct turn_link *l = arg;

	l->events->failed(l, l->why, l->arg);
}

static void
fail(struct turn_link *l, const char *what, const char *detail)
{
	if (l->failed)
		return;
	l->failed = true;
	(void)re_snprintf(l->why, sizeof(l->why), "%s: %s%s%s", l->server->url,
	    what, *detail != '\0' ? ": " : "", detail);
	tmr_start(&l->over, 0, on_over, l);
}

static void
on_late(void *arg)
{
	struct turn_link *l = arg;

	fail(l,
	    l->tls != NULL && l->turnc == NULL ? "no TLS connection in time"
					       : "no answer in time",
	    "");
}

/* ---- TURN --------------------------------------------------------------- */

static void
on_channel(void *arg)
{
	struct turn_link *l = arg;

	if (l->failed || l->up)
		return;
	l->up = true;
	tmr_cancel(&l->late);
	l->events->up(l, l->arg);
}

static void
refused(struct turn_link *l, uint16_t code, const char *reason)
{
	char detail[96];

	(void)re_snprintf(
	    detail, sizeof(detail), "%u %s", code, reason ? reason : "");
	switch (code) {
	case 401:
		fail(l, "the server refuses username and password", detail);
		break;
	case 403:
		fail(
		    l, "the server forbids the way to the distributor", detail);
		break;
	case 437:
		fail(l, "the server has forgotten us", detail);
		break;
	default:
		fail(l, "the server refuses", detail);
	}
}

static void
on_turn(int err, uint16_t code, const char *reason, const struct sa *relay,
    const struct sa *mapped, const struct stun_msg *msg, void *arg)
{
	struct turn_link *l = arg;

	(void)mapped;
	(void)msg;
	if (err != 0)
		fail(l, err == ETIMEDOUT ? "no answer" : strerror(err), "");
	else if (code != 0)
		refused(l, code, reason);
	else if (sa_af(relay) != sa_af(&l->peer))
		fail(l, "the relay has no address of the distributor's family",
		    "");
	else if ((err = turnc_add_chan(l->turnc, &l->peer, on_channel, l)) != 0)
		fail(l, strerror(err), "");
}

static void
turn_begin(struct turn_link *l, int proto, void *sock, const struct sa *srv)
{
	int err = turnc_alloc(&l->turnc, &stun_settings, proto, sock, 0, srv,
	    l->server->username, l->server->password, LIFETIME, on_turn, l);

	if (err != 0)
		fail(l, strerror(err), "");
}

static void
datagram(struct turn_link *l, const struct sa *from, const struct mbuf *mb)
{
	size_t n = mbuf_get_left(mb);

	if (n > 0 && !l->failed && sa_cmp(from, &l->peer, SA_ALL))
		l->events->data(l, mbuf_buf(mb), n, l->arg);
}

static void
on_udp(const struct sa *from, struct mbuf *mb, void *arg)
{
	datagram(arg, from, mb);
}

/* ---- a stream ----------------------------------------------------------- */

static void
frame(struct turn_link *l, const uint8_t *p, size_t n)
{
	struct mbuf *mb = mbuf_alloc(n);
	struct sa from;

	if (mb == NULL || mbuf_write_mem(mb, p, n) != 0)
		goto out;
	mb->pos = 0;
	sa_init(&from, AF_UNSPEC);
	if (turnc_recv(l->turnc, &from, mb) == 0)
		datagram(l, &from, mb);
out:
	mem_deref(mb);
}

/* All that is whole; what is left moves to the front. */
static void
frames(struct turn_link *l)
{
	size_t at = 0, left = l->rx->end, len, all;

	while (left >= TURN_FRAME_HEAD && !l->failed) {
		if (turn_frame_len(&len, &all, l->rx->buf + at) != 0) {
			fail(l, "the server does not speak TURN", "");
			break;
		}
		if (left < all)
			break;
		frame(l, l->rx->buf + at, len);
		at += all;
		left -= all;
	}
	memmove(l->rx->buf, l->rx->buf + at, left);
	l->rx->end = l->rx->pos = left;
}

static void
on_stream(struct mbuf *mb, void *arg)
{
	struct turn_link *l = arg;

	if (l->turnc == NULL || l->failed)
		return;
	l->rx->pos = l->rx->end;
	if (l->rx->end + mbuf_get_left(mb) > RX_MAX ||
	    mbuf_write_mem(l->rx, mbuf_buf(mb), mbuf_get_left(mb)) != 0)
		fail(l, "the server sends too much", "");
	else
		frames(l);
}

static void
on_connected(void *arg)
{
	struct turn_link *l = arg;
	struct sa srv;
	int on = 1;

	(void)setsockopt(
	    tcp_conn_fd(l->tcp), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (l->turnc == NULL && tcp_conn_peer_get(l->tcp, &srv) == 0)
		turn_begin(l, IPPROTO_TCP, l->tcp, &srv);
}

static void
on_closed(int err, void *arg)
{
	struct turn_link *l = arg;

	const char *why = turn_tls_why(l->tls);

	if (why != NULL)
		fail(l, "its certificate is not to be trusted", why);
	else if (err == EPROTO && l->turnc == NULL)
		fail(l, "no TLS", "");
	else if (err != 0)
		fail(l, l->turnc != NULL ? "connection lost" : "cannot connect",
		    strerror(err));
	else
		fail(l, "the server closed the connection", "");
}

/* ---- life ---------------------------------------------------------------- */

static void
udp_begin(struct turn_link *l, const struct sa *srv)
{
	struct sa any;
	int err;

	sa_init(&any, sa_af(srv));
	if ((err = udp_listen(&l->udp, &any, on_udp, l)) != 0) {
		fail(l, strerror(err), "");
		return;
	}
	(void)udp_sockbuf_set(l->udp, BUFFER);
	turn_begin(l, IPPROTO_UDP, l->udp, srv);
}

static void
on_address(const struct sa *srv, const char *why, void *arg)
{
	struct turn_link *l = arg;
	int err;

	l->lookup = NULL;
	if (srv == NULL) {
		fail(l, "cannot find the host", why);
	} else if (l->server->at.transport == TURN_UDP) {
		udp_begin(l, srv);
	} else if ((err = tcp_connect(&l->tcp, srv, on_connected, on_stream,
			on_closed, l)) != 0) {
		fail(l, "cannot connect", strerror(err));
	} else if (l->server->at.transport == TURN_TLS &&
	    (l->tls = turn_tls_start(l->tcp, l->server->at.host, l->ca_file)) ==
		NULL) {
		fail(l, "cannot start TLS",
		    l->ca_file != NULL ? l->ca_file : "");
	}
}

static void
link_destroy(void *arg)
{
	struct turn_link *l = arg;

	tmr_cancel(&l->late);
	tmr_cancel(&l->over);
	turn_lookup_cancel(l->lookup);
	mem_deref(l->turnc); /* gives the allocation back */
	mem_deref(l->tls);
	mem_deref(l->tcp);
	mem_deref(l->udp);
	mem_deref(l->rx);
}

struct turn_link *
turn_link_new(const struct turn_server *s, const char *ca_file,
    const struct sa *peer, const struct turn_link_events *events, void *arg)
{
	struct turn_link *l = mem_zalloc(sizeof(*l), link_destroy);

	if (l == NULL)
		return NULL;
	l->server = s;
	l->ca_file = ca_file;
	l->peer = *peer;
	l->events = events;
	l->arg = arg;
	tmr_init(&l->late);
	tmr_init(&l->over);
	l->rx = mbuf_alloc(8192);
	l->lookup = turn_lookup_start(s->at.host, s->at.port, on_address, l);
	if (l->rx == NULL || l->lookup == NULL)
		return mem_deref(l);
	tmr_start(&l->late, UP_MS, on_late, l);
	return l;
}

void
turn_link_free(struct turn_link *l)
{
	mem_deref(l);
}

void
turn_link_send(struct turn_link *l, const uint8_t *p, size_t n)
{
	struct mbuf *mb;

	if (!l->up || l->failed ||
	    (l->tcp != NULL && tcp_conn_txqsz(l->tcp) > QUEUE_MAX))
		return;
	if ((mb = mbuf_alloc(HEADROOM + n + 3)) == NULL)
		return;
	mb->pos = mb->end = HEADROOM;
	if (mbuf_write_mem(mb, p, n) == 0) {
		mb->pos = HEADROOM;
		if (l->tcp != NULL)
			(void)turnc_send(l->turnc, &l->peer, mb);
		else
			(void)udp_send(l->udp, &l->peer, mb);
	}
	mem_deref(mb);
}
