/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receivers, who on a real road are other machines: here they share the
 * generator's processor, and half a million packets a second are more than it
 * reads. For delays a sample is enough. A filter at each socket lets one
 * packet of N pass, by SEQ and SSRC, and the system throws the others away
 * where they arrive, which is on the forwarder's processor: allocation, road
 * and filter are in its time, only the place in the queue is not. They are
 * counted like those a full socket has no room for, so losses are still seen.
 *
 * The stamp is the system's, of when the forwarder's datagram came, not of
 * when it was read.
 */
#include "tests/bench/mddear.h"

#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define DRAIN	32
#define SEEN	24 /* octets of a packet that a receiver looks at */
#define SAMPLES (1u << 20)
#define UDP	8 /* octets before the payload, as filters see it */

int64_t
rig_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- the sieve -------------------------------------------------------- */

/* RTP of ours: its first two octets. By SEQ alone all senders' packets would
 * be looked at together, and by a power of two only heads of bursts. */
static void
sieve_attach(int fd, unsigned one_of)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, UDP),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x8000 | 111, 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, UDP + 11),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 7),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, UDP + 2),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, one_of),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	need(setsockopt(
		 fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0);
}

void
rig_sieve(struct rig *r, unsigned one_of)
{
	unsigned i;

	one_of |= 1;
	if (r->one_of == one_of)
		return;
	r->one_of = one_of;
	for (i = 0; i < r->n; i++)
		if (one_of > 1)
			sieve_attach(r->m[i].fd, one_of);
		else
			(void)setsockopt(r->m[i].fd, SOL_SOCKET,
			    SO_DETACH_FILTER, &one_of, sizeof(one_of));
}

/* ---- what passed ------------------------------------------------------ */

struct batch {
	struct mmsghdr msg[DRAIN];
	struct iovec iov[DRAIN];
	uint8_t buf[DRAIN][SEEN];
	char control[DRAIN][64];
};

static void
delay_add(struct ear_delays *d, int64_t ns)
{
	if (d->n < SAMPLES)
		d->us10[d->n++] = ns < 0 ? 0 : (uint32_t)(ns / 100);
}

static void
delay_note(struct rig *r, const struct train *t, struct ear *e,
    struct msghdr *h, const uint8_t *p)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	unsigned who = p[11], at;
	struct timespec ts;
	int64_t ns;

	if (c == NULL || c->cmsg_type != SO_TIMESTAMPNS || who >= r->senders)
		return;
	memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	at = (uint16_t)((p[2] << 8 | p[3]) - t->first_seq[who]);
	at = at / t->burst * r->senders + who;
	if (at >= t->packets / t->burst)
		return;
	ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	delay_add(&e->all, ns - t->sent_ns[at]);
	if (!stops_touch(t->sent_ns[at], ns))
		delay_add(&e->still, ns - t->sent_ns[at]);
}

bool
ear_drain(struct rig *r, const struct train *t, struct ear *e, unsigned who)
{
	static struct batch b;
	int i, n;

	for (i = 0; i < DRAIN; i++) {
		b.iov[i] = (struct iovec){ b.buf[i], SEEN };
		b.msg[i].msg_hdr = (struct msghdr){ .msg_iov = &b.iov[i],
			.msg_iovlen = 1,
			.msg_control = b.control[i],
			.msg_controllen = sizeof(b.control[i]) };
	}
	n = recvmmsg(r->m[who].fd, b.msg, DRAIN, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++) {
		if (b.buf[i][0] != 0x80 || b.buf[i][1] != 111)
			continue; /* RTCP, STUN */
		e->received++;
		delay_note(r, t, e, &b.msg[i].msg_hdr, b.buf[i]);
	}
	return n == DRAIN;
}

/* ---- delays ----------------------------------------------------------- */

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
delays_open(struct ear_delays *d)
{
	if (d->us10 == NULL)
		need((d->us10 = calloc(SAMPLES, sizeof(*d->us10))) != NULL);
	d->n = 0;
}

void
ear_open(struct ear *e)
{
	delays_open(&e->all);
	delays_open(&e->still);
	e->received = 0;
}

void
ear_sort(struct ear *e)
{
	qsort(e->all.us10, e->all.n, sizeof(*e->all.us10), by_value);
	qsort(e->still.us10, e->still.n, sizeof(*e->still.us10), by_value);
}

double
ear_delay_us(const struct ear_delays *d, unsigned parts)
{
	return d->n == 0 ? 0 : d->us10[(uint64_t)d->n * parts / 1000] / 10.0;
}
