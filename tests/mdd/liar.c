/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What perch-mdd-liar does beyond perch-mdd, of whose own objects it is made:
 * the two calls by which a packet leaves (perc_forward seals it for a leg,
 * mdd_batch_commit sends it with its EKTField) come here first. It has what
 * an operator has: the hop keys of every leg, so that each lie but the bare
 * one passes the outer layer, under numbers that were not used yet.
 *
 * Which lie about whom stands in "orders" beside the program. The file is
 * mapped before main, for a worker in its cage opens nothing, and tells how
 * many lies were told.
 */
#include "tests/mdd/liar.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "perc/loop.h"
#include "perc/tail.h"

#define STREAMS_MAX 64	/* legs x SSRCs that are sent to them */
#define KEPT	    512 /* packets of one stream: ten seconds of sound */

struct packet { /* the hop's layer off; then its EKTField */
	int64_t at_ms;
	size_t n, tail;
	uint8_t p[MDD_OUT_MAX];
};

struct stream { /* one SSRC to one leg */
	struct perc_srtp *tx;
	uint32_t ssrc;
	uint16_t top; /* outer SEQ, highest that went out */
	bool lied;    /* its numbers are ours from then on */
	enum lie was;
	unsigned put, next;
	struct packet *kept; /* ring of KEPT */
};

static struct pending { /* between perc_forward and its commit */
	struct stream *s;
	enum lie lie;
	struct perc_rewrite rw;
	size_t len; /* of what the caller believes it sealed */
	struct packet now;
} pending;

static struct stream streams[STREAMS_MAX];
static struct orders *orders;

__attribute__((constructor)) static void
orders_map(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 10);
	char *slash;
	void *p;
	int fd;

	if (n < 0)
		return;
	path[n] = '\0';
	if ((slash = strrchr(path, '/')) == NULL)
		return;
	strcpy(slash, "/orders");
	if ((fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return;
	p = mmap(
	    NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	orders = p == MAP_FAILED ? NULL : p;
	close(fd);
}

/* ---- what is known of a stream ----------------------------------------- */

static struct stream *
stream_of(struct perc_srtp *tx, uint32_t ssrc)
{
	struct stream *s;

	for (s = streams; s < streams + STREAMS_MAX; s++) {
		if (s->tx == tx && s->ssrc == ssrc)
			return s;
		if (s->tx != NULL)
			continue;
		if ((s->kept = calloc(KEPT, sizeof(*s->kept))) == NULL)
			return NULL;
		s->tx = tx;
		s->ssrc = ssrc;
		return s;
	}
	return NULL;
}

/* The same leg's other stream of the two that the orders name. */
static struct stream *
stream_other(const struct stream *s)
{
	struct stream *o = stream_of(
	    s->tx, s->ssrc == orders->one ? orders->other : orders->one);

	return o == NULL || o->put == 0 ? NULL : o;
}

static const struct packet *
stream_last(const struct stream *s)
{
	return &s->kept[(s->put - 1) % KEPT];
}

static bool
concerns(uint32_t ssrc)
{
	return orders != NULL && orders->lie != LIE_NONE &&
	    (ssrc == orders->one || ssrc == orders->other);
}

/* ---- lies -------------------------------------------------------------- */

struct mouth { /* where a lie goes */
	struct mdd_batch *b;
	const struct mdd_addr *to;
};

/* p as the next packet of s. */
static void
say(const struct mouth *m, struct stream *s, const struct packet *p)
{
	uint8_t *slot = mdd_batch_slot(m->b);
	struct perc_rewrite rw = pending.rw;
	size_t len;

	rw.set_seq = s->lied = true;
	rw.seq = ++s->top;
	if (__real_perc_forward(
		s->tx, &rw, p->p, p->n, slot, MDD_OUT_MAX - p->tail, &len) != 0)
		return;
	memcpy(slot + len, p->p + p->n, p->tail);
	__real_mdd_batch_commit(m->b, m->to, len + p->tail);
	/* the next one is not what the extensions were made for */
	pending.rw.set_ext = true;
	pending.rw.ext = NULL;
}

static void
lie(const struct mouth *m, struct stream *s, const struct packet *p)
{
	orders->told++;
	say(m, s, p);
}

static void
tail_take(struct packet *p, const struct packet *from)
{
	memcpy(p->p + p->n, from->p + from->n, from->tail);
	p->tail = from->tail;
}

static size_t
header_len(const struct packet *p)
{
	struct perc_rtp h;

	return perc_rtp_parse(&h, p->p, p->n) == 0 ? h.header_len : p->n;
}

/* The true one, and an old one behind it. */
static void
lie_replay(const struct mouth *m, struct stream *s, struct packet *p)
{
	say(m, s, p);
	if (s->put - s->next > KEPT)
		s->next = s->put - KEPT;
	if (s->next + 1 < s->put)
		lie(m, s, &s->kept[s->next++ % KEPT]);
}

/* This one's header over what the other one said, under either one's field. */
static void
lie_payload(const struct mouth *m, struct stream *s, struct packet *p)
{
	const struct stream *o = stream_other(s);
	const struct packet *q;
	size_t head = header_len(p), from;

	if (o == NULL)
		return;
	q = stream_last(o);
	from = header_len(q);
	if (head + q->n - from + PERC_TAIL_MAX > sizeof(p->p))
		return;
	if (s->put % 2 == 0)
		memmove(p->p + head + q->n - from, p->p + p->n, p->tail);
	memcpy(p->p + head, q->p + from, q->n - from);
	p->n = head + q->n - from;
	if (s->put % 2 == 1)
		tail_take(p, q);
	lie(m, s, p);
}

/* All of it under the other one's name. */
static void
lie_ssrc(const struct mouth *m, struct stream *s, struct packet *p)
{
	struct stream *o = stream_other(s);

	if (o == NULL)
		return;
	memcpy(p->p + 8, stream_last(o)->p + 8, 4);
	if (s->put % 2 == 1)
		tail_take(p, stream_last(o));
	lie(m, o, p);
}

/* What stood in the header was another number, or another type. */
static void
lie_ohb(const struct mouth *m, struct stream *s, struct packet *p)
{
	struct packet q = *p;
	struct perc_ohb ohb;
	struct perc_rtp h;

	if (perc_rtp_parse(&h, p->p, p->n) != 0 ||
	    perc_ohb_get(&ohb, p->p + h.header_len, p->n - h.header_len) != 0)
		return;
	q.n -= ohb.len;
	if (s->put % 2 == 0) {
		ohb.has_seq = true;
		ohb.seq = h.seq ^ 1;
	} else {
		ohb.has_pt = true;
		ohb.pt = h.pt ^ 1;
	}
	perc_ohb_put(&ohb, q.p + q.n);
	q.n += ohb.len;
	tail_take(&q, p);
	lie(m, s, &q);
}

/* One bit, another one each time: of what was said, or of its inner tag. */
static void
lie_bit(const struct mouth *m, struct stream *s, struct packet *p)
{
	size_t head = header_len(p), bits = (p->n - head - 1) * 8;
	unsigned bit = s->put % (bits == 0 ? 1 : bits);

	p->p[head + bit / 8] ^= (uint8_t)(1u << bit % 8);
	lie(m, s, p);
}

/* What is old enough, in order. */
static void
lie_delay(const struct mouth *m, struct stream *s, struct packet *p)
{
	if (s->put - s->next > KEPT)
		s->next = s->put - KEPT;
	while (s->next < s->put &&
	    p->at_ms - s->kept[s->next % KEPT].at_ms >= orders->delay_ms)
		lie(m, s, &s->kept[s->next++ % KEPT]);
}

/* Words of our own under a true header, without Double's inner layer. */
static void
plain_make(struct packet *p)
{
	static const char tag[16];
	size_t tail = p->tail;
	uint8_t field[PERC_TAIL_MAX];
	int n;

	memcpy(field, p->p + p->n, tail);
	p->p[0] &= 0xef; /* no extension */
	n = snprintf((char *)p->p + PERC_RTP_MIN, 64, "frame %s %08u", "forged",
	    orders->told);
	p->n = PERC_RTP_MIN + (size_t)n;
	memcpy(p->p + p->n, tag, sizeof(tag));
	p->n += sizeof(tag);
	p->p[p->n++] = 0; /* OHB */
	memcpy(p->p + p->n, field, tail);
}

static void
lie_plain(const struct mouth *m, struct stream *s, struct packet *p)
{
	plain_make(p);
	lie(m, s, p);
}

/* And without the hop's, as anybody could who sends from this address. */
static void
lie_bare(const struct mouth *m, struct stream *s, struct packet *p)
{
	uint16_t seq = ++s->top; /* or the hop's replay window refuses it */

	s->lied = true;
	plain_make(p);
	p->p[2] = (uint8_t)(seq >> 8);
	p->p[3] = (uint8_t)seq;
	memcpy(mdd_batch_slot(m->b), p->p, p->n + p->tail);
	__real_mdd_batch_commit(m->b, m->to, p->n + p->tail);
	orders->told++;
}

/* A field that names another key each time: no tag covers that. */
static void
lie_spi(const struct mouth *m, struct stream *s, struct packet *p)
{
	uint8_t *spi = p->p + p->n + p->tail - 7; /* RFC 8870 section 4.1 */

	if (p->tail > 7) {
		spi[0] = (uint8_t)(orders->told >> 8 | 0x80);
		spi[1] = (uint8_t)orders->told;
		lie(m, s, p);
	} else
		say(m, s, p);
}

static void (*const lies[])(
    const struct mouth *, struct stream *, struct packet *) = {
	[LIE_REPLAY] = lie_replay,
	[LIE_PAYLOAD] = lie_payload,
	[LIE_SSRC] = lie_ssrc,
	[LIE_OHB] = lie_ohb,
	[LIE_BIT] = lie_bit,
	[LIE_DELAY] = lie_delay,
	[LIE_PLAIN] = lie_plain,
	[LIE_BARE] = lie_bare,
	[LIE_SPI] = lie_spi,
};

/* ---- the two calls ----------------------------------------------------- */

/* Nothing is sealed yet where a lie is to be told: the commit does that. */
static int
pretend(const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen)
{
	if (cap < n + PERC_SRTP_TAG_LEN)
		return PERC_ERR_SHORT;
	memcpy(out, in, n);
	memset(out + n, 0, PERC_SRTP_TAG_LEN);
	*outlen = n + PERC_SRTP_TAG_LEN;
	return 0;
}

int
__wrap_perc_forward(struct perc_srtp *tx, const struct perc_rewrite *w,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen)
{
	struct pending *p = &pending;
	struct perc_rtp h;
	int r;

	if (w == NULL || w->again != NULL || n > sizeof(p->now.p) ||
	    perc_rtp_parse(&h, in, n) != 0 ||
	    (p->s = stream_of(tx, h.ssrc)) == NULL)
		return __real_perc_forward(tx, w, in, n, out, cap, outlen);
	p->rw = *w;
	p->lie = concerns(h.ssrc) ? (enum lie)orders->lie : LIE_NONE;
	memcpy(p->now.p, in, n);
	p->now.n = n;
	if (p->lie == LIE_DROP) {
		orders->told++;
		p->s = NULL;
		return PERC_ERR_NOTFOUND;
	}
	if (p->lie != LIE_NONE)
		r = pretend(in, n, out, cap, outlen);
	else {
		if (p->s->lied) {
			p->rw.set_seq = true;
			p->rw.seq = (uint16_t)(p->s->top + 1);
		}
		r = __real_perc_forward(tx, &p->rw, in, n, out, cap, outlen);
		if (r == 0)
			p->s->top = (uint16_t)(out[2] << 8 | out[3]);
	}
	p->len = *outlen;
	if (r != 0)
		p->s = NULL;
	return r;
}

void
__wrap_mdd_batch_commit(
    struct mdd_batch *b, const struct mdd_addr *to, size_t n)
{
	struct mouth m = { .b = b, .to = to };
	struct stream *s = pending.s;
	struct packet *p = &pending.now;

	if (s == NULL) {
		__real_mdd_batch_commit(b, to, n);
		return;
	}
	pending.s = NULL;
	if (s->was != pending.lie) /* from the oldest, or from now on */
		s->next = pending.lie == LIE_DELAY ? s->put : 0;
	s->was = pending.lie;
	p->at_ms = perc_now_ms();
	p->tail = n - pending.len;
	if (p->n + p->tail <= sizeof(p->p)) {
		memcpy(p->p + p->n, mdd_batch_slot(b) + pending.len, p->tail);
		s->kept[s->put++ % KEPT] = *p;
	}
	if (pending.lie == LIE_NONE)
		__real_mdd_batch_commit(b, to, n);
	else
		lies[pending.lie](&m, s, p);
}
