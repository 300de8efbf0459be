/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front's end of the channel to the vault (agent/vaultmsg.h): questions
 * with their answers, packets, and what the vault says by itself.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/vaultmsg.h"
#include "perc/chan.h"
#include "perc/loop.h"

#define FRONT_VAULT_ASKS_MAX 256 /* questions under way */

struct front_vault;

/* err is 0 and text the answer (a proof, JSON), or text says what failed. */
typedef void (*front_vault_fn)(int err, const char *text, void *arg);

struct front_vault_events { /* strings and packets live during the call */
	void (*ready)(const char *sign_jwk, const char *seal_jwk,
	    const char *report, void *arg);
	void (*erased)(const char *conf, const char *reason,
	    const char *receipt, void *arg);
	void (*media)(unsigned slot, const uint8_t *p, size_t n, void *arg);
	void (*rtcp)(unsigned slot, const uint8_t *p, size_t n, void *arg);
	void (*key_wanted)(const char *conf, uint16_t spi, void *arg);
	void (*streams)(const char *conf, const char *json, void *arg);
	void (*speaking)(const char *conf, const char *json, void *arg);
	void (*gone)(void *arg);
};

/* Takes fd over and says HELLO. */
PERC_MUST int front_vault_new(struct front_vault **vp, struct perc_loop *l,
    int fd, const struct front_vault_events *events, void *arg);
void front_vault_free(struct front_vault *v);

PERC_MUST int front_vault_proof(struct front_vault *v, unsigned flags,
    const char *htm, const char *htu, const char *token, const char *nonce,
    front_vault_fn fn, void *arg);
/* OPEN, KEY, EPOCH, ROSTER, NOTICE, LEAVE, STATUS: n strings. */
PERC_MUST int front_vault_ask(struct front_vault *v, enum vault_msg type,
    const char *const strs[], unsigned n, front_vault_fn fn, void *arg);
/* Answers for arg fall on the floor from now on. */
void front_vault_forget(struct front_vault *v, const void *arg);
/* MEDIA_IN, RTCP_IN: the packet in two parts (the second may be empty). A
 * packet that finds the queue full is lost, as on any network. */
void front_vault_packet(struct front_vault *v, enum vault_msg type,
    unsigned slot, const uint8_t *p, size_t n, const uint8_t *tail,
    size_t taillen);
