/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One array of buffers, made at start. A message is one datagram, or several
 * of one size to one address, which the system cuts apart far below the
 * socket: half the price of single ones. sendmmsg stops at the first message
 * that fails: a refused port (ECONNREFUSED of an earlier one) skips just that
 * one, a full socket buffer drops the rest of the batch, and segments that
 * this road cannot carry (no checksum offload: EIO; longer than its MTU:
 * EINVAL) go once more, one by one.
 */
#include "mdd/batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "perc/log.h"

#define SEGMENTS_MAX  64    /* of one message; UDP_MAX_SEGMENTS */
#define SEGMENT_LEAST 2	    /* datagrams that are worth a message */
#define SEGMENT_SIZE  1440  /* an IPv6 header more, and Ethernet is full */
#define SEGMENT_SUM   60000 /* octets of one message, below 65,507 */
#define SEGMENT_TRIES 8	    /* refusals until we stop asking */

struct batch_msg {
	struct mdd_addr to;
	unsigned first, n; /* buffers */
	size_t sum;	   /* octets */
	bool closed;	   /* a shorter one was the last */
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(uint16_t))];
	} control;
};

struct mdd_batch {
	int fd;
	bool segments;
	unsigned n, nmsgs, refused;
	uint64_t *count;
	struct mmsghdr head[MDD_BATCH];
	struct batch_msg msg[MDD_BATCH];
	struct iovec iov[MDD_BATCH];
	uint8_t buf[MDD_BATCH][MDD_OUT_MAX];
};

size_t
mdd_addr_key(uint8_t out[static 24], const struct mdd_addr *a)
{
	size_t n;

	if (a->u.sa.sa_family == AF_INET) {
		memcpy(out, &a->u.in.sin_port, 2);
		memcpy(out + 2, &a->u.in.sin_addr, 4);
		n = 6;
	} else {
		memcpy(out, &a->u.in6.sin6_port, 2);
		memcpy(out + 2, &a->u.in6.sin6_addr, 16);
		memcpy(out + 18, &a->u.in6.sin6_scope_id, 4);
		n = 22;
	}
	if (a->channel == 0)
		return n;
	memcpy(out + n, &a->channel, 2);
	return n + 2;
}

bool
mdd_addr_same(const struct mdd_addr *a, const struct mdd_addr *b)
{
	const struct sockaddr_in6 *x = &a->u.in6, *y = &b->u.in6;

	if (a->len == 0 || b->len == 0 ||
	    a->u.sa.sa_family != b->u.sa.sa_family || a->channel != b->channel)
		return false;
	if (a->u.sa.sa_family == AF_INET) /* once for each packet that leaves */
		return a->u.in.sin_port == b->u.in.sin_port &&
		    a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
	return x->sin6_port == y->sin6_port &&
	    x->sin6_scope_id == y->sin6_scope_id &&
	    memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0;
}

int
mdd_batch_new(struct mdd_batch **bp, int fd, uint64_t *count, bool segments)
{
	struct mdd_batch *b = calloc(1, sizeof(*b));
	unsigned i;

	if (b == NULL)
		return PERC_ERR_NOMEM;
	b->fd = fd;
	b->count = count;
	b->segments = segments;
	for (i = 0; i < MDD_BATCH; i++) {
		b->iov[i].iov_base = b->buf[i];
		b->head[i].msg_hdr.msg_name = &b->msg[i].to.u;
	}
	*bp = b;
	return 0;
}

void
mdd_batch_free(struct mdd_batch *b)
{
	free(b);
}

uint8_t *
mdd_batch_slot(struct mdd_batch *b)
{
	if (b->n == MDD_BATCH)
		mdd_batch_flush(b);
	return b->buf[b->n];
}

/* May n octets to `to` be one more segment of m? */
static bool
msg_takes(const struct mdd_batch *b, const struct batch_msg *m,
    const struct mdd_addr *to, size_t n)
{
	size_t size = b->iov[m->first].iov_len;

	return b->segments && !m->closed && m->n < SEGMENTS_MAX && n <= size &&
	    size <= SEGMENT_SIZE && m->sum + n <= SEGMENT_SUM &&
	    mdd_addr_same(&m->to, to);
}

/* A move of some hundred octets, on links alone: writers need not know. */
static size_t
channel_put(uint8_t *p, const struct mdd_addr *to, size_t n)
{
	if (n > MDD_OUT_MAX - MDD_CHANNEL_HEAD)
		return 0;
	memmove(p + MDD_CHANNEL_HEAD, p, n);
	p[0] = (uint8_t)(to->channel >> 8);
	p[1] = (uint8_t)to->channel;
	p[2] = (uint8_t)(n >> 8);
	p[3] = (uint8_t)n;
	return n + MDD_CHANNEL_HEAD;
}

void
mdd_batch_commit(struct mdd_batch *b, const struct mdd_addr *to, size_t n)
{
	struct batch_msg *m = b->nmsgs > 0 ? &b->msg[b->nmsgs - 1] : NULL;

	if (to->channel != 0 && (n = channel_put(b->buf[b->n], to, n)) == 0) {
		b->count[MDD_TX_FAILED]++;
		return;
	}
	if (m == NULL || !msg_takes(b, m, to, n)) {
		m = &b->msg[b->nmsgs++];
		m->to = *to;
		m->first = b->n;
		m->n = 0;
		m->sum = 0;
	}
	m->closed = n < b->iov[m->first].iov_len && m->n > 0;
	b->iov[b->n++].iov_len = n;
	m->n++;
	m->sum += n;
}

static void
head_make(struct mdd_batch *b, unsigned i)
{
	struct msghdr *h = &b->head[i].msg_hdr;
	struct batch_msg *m = &b->msg[i];
	uint16_t size = (uint16_t)b->iov[m->first].iov_len;
	struct cmsghdr *c;

	h->msg_namelen = m->to.len;
	h->msg_iov = &b->iov[m->first];
	h->msg_iovlen = m->n;
	h->msg_control = NULL;
	h->msg_controllen = 0;
	if (m->n < SEGMENT_LEAST)
		return;
	h->msg_control = m->control.space;
	h->msg_controllen = sizeof(m->control.space);
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
}

static void
msg_sent(struct mdd_batch *b, const struct batch_msg *m)
{
	b->count[MDD_TX_DATAGRAMS] += m->n;
	b->count[MDD_TX_OCTETS] += m->sum;
	if (m->n >= SEGMENT_LEAST)
		b->count[MDD_TX_SEGMENTS] += m->n;
}

/* The system would not cut m apart: one by one, and soon without asking. */
static void
msg_apart(struct mdd_batch *b, const struct batch_msg *m)
{
	unsigned i;

	if (++b->refused == SEGMENT_TRIES && b->segments) {
		b->segments = false;
		log_warn("datagrams leave one by one from now on");
	}
	for (i = m->first; i < m->first + m->n; i++)
		if (sendto(b->fd, b->iov[i].iov_base, b->iov[i].iov_len,
			MSG_DONTWAIT, &m->to.u.sa, m->to.len) >= 0) {
			b->count[MDD_TX_DATAGRAMS]++;
			b->count[MDD_TX_OCTETS] += b->iov[i].iov_len;
		} else
			b->count[MDD_TX_FAILED]++;
}

static bool
is_refusal(const struct batch_msg *m, int err)
{
	return m->n >= SEGMENT_LEAST &&
	    (err == EIO || err == EINVAL || err == EOPNOTSUPP ||
		err == EMSGSIZE);
}

void
mdd_batch_flush(struct mdd_batch *b)
{
	unsigned done = 0, i;
	int r;

	for (i = 0; i < b->nmsgs; i++)
		head_make(b, i);
	while (done < b->nmsgs) {
		r = sendmmsg(
		    b->fd, b->head + done, b->nmsgs - done, MSG_DONTWAIT);
		if (r > 0) {
			for (i = 0; i < (unsigned)r; i++)
				msg_sent(b, &b->msg[done++]);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS)
			break;
		if (is_refusal(&b->msg[done], errno))
			msg_apart(b, &b->msg[done]);
		else
			b->count[MDD_TX_FAILED] += b->msg[done].n;
		done++;
	}
	for (; done < b->nmsgs; done++)
		b->count[MDD_TX_FAILED] += b->msg[done].n;
	b->n = b->nmsgs = 0;
}
