/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One octet, the front's number, with one descriptor attached.
 */
#include "kmf/handover.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control { /* aligned as cmsg wants it */
	struct cmsghdr head;
	char octets[CMSG_SPACE(sizeof(int))];
};

int
kmf_handover_send(int sock, unsigned front, int fd)
{
	uint8_t number = (uint8_t)front;
	struct iovec iov = { &number, 1 };
	union control c;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.octets,
		.msg_controllen = sizeof(c.octets) };
	struct cmsghdr *h;

	memset(&c, 0, sizeof(c));
	h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == 1 ? 0 : PERC_ERR_SYS;
}

static int
take(int sock, unsigned *front, int *fd)
{
	uint8_t number = 0;
	struct iovec iov = { &number, 1 };
	union control c;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.octets,
		.msg_controllen = sizeof(c.octets) };
	struct cmsghdr *h;
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? PERC_ERR_AGAIN
							 : PERC_ERR_SYS;
	if (n == 0)
		return PERC_ERR_CLOSED;
	h = CMSG_FIRSTHDR(&m);
	if (h == NULL || h->cmsg_level != SOL_SOCKET ||
	    h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(sizeof(*fd)))
		return PERC_ERR_FORMAT;
	memcpy(fd, CMSG_DATA(h), sizeof(*fd));
	*front = number;
	return 0;
}

static void
on_readable(int sock, uint32_t events, void *arg)
{
	struct kmf_handover *h = arg;
	unsigned front;
	int fd, r;

	while ((r = take(sock, &front, &fd)) == 0)
		h->fn(front, fd, h->arg);
	if (r == PERC_ERR_AGAIN)
		return;
	kmf_handover_stop(h);
	if (h->gone != NULL)
		h->gone(h->arg);
	else
		perc_loop_stop(h->loop);
}

int
kmf_handover_watch(struct kmf_handover *h, struct perc_loop *l, int sock,
    kmf_handover_fn fn, void (*gone)(void *arg), void *arg)
{
	h->loop = l;
	h->fn = fn;
	h->gone = gone;
	h->arg = arg;
	return perc_loop_add(l, &h->io, sock, EPOLLIN, on_readable, h);
}

void
kmf_handover_stop(struct kmf_handover *h)
{
	perc_loop_del(h->io);
	h->io = NULL;
}
