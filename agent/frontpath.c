/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways of one leg to the distributor: ICE as the controlling side (RFC
 * 8445; the MDD is ICE-lite, so its one address is the only remote candidate
 * and there is no list to pair). Our candidates are a UDP socket of our own
 * and, where a relay is configured, one that perch-turn moves to and from a
 * TURN server. Direct is tried first and alone for a moment, so that a relay
 * is asked only by those who need it; whoever lives on a relay keeps asking,
 * slowly and without nominating, whether direct works by now. frontsearch.c
 * opens what is tried; here is what becomes of it.
 *
 * A path that answers nothing is given up long before consent's 30 s
 * (RFC 7675 section 5.1), unless this machine has no network at all: joining
 * anew costs two requests, silence costs the conversation.
 */
#include "agent/frontleg.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/stun.h"

#define CONSENT_MS	 5000 /* RFC 7675: 4 to 6 s */
#define CONSENT_AGAIN_MS 500
#define SILENT_MS	 1000  /* an unanswered check this old: search */
#define CONSENT_LOST_MS	 4000  /* after the first unanswered check */
#define CUT_LOST_MS	 25000 /* and where nothing can be sent */
#define REFUSED_MAX	 3     /* checks in a row that were turned away */
/* Peer-reflexive, RFC 8445 section 5.1.2; a relay's is the least. */
#define PRIORITY_DIRECT 1862270975u
#define PRIORITY_RELAY	16777215u

static void on_check(void *arg);

void
front_path_check_in(struct front_path *p, int64_t ms)
{
	if (perc_timer_set(p->leg->loop, &p->check, ms, on_check, p) != 0)
		fatalx("no memory for a timer");
}

/* ---- trouble
 * ------------------------------------------------------------------ */

/*
 * A closed port or an error (which bears no integrity): somebody on the path
 * says that we are not known. Ask at once; when that is said again and
 * again, it is true or as good as true, and joining anew harms nobody.
 */
static void
path_refused(struct front_path *p)
{
	struct front_leg *l = p->leg;

	if (l->state == LEG_ICE || p != l->now)
		return;
	if (!p->asking)
		front_path_check_in(p, 0);
	else if (!l->counted && ++l->refused >= REFUSED_MAX)
		front_leg_lost(l, "the distributor does not know us any more");
	l->counted = p->asking; /* once for each check */
}

void
front_path_trouble(struct front_path *p, int err)
{
	if (p->leg->state == LEG_LOST || err == EAGAIN || err == ENOBUFS ||
	    err == EMSGSIZE)
		return;
	if (err == ECONNREFUSED) {
		path_refused(p);
		return;
	}
	p->broken = true;
	if (p == p->leg->now)
		front_search_start(p->leg);
	/* the helper that kept the far end has ended */
	if (p->relay && (err == EPIPE || err == ECONNRESET) &&
	    p->state != PATH_NONE) {
		perc_loop_del(p->io);
		p->io = NULL;
		if (p->state == PATH_TRIED)
			front_path_close(p);
	}
}

/* How long the path in use may stay silent. */
static int64_t
patience_ms(const struct front_leg *l)
{
	if (l->searching && l->now->broken)
		return CUT_LOST_MS;
	return l->conf->agent->relays != NULL ? 2 * CONSENT_LOST_MS
					      : CONSENT_LOST_MS;
}

/* ---- checks
 * ------------------------------------------------------------------- */

static void
check_send(struct front_path *p)
{
	struct front_leg *l = p->leg;
	uint32_t priority = p->relay ? PRIORITY_RELAY : PRIORITY_DIRECT;
	uint8_t msg[PERC_STUN_MAX];
	size_t n;

	if (!p->asking) {
		perc_random(p->txid, sizeof(p->txid));
		p->asking = true;
		p->asked_ms = perc_now_ms();
	}
	if (p == l->now)
		l->counted = false;
	if (perc_stun_request(msg, &n, p->txid, l->username, l->pwd, priority,
		p->state != PATH_SPARE, l->tie_breaker) == 0)
		front_path_send(p, msg, n);
}

static void
on_check(void *arg)
{
	struct front_path *p = arg;
	struct front_leg *l = p->leg;
	int64_t silent_ms = p->asking ? perc_now_ms() - p->asked_ms : 0;

	if (p->state == PATH_NOW && silent_ms > patience_ms(l)) {
		front_leg_lost(l, "the distributor has gone silent");
		return;
	}
	if (p->state == PATH_NOW && silent_ms >= SILENT_MS)
		front_search_start(l);
	check_send(p);
	if (p->state == PATH_SPARE)
		p->asking = false; /* each is a new one */
	front_path_check_in(p,
	    p->state == PATH_SPARE     ? CONSENT_MS
		: p->state == PATH_NOW ? CONSENT_AGAIN_MS
				       : FRONT_ICE_MS);
}

/* From now on everything goes there. */
static void
path_use(struct front_path *p)
{
	struct front_leg *l = p->leg;
	bool first = l->state == LEG_ICE;
	struct front_path *other = front_path_find(l, PATH_TRIED, false);

	if (l->now != NULL)
		front_path_close(l->now);
	p->state = PATH_NOW;
	l->now = p;
	/* A relay is a detour: go on asking whether it could end. */
	if (p->relay && other != NULL && other != p) {
		other->state = PATH_SPARE;
		front_path_check_in(other, CONSENT_MS);
	} else if (!p->relay) {
		front_paths_close(l, PATH_SPARE);
	}
	front_search_stop(l);
	l->refused = 0;
	log_info("path conf=%s by=%s", l->conf->id, p->relay ? "relay" : "udp");
	if (first)
		front_leg_dtls_begin(l);
	if (first && l->state == LEG_DTLS)
		front_search_watch(l);
}

/*
 * The distributor asks whether we are where our checks come from (it moves a
 * leg to nowhere else, docs/wire/join.md). The address that it is told is its
 * own, which it has no use for.
 */
static void
check_answer(struct front_path *p, const struct perc_stun *m)
{
	struct front_leg *l = p->leg;
	uint8_t msg[PERC_STUN_MAX];
	size_t n;

	if (!m->has_integrity || perc_stun_verify(m, l->own_pwd) != 0)
		return;
	if (perc_stun_success(msg, &n, m, l->own_pwd,
		(const struct sockaddr *)&l->there) != 0)
		return;
	front_path_send(p, msg, n);
	p->asked = true;
	if (p->state == PATH_TRIED && p->good > 0)
		path_use(p);
}

static void
check_good(struct front_path *p)
{
	struct front_leg *l = p->leg;

	p->asking = p->broken = false;
	p->good++;
	if (p->state == PATH_SPARE) { /* direct works: nominate it */
		p->state = PATH_TRIED;
		p->good = 0;
		front_path_check_in(p, 0);
	} else if (p->state == PATH_TRIED) {
		/* Moving takes the distributor's question; a leg that is
		 * there already, or nowhere yet, is asked none. */
		if (l->state == LEG_ICE || p->asked || p->good > 2)
			path_use(p);
		else
			front_path_check_in(p, FRONT_ICE_MS);
	}
	if (p->state == PATH_NOW) {
		l->refused = 0;
		if (l->searching && p->asked_ms >= l->search_ms)
			front_search_stop(l);
		front_path_check_in(
		    p, CONSENT_MS - 1000 + perc_random_u32() % 2001);
	}
}

void
front_path_stun(struct front_path *p, const uint8_t *msg, size_t n)
{
	struct perc_stun m;

	if (perc_stun_parse(&m, msg, n) != 0)
		return;
	if (m.type == 0x0001) {
		check_answer(p, &m);
		return;
	}
	if (memcmp(m.txid, p->txid, sizeof(p->txid)) != 0 ||
	    (!p->asking && p->state != PATH_SPARE))
		return;
	if (m.type == 0x0111)
		path_refused(p);
	else if (m.type == 0x0101 && perc_stun_verify(&m, p->leg->pwd) == 0)
		check_good(p);
}
