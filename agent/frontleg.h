/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One leg, shared by frontleg.c (its life and DTLS), frontsearch.c and
 * frontpath.c (its ways to the distributor: ICE) and frontpump.c (its packets) and by nobody else.
 */
#pragma once

#include <sys/socket.h>

#include "agent/front.h"
#include "agent/frontrepair.h"
#include "agent/turnmsg.h"
#include "perc/rtp.h"
#include "perc/srtp.h"

#define BATCH 32 /* datagrams of one system call */
#define ROOM  (PERC_MTU_MAX + PERC_SRTCP_ROOM)
#define FRONT_ICE_MS 250 /* between checks until one is answered */
#define PATHS 4 /* direct and by a relay, each once more while we move */

/*
 * A candidate pair of RFC 8445 that we have: a socket of ours and the
 * distributor's one address. Those that are tried nominate; a spare one is
 * only asked, now and then, whether it would carry.
 */
enum path_state { PATH_NONE, PATH_TRIED, PATH_SPARE, PATH_NOW };

struct front_path {
	struct front_leg *leg;
	enum path_state state;
	bool relay;
	int fd;
	struct perc_io *io;
	struct perc_timer check;
	uint8_t txid[12]; /* of the check under way */
	bool asking;
	int64_t asked_ms;
	unsigned good; /* checks answered */
	bool asked;    /* and the distributor asked us there */
	bool broken;   /* the kernel knows no way */
	uint32_t relay_id;
	char words[TURN_WORDS_MAX]; /* of the relay */
};

enum leg_state { LEG_ICE, LEG_DTLS, LEG_UP, LEG_LOST };

struct leg_count {
	uint64_t sent, received, dropped, auth_failed, replayed, rtcp_sent,
	    rtcp_received;
};

struct front_leg {
	struct front_conf *conf;
	struct perc_loop *loop;
	enum leg_state state;
	struct front_path path[PATHS];
	struct front_path *now; /* the one in use; NULL: none answered yet */
	char username[600], pwd[257];
	struct sockaddr_storage there;
	char own_pwd[PERC_ICE_PWD + 1]; /* of checks that come in */
	uint64_t tie_breaker;
	unsigned refused; /* checks */
	bool counted;	  /* this check already */
	bool searching;	  /* for another path */
	int64_t started_ms, search_ms;
	struct perc_timer search, dtls_timer, lost;
	char why[FRONT_WORDS_MAX];
	char relay_words[TURN_WORDS_MAX]; /* why no relay carries, or "" */
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
void front_leg_dtls(struct front_leg *l, const uint8_t *p, size_t n);
void front_leg_dtls_begin(struct front_leg *l);
void front_leg_timer(
    struct front_leg *l, struct perc_timer *t, int64_t ms, perc_loop_fn fn);
/* It is of no use any more; front_mdd_lost is told from the loop. */
void front_leg_lost(struct front_leg *l, const char *why);

/* frontsearch.c */
/* Begin to look for a path; false: there is none, errno says why. */
PERC_MUST bool front_path_start(struct front_leg *l);
void front_path_stop(struct front_leg *l); /* all of them */
void front_path_close(struct front_path *p);
void front_paths_close(struct front_leg *l, enum path_state state);
/* relay counts unless state is PATH_NONE; NULL: there is none. */
struct front_path *front_path_find(
    struct front_leg *l, enum path_state state, bool relay);
void front_search_start(struct front_leg *l);
void front_search_stop(struct front_leg *l);
void front_search_watch(struct front_leg *l); /* look again, soon */

/* frontpath.c */
void front_path_check_in(struct front_path *p, int64_t ms);
void front_path_stun(struct front_path *p, const uint8_t *m, size_t n);
/* Something in the way of p: sending or receiving ended with errno err. */
void front_path_trouble(struct front_path *p, int err);

/* frontpump.c */
void front_leg_batches(struct front_leg *l); /* once */
void front_leg_ready(int fd, uint32_t events, void *path);
void front_leg_send(struct front_leg *l, const uint8_t *p, size_t n);
void front_path_send(struct front_path *p, const uint8_t *m, size_t n);
