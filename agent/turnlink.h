/* SPDX-License-Identifier: Apache-2.0 */
/* One allocation at one TURN server, and one peer behind it. */
#pragma once

#include "agent/turn.h"

struct turn_link;

struct turn_link_events {
	void (*up)(struct turn_link *l, void *arg); /* once; do not free l */
	void (*data)(
	    struct turn_link *l, const uint8_t *p, size_t n, void *arg);
	/* It is of no use (any more); free it. */
	void (*failed)(struct turn_link *l, const char *why, void *arg);
};

/* NULL: no memory. ca_file NULL: the system's trust anchors. */
struct turn_link *turn_link_new(const struct turn_server *s,
    const char *ca_file, const struct sa *peer,
    const struct turn_link_events *events, void *arg);
void turn_link_free(struct turn_link *l); /* NULL is fine */
void turn_link_send(struct turn_link *l, const uint8_t *p, size_t n);
