/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways of one leg to the distributor: ICE as the controlling side (RFC
 * 8445; the MDD is ICE-lite, so its one address is the only remote candidate
 * and there is no list to pair). Our candidates are a UDP socket of our own
 * and, where a relay is configured, one that perch-turn moves to and from a
 * TURN server. Direct is tried first and alone for a moment, so that a relay
 * is asked only by those who need it; whoever lives on a relay keeps asking,
 * slowly and without nominating, whether direct works by now.
 *
 * A path in use that answers no check within a second, or that the kernel no
 * longer knows, starts a search: fresh sockets (from a new address, if that
 * is what changed) are nominated beside it. The distributor asks the new
 * address itself before it moves the leg there (docs/wire/join.md), so what
 * we wait for is its question, and media changes over behind our answer.
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

#define ICE_MS		 250   /* between checks until one is answered */
#define ICE_MAX_MS	 10000 /* without any answer: no such path */
#define DTLS_MAX_MS	 10000
#define RELAY_AFTER_MS	 750   /* direct's head start */
#define RELAY_MAX_MS	 20000 /* a relay asks several servers first */
#define CONSENT_MS	 5000  /* RFC 7675: 4 to 6 s */
#define CONSENT_AGAIN_MS 500
#define SILENT_MS	 1000  /* an unanswered check this old: search */
#define CONSENT_LOST_MS	 4000  /* after the first unanswered check */
#define CUT_LOST_MS	 25000 /* and where nothing can be sent */
#define REFUSED_MAX	 3     /* checks in a row that were turned away */
/* Peer-reflexive, RFC 8445 section 5.1.2; a relay's is the least. */
#define PRIORITY_DIRECT 1862270975u
#define PRIORITY_RELAY	16777215u

static void on_check(void *arg);
static void on_search(void *arg);

static void
check_in(struct front_path *p, int64_t ms)
{
	if (perc_timer_set(p->leg->loop, &p->check, ms, on_check, p) != 0)
		fatalx("no memory for a timer");
}

static void
path_close(struct front_path *p)
{
	if (p->state == PATH_NONE)
		return;
	perc_timer_stop(p->leg->loop, &p->check);
	perc_loop_del(p->io);
	close(p->fd);
	if (p->leg->now == p)
		p->leg->now = NULL;
	*p = (struct front_path){ .leg = p->leg, .fd = -1 };
}

static struct front_path *
path_find(struct front_leg *l, enum path_state state, bool relay)
{
	for (size_t i = 0; i < PATHS; i++)
		if (l->path[i].state == state &&
		    (state == PATH_NONE || l->path[i].relay == relay))
			return &l->path[i];
	return NULL;
}

static void
paths_close(struct front_leg *l, enum path_state state)
{
	for (size_t i = 0; i < PATHS; i++)
		if (l->path[i].state == state)
			path_close(&l->path[i]);
}

/* ---- sockets ------------------------------------------------------------ */

static int
direct_socket(const struct front_leg *l)
{
	const struct sockaddr *to = (const struct sockaddr *)&l->there;
	socklen_t len = to->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						 : sizeof(struct sockaddr_in6);
	int size = 1 << 20, fd, e;

	fd =
	    socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, to, len) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* One more that is tried, from now on. */
static bool
path_open(struct front_leg *l, bool relay)
{
	struct front_path *p = path_find(l, PATH_NONE, false);
	int fd;

	if (p == NULL)
		return false;
	fd = relay ? front_relay_open(l->conf->agent->relays,
			 (const struct sockaddr *)&l->there, &p->relay_id)
		   : direct_socket(l);
	if (fd < 0)
		return false;
	if (perc_loop_add(l->loop, &p->io, fd, EPOLLIN, front_leg_ready, p) !=
	    0) {
		close(fd);
		errno = ENOMEM;
		return false;
	}
	p->fd = fd;
	p->relay = relay;
	p->state = PATH_TRIED;
	check_in(p, 0);
	return true;
}

/* Would the kernel send from elsewhere than p does? */
static bool
is_elsewhere(const struct front_path *p)
{
	struct sockaddr_storage now, then;
	socklen_t nlen = sizeof(now), tlen = sizeof(then);
	int fd = direct_socket(p->leg);
	bool same = true;

	if (fd < 0)
		return true;
	if (getsockname(fd, (struct sockaddr *)&now, &nlen) == 0 &&
	    getsockname(p->fd, (struct sockaddr *)&then, &tlen) == 0)
		same = now.ss_family == AF_INET
		    ? ((struct sockaddr_in *)&now)->sin_addr.s_addr ==
			((struct sockaddr_in *)&then)->sin_addr.s_addr
		    : memcmp(&((struct sockaddr_in6 *)&now)->sin6_addr,
			  &((struct sockaddr_in6 *)&then)->sin6_addr, 16) == 0;
	close(fd);
	return !same;
}

/* ---- searching ---------------------------------------------------------- */

static void
search_start(struct front_leg *l)
{
	if (l->state == LEG_LOST || l->searching)
		return;
	l->searching = true;
	l->search_ms = perc_now_ms();
	front_leg_timer(l, &l->search, 0, on_search);
}

static void
search_stop(struct front_leg *l)
{
	l->searching = false;
	paths_close(l, PATH_TRIED);
}

/* What could be tried and is not. A direct one that was opened before the
 * network changed once more stands where nobody sends from. */
static void
search_more(struct front_leg *l)
{
	const struct front_relays *r = l->conf->agent->relays;
	struct front_path *p = path_find(l, PATH_TRIED, false);
	bool only = front_relay_only(r);

	if (p != NULL && is_elsewhere(p)) {
		path_close(p);
		p = NULL;
	}
	if (p == NULL && !only) {
		paths_close(l, PATH_SPARE);
		(void)path_open(l, false);
	}
	if (r != NULL && path_find(l, PATH_TRIED, true) == NULL &&
	    (only || perc_now_ms() - l->search_ms >= RELAY_AFTER_MS))
		(void)path_open(l, true);
}

static void
on_search(void *arg)
{
	struct front_leg *l = arg;
	int64_t age = perc_now_ms() - l->started_ms;
	bool relays = l->conf->agent->relays != NULL;

	if (l->state == LEG_ICE && age > (relays ? RELAY_MAX_MS : ICE_MAX_MS)) {
		char why[FRONT_WORDS_MAX];

		text_put(why, sizeof(why), "%s%s%s",
		    "no answer at the distributor's media address",
		    l->relay_words[0] != '\0' ? "; relay: " : "",
		    l->relay_words);
		front_leg_lost(l, why);
		return;
	}
	if (l->state == LEG_DTLS && age > DTLS_MAX_MS) {
		front_leg_lost(l, "the distributor does not finish DTLS");
		return;
	}
	if (l->searching)
		search_more(l);
	if (l->searching || l->state == LEG_DTLS)
		front_leg_timer(l, &l->search, ICE_MS, on_search);
}

bool
front_path_start(struct front_leg *l)
{
	const struct front_relays *r = l->conf->agent->relays;

	for (size_t i = 0; i < PATHS; i++)
		l->path[i] = (struct front_path){ .leg = l, .fd = -1 };
	if (!path_open(l, front_relay_only(r)) && r == NULL)
		return false;
	search_start(l);
	return true;
}

void
front_path_stop(struct front_leg *l)
{
	for (size_t i = 0; i < PATHS; i++)
		path_close(&l->path[i]);
	perc_timer_stop(l->loop, &l->search);
}

/* Addresses or routes of this machine are others. */
void
front_leg_moved(struct front_leg *l)
{
	if (l == NULL || l->now == NULL || l->state == LEG_LOST)
		return;
	check_in(l->now, 0);
	if (!l->now->relay && is_elsewhere(l->now))
		search_start(l);
}

void
front_leg_relay_told(
    struct front_leg *l, uint32_t id, bool up, const char *words)
{
	for (size_t i = 0; i < PATHS; i++) {
		struct front_path *p = &l->path[i];

		if (p->state == PATH_NONE || !p->relay || p->relay_id != id)
			continue;
		text_put(p->words, sizeof(p->words), "%s", words);
		l->relay_words[0] = '\0';
		if (!up)
			text_put(l->relay_words, sizeof(l->relay_words), "%s",
			    words);
		else if (p->state == PATH_TRIED)
			check_in(p, 0);
		log_info("relay conf=%s %s=\"%s\"", l->conf->id,
		    up ? "by" : "trouble", words);
	}
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
		check_in(p, 0);
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
		search_start(p->leg);
	/* the helper that kept the far end has ended */
	if (p->relay && (err == EPIPE || err == ECONNRESET) &&
	    p->state != PATH_NONE) {
		perc_loop_del(p->io);
		p->io = NULL;
		if (p->state == PATH_TRIED)
			path_close(p);
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
		search_start(l);
	check_send(p);
	if (p->state == PATH_SPARE)
		p->asking = false; /* each is a new one */
	check_in(p,
	    p->state == PATH_SPARE     ? CONSENT_MS
		: p->state == PATH_NOW ? CONSENT_AGAIN_MS
				       : ICE_MS);
}

/* From now on everything goes there. */
static void
path_use(struct front_path *p)
{
	struct front_leg *l = p->leg;
	bool first = l->state == LEG_ICE;
	struct front_path *other = path_find(l, PATH_TRIED, false);

	if (l->now != NULL)
		path_close(l->now);
	p->state = PATH_NOW;
	l->now = p;
	/* A relay is a detour: go on asking whether it could end. */
	if (p->relay && other != NULL && other != p) {
		other->state = PATH_SPARE;
		check_in(other, CONSENT_MS);
	} else if (!p->relay) {
		paths_close(l, PATH_SPARE);
	}
	search_stop(l);
	l->refused = 0;
	log_info("path conf=%s by=%s", l->conf->id, p->relay ? "relay" : "udp");
	if (first)
		front_leg_dtls_begin(l);
	if (first && l->state == LEG_DTLS)
		front_leg_timer(l, &l->search, ICE_MS, on_search);
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
		check_in(p, 0);
	} else if (p->state == PATH_TRIED) {
		/* Moving takes the distributor's question; a leg that is
		 * there already, or nowhere yet, is asked none. */
		if (l->state == LEG_ICE || p->asked || p->good > 2)
			path_use(p);
		else
			check_in(p, ICE_MS);
	}
	if (p->state == PATH_NOW) {
		l->refused = 0;
		if (l->searching && p->asked_ms >= l->search_ms)
			search_stop(l);
		check_in(p, CONSENT_MS - 1000 + perc_random_u32() % 2001);
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
