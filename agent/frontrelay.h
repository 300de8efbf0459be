/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front's side of perch-turn (agent/turnmsg.h): relays at TURN servers
 * for the legs of conferences.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/loop.h"

struct front_relays;
struct sockaddr;

/* up: the relay carries, words is its server; else words tell the trouble. */
typedef void (*front_relay_fn)(
    uint32_t id, bool up, const char *words, void *arg);

/* Takes fd over. only: media goes by no other way. */
PERC_MUST int front_relays_new(struct front_relays **rp, struct perc_loop *l,
    int fd, bool only, front_relay_fn told, void *arg);
void front_relays_free(struct front_relays *r);
/* A relay towards peer at this server of the configuration, or at any (-1):
 * the descriptor that stands for it, the caller's to close, and what told
 * calls it; -1 and errno. */
int front_relay_open(struct front_relays *r, const struct sockaddr *peer,
    int server, uint32_t *id);
bool front_relay_only(const struct front_relays *r); /* NULL: no */
