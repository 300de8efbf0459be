/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: it says what an order tells it to, waits for all that comes of
 * it, and shows that to the oracle. So that nothing is left to luck, no socket
 * of the machine carries the application's packets: the vault's own calls for
 * them end here. Behind each message goes a question about no conference,
 * whose answer tells that all before it was answered.
 */
#include "disorder_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perc/proc.h"

#define TURNS_MAX 1000 /* for one answer: it comes with the third */
#define IDLE	  3

static struct {
	struct vault *v;
	struct perc_chan *chan;
	bool closed, ready, answered;
	uint32_t id;
	uint8_t say[64]; /* what the application's socket has */
	size_t say_len;
} f;

int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
int __wrap_recvmmsg(
    int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t);

int
__wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	unsigned i;

	for (i = 0; i < n; i++)
		oracle_played(m[i].msg_hdr.msg_name,
		    m[i].msg_hdr.msg_iov->iov_base,
		    m[i].msg_hdr.msg_iov->iov_len);
	return (int)n;
}

int
__wrap_recvmmsg(
    int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_port = htons(5555),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (f.say_len == 0)
		return -1;
	memcpy(m->msg_hdr.msg_name, &from, sizeof(from));
	memcpy(m->msg_hdr.msg_iov->iov_base, f.say, f.say_len);
	m->msg_hdr.msg_flags = 0;
	m->msg_len = (unsigned)f.say_len;
	f.say_len = 0;
	return 1;
}

/* ---- the channel --------------------------------------------------------- */

static int
on_message(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	if (m->type == VAULT_STATUS_IS && m->id == f.id && f.ready)
		f.answered = true;
	oracle_heard(m);
	if (m->type == VAULT_READY)
		f.ready = f.answered = true;
	return 0;
}

static void
on_gone(struct perc_chan *c, int why, void *arg)
{
	f.closed = true;
}

#define RULE(t)                                                                \
	{                                                                      \
		t, ~0u, PERC_CHAN_FRAME_MAX, on_message                        \
	}
static const struct perc_chan_rule rules[] = { RULE(VAULT_READY),
	RULE(VAULT_PROOF_IS), RULE(VAULT_DONE), RULE(VAULT_ERASED),
	RULE(VAULT_MEDIA_OUT), RULE(VAULT_RTCP_OUT), RULE(VAULT_KEY_WANTED),
	RULE(VAULT_STREAMS), RULE(VAULT_STATUS_IS), RULE(VAULT_SPEAKING) };

/* Until all that the vault has to say is heard. */
static void
wait_all(void)
{
	static const uint8_t none[] = { 0, 0, 0, 2, '-', 0 };
	unsigned turns = 0;

	f.answered = false;
	if (f.ready &&
	    perc_chan_send(f.chan, VAULT_STATUS, ++f.id, none, sizeof(none)) !=
		0)
		f.closed = true;
	while (!f.closed && !f.answered) {
		must(perc_loop_turn(world.loop, 1000) == 0);
		must(++turns < TURNS_MAX);
	}
}

void
front_say(struct offer *o, const void *p, size_t n)
{
	o->id = ++f.id;
	oracle_offer(o);
	if (perc_chan_send(f.chan, o->type, o->id, p, n) != 0)
		f.closed = true;
	wait_all();
	oracle_settle(f.closed);
}

/* What the machine does, and no message. */
void
front_silent(void)
{
	unsigned i;

	for (i = 0; i < IDLE; i++)
		must(perc_loop_turn(world.loop, 0) == 0);
	if (f.ready && !f.closed)
		wait_all();
}

void
front_strs(struct offer *o, const char *a, const char *b, const char *c)
{
	static uint8_t buf[65536];
	struct perc_wire w;

	perc_wire_writer(&w, buf, sizeof(buf));
	perc_wire_put_str(&w, a);
	if (b != NULL)
		perc_wire_put_str(&w, b);
	if (c != NULL)
		perc_wire_put_str(&w, c);
	must(perc_wire_end(&w) == 0);
	front_say(o, buf, w.pos);
}

/* The application of that slot sends. */
void
front_local(unsigned slot, const void *p, size_t n)
{
	must(n <= sizeof(f.say));
	memcpy(f.say, p, n);
	f.say_len = n;
	vault_local_rtp(-1, EPOLLIN, &f.v->slots[slot].local[0]);
}

bool
front_closed(void)
{
	return f.closed;
}

/* ---- its life ------------------------------------------------------------ */

struct vault *
front_begin(void)
{
	struct vault_setup s = { .config = &world.kmf.config,
		.out_base = BASE_PORT,
		.report = "{}" };
	int sv[2];

	memset(&f, 0, sizeof(f));
	world.passed_ms = 0;
	memset(s.local_fd, 0xff, sizeof(s.local_fd));
	must((s.out_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0);
	must(perc_proc_pair(sv) == 0);
	s.chan_fd = sv[0];
	must(vault_new(&f.v, world.loop, &s) == 0);
	must(perc_chan_new(&f.chan, world.loop, sv[1], rules,
		 sizeof(rules) / sizeof(rules[0]), on_gone, NULL) == 0);
	world.me.seal = f.v->seal;
	world_secret_own(f.v);
	oracle_begin(f.v);
	return f.v;
}

void
front_end(void)
{
	perc_chan_free(f.chan);
	vault_stop(f.v, "stopped");
	oracle_over();
	oracle_end();
	vault_free(f.v);
}
