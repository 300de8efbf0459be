/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two linear buffers per channel. Reading takes up to 256 KiB and hands out
 * every whole frame in it; writing gathers a turn's frames and leaves by one
 * send(2). Both keep their memory between turns, so steady traffic allocates
 * nothing, and both wipe what has passed: keys travel here. The owner may
 * free the channel from inside any callback, hence the busy count.
 */
#include "perc/chan.h"

#include "perc/secret.h"
#include "perc/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK	      (256u << 10) /* octets of a read, and that start a write */
#define KEEP	      (1u << 20)   /* a larger buffer goes when it is empty */
#define QUEUE_DEFAULT (32u << 20)  /* octets that may wait */
#define READS_A_TURN  4

struct buf {
	uint8_t *p;
	size_t off, len, cap; /* octets off..len are live */
};

struct perc_chan {
	struct perc_loop *loop;
	struct perc_io *io;
	struct perc_defer turn_end;
	int fd;
	const struct perc_chan_rule *rules;
	size_t nrules;
	void (*on_close)(struct perc_chan *, int why, void *arg);
	void *arg;
	uint32_t state;
	struct buf in, out;
	size_t queue_max;
	unsigned busy; /* callbacks of ours on the stack */
	bool freed;    /* by its owner, while busy */
	bool blocked;  /* the socket is full; EPOLLOUT is awaited */
	int why;       /* 0: open */
};

/* --- buffers ------------------------------------------------------------ */

static void
buf_clear(struct buf *b)
{
	perc_wipe(b->p, b->len);
	free(b->p);
	*b = (struct buf){ 0 };
}

/* Room for n more octets behind len; live octets move to the front. */
static int
buf_room(struct buf *b, size_t n)
{
	size_t live = b->len - b->off, cap = b->cap != 0 ? b->cap : CHUNK;
	uint8_t *p = b->p;

	if (b->p != NULL && n <= b->cap - b->len)
		return 0;
	while (cap - live < n)
		cap *= 2;
	if (cap != b->cap && (p = malloc(cap)) == NULL)
		return PERC_ERR_NOMEM;
	if (live > 0)
		memmove(p, b->p + b->off, live);
	if (p != b->p) {
		perc_wipe(b->p, b->len);
		free(b->p);
	} else
		perc_wipe(p + live, b->len - live);
	*b = (struct buf){ .p = p, .len = live, .cap = cap };
	return 0;
}

/* n octets at the front have passed. */
static void
buf_pass(struct buf *b, size_t n)
{
	perc_wipe(b->p + b->off, n);
	b->off += n;
	if (b->off < b->len)
		return;
	b->off = b->len = 0;
	if (b->cap > KEEP)
		buf_clear(b);
}

/* --- ending ------------------------------------------------------------- */

static void
destroy(struct perc_chan *c)
{
	buf_clear(&c->in);
	buf_clear(&c->out);
	free(c);
}

static void
hang_up(struct perc_chan *c)
{
	perc_loop_undefer(c->loop, &c->turn_end);
	perc_loop_del(c->io);
	c->io = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
perc_chan_free(struct perc_chan *c)
{
	if (c == NULL)
		return;
	hang_up(c);
	c->freed = true;
	if (c->busy == 0)
		destroy(c);
}

/* Leave a callback; true when the owner freed c meanwhile. */
static bool
leave(struct perc_chan *c)
{
	if (--c->busy > 0 || !c->freed)
		return c->freed;
	destroy(c);
	return true;
}

static void
throw_out(struct perc_chan *c, int why)
{
	if (c->why != 0)
		return;
	c->why = why;
	hang_up(c);
	c->busy++;
	if (c->on_close != NULL)
		c->on_close(c, why, c->arg);
	(void)leave(c);
}

/* --- reading ------------------------------------------------------------ */

static const struct perc_chan_rule *
rule_find(const struct perc_chan *c, uint16_t type)
{
	for (size_t i = 0; i < c->nrules; i++)
		if (c->rules[i].type == type)
			return &c->rules[i];
	return NULL;
}

/* The rule of the frame that starts here, or why there is none. */
static int
frame_admit(const struct perc_chan *c, struct perc_chan_msg *m,
    const struct perc_chan_rule **rulep)
{
	struct perc_wire w;

	perc_wire_reader(&w, c->in.p + c->in.off, PERC_CHAN_HEADER);
	m->len = perc_wire_get_u32(&w);
	m->type = perc_wire_get_u16(&w);
	m->flags = perc_wire_get_u16(&w);
	m->id = perc_wire_get_u32(&w);
	m->data = c->in.p + c->in.off + PERC_CHAN_HEADER;
	if ((*rulep = rule_find(c, m->type)) == NULL ||
	    ((*rulep)->states & c->state) == 0)
		return PERC_ERR_DENIED;
	if (m->len > (*rulep)->max_len || m->len > PERC_CHAN_FRAME_MAX)
		return PERC_ERR_LIMIT;
	return 0;
}

/* Hand out whole frames. PERC_ERR_SHORT: *need octets complete the next. */
static int
frames_take(struct perc_chan *c, size_t *need)
{
	const struct perc_chan_rule *rule;
	struct perc_chan_msg m;
	int r;

	for (;;) {
		size_t live = c->in.len - c->in.off;

		*need = PERC_CHAN_HEADER;
		if (live < *need)
			return PERC_ERR_SHORT;
		if ((r = frame_admit(c, &m, &rule)) != 0)
			return r;
		*need += m.len;
		if (live < *need)
			return PERC_ERR_SHORT;
		r = rule->fn(c, &m, c->arg);
		if (c->freed)
			return PERC_ERR_CLOSED;
		buf_pass(&c->in, *need);
		if (r != 0)
			return r;
	}
}

static int
read_some(struct perc_chan *c)
{
	size_t need = PERC_CHAN_HEADER;
	ssize_t n;
	int r;

	for (int i = 0; i < READS_A_TURN; i++) {
		size_t live = c->in.len - c->in.off;
		size_t want = need > live + CHUNK / 2 ? need - live : CHUNK / 2;

		if ((r = buf_room(&c->in, want)) != 0)
			return r;
		n = recv(c->fd, c->in.p + c->in.len, c->in.cap - c->in.len,
		    MSG_DONTWAIT);
		if (n == 0)
			return PERC_ERR_CLOSED;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR
			    ? 0
			    : PERC_ERR_CLOSED;
		c->in.len += (size_t)n;
		r = frames_take(c, &need);
		if (r != PERC_ERR_SHORT)
			return r;
		if ((size_t)n < want)
			return 0;
	}
	return 0;
}

static void
on_turn_end(void *arg)
{
	perc_chan_flush(arg);
}

static void
on_event(int fd, uint32_t events, void *arg)
{
	struct perc_chan *c = arg;
	int r;

	if ((events & EPOLLOUT) != 0) {
		c->blocked = false;
		perc_loop_defer(c->loop, &c->turn_end, on_turn_end, c);
		if (perc_loop_mod(c->io, EPOLLIN) != 0) {
			throw_out(c, PERC_ERR_SYS);
			return;
		}
	}
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	c->busy++;
	r = read_some(c);
	if (!leave(c) && r != 0)
		throw_out(c, r);
}

/* --- writing ------------------------------------------------------------ */

void
perc_chan_flush(struct perc_chan *c)
{
	while (c->why == 0 && c->fd >= 0 && !c->blocked &&
	    c->out.len > c->out.off) {
		ssize_t n = send(c->fd, c->out.p + c->out.off,
		    c->out.len - c->out.off, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			buf_pass(&c->out, (size_t)n);
			continue;
		}
		if (errno == EINTR)
			continue;
		/* A broken pipe: what the peer said last is still to be read,
		 * and the end of file behind it will close us. */
		if (errno != EAGAIN) {
			buf_pass(&c->out, c->out.len - c->out.off);
			return;
		}
		c->blocked = perc_loop_mod(c->io, EPOLLIN | EPOLLOUT) == 0;
		return;
	}
}

int
perc_chan_sendv(struct perc_chan *c, uint16_t type, uint16_t flags, uint32_t id,
    const struct iovec *iov, int iovcnt)
{
	struct perc_wire w;
	size_t len = 0;
	int r;

	if (c->why != 0 || c->fd < 0)
		return PERC_ERR_CLOSED;
	for (int i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	if (len > PERC_CHAN_FRAME_MAX ||
	    perc_chan_queued(c) + PERC_CHAN_HEADER + len > c->queue_max)
		return PERC_ERR_LIMIT;
	if ((r = buf_room(&c->out, PERC_CHAN_HEADER + len)) != 0)
		return r;
	perc_wire_writer(&w, c->out.p + c->out.len, PERC_CHAN_HEADER + len);
	perc_wire_put_u32(&w, (uint32_t)len);
	perc_wire_put_u16(&w, type);
	perc_wire_put_u16(&w, flags);
	perc_wire_put_u32(&w, id);
	for (int i = 0; i < iovcnt; i++)
		perc_wire_put_bytes(&w, iov[i].iov_base, iov[i].iov_len);
	c->out.len += w.pos;
	if (perc_chan_queued(c) >= CHUNK)
		perc_chan_flush(c);
	else
		perc_loop_defer(c->loop, &c->turn_end, on_turn_end, c);
	return 0;
}

int
perc_chan_send(struct perc_chan *c, uint16_t type, uint32_t id,
    const void *data, size_t len)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data,
		.iov_len = len };

	return perc_chan_sendv(c, type, 0, id, &iov, 1);
}

size_t
perc_chan_queued(const struct perc_chan *c)
{
	return c->out.len - c->out.off;
}

void
perc_chan_queue_max(struct perc_chan *c, size_t octets)
{
	c->queue_max = octets;
}

void
perc_chan_state_set(struct perc_chan *c, uint32_t state_bit)
{
	c->state = state_bit;
}

int
perc_chan_new(struct perc_chan **cp, struct perc_loop *l, int fd,
    const struct perc_chan_rule *rules, size_t nrules,
    void (*on_close)(struct perc_chan *, int why, void *arg), void *arg)
{
	struct perc_chan *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return PERC_ERR_NOMEM;
	c->loop = l;
	c->fd = fd;
	c->rules = rules;
	c->nrules = nrules;
	c->on_close = on_close;
	c->arg = arg;
	c->state = 1;
	c->queue_max = QUEUE_DEFAULT;
	if ((r = perc_loop_add(l, &c->io, fd, EPOLLIN, on_event, c)) != 0) {
		free(c);
		return r;
	}
	*cp = c;
	return 0;
}
