/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain media is on loopback, where every user of the machine may send to any
 * port and listen on any free one. The kernel knows whose a socket is: it is
 * asked (sock_diag(7)) who sent before a packet is taken in, and who would
 * hear before one is given out. The question is the packet's own addresses,
 * so the answer is about the very socket that the kernel would pick.
 *
 * Answers are remembered for a moment, because a port may pass to somebody
 * else. A stranger's refusal is not remembered, or he would push out the
 * answer about the application; he is bounded by number instead.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <unistd.h>

#include "agent/vault.h"
#include "perc/log.h"

#define SENDER_MS    1000 /* an answer about who sends holds as long */
#define LISTENER_MS  20	  /* what a newcomer at a port could hear */
#define STRANGERS    200  /* questions a second about who is not known */
#define STRANGERS_MS 1000

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

struct answer {
	struct nlmsghdr head;
	union {
		struct inet_diag_msg found;
		struct nlmsgerr error;
	};
	uint8_t attributes[512];
};

static void
question_fill(struct question *q, uint32_t seq, uint16_t port,
    const struct sockaddr_in *peer)
{
	memset(q, 0, sizeof(*q));
	q->head.nlmsg_len = sizeof(*q);
	q->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	q->head.nlmsg_flags = NLM_F_REQUEST;
	q->head.nlmsg_seq = seq;
	q->req.sdiag_family = AF_INET;
	q->req.sdiag_protocol = IPPROTO_UDP;
	q->req.idiag_states = ~0u;
	q->req.id.idiag_sport = htons(port);
	q->req.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
	q->req.id.idiag_dport = peer->sin_port;
	q->req.id.idiag_dst[0] = peer->sin_addr.s_addr;
	q->req.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	q->req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

/* The user of the socket that hears what our port sends to peer. The kernel
 * answers before send(2) returns. PERC_ERR_NOTFOUND: there is none. */
static int
owner_ask(struct vault *v, uint16_t port, const struct sockaddr_in *peer,
    uint32_t *uid)
{
	struct question q;
	struct answer a;
	ssize_t n;

	question_fill(&q, ++v->owner.seq, port, peer);
	if (send(v->owner.fd, &q, sizeof(q), MSG_DONTWAIT) != sizeof(q))
		return PERC_ERR_SYS;
	do {
		n = recv(v->owner.fd, &a, sizeof(a), MSG_DONTWAIT);
		if (n < (ssize_t)sizeof(a.head))
			return PERC_ERR_SYS;
	} while (a.head.nlmsg_seq != v->owner.seq); /* an older answer */
	if (a.head.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    n < (ssize_t)(sizeof(a.head) + sizeof(a.found)))
		return PERC_ERR_NOTFOUND;
	*uid = a.found.idiag_uid;
	return 0;
}

void
vault_owner_init(struct vault *v, int fd)
{
	struct sockaddr_in self;
	socklen_t len = sizeof(self);
	uint32_t uid;

	v->owner.fd = fd;
	v->owner.uid = (uint32_t)getuid();
	/* A system that does not find our own socket finds none. */
	if (fd <= 0 || v->out_fd < 0 ||
	    getsockname(v->out_fd, (struct sockaddr *)&self, &len) != 0 ||
	    owner_ask(v, 1, &self, &uid) != 0 || uid != v->owner.uid)
		vault_owner_clear(v);
}

void
vault_owner_clear(struct vault *v)
{
	if (v->owner.fd > 0)
		close(v->owner.fd);
	v->owner.fd = -1;
}

bool
vault_owner_known(const struct vault *v)
{
	return v->owner.fd > 0;
}

/* Root reads every program's memory anyway. */
static bool
peer_ours(struct vault *v, uint16_t port, const struct sockaddr_in *peer)
{
	uint32_t uid;

	return owner_ask(v, port, peer, &uid) == 0 &&
	    (uid == v->owner.uid || uid == 0);
}

static bool
stranger_admitted(struct vault *v, int64_t now)
{
	if (now - v->owner.strangers_ms >= STRANGERS_MS) {
		v->owner.strangers_ms = now;
		v->owner.strangers = 0;
	}
	return v->owner.strangers++ < STRANGERS;
}

bool
vault_sender_ours(struct vault *v, struct vault_peer *k, uint16_t port,
    const struct sockaddr_in *from, int64_t now)
{
	bool same = k->addr.sin_port == from->sin_port &&
	    k->addr.sin_addr.s_addr == from->sin_addr.s_addr;

	if (!vault_owner_known(v) || v->config->local_any_user) {
		k->addr = *from;
		return true;
	}
	if (same && now < k->until_ms)
		return true;
	if (!same && !stranger_admitted(v, now))
		return false;
	if (!peer_ours(v, port, from)) {
		if (same) /* the application ended; its port is free */
			k->addr.sin_family = 0;
		return false;
	}
	k->addr = *from;
	k->until_ms = now + SENDER_MS;
	return true;
}

bool
vault_listener_ours(
    struct vault *v, struct vault_listener *k, uint16_t port, int64_t now)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (!vault_owner_known(v) || v->config->local_any_user)
		return k->ours = true;
	if (now < k->until_ms)
		return k->ours;
	k->ours = peer_ours(v, v->out_port, &to);
	k->until_ms = now + LISTENER_MS;
	return k->ours;
}
