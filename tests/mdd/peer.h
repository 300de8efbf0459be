/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint for tests: one UDP socket, ICE, DTLS and the hop layer, with
 * nothing of the agent in it. The end-to-end layer is the test's business.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "perc/dtls.h"
#include "perc/srtp.h"
#include "perc/stun.h"

#define PEER_PACKET 2300
#define PEER_UFRAG  "mine"
#define PEER_PWD    "0123456789012345678901"

struct peer {
	int fd;
	struct sockaddr_in self, mdd;
	struct sockaddr_in6 to6; /* where the MDD is, if its family is set */
	struct perc_dtls_id *id;
	uint8_t fp[PERC_FINGERPRINT_LEN], mdd_fp[PERC_FINGERPRINT_LEN];
	char ufrag[64], pwd[64]; /* the MDD's */
	bool mute;		 /* answers no check of the MDD's */
	unsigned asked;		 /* checks of the MDD's */
	struct perc_dtls *dtls;
	struct perc_dtls_keys keys;
	struct perc_srtp *tx, *rx;
	struct perc_srtcp *tx_rtcp, *rx_rtcp;
	void (*pump)(void *arg); /* let the other side work; may be NULL */
	void *arg;
};

void peer_open(struct peer *p); /* socket and certificate */
void peer_open6(struct peer *p); /* the same, for both families */
void peer_close(struct peer *p);
/* A check with these words; true when the answer is a success. */
bool peer_stun(struct peer *p, const char *pwd, bool nominate);
/* Consent again (RFC 7675): asked some times, for any datagram may be lost. */
bool peer_keep(struct peer *p);
/* ICE and DTLS to the end. False: it failed or took more than ms. */
bool peer_connect(struct peer *p, int ms);
bool peer_handshake(struct peer *p, int ms); /* DTLS alone */
void peer_send(struct peer *p, const void *d, size_t n);
/* A packet of media, whatever is in it. */
void peer_say(struct peer *p, uint32_t ssrc, uint16_t seq);
/* As one message that arrives as datagrams of size octets (and a rest). */
void peer_send_segments(struct peer *p, const void *d, size_t n, uint16_t size);
/* The next datagram whose first octet is in lo..hi, 0 when none came; of
 * 128..191 only RTP, RTCP comes by the other. What is not wanted is lost. */
size_t peer_recv(struct peer *p, uint8_t buf[static PEER_PACKET], uint8_t lo,
    uint8_t hi, int ms);
size_t peer_recv_rtcp(struct peer *p, uint8_t buf[static PEER_PACKET], int ms);
/* One RTP packet: a body that looks like Double's (inner tag and OHB 00 at
 * the end of what is protected), tail behind. Returns its octets in out. */
size_t peer_rtp(struct peer *p, uint8_t out[static PEER_PACKET], uint32_t ssrc,
    uint16_t seq, const void *body, size_t n, const void *tail, size_t tn);
/* Open what came: octets of the opened packet in place, tail cut off and
 * given; negative error. */
int peer_open_rtp(
    struct peer *p, uint8_t *d, size_t n, const uint8_t **tail, size_t *tn);
