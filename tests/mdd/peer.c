/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint of peer.h. It aborts on what no test is about. */
#include "tests/mdd/peer.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/crypto.h"
#include "perc/loop.h"
#include "perc/rtp.h"
#include "perc/tail.h"

#define ASKS 5 /* of a second each */

static void
need(bool good)
{
	if (!good)
		abort();
}

void
peer_open(struct peer *p)
{
	socklen_t len = sizeof(p->self);

	memset(p, 0, sizeof(*p));
	p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	p->self.sin_family = AF_INET;
	p->self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(p->fd >= 0 && bind(p->fd, (struct sockaddr *)&p->self, len) == 0 &&
	    getsockname(p->fd, (struct sockaddr *)&p->self, &len) == 0);
	need(perc_dtls_id_generate(&p->id, "peer", 2) == 0);
	perc_dtls_id_fingerprint(p->id, p->fp);
}

void
peer_open6(struct peer *p)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int off = 0;

	peer_open(p);
	need(fd >= 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0 &&
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
	(void)close(p->fd);
	p->fd = fd;
}

static void
peer_keys_free(struct peer *p)
{
	perc_dtls_free(p->dtls);
	perc_srtp_free(p->tx);
	perc_srtp_free(p->rx);
	perc_srtcp_free(p->tx_rtcp);
	perc_srtcp_free(p->rx_rtcp);
	p->dtls = NULL;
	p->tx = p->rx = NULL;
	p->tx_rtcp = p->rx_rtcp = NULL;
}

void
peer_close(struct peer *p)
{
	peer_keys_free(p);
	perc_dtls_id_free(p->id);
	if (p->fd > 0)
		(void)close(p->fd);
	memset(p, 0, sizeof(*p));
}

void
peer_send(struct peer *p, const void *d, size_t n)
{
	bool six = p->to6.sin6_family == AF_INET6;

	(void)!sendto(p->fd, d, n, 0,
	    six ? (struct sockaddr *)&p->to6 : (struct sockaddr *)&p->mdd,
	    six ? sizeof(p->to6) : sizeof(p->mdd));
}

void
peer_send_segments(struct peer *p, const void *d, size_t n, uint16_t size)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(size))];
	} c = { 0 };
	struct iovec iov = { (void *)(uintptr_t)d, n };
	struct msghdr m = { .msg_name = &p->mdd,
		.msg_namelen = sizeof(p->mdd),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.space,
		.msg_controllen = sizeof(c.space) };

	c.head.cmsg_level = IPPROTO_UDP;
	c.head.cmsg_type = UDP_SEGMENT;
	c.head.cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(&c.head), &size, sizeof(size));
	need(sendmsg(p->fd, &m, 0) == (ssize_t)n);
}

static bool
wanted(const uint8_t *d, size_t n, uint8_t lo, uint8_t hi, bool rtcp)
{
	return n >= 2 && d[0] >= lo && d[0] <= hi &&
	    (lo < 128 || (d[1] >= 192 && d[1] <= 223) == rtcp);
}

/* The MDD's check, answered as an ICE agent does. */
static bool
check_take(struct peer *p, const uint8_t *d, size_t n)
{
	uint8_t a[PERC_STUN_MAX];
	struct perc_stun m;
	size_t len;

	if (d[0] > 3 || perc_stun_parse(&m, d, n) != 0 || m.type != 0x0001)
		return false;
	need(perc_stun_verify(&m, PEER_PWD) == 0 && m.controlled);
	p->asked++;
	if (!p->mute &&
	    perc_stun_success(
		a, &len, &m, PEER_PWD, (struct sockaddr *)&p->mdd) == 0)
		peer_send(p, a, len);
	return true;
}

static size_t
receive(struct peer *p, uint8_t *buf, uint8_t lo, uint8_t hi, bool rtcp, int ms)
{
	int64_t end = perc_now_ms() + ms;
	struct pollfd f = { .fd = p->fd, .events = POLLIN };
	ssize_t n;

	do {
		if (p->pump != NULL)
			p->pump(p->arg);
		(void)poll(&f, 1, p->pump != NULL ? 1 : 10);
		while ((n = recv(p->fd, buf, PEER_PACKET, 0)) > 0)
			if (!check_take(p, buf, (size_t)n) &&
			    wanted(buf, (size_t)n, lo, hi, rtcp))
				return (size_t)n;
	} while (perc_now_ms() < end);
	return 0;
}

size_t
peer_recv(struct peer *p, uint8_t buf[static PEER_PACKET], uint8_t lo,
    uint8_t hi, int ms)
{
	return receive(p, buf, lo, hi, false, ms);
}

size_t
peer_recv_rtcp(struct peer *p, uint8_t buf[static PEER_PACKET], int ms)
{
	return receive(p, buf, 128, 191, true, ms);
}

bool
peer_stun(struct peer *p, const char *pwd, bool nominate)
{
	uint8_t q[PERC_STUN_MAX], a[PEER_PACKET], txid[12];
	char user[128];
	struct perc_stun m;
	size_t n;

	perc_random(txid, sizeof(txid));
	memcpy(user, p->ufrag, strlen(p->ufrag) + 1);
	strcat(user, ":mine");
	need(perc_stun_request(q, &n, txid, user, pwd, 1, nominate, 7) == 0);
	peer_send(p, q, n);
	n = peer_recv(p, a, 0, 3, 1000);
	return n > 0 && perc_stun_parse(&m, a, n) == 0 && m.type == 0x0101 &&
	    memcmp(m.txid, txid, 12) == 0 && perc_stun_verify(&m, pwd) == 0;
}

bool
peer_keep(struct peer *p)
{
	unsigned i;

	for (i = 0; i < ASKS; i++)
		if (peer_stun(p, p->pwd, true))
			return true;
	return false;
}

static void
dtls_send(const uint8_t *d, size_t n, void *arg)
{
	peer_send(arg, d, n);
}

static void
contexts(struct peer *p)
{
	const struct perc_dtls_keys *k = &p->keys;

	need(perc_dtls_keys(p->dtls, &p->keys) == 0);
	need(perc_srtp_new(
		 &p->tx, k->profile, k->tx_key, k->tx_salt, 256, 128) == 0);
	need(perc_srtp_new(
		 &p->rx, k->profile, k->rx_key, k->rx_salt, 64, 128) == 0);
	need(perc_srtcp_new(
		 &p->tx_rtcp, k->profile, k->tx_key, k->tx_salt, 0) == 0);
	need(perc_srtcp_new(
		 &p->rx_rtcp, k->profile, k->rx_key, k->rx_salt, 1) == 0);
}

bool
peer_handshake(struct peer *p, int ms)
{
	int64_t end = perc_now_ms() + ms;
	uint8_t d[PEER_PACKET];
	int wait;
	size_t n;

	peer_keys_free(p);
	need(perc_dtls_new(&p->dtls, p->id, false, p->mdd_fp, NULL, 0,
		 dtls_send, p) == 0);
	if (perc_dtls_start(p->dtls) != 0)
		return false;
	while (perc_dtls_state(p->dtls) == PERC_DTLS_HANDSHAKE &&
	    perc_now_ms() < end) {
		wait = perc_dtls_next_ms(p->dtls);
		n = peer_recv(p, d, 20, 63, wait < 0 ? 50 : wait);
		if (n > 0)
			(void)!perc_dtls_input(p->dtls, d, n);
		else
			(void)!perc_dtls_timeout(p->dtls);
	}
	if (perc_dtls_state(p->dtls) != PERC_DTLS_UP)
		return false;
	contexts(p);
	return true;
}

bool
peer_connect(struct peer *p, int ms)
{
	return peer_stun(p, p->pwd, true) && peer_handshake(p, ms);
}

size_t
peer_rtp(struct peer *p, uint8_t out[static PEER_PACKET], uint32_t ssrc,
    uint16_t seq, const void *body, size_t n, const void *tail, size_t tn)
{
	uint8_t in[PEER_PACKET] = { 0x80, 111, (uint8_t)(seq >> 8),
		(uint8_t)seq, 0, 0, 3, 192, (uint8_t)(ssrc >> 24),
		(uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8), (uint8_t)ssrc };
	struct perc_rtp h;
	size_t len;

	memcpy(in + 12, body, n);
	memset(in + 12 + n, 0xee, 16); /* where the inner tag would be */
	in[12 + n + 16] = 0;	       /* OHB: nothing was changed */
	need(perc_rtp_parse(&h, in, 12 + n + 17) == 0);
	if (perc_srtp_protect(p->tx, &h, in, 12 + n + 17, out, &len) != 0)
		return 0;
	memcpy(out + len, tail, tn);
	return len + tn;
}

int
peer_open_rtp(
    struct peer *p, uint8_t *d, size_t n, const uint8_t **tail, size_t *tn)
{
	struct perc_tail t;
	struct perc_rtp h;
	size_t len;
	int r;

	if ((r = perc_tail_find(&t, d, n)) != 0 ||
	    (r = perc_rtp_parse(&h, d, n - t.len)) != 0 ||
	    (r = perc_srtp_unprotect(p->rx, &h, d, n - t.len, d, &len)) != 0)
		return r;
	*tail = d + n - t.len;
	*tn = t.len;
	return (int)len;
}

void
peer_say(struct peer *p, uint32_t ssrc, uint16_t seq)
{
	static const uint8_t tail[1] = { 0x00 };
	uint8_t d[PEER_PACKET];
	size_t n = peer_rtp(p, d, ssrc, seq, "words", 5, tail, sizeof(tail));

	if (n > 0)
		peer_send(p, d, n);
}
