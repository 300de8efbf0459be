/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framed messages between the processes of one program, on a stream
 * socketpair. Permission is a table, as in OpenSSH's monitor: a message type
 * not in the receiver's table, too long, or not allowed in its present state
 * ends the channel. Many frames travel in one system call.
 *
 *   frame = length of payload (u32) | type (u16) | flags (u16) | id (u32)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "perc/err.h"
#include "perc/loop.h"

#define PERC_CHAN_HEADER 12
#define PERC_CHAN_FRAME_MAX (4u << 20) /* octets of one payload */

struct perc_chan;

struct perc_chan_msg {
	uint16_t type;
	uint16_t flags;
	uint32_t id; /* the asker's number; an answer repeats it */
	const uint8_t *data; /* valid during the callback only */
	size_t len;
};

/* Anything but 0 ends the channel (the peer broke the protocol). */
typedef int (*perc_chan_fn)(struct perc_chan *c,
    const struct perc_chan_msg *m, void *arg);

struct perc_chan_rule {
	uint16_t type;
	uint32_t states; /* bit mask of the states that allow it; ~0u: all */
	uint32_t max_len; /* longest payload */
	perc_chan_fn fn;
};

/*
 * Take over fd (used without blocking, closed by free, or at the end; still
 * the caller's after an error). rules must outlive the channel, whose first
 * state is 1. on_close runs once, when the peer went away or was thrown out
 * (why = PERC_ERR_CLOSED, _DENIED, _FORMAT, _LIMIT); the owner may free the
 * channel there.
 */
PERC_MUST int perc_chan_new(struct perc_chan **cp, struct perc_loop *l,
    int fd, const struct perc_chan_rule *rules, size_t nrules,
    void (*on_close)(struct perc_chan *, int why, void *arg), void *arg);
void perc_chan_free(struct perc_chan *c); /* wipes its buffers */
void perc_chan_state_set(struct perc_chan *c, uint32_t state_bit);

/*
 * Queue one frame; it leaves at the end of the loop's turn, or when 256 KiB
 * have gathered. PERC_ERR_LIMIT: more than the queue's bound (default 32 MiB)
 * waits; nothing was queued. PERC_ERR_CLOSED.
 */
PERC_MUST int perc_chan_send(struct perc_chan *c, uint16_t type, uint32_t id,
    const void *data, size_t len);
PERC_MUST int perc_chan_sendv(struct perc_chan *c, uint16_t type,
    uint16_t flags, uint32_t id, const struct iovec *iov, int iovcnt);
size_t perc_chan_queued(const struct perc_chan *c);
void perc_chan_queue_max(struct perc_chan *c, size_t octets);
/* Write now what can be written without blocking. */
void perc_chan_flush(struct perc_chan *c);
