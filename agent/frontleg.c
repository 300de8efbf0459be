/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one leg: a UDP socket, an ICE check that nominates (the MDD is
 * ICE-lite, RFC 8445 section 2.5), DTLS by pinned fingerprint, the two hop
 * contexts.
 *
 * A path that answers no check is given up long before consent's 30 s
 * (RFC 7675 section 5.1): joining anew costs two requests, silence costs
 * the conversation.
 */
#include "agent/frontleg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/rtp.h"
#include "perc/secret.h"
#include "perc/srtp.h"
#include "perc/stun.h"

#define ICE_MS		 250   /* between checks until one is answered */
#define ICE_MAX_MS	 10000 /* without any answer: no such path */
#define DTLS_MAX_MS	 10000
#define CONSENT_MS	 5000 /* RFC 7675: 4 to 6 s */
#define CONSENT_AGAIN_MS 500
#define CONSENT_LOST_MS	 4000	     /* after the first unanswered check */
#define REFUSED_MAX	 3	     /* checks in a row that were turned away */
#define PRIORITY	 1862270975u /* peer-reflexive, RFC 8445 section 5.1.2 */
#define STREAMS_OUT	 8
#define STREAMS_IN	 1024
#define WINDOW		 512
static void on_check(void *arg);
static void on_dtls_timer(void *arg);

static void
later(struct front_leg *l, struct perc_timer *t, int64_t ms, perc_loop_fn fn)
{
	if (perc_timer_set(l->loop, t, ms, fn, l) != 0)
		fatalx("no memory for a timer");
}

/* Told from the loop, since whoever hears it frees the leg. */
static void
on_lost(void *arg)
{
	struct front_leg *l = arg;
	char why[FRONT_WORDS_MAX];

	text_put(why, sizeof(why), "%s", l->why);
	front_mdd_lost(l->conf, why);
}

void
front_leg_lost(struct front_leg *l, const char *why)
{
	if (l->state == LEG_LOST)
		return;
	l->state = LEG_LOST;
	text_put(l->why, sizeof(l->why), "%s", why);
	later(l, &l->lost, 0, on_lost);
}

/*
 * A closed port or an error (which bears no integrity): somebody on the path
 * says that we are not known. Ask at once; when that is said again and
 * again, it is true or as good as true, and joining anew harms nobody.
 */
void
front_leg_refused(struct front_leg *l)
{
	if (l->state == LEG_LOST || l->state == LEG_ICE)
		return;
	if (!l->asking)
		later(l, &l->check, 0, on_check);
	else if (!l->counted && ++l->refused >= REFUSED_MAX)
		front_leg_lost(l, "the distributor does not know us any more");
	l->counted = l->asking; /* once for each check */
}

/* ---- ICE
 * ---------------------------------------------------------------------- */

static void
check_send(struct front_leg *l)
{
	uint8_t msg[PERC_STUN_MAX];
	size_t n;

	if (!l->asking) {
		perc_random(l->txid, sizeof(l->txid));
		l->asking = true;
		l->asked_ms = perc_now_ms();
	}
	l->counted = false;
	if (perc_stun_request(msg, &n, l->txid, l->username, l->pwd, PRIORITY,
		true, l->tie_breaker) == 0)
		front_leg_send(l, msg, n);
}

static void
on_check(void *arg)
{
	struct front_leg *l = arg;
	int64_t now = perc_now_ms();

	if (l->state == LEG_ICE && now - l->started_ms > ICE_MAX_MS) {
		front_leg_lost(
		    l, "no answer at the distributor's media address");
		return;
	}
	if (l->state == LEG_DTLS && now - l->started_ms > DTLS_MAX_MS) {
		front_leg_lost(l, "the distributor does not finish DTLS");
		return;
	}
	if (l->state != LEG_ICE && l->asking &&
	    now - l->asked_ms > CONSENT_LOST_MS) {
		front_leg_lost(l, "the distributor has gone silent");
		return;
	}
	check_send(l);
	later(l, &l->check, l->state == LEG_ICE ? ICE_MS : CONSENT_AGAIN_MS,
	    on_check);
}

static void
dtls_out(const uint8_t *p, size_t n, void *arg)
{
	front_leg_send(arg, p, n);
}

static void
dtls_plan(struct front_leg *l)
{
	int ms = perc_dtls_next_ms(l->dtls);

	if (ms < 0)
		perc_timer_stop(l->loop, &l->dtls_timer);
	else
		later(l, &l->dtls_timer, ms, on_dtls_timer);
}

static void
dtls_begin(struct front_leg *l)
{
	l->state = LEG_DTLS;
	l->started_ms = perc_now_ms();
	if (perc_dtls_new(
		&l->dtls, l->id, false, l->pin, NULL, 0, dtls_out, l) != 0 ||
	    perc_dtls_start(l->dtls) != 0)
		front_leg_lost(l, "cannot start DTLS");
	else
		dtls_plan(l);
}

/*
 * The distributor asks whether we are where our checks come from (it moves a
 * leg to nowhere else, docs/wire/join.md). The address that it is told is its
 * own, which it has no use for.
 */
static void
check_answer(struct front_leg *l, const struct perc_stun *m)
{
	uint8_t msg[PERC_STUN_MAX];
	size_t n;

	if (!m->has_integrity || perc_stun_verify(m, l->own_pwd) != 0)
		return;
	if (perc_stun_success(msg, &n, m, l->own_pwd,
		(const struct sockaddr *)&l->there) == 0)
		front_leg_send(l, msg, n);
}

void
front_leg_stun(struct front_leg *l, const uint8_t *p, size_t n)
{
	struct perc_stun m;
	int64_t jitter;

	if (perc_stun_parse(&m, p, n) != 0)
		return;
	if (m.type == 0x0001) {
		check_answer(l, &m);
		return;
	}
	if (!l->asking || memcmp(m.txid, l->txid, sizeof(l->txid)) != 0)
		return;
	if (m.type == 0x0111) {
		front_leg_refused(l);
		return;
	}
	if (m.type != 0x0101 || perc_stun_verify(&m, l->pwd) != 0)
		return;
	l->asking = false;
	l->refused = 0;
	l->consent_ms = perc_now_ms();
	jitter = perc_random_u32() % 2001;
	later(l, &l->check, CONSENT_MS - 1000 + jitter, on_check);
	if (l->state == LEG_ICE)
		dtls_begin(l);
}

/* ---- DTLS
 * ---------------------------------------------------------------------- */

static int
hops_make(struct front_leg *l)
{
	struct perc_dtls_keys k;
	int r;

	if ((r = perc_dtls_keys(l->dtls, &k)) != 0 ||
	    (r = perc_srtp_new(&l->tx, k.profile, k.tx_key, k.tx_salt,
		 STREAMS_OUT, WINDOW)) != 0 ||
	    (r = perc_srtp_new(&l->rx, k.profile, k.rx_key, k.rx_salt,
		 STREAMS_IN, WINDOW)) != 0 ||
	    (r = perc_srtcp_new(
		 &l->rtcp_tx, k.profile, k.tx_key, k.tx_salt, 0)) != 0)
		goto out;
	r = perc_srtcp_new(&l->rtcp_rx, k.profile, k.rx_key, k.rx_salt, 1);
out:
	perc_wipe(&k, sizeof(k));
	return r;
}

static void
dtls_look(struct front_leg *l)
{
	switch (perc_dtls_state(l->dtls)) {
	case PERC_DTLS_UP:
		if (l->state != LEG_DTLS)
			break;
		if (hops_make(l) != 0) {
			front_leg_lost(l, "cannot take the hop keys");
			return;
		}
		l->state = LEG_UP;
		front_mdd_up(l->conf);
		break;
	case PERC_DTLS_CLOSED:
		front_leg_lost(l, "the distributor closed the leg");
		return;
	case PERC_DTLS_FAILED:
		front_leg_lost(l, "the distributor is not who it said it is");
		return;
	default:
		break;
	}
	dtls_plan(l);
}

void
front_leg_dtls(struct front_leg *l, const uint8_t *p, size_t n)
{
	int r;

	if (l->dtls == NULL || l->state == LEG_LOST)
		return;
	if ((r = perc_dtls_input(l->dtls, p, n)) != 0)
		log_warnx(
		    "dtls conf=%s what=\"%s\"", l->conf->id, perc_strerror(r));
	dtls_look(l);
}

static void
on_dtls_timer(void *arg)
{
	struct front_leg *l = arg;

	if (l->state == LEG_LOST)
		return;
	if (perc_dtls_timeout(l->dtls) != 0)
		front_leg_lost(l, "the distributor does not answer DTLS");
	else
		dtls_look(l);
}

/* ---- life
 * -------------------------------------------------------------------------- */

static int
socket_connect(struct front_leg *l, const struct front_join *j)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(j->port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_port = htons(j->port) };
	bool four = inet_pton(AF_INET, j->host, &v4.sin_addr) == 1;
	int size = 1 << 20;

	if (!four && inet_pton(AF_INET6, j->host, &v6.sin6_addr) != 1)
		return PERC_ERR_FORMAT;
	l->fd = socket(four ? AF_INET : AF_INET6,
	    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return PERC_ERR_SYS;
	(void)setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	memcpy(&l->there, four ? (void *)&v4 : (void *)&v6,
	    four ? sizeof(v4) : sizeof(v6));
	if (connect(l->fd, four ? (void *)&v4 : (void *)&v6,
		four ? sizeof(v4) : sizeof(v6)) != 0)
		return PERC_ERR_SYS;
	return perc_loop_add(
	    l->loop, &l->io, l->fd, EPOLLIN, front_leg_ready, l);
}

int
front_leg_new(struct front_leg **lp, struct front_conf *c,
    struct perc_dtls_id *id, const struct front_join *j, const char *ufrag,
    char *why, size_t whycap)
{
	struct front_leg *l;
	int r;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return PERC_ERR_NOMEM;
	if ((l->repair = front_repair_new()) == NULL) {
		free(l);
		return PERC_ERR_NOMEM;
	}
	l->conf = c;
	l->loop = c->agent->loop;
	l->id = id;
	l->fd = -1;
	l->started_ms = perc_now_ms();
	memcpy(l->pin, j->fingerprint, sizeof(l->pin));
	memcpy(l->pwd, j->pwd, sizeof(l->pwd));
	/* RFC 8445 section 7.2.2: theirs first in what we send */
	text_put(l->username, sizeof(l->username), "%s:%s", j->ufrag, ufrag);
	text_put(l->own_pwd, sizeof(l->own_pwd), "%s", c->ice_pwd);
	perc_random(&l->tie_breaker, sizeof(l->tie_breaker));
	front_leg_batches(l);
	if ((r = socket_connect(l, j)) != 0) {
		text_put(why, whycap, "no way to %s port %u: %s", j->host,
		    j->port, strerror(errno));
		front_leg_free(l);
		return r;
	}
	later(l, &l->check, 0, on_check);
	*lp = l;
	return 0;
}

void
front_leg_free(struct front_leg *l)
{
	bool up;

	if (l == NULL)
		return;
	up = l->state == LEG_UP;
	l->state = LEG_LOST; /* a refused farewell must set no timer now */
	if (l->dtls != NULL && up)
		perc_dtls_close(l->dtls);
	perc_timer_stop(l->loop, &l->check);
	perc_timer_stop(l->loop, &l->dtls_timer);
	perc_timer_stop(l->loop, &l->lost);
	perc_timer_stop(l->loop, &l->repair_timer);
	front_repair_free(l->repair);
	perc_dtls_free(l->dtls);
	perc_srtp_free(l->tx);
	perc_srtp_free(l->rx);
	perc_srtcp_free(l->rtcp_tx);
	perc_srtcp_free(l->rtcp_rx);
	perc_loop_del(l->io);
	if (l->fd >= 0)
		close(l->fd);
	perc_wipe(l, sizeof(*l));
	free(l);
}

json_t *
front_leg_json(const struct front_leg *l)
{
	static const char *const names[] = { "ice", "dtls", "up", "lost" };
	struct front_repair_count r;

	if (l == NULL)
		return json_null();
	front_repair_count(l->repair, &r);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
			 " s:I, s:I}",
	    "state", names[l->state], "sent", (json_int_t)l->count.sent,
	    "received", (json_int_t)l->count.received, "dropped",
	    (json_int_t)l->count.dropped, "auth_failed",
	    (json_int_t)l->count.auth_failed, "replayed",
	    (json_int_t)l->count.replayed, "rtcp_sent",
	    (json_int_t)l->count.rtcp_sent, "rtcp_received",
	    (json_int_t)l->count.rtcp_received, "asked", (json_int_t)r.asked,
	    "mended", (json_int_t)r.mended, "given_up", (json_int_t)r.given_up,
	    "resent", (json_int_t)r.resent);
}
