/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets are made before the clock runs. The generator paces them on one
 * processor and empties the receivers' sockets in between; what a socket had
 * no room for counts as delivered (SO_MEMINFO), for it is not the forwarder
 * that lost it. The forwarder has the other processor, and its time is read
 * in nanoseconds from schedstat.
 */
#include "tests/bench/mddear.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "perc/crypto.h"
#include "perc/rtp.h"

#define STRIDE	   RIG_PACKET
#define ROOM	   (4 << 20) /* octets that a member's socket holds */
#define UNREAD	   20000     /* packets that wait in all sockets together */
#define STALL_NS   50000
#define WARM_RATE  30000
#define WARM_S	   0.3
#define SETTLE_NS  50000000
#define INNER_TAIL 17 /* inner tag, OHB */
#define RIGS	   3

static struct rig *started[RIGS];

void
rig_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "bench: %s:%d: not so: %s (last error: %s)\n", file,
	    line, what, strerror(errno));
	abort();
}

void
rig_random(void *p, size_t n)
{
	perc_random(p, n);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double
rig_median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n == 0 ? 0 : v[n / 2];
}

/* ---- members ---------------------------------------------------------- */

/* Octets that each member's socket holds. */
static void
rooms_set(struct rig *r, int size)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		need(setsockopt(r->m[i].fd, SOL_SOCKET, SO_RCVBUF, &size,
			 sizeof(size)) == 0);
}

static void
member_open(struct rig_member *m, unsigned i)
{
	int size = ROOM, on = 1;
	socklen_t len = sizeof(m->self);

	memset(m, 0, sizeof(*m));
	m->ssrc = 0x10000000u + i;
	rig_random(m->key, sizeof(m->key));
	rig_random(m->salt, sizeof(m->salt));
	m->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	need(m->fd >= 0);
	m->self.sin_family = AF_INET;
	m->self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(bind(m->fd, (struct sockaddr *)&m->self, len) == 0 &&
	    getsockname(m->fd, (struct sockaddr *)&m->self, &len) == 0);
	if (setsockopt(
		m->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		(void)setsockopt(
		    m->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	need(setsockopt(m->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ==
	    0);
}

/* Members of a forwarder that waits while another is measured must show
 * themselves too, or it puts them out (RFC 7675: 30 s). */
static void
keep_all(struct rig *r)
{
	size_t i;

	if (r->sut->keep != NULL)
		r->sut->keep(r);
	for (i = 0; i < RIGS; i++)
		if (started[i] != NULL && started[i] != r &&
		    started[i]->sut->keep != NULL)
			started[i]->sut->keep(started[i]);
}

static void
started_change(struct rig *from, struct rig *to)
{
	size_t i;

	for (i = 0; i < RIGS && started[i] != from; i++)
		continue;
	need(i < RIGS);
	started[i] = to;
}

void
rig_open(struct rig *r, const struct sut *s, unsigned n, unsigned senders,
    size_t payload)
{
	unsigned i;

	need(n >= 2 && n <= RIG_MEMBERS && senders <= n);
	r->sut = s;
	r->n = n;
	r->senders = senders;
	r->payload = payload;
	for (i = 0; i < n; i++)
		member_open(&r->m[i], i);
}

/* What a forwarder makes at a stream's first packets it makes now. */
static void
warm_up(struct rig *r)
{
	struct rig_load l = { WARM_RATE, 1, WARM_S, false };
	struct rig_result out;

	rig_run(r, &l, &out);
}

bool
rig_start(struct rig *r)
{
	if (!r->sut->start(r))
		return false;
	rig_pin(r->pid, 1);
	started_change(NULL, r);
	warm_up(r);
	return true;
}

void
rig_close(struct rig *r)
{
	unsigned i;

	started_change(r, NULL);
	r->sut->stop(r);
	for (i = 0; i < r->n; i++) {
		perc_srtp_free(r->m[i].tx);
		(void)close(r->m[i].fd);
	}
	r->n = 0;
}

/* ---- packets ---------------------------------------------------------- */

size_t
rig_packet(struct rig *r, struct rig_member *m, uint8_t *p)
{
	size_t n = 12 + r->payload + INNER_TAIL, len = 0;
	uint16_t seq = m->seq++;
	struct perc_rtp h;

	memset(p, 0, n);
	p[0] = 0x80;
	p[1] = 111;
	p[2] = (uint8_t)(seq >> 8);
	p[3] = (uint8_t)seq;
	p[8] = (uint8_t)(m->ssrc >> 24);
	p[9] = (uint8_t)(m->ssrc >> 16);
	p[10] = (uint8_t)(m->ssrc >> 8);
	p[11] = (uint8_t)m->ssrc;
	need(perc_rtp_parse(&h, p, n) == 0 &&
	    perc_srtp_protect(m->tx, &h, p, n, p, &len) == 0);
	if (r->sut->tail)
		p[len++] = 0; /* a Short EKTField */
	return len;
}

static void
train_make(struct rig *r, const struct rig_load *l, struct train *t)
{
	double in = l->rate / (double)(r->n - 1) * l->seconds;
	unsigned i, bursts;

	t->burst = l->burst;
	bursts = (unsigned)(in / l->burst) + 1;
	t->packets = bursts * l->burst;
	t->octets = malloc((size_t)t->packets * STRIDE);
	t->sent_ns = calloc(bursts, sizeof(*t->sent_ns));
	need(t->octets != NULL && t->sent_ns != NULL);
	for (i = 0; i < r->senders; i++)
		t->first_seq[i] = r->m[i].seq;
	for (i = 0; i < t->packets; i++)
		t->len = rig_packet(r, &r->m[i / l->burst % r->senders],
		    t->octets + (size_t)i * STRIDE);
}

static void
burst_send(struct rig *r, struct train *t, unsigned k)
{
	struct rig_member *m = &r->m[k % r->senders];
	struct mmsghdr msg[16];
	struct iovec iov[16];
	unsigned i, done = 0;
	int n;

	memset(msg, 0, sizeof(msg));
	for (i = 0; i < t->burst; i++) {
		iov[i].iov_base =
		    t->octets + (size_t)(k * t->burst + i) * STRIDE;
		iov[i].iov_len = t->len;
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
		msg[i].msg_hdr.msg_name = &m->to;
		msg[i].msg_hdr.msg_namelen = sizeof(m->to);
	}
	t->sent_ns[k] = rig_now_ns();
	while (done < t->burst) {
		n = sendmmsg(m->fd, msg + done, t->burst - done, 0);
		need(n > 0 || errno == EAGAIN || errno == ECONNREFUSED);
		done += n > 0 ? (unsigned)n : 0;
	}
	stops_note(t->sent_ns[k], rig_now_ns());
}

/* ---- a run ------------------------------------------------------------ */

static void
quiet(struct rig *r, const struct train *t, struct ear *e, int64_t ns)
{
	int64_t end = rig_now_ns() + ns;
	unsigned who = 0;

	while (rig_now_ns() < end || who != 0) {
		while (ear_drain(r, t, e, who))
			;
		who = (who + 1) % r->n;
	}
}

/*
 * Who should have sent long ago was not let run. A generator that makes up
 * for that sends what nobody sends, a row of packets at once, and the queue
 * behind it would be said to be the forwarder's. So the plan moves on, and
 * what that costs of the rate is told.
 */
static int64_t
stalled(int64_t due, const struct rig_load *l)
{
	int64_t behind = rig_now_ns() - due;

	return l->sampled && behind > STALL_NS ? behind - STALL_NS : 0;
}

static void
train_run(struct rig *r, const struct rig_load *l, struct train *t,
    struct ear *e, struct rig_result *out)
{
	double gap = 1e9 * l->burst * (r->n - 1) / l->rate;
	unsigned k, bursts = t->packets / t->burst, who = 0;
	int64_t began = rig_now_ns(), t0 = began, due;

	for (k = 0; k < bursts; k++) {
		due = t0 + (int64_t)(gap * k);
		do {
			if (!l->sampled)
				(void)ear_drain(r, t, e, who);
			who = (who + 1) % r->n;
		} while (rig_now_ns() < due);
		t0 += stalled(due, l);
		burst_send(r, t, k);
	}
	due = rig_now_ns();
	out->late = (double)(due - began - (int64_t)(gap * bursts)) / 1e9;
	quiet(r, t, e, SETTLE_NS);
	if (l->sampled)
		stops_end(began, due, &out->stops);
}

/* What waits until the end is memory that the forwarder's packets would have to
 * be made of: not much of it, and far less than a socket holds. */
static unsigned
sieve_for(const struct rig *r, const struct train *t)
{
	return t->packets * (r->n - 1) / UNREAD + 1;
}

static void
result_fill(const struct rig *r, const struct rig_load *l,
    const struct train *t, struct ear *e, struct rig_result *out)
{
	out->expected = (uint64_t)t->packets * (r->n - 1);
	if (out->delivered > 0)
		out->cpu_ns = (double)out->ran_ns / (double)out->delivered;
	out->busy = (double)out->ran_ns / 1e9 / (l->seconds + out->late);
	ear_sort(e);
	out->p50_us = ear_delay_us(&e->all, 500);
	out->p99_us = ear_delay_us(&e->all, 990);
	out->still_us = ear_delay_us(&e->still, 990);
	out->still = e->all.n == 0 ? 0 : (double)e->still.n / e->all.n;
}

void
rig_run(struct rig *r, const struct rig_load *l, struct rig_result *out)
{
	static struct ear e;
	struct train t = { 0 };
	uint64_t ran, waited;

	memset(out, 0, sizeof(*out));
	keep_all(r);
	train_make(r, l, &t);
	rig_sieve(r, l->sampled ? sieve_for(r, &t) : 1);
	ear_open(&e);
	quiet(r, &t, &e, SETTLE_NS / 10);
	(void)rig_drops(r);
	ear_open(&e);
	ran = rig_cpu_ns(r->pid, &waited);
	if (l->sampled) {
		rig_first(0, true);
		stops_begin();
	}
	train_run(r, l, &t, &e, out);
	rig_first(0, false);
	out->ran_ns = rig_cpu_ns(r->pid, &out->waited_ns) - ran;
	out->waited_ns -= waited;
	out->delivered = e.received + rig_drops(r);
	result_fill(r, l, &t, &e, out);
	if (out->delivered < out->expected && r->sut->revive != NULL)
		r->sut->revive(r);
	free(t.octets);
	free(t.sent_ns);
}

double
rig_flat_out(struct rig *r, unsigned offered, double seconds)
{
	const struct rig_load l = { offered, 1, 2 * seconds, false };
	double gap = 1e9 * (r->n - 1) / offered, out;
	struct timespec nap = { 0, 50000 };
	struct train t = { 0 };
	static struct ear e;
	uint64_t cpu = 0, before;
	int64_t t0;
	unsigned k;

	train_make(r, &l, &t);
	rooms_set(r, 1);
	t0 = rig_now_ns();
	for (k = 0; k < t.packets; k++) {
		while (rig_now_ns() < t0 + (int64_t)(gap * k))
			(void)nanosleep(&nap, NULL);
		if (cpu == 0 && k >= t.packets / 2) {
			(void)rig_drops(r);
			cpu = rig_cpu_ns(r->pid, NULL);
		}
		burst_send(r, &t, k);
	}
	out = (double)rig_drops(r) * 1e9 /
	    (double)(rig_cpu_ns(r->pid, NULL) - cpu);
	rooms_set(r, ROOM);
	ear_open(&e);
	do { /* until the forwarder has no more of it */
		before = e.received;
		quiet(r, &t, &e, SETTLE_NS * 4);
	} while (e.received - before > r->n);
	free(t.octets);
	free(t.sent_ns);
	return out;
}
