/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With UDP_GRO a message may be several datagrams of one size; buffers then
 * have room for the longest message, and a stride that does not put their
 * beginnings into the same lines of the cache.
 *
 * A flood of strangers meets a queue of its own, and when that is full the
 * system throws it away for next to nothing. What is read of it is at most one
 * batch between two looks at the road: some 50 microseconds by which a leg's
 * packet can be late, and nothing it can be lost by.
 *
 * Who lives where changes when a leg proves an address, so it is told to the
 * system at once, but not more often than every STEER_MS: a thousand joins in
 * a second must not become a thousand programs. Until then the new leg's
 * datagrams come by the lobby, which is as good a way when nobody floods it.
 */
#include "mdd/intake.h"

#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perc/log.h"

#define INTAKE_ROUNDS  16 /* full batches of the road before others' turn */
#define STEER_MS       20
#define GATHER_LEGS    32  /* receivers whose turn is long */
#define GATHER_FRAME   8   /* packets that are no single ones */
#define GATHER_NS      100 /* for each receiver, since the last packet */
#define GATHER_MOST_NS 20000

#define IN_ROOM	  65536u
#define IN_STRIDE (IN_ROOM + 21 * 64)

struct intake_socket {
	int fd;
	struct perc_io *io;
	uint32_t drops; /* of the system, when last looked at */
};

struct mdd_intake {
	struct mdd_worker *w;
	struct intake_socket at[2]; /* by MDD_STEER_ROAD and _LOBBY */
	bool segments, steers;
	int64_t steered_ms;
	size_t words_max; /* of a program that this system takes */
	struct mdd_steer steer;
	struct mmsghdr msg[MDD_BATCH];
	struct iovec iov[MDD_BATCH];
	struct mdd_addr from[MDD_BATCH];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control[MDD_BATCH];
	uint8_t *buf;
	/* a segment that is not RTP, where libraries like it */
	_Alignas(16) uint8_t apart[MDD_OUT_MAX];
};

static int64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- reading ---------------------------------------------------------- */

/* Octets of each datagram in this message but the last; 0: it is one. */
static size_t
segment_size(struct msghdr *h)
{
	struct cmsghdr *c;
	int size = 0;

	for (c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size > 0 ? (size_t)size : 0;
}

/* Returns how many datagrams the message was. */
static unsigned
message_take(struct mdd_intake *in, unsigned i, int64_t now)
{
	size_t size = segment_size(&in->msg[i].msg_hdr), left, n;
	uint8_t *at = in->iov[i].iov_base;
	unsigned count = 0;

	in->from[i].len = in->msg[i].msg_hdr.msg_namelen;
	left = in->msg[i].msg_len;
	do {
		n = size != 0 && size < left ? size : left;
		if (size == 0 || n > sizeof(in->apart) ||
		    mdd_worker_is_rtp(at, n))
			mdd_worker_input(in->w, &in->from[i], at, n, now);
		else {
			memcpy(in->apart, at, n);
			mdd_worker_input(
			    in->w, &in->from[i], in->apart, n, now);
		}
		at += n;
		left -= n;
		count++;
	} while (left > 0);
	return count;
}

/* What the system wrote over at the last reading is as it wants it. */
static void
message_ready(struct mdd_intake *in, unsigned i)
{
	in->msg[i].msg_hdr.msg_namelen = sizeof(in->from[i].u);
	in->msg[i].msg_hdr.msg_control = in->control[i].space;
	in->msg[i].msg_hdr.msg_controllen = sizeof(in->control[i].space);
}

/*
 * Whom a frame's first packet has woken may find no more of it yet, and would
 * serve all receivers twice, once with the rest. When these are many that
 * takes longer than to look for the rest a while: some hundredths of a turn.
 */
static bool
gathers(const struct mdd_intake *in, int64_t since_ns)
{
	const struct mdd_worker *w = in->w;
	const struct mdd_room *room =
	    w->nstaged == 0 ? NULL : w->staged[0].room;
	int64_t most;

	if (room == NULL || room->legs < GATHER_LEGS ||
	    w->nstaged >= GATHER_FRAME)
		return false;
	most = (int64_t)room->legs * GATHER_NS;
	return now_ns() - since_ns <
	    (most < GATHER_MOST_NS ? most : GATHER_MOST_NS);
}

/* One batch. True: there may be more. */
static bool
batch_read(struct mdd_intake *in, unsigned which, int64_t now)
{
	unsigned count = 0, at = 0, staged = 0;
	int64_t since = 0;
	int n;

	do {
		n = recvmmsg(in->at[which].fd, in->msg + at, MDD_BATCH - at,
		    MSG_DONTWAIT, NULL);
		for (; n > 0; n--, at++) {
			count += message_take(in, at, now);
			message_ready(in, at);
		}
		if (in->w->nstaged > staged) {
			staged = in->w->nstaged;
			since = now_ns();
		}
	} while (at < MDD_BATCH && gathers(in, since));
	if (which == MDD_STEER_LOBBY)
		in->w->count[MDD_RX_LOBBY] += count;
	mdd_media_flush(in->w); /* the buffers are free again */
	return at == MDD_BATCH;
}

static void
road_read(struct mdd_intake *in, int64_t now)
{
	unsigned round;

	for (round = 0; round < INTAKE_ROUNDS; round++)
		if (!batch_read(in, MDD_STEER_ROAD, now))
			break;
}

/* ---- steering --------------------------------------------------------- */

static void
steer_fill(struct mdd_intake *in)
{
	const struct mdd_legs *l = &in->w->legs;
	size_t i;

	mdd_steer_init(&in->steer, l->n, in->words_max);
	for (i = 0; l->pool != NULL && i < l->limits.max_legs; i++)
		if (l->pool[i].addr.len != 0 && !l->pool[i].flooded)
			mdd_steer_add(&in->steer, &l->pool[i].addr);
}

static void
steer(struct mdd_intake *in, int64_t now)
{
	int r;

	if (!in->steers || !in->w->legs.moved ||
	    now - in->steered_ms < STEER_MS)
		return;
	do
		steer_fill(in);
	while ((r = mdd_steer_attach(&in->steer, in->at[MDD_STEER_ROAD].fd)) ==
		PERC_ERR_LIMIT &&
	    (in->words_max /= 2) > 0);
	if (r != 0) {
		log_warnx("strangers share a queue with legs: this system "
			  "takes no program");
		in->steers = false;
	}
	in->w->legs.moved = false;
	in->steered_ms = now;
}

/* ---- events ----------------------------------------------------------- */

static void
on_road(int fd, uint32_t events, void *arg)
{
	struct mdd_intake *in = arg;
	int64_t now = perc_now_ms();

	road_read(in, now);
	mdd_worker_flush(in->w);
	steer(in, now);
}

static void
on_lobby(int fd, uint32_t events, void *arg)
{
	struct mdd_intake *in = arg;
	int64_t now = perc_now_ms();

	road_read(in, now);
	(void)batch_read(in, MDD_STEER_LOBBY, now);
	mdd_worker_flush(in->w);
	steer(in, now);
}

/* ---- life ------------------------------------------------------------- */

/* The supervisor has asked for UDP_GRO if the administrator wants segments and
 * the system knows them; whatever has that can send them too. */
static bool
socket_segments(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, &len) == 0 && on != 0;
}

int
mdd_intake_new(
    struct mdd_intake **ip, struct mdd_worker *w, int road, int lobby)
{
	struct mdd_intake *in = calloc(1, sizeof(*in));
	unsigned i;

	if (in == NULL || (in->buf = calloc(MDD_BATCH, IN_STRIDE)) == NULL) {
		free(in);
		return PERC_ERR_NOMEM;
	}
	in->w = w;
	in->at[MDD_STEER_ROAD].fd = road;
	in->at[MDD_STEER_LOBBY].fd = lobby;
	in->segments = socket_segments(road) && socket_segments(lobby);
	in->steers = true;
	in->words_max = MDD_STEER_WORDS_MAX;
	for (i = 0; i < MDD_BATCH; i++) {
		in->iov[i].iov_base = in->buf + i * IN_STRIDE;
		/* One octet more than we take, to see what is too long. */
		in->iov[i].iov_len = in->segments
		    ? IN_ROOM
		    : PERC_MTU_MAX + MDD_CHANNEL_HEAD + 1;
		in->msg[i].msg_hdr.msg_iov = &in->iov[i];
		in->msg[i].msg_hdr.msg_iovlen = 1;
		in->msg[i].msg_hdr.msg_name = &in->from[i].u;
		message_ready(in, i);
	}
	*ip = in;
	return 0;
}

void
mdd_intake_free(struct mdd_intake *in)
{
	if (in == NULL)
		return;
	perc_loop_del(in->at[MDD_STEER_ROAD].io);
	perc_loop_del(in->at[MDD_STEER_LOBBY].io);
	free(in->buf);
	free(in);
}

bool
mdd_intake_segments(const struct mdd_intake *in)
{
	return in->segments;
}

int
mdd_intake_start(struct mdd_intake *in)
{
	struct intake_socket *road = &in->at[MDD_STEER_ROAD],
			     *lobby = &in->at[MDD_STEER_LOBBY];
	int r;

	in->w->legs.moved = true; /* a dead worker's program may be there */
	steer(in, perc_now_ms());
	if ((r = perc_loop_add(
		 in->w->loop, &road->io, road->fd, EPOLLIN, on_road, in)) != 0)
		return r;
	return perc_loop_add(
	    in->w->loop, &lobby->io, lobby->fd, EPOLLIN, on_lobby, in);
}

static void
drops_count(struct mdd_intake *in, unsigned which, enum mdd_count k)
{
	struct intake_socket *s = &in->at[which];
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
		return;
	in->w->count[k] += info[SK_MEMINFO_DROPS] - s->drops;
	s->drops = info[SK_MEMINFO_DROPS];
}

void
mdd_intake_tick(struct mdd_intake *in, int64_t now_ms)
{
	drops_count(in, MDD_STEER_ROAD, MDD_LOST_ROAD);
	drops_count(in, MDD_STEER_LOBBY, MDD_LOST_LOBBY);
	steer(in, now_ms);
}
