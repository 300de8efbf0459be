/* SPDX-License-Identifier: Apache-2.0 */
/* Shots are made before the clock runs; a flood is a sendmmsg of all of them
 * from the next socket. */
#include "tests/mdd/flood.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/crypto.h"
#include "perc/dtls.h"
#include "perc/stun.h"

const char *const flood_names[FLOOD_KINDS] = { "garbage", "stun", "hello",
	"replay" };

static void
need(bool good)
{
	if (!good)
		abort();
}

static void
garbage(struct flood *f, unsigned i)
{
	uint8_t *d = f->shot[i];
	uint32_t ssrc = htonl(f->ssrc);

	perc_random(d, FLOOD_DATAGRAM);
	f->len[i] = 40 + d[0] * 4u;
	if (i % 2 == 0)
		return;
	d[0] = 0x80;
	d[1] = 111;
	memcpy(d + 8, &ssrc, sizeof(ssrc));
	d[f->len[i] - 1] = 0; /* a Short EKTField */
}

static void
stun(struct flood *f, unsigned i)
{
	char user[96], ufrag[PERC_ICE_UFRAG + 1], pwd[PERC_ICE_PWD + 1];
	uint8_t txid[12];

	perc_random(txid, sizeof(txid));
	perc_ice_credentials(ufrag, pwd);
	(void)snprintf(user, sizeof(user), "%s:mine",
	    i % 2 == 0 || f->ufrag == NULL ? ufrag : f->ufrag);
	need(perc_stun_request(
		 f->shot[i], &f->len[i], txid, user, pwd, 1, true, 1) == 0);
}

struct hello {
	uint8_t *d;
	size_t n;
};

static void
hello_take(const uint8_t *p, size_t n, void *arg)
{
	struct hello *h = arg;

	if (h->n == 0 && n <= FLOOD_DATAGRAM) {
		memcpy(h->d, p, n);
		h->n = n;
	}
}

static void
hello(struct flood *f, unsigned i)
{
	static struct perc_dtls_id *id;
	uint8_t pin[PERC_FINGERPRINT_LEN] = { 0 };
	struct hello h = { f->shot[i], 0 };
	struct perc_dtls *d = NULL;

	if (id == NULL)
		need(perc_dtls_id_generate(&id, "flood", 1) == 0);
	need(perc_dtls_new(&d, id, false, pin, NULL, 0, hello_take, &h) == 0 &&
	    perc_dtls_start(d) == 0 && h.n > 0);
	perc_dtls_free(d);
	f->len[i] = h.n;
}

void
flood_open(struct flood *f)
{
	unsigned i;

	for (i = 0; i < FLOOD_SHOTS; i++)
		if (f->kind == FLOOD_GARBAGE)
			garbage(f, i);
		else if (f->kind == FLOOD_STUN)
			stun(f, i);
		else if (f->kind == FLOOD_HELLO)
			hello(f, i);
	for (i = 0; i < FLOOD_SOCKETS; i++)
		need((f->fd[i] = socket(
			  AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0);
}

void
flood_close(struct flood *f)
{
	unsigned i;

	for (i = 0; i < FLOOD_SOCKETS; i++)
		(void)close(f->fd[i]);
}

void
flood_send(struct flood *f, unsigned n)
{
	static unsigned turn;
	struct mmsghdr msg[FLOOD_SHOTS];
	struct iovec iov[FLOOD_SHOTS];
	unsigned i, at, now;
	int fd;

	memset(msg, 0, sizeof(msg));
	for (at = 0; at < n; at += now) {
		now = n - at < FLOOD_SHOTS ? n - at : FLOOD_SHOTS;
		for (i = 0; i < now; i++) {
			iov[i] = (struct iovec){ f->shot[i], f->len[i] };
			msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
				.msg_iovlen = 1,
				.msg_name = &f->to,
				.msg_namelen = sizeof(f->to) };
		}
		fd = f->fd[turn % FLOOD_SOCKETS];
		if (f->kind == FLOOD_REPLAY && f->leg_fd >= 0 && turn % 2 == 0)
			fd = f->leg_fd;
		turn++;
		(void)!sendmmsg(fd, msg, now, MSG_DONTWAIT);
	}
}
