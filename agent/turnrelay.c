/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One relay: the configured servers are asked in their order, the next one
 * when one has failed or keeps us waiting, and the first that carries wins.
 * When that one is lost (its server was started anew, the network changed)
 * all begins again, for as long as the front keeps its end; the distributor
 * sees another address, and the front's next check there moves the leg.
 */
#include "agent/turnrelay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/turnlink.h"
#include "perc/log.h"

#define NEXT_MS	     700 /* then the next server is asked too */
#define AGAIN_MS     1000
#define AGAIN_MAX_MS 15000
#define DATAGRAM_MAX 2048
#define BURST	     64

struct turn_relay {
	struct le le;
	struct turn *turn;
	uint32_t id;
	int fd;
	struct sa peer;
	struct turn_link *link[TURN_SERVERS_MAX];
	struct turn_link *chosen;
	size_t first, end; /* of the servers that it may be */
	size_t asked;	   /* the next of this round */
	unsigned rounds;
	struct tmr next;
};

static void round_begin(void *arg);

static void
tell(const struct turn_relay *r, bool up, const char *words)
{
	struct turn_told t = { .type = TURN_TOLD, .id = r->id, .up = up };

	(void)re_snprintf(t.words, sizeof(t.words), "%s", words);
	if (send(r->turn->chan, &t, sizeof(t), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_warn("tell");
}

static void
links_free(struct turn_relay *r, const struct turn_link *but)
{
	for (size_t i = 0; i < TURN_SERVERS_MAX; i++)
		if (r->link[i] != but) {
			turn_link_free(r->link[i]);
			r->link[i] = NULL;
		}
}

static void
on_up(struct turn_link *l, void *arg)
{
	struct turn_relay *r = arg;
	size_t i = 0;

	while (r->link[i] != l)
		i++;
	r->chosen = l;
	r->rounds = 0;
	tmr_cancel(&r->next);
	links_free(r, l);
	tell(r, true, r->turn->server[i].url);
}

static void
on_data(struct turn_link *l, const uint8_t *p, size_t n, void *arg)
{
	struct turn_relay *r = arg;

	if (l == r->chosen)
		(void)!send(r->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void link_next(void *arg);

static void
on_failed(struct turn_link *l, const char *why, void *arg)
{
	struct turn_relay *r = arg;
	bool left = false;

	log_info("relay id=%u trouble=\"%s\"", r->id, why);
	tell(r, false, why);
	for (size_t i = 0; i < TURN_SERVERS_MAX; i++) {
		if (r->link[i] == l)
			r->link[i] = NULL;
		left = left || r->link[i] != NULL;
	}
	if (l == r->chosen) {
		r->chosen = NULL;
		tmr_start(&r->next, 0, round_begin, r);
	} else if (r->asked < r->end) {
		tmr_start(&r->next, 0, link_next, r);
	} else if (!left) {
		uint64_t ms = (uint64_t)AGAIN_MS
		    << (r->rounds < 4 ? r->rounds : 4);

		r->rounds++;
		tmr_start(&r->next, ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS,
		    round_begin, r);
	}
	turn_link_free(l);
}

static const struct turn_link_events link_events = {
	.up = on_up, .data = on_data, .failed = on_failed
};

static void
link_next(void *arg)
{
	struct turn_relay *r = arg;
	struct turn *t = r->turn;
	size_t i = r->asked++;

	r->link[i] =
	    turn_link_new(&t->server[i], t->ca_file, &r->peer, &link_events, r);
	if (r->link[i] == NULL)
		log_warnx("relay id=%u no memory", r->id);
	if (r->asked < r->end)
		tmr_start(&r->next, NEXT_MS, link_next, r);
}

static void
round_begin(void *arg)
{
	struct turn_relay *r = arg;

	links_free(r, NULL);
	r->asked = r->first;
	link_next(r);
}

static void
relay_close(struct turn_relay *r)
{
	list_unlink(&r->le);
	tmr_cancel(&r->next);
	links_free(r, NULL);
	fd_close(r->fd);
	(void)close(r->fd);
	mem_deref(r);
}

/* Datagrams of the leg's; an empty one is its end. */
static void
on_front(int flags, void *arg)
{
	struct turn_relay *r = arg;
	uint8_t p[DATAGRAM_MAX];
	ssize_t n = 0;

	(void)flags;
	for (unsigned i = 0; i < BURST; i++) {
		n = recv(r->fd, p, sizeof(p), MSG_DONTWAIT | MSG_TRUNC);
		if (n <= 0)
			break;
		if (r->chosen != NULL && (size_t)n <= sizeof(p))
			turn_link_send(r->chosen, p, (size_t)n);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		relay_close(r);
}

void
turn_relay_open(struct turn *t, const struct turn_open *o, int fd)
{
	struct turn_relay *r = NULL;

	if (list_count(&t->relays) < TURN_RELAYS_MAX)
		r = mem_zalloc(sizeof(*r), NULL);
	if (r == NULL ||
	    sa_set_sa(&r->peer, (const struct sockaddr *)&o->peer) != 0 ||
	    fd_listen(fd, FD_READ, on_front, r) != 0) {
		log_warnx("relay id=%u refused", o->id);
		mem_deref(r);
		(void)close(fd);
		return;
	}
	r->end = t->nservers;
	if (o->server >= 0 && (size_t)o->server < t->nservers) {
		r->first = (size_t)o->server;
		r->end = r->first + 1;
	}
	r->turn = t;
	r->id = o->id;
	r->fd = fd;
	tmr_init(&r->next);
	list_append(&t->relays, &r->le, r);
	round_begin(r);
}

void
turn_relays_close(struct turn *t)
{
	while (t->relays.head != NULL)
		relay_close(t->relays.head->data);
}
