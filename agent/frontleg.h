/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One leg, shared by frontleg.c (its life: ICE, DTLS) and frontpump.c (its
 * packets) and by nobody else.
 */
#pragma once

#include <sys/socket.h>

#include "agent/front.h"
#include "agent/frontrepair.h"
#include "perc/rtp.h"
#include "perc/srtp.h"

#define BATCH 32 /* datagrams of one system call */
#define ROOM  (PERC_MTU_MAX + PERC_SRTCP_ROOM)

enum leg_state { LEG_ICE, LEG_DTLS, LEG_UP, LEG_LOST };

struct leg_count {
	uint64_t sent, received, dropped, auth_failed, replayed, rtcp_sent,
	    rtcp_received;
};

struct front_leg {
	struct front_conf *conf;
	struct perc_loop *loop;
	enum leg_state state;
	int fd;
	struct perc_io *io;
	char username[600], pwd[257];
	struct sockaddr_storage there;
	char own_pwd[PERC_ICE_PWD + 1]; /* of checks that come in */
	uint64_t tie_breaker;
	uint8_t txid[12]; /* of the check under way */
	bool asking;
	unsigned refused; /* checks */
	bool counted;	  /* this check already */
	int64_t asked_ms, started_ms, consent_ms;
	struct perc_timer check, dtls_timer, lost;
	char why[FRONT_WORDS_MAX];
	uint8_t pin[PERC_FINGERPRINT_LEN];
	struct perc_dtls_id *id; /* the conference's */
	struct perc_dtls *dtls;
	struct perc_srtp *tx, *rx;
	struct perc_srtcp *rtcp_tx, *rtcp_rx;
	struct leg_count count;
	struct front_repair *repair;
	struct perc_timer repair_timer;
	int64_t repair_ms; /* when it is due */
	uint32_t ssrc; /* one of ours, for reports; 0: none is known */

	unsigned nout;
	struct mmsghdr out_msg[BATCH], in_msg[BATCH];
	struct iovec out_iov[BATCH], in_iov[BATCH];
	uint8_t out[BATCH][ROOM], in[BATCH][PERC_MTU_MAX];
};

/* frontleg.c */
void front_leg_stun(struct front_leg *l, const uint8_t *p, size_t n);
void front_leg_dtls(struct front_leg *l, const uint8_t *p, size_t n);
/* It is of no use any more; front_mdd_lost is told from the loop. */
void front_leg_lost(struct front_leg *l, const char *why);
/* Somebody on the path says that the other end does not know us. */
void front_leg_refused(struct front_leg *l);

/* frontpump.c */
void front_leg_batches(struct front_leg *l); /* once */
void front_leg_ready(int fd, uint32_t events, void *arg);
void front_leg_send(struct front_leg *l, const uint8_t *p, size_t n);
