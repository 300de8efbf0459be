/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One leg against a distributor made of the same core, and what else a leg
 * calls: its conference, the vault. One of each, in one loop, made anew for
 * each test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "agent/front.h"
#include "agent/frontleg.h"
#include "perc/srtp.h"
#include "perc/stun.h"

/* What the leg told: how often it came up and was lost, and why; the last
 * packet for the vault. */
extern unsigned ups, losses, vault_packets;
extern char lost_why[256];
extern uint8_t vault_got[2048];
extern size_t vault_len;
extern enum vault_msg vault_type;

struct legkit_mdd {
	int fd;
	struct perc_io *io;
	struct sockaddr_in peer;
	char ufrag[PERC_ICE_UFRAG + 1], pwd[PERC_ICE_PWD + 1];
	struct perc_dtls_id *id;
	struct perc_dtls *dtls;
	struct perc_srtp *tx, *rx;
	struct perc_srtcp *rtcp_tx, *rtcp_rx;
	uint8_t client_fp[PERC_FINGERPRINT_LEN];
	bool mute, stranger; /* answers nothing; answers errors */
	unsigned checks, nominated;
	uint8_t got[2048];
	size_t got_len;
};
extern struct legkit_mdd mdd;

extern struct perc_loop *loop;
extern struct agent agent;
extern struct front_conf conf; /* its leg is connect_leg()'s */
extern struct front_join join; /* the distributor's answer */

int legkit_setup(void **state);
int legkit_teardown(void **state);
#define WITH(t)                                                                \
	cmocka_unit_test_setup_teardown(t, legkit_setup, legkit_teardown)

void connect_leg(void);
void turn_until(const unsigned *what, int ms); /* it is not 0, or time is up */
void turns(int n);
/* From the distributor to the leg; arg is not used. */
void mdd_send(const uint8_t *p, size_t n, void *arg);
/* A packet as the vault gives it: header, sealed payload, OHB, Short field;
 * its length. */
size_t packet(uint8_t *p, uint16_t seq, const char *tail, size_t taillen);
