/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One array of buffers, made at start. sendmmsg stops at the first datagram
 * that fails: a refused port (ECONNREFUSED of an earlier one) skips just that
 * datagram, a full socket buffer drops the rest of the batch.
 */
#include "mdd/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct mdd_batch {
	int fd;
	unsigned n;
	uint64_t *count;
	struct mmsghdr msg[MDD_BATCH];
	struct iovec iov[MDD_BATCH];
	struct mdd_addr to[MDD_BATCH];
	uint8_t buf[MDD_BATCH][MDD_OUT_MAX];
};

size_t
mdd_addr_key(uint8_t out[static 24], const struct mdd_addr *a)
{
	if (a->u.sa.sa_family == AF_INET) {
		memcpy(out, &a->u.in.sin_port, 2);
		memcpy(out + 2, &a->u.in.sin_addr, 4);
		return 6;
	}
	memcpy(out, &a->u.in6.sin6_port, 2);
	memcpy(out + 2, &a->u.in6.sin6_addr, 16);
	memcpy(out + 18, &a->u.in6.sin6_scope_id, 4);
	return 22;
}

bool
mdd_addr_same(const struct mdd_addr *a, const struct mdd_addr *b)
{
	uint8_t ka[24], kb[24];
	size_t n;

	if (a->len == 0 || b->len == 0)
		return false;
	n = mdd_addr_key(ka, a);
	return n == mdd_addr_key(kb, b) && memcmp(ka, kb, n) == 0;
}

int
mdd_batch_new(struct mdd_batch **bp, int fd, uint64_t *count)
{
	struct mdd_batch *b = calloc(1, sizeof(*b));
	unsigned i;

	if (b == NULL)
		return PERC_ERR_NOMEM;
	b->fd = fd;
	b->count = count;
	for (i = 0; i < MDD_BATCH; i++) {
		b->iov[i].iov_base = b->buf[i];
		b->msg[i].msg_hdr.msg_iov = &b->iov[i];
		b->msg[i].msg_hdr.msg_iovlen = 1;
		b->msg[i].msg_hdr.msg_name = &b->to[i].u;
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

void
mdd_batch_commit(struct mdd_batch *b, const struct mdd_addr *to, size_t n)
{
	b->to[b->n] = *to;
	b->msg[b->n].msg_hdr.msg_namelen = to->len;
	b->iov[b->n].iov_len = n;
	b->n++;
}

void
mdd_batch_flush(struct mdd_batch *b)
{
	unsigned done = 0, i;
	int r;

	while (done < b->n) {
		r = sendmmsg(b->fd, b->msg + done, b->n - done, MSG_DONTWAIT);
		if (r > 0) {
			for (i = done; i < done + (unsigned)r; i++)
				b->count[MDD_TX_OCTETS] += b->iov[i].iov_len;
			b->count[MDD_TX_DATAGRAMS] += (unsigned)r;
			done += (unsigned)r;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS) {
			b->count[MDD_TX_FAILED] += b->n - done;
			break;
		}
		b->count[MDD_TX_FAILED]++;
		done++;
	}
	b->n = 0;
}
