/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay looks to a leg like a socket of its own: datagrams go in and come
 * out, and the far end is perch-turn's. That process speaks to strangers with
 * a library that is not ours; of us it gets ciphertext and the distributor's
 * address, and what it says is words for people. Its end of the channel is
 * kept by the supervisor too, so that what is asked while it is started anew
 * waits for it there.
 */
#include "agent/frontrelay.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/turnmsg.h"
#include "perc/log.h"

#define BUFFER (256 << 10) /* of datagrams, each way */

struct front_relays {
	struct perc_io *io;
	int fd;
	bool only;
	uint32_t last_id;
	front_relay_fn told;
	void *arg;
};

static void
on_told(int fd, uint32_t events, void *arg)
{
	struct front_relays *r = arg;
	struct turn_told t;
	ssize_t n;

	(void)events;
	while ((n = recv(fd, &t, sizeof(t), MSG_DONTWAIT)) > 0) {
		if (n != (ssize_t)sizeof(t) || t.type != TURN_TOLD)
			continue;
		t.words[sizeof(t.words) - 1] = '\0';
		r->told(t.id, t.up == 1, t.words, r->arg);
	}
	if (n == 0) { /* the supervisor is gone; so shall we be */
		perc_loop_del(r->io);
		r->io = NULL;
	}
}

int
front_relays_new(struct front_relays **rp, struct perc_loop *l, int fd,
    bool only, front_relay_fn told, void *arg)
{
	struct front_relays *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return PERC_ERR_NOMEM;
	*r = (struct front_relays){
		.fd = fd, .only = only, .told = told, .arg = arg
	};
	if ((e = perc_loop_add(l, &r->io, fd, EPOLLIN, on_told, r)) != 0) {
		free(r);
		return e;
	}
	*rp = r;
	return 0;
}

void
front_relays_free(struct front_relays *r)
{
	if (r == NULL)
		return;
	perc_loop_del(r->io);
	close(r->fd);
	free(r);
}

bool
front_relay_only(const struct front_relays *r)
{
	return r != NULL && r->only;
}

/* The descriptor goes along (unix(7)). */
static bool
open_send(int chan, struct turn_open *o, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = o, .iov_len = sizeof(*o) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(chan, &m, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

int
front_relay_open(struct front_relays *r, const struct sockaddr *peer,
    int server, uint32_t *id)
{
	struct turn_open o = {
		.type = TURN_OPEN, .id = ++r->last_id, .server = server
	};
	int sv[2], size = BUFFER, e = 0;

	memcpy(&o.peer, peer,
	    peer->sa_family == AF_INET ? sizeof(struct sockaddr_in)
				       : sizeof(struct sockaddr_in6));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, sv) != 0)
		return -1;
	(void)setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (!open_send(r->fd, &o, sv[1])) {
		e = errno;
		close(sv[0]);
	}
	close(sv[1]);
	errno = e;
	*id = o.id;
	return e == 0 ? sv[0] : -1;
}
