/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control and workers tell each other (frames of perc/chan.h), and the
 * one message by which the supervisor gives control a new worker's channel.
 * No message can carry a key of any kind: there is no field for one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdd/count.h"
#include "mdd/plan.h"
#include "mdd/token.h"
#include "perc/dtls.h"
#include "perc/err.h"
#include "perc/stun.h"

#define MDD_LEG_ID_MAX 32 /* "l_" and 22 characters, with NUL and slack */
/* "kmf/conference", and "/hop" for those whose packets only hops protect */
#define MDD_CONF_KEY_MAX (32 + 1 + MDD_TOKEN_ID_MAX + 4)

enum mdd_msg_type {
	MDD_MSG_SETUP = 1, /* C->W, first and once */
	MDD_MSG_READY,	   /* W->C */
	MDD_MSG_JOIN,	   /* C->W, answered by JOINED */
	MDD_MSG_JOINED,
	MDD_MSG_RENEW,	      /* C->W */
	MDD_MSG_LEAVE,	      /* C->W */
	MDD_MSG_LEFT,	      /* W->C, also after LEAVE */
	MDD_MSG_STATS,	      /* W->C, once a second */
	MDD_MSG_SUBSCRIBE,    /* C->W, mdd/taste.h */
	MDD_MSG_LIMITS, /* C->W: a setup again; what can change, changes */
	MDD_MSG_LEGS,	/* W->C, with STATS: some legs, one by one */
	MDD_MSG_RESTART = 32, /* C->W, answered by JOINED */
	MDD_MSG_DIAL = 48,    /* C->W: where the other end of a link is */
};

struct mdd_setup {
	uint32_t max_legs, max_conferences, max_conference_legs, max_leg_pps;
	uint32_t max_leg_kbps;
	uint32_t idle_ms;
	uint32_t rtx_packets; /* that a leg may ask for again; 0: none */
	uint32_t rtx_kib;     /* of packets kept by a worker */
	uint32_t last_n;      /* who spoke last; 0: all */
	uint32_t max_links, max_link_sources, max_link_pps;
	uint32_t log_level, metrics_legs;
};

struct mdd_ready {
	uint8_t fp[PERC_FINGERPRINT_LEN];
};

#define MDD_ICE_MAX 256 /* RFC 8839 section 5.4 */
#define MDD_IP_LEN  16

/* What a leg leads to (mdd/link.h). */
enum mdd_link_kind {
	MDD_LINK_NONE,	  /* a member */
	MDD_LINK_LOCAL,	  /* a worker of this MDD */
	MDD_LINK_PEER,	  /* another MDD */
	MDD_LINK_TRANSIT, /* another MDD that may speak for others */
	MDD_LINK_KINDS
};

struct mdd_join {
	enum mdd_link_kind link;
	bool dial; /* a link that waits for DIAL; pin, ufrag, pwd come then */
	char leg[MDD_LEG_ID_MAX];
	char conference[MDD_CONF_KEY_MAX + 1];
	char member[MDD_TOKEN_ID_MAX + 1];
	uint8_t pin[PERC_FINGERPRINT_LEN];
	uint32_t ssrcs[MDD_TOKEN_SSRCS];
	unsigned nssrcs;
	uint64_t live_ms; /* until the token's end and the grace are over */
	/* who asked: an IPv4 address in IPv6 form, the first 64 bits of IPv6 */
	uint8_t from[MDD_IP_LEN];
	/* the endpoint's, for checks of ours */
	char ufrag[MDD_ICE_MAX + 1], pwd[MDD_ICE_MAX + 1];
	bool twcc; /* it answers transport-wide numbers, id 3 */
	bool planned; /* it came by SDP, and plan says what was agreed */
	struct mdd_plan plan;
};

struct mdd_restart { /* ICE anew (RFC 8445 section 2.4); JOINED answers */
	char leg[MDD_LEG_ID_MAX];
	char ufrag[MDD_ICE_MAX + 1], pwd[MDD_ICE_MAX + 1];
};

struct mdd_joined { /* the frame's id is the asker's */
	int err;
	char leg[MDD_LEG_ID_MAX];
	char ufrag[PERC_ICE_UFRAG + 1], pwd[PERC_ICE_PWD + 1];
};

struct mdd_dial {
	char leg[MDD_LEG_ID_MAX];
	uint8_t pin[PERC_FINGERPRINT_LEN];
	char host[48]; /* literal address */
	uint32_t port;
	bool odd; /* the channels that are ours, of the two that may dial */
	bool twcc; /* as of mdd_join */
	char ufrag[MDD_ICE_MAX + 1], pwd[MDD_ICE_MAX + 1];
};

struct mdd_renew {
	char leg[MDD_LEG_ID_MAX];
	uint64_t live_ms;
};

struct mdd_leave { /* LEAVE and LEFT */
	char leg[MDD_LEG_ID_MAX];
	uint32_t why; /* LEFT: enum mdd_count of the reason */
};

struct mdd_stats {
	uint64_t v[MDD_COUNTS];
};

#define MDD_LEGSTATS_MAX 20 /* legs in one message */

struct mdd_legstat {
	char leg[MDD_LEG_ID_MAX];
	uint64_t rx, rx_octets; /* from its address */
	uint64_t taken;		/* of those, authenticated media */
	uint64_t tx, tx_octets; /* media sent to it */
	uint32_t rtt_ms;	/* 0: not known */
	uint32_t lost;		/* of 256, as it last told; 0 also: nothing */
	uint32_t kbps;		/* what it carries, it seems; 0: not known */
};

struct mdd_legstats {
	unsigned n;
	struct mdd_legstat leg[MDD_LEGSTATS_MAX];
};

#define MDD_MSG_MAX 2048 /* octets of any payload */

/* Codec: put returns the octets written into out (MDD_MSG_MAX of room), or a
 * negative error; get is strict about lengths, counts and left-overs. */
int mdd_setup_put(uint8_t *out, const struct mdd_setup *m);
PERC_MUST int mdd_setup_get(struct mdd_setup *m, const void *p, size_t n);
int mdd_ready_put(uint8_t *out, const struct mdd_ready *m);
PERC_MUST int mdd_ready_get(struct mdd_ready *m, const void *p, size_t n);
int mdd_join_put(uint8_t *out, const struct mdd_join *m);
PERC_MUST int mdd_join_get(struct mdd_join *m, const void *p, size_t n);
int mdd_joined_put(uint8_t *out, const struct mdd_joined *m);
PERC_MUST int mdd_joined_get(struct mdd_joined *m, const void *p, size_t n);
int mdd_restart_put(uint8_t *out, const struct mdd_restart *m);
PERC_MUST int mdd_restart_get(struct mdd_restart *m, const void *p, size_t n);
int mdd_dial_put(uint8_t *out, const struct mdd_dial *m);
PERC_MUST int mdd_dial_get(struct mdd_dial *m, const void *p, size_t n);
int mdd_renew_put(uint8_t *out, const struct mdd_renew *m);
PERC_MUST int mdd_renew_get(struct mdd_renew *m, const void *p, size_t n);
int mdd_leave_put(uint8_t *out, const struct mdd_leave *m);
PERC_MUST int mdd_leave_get(struct mdd_leave *m, const void *p, size_t n);
int mdd_stats_put(uint8_t *out, const struct mdd_stats *m);
PERC_MUST int mdd_legstats_put(uint8_t *out, const struct mdd_legstats *m);
PERC_MUST int mdd_legstats_get(
    struct mdd_legstats *m, const void *p, size_t n);
PERC_MUST int mdd_stats_get(struct mdd_stats *m, const void *p, size_t n);

/*
 * Supervisor to control, on a sequenced-packet socketpair: worker `index`
 * listens for media on `port`; fd is control's end of its channel. recv gives
 * PERC_ERR_CLOSED when the supervisor is gone, PERC_ERR_AGAIN.
 */
struct mdd_worker_note {
	uint32_t index, port;
};
PERC_MUST int mdd_pass_send(int sock, const struct mdd_worker_note *n, int fd);
PERC_MUST int mdd_pass_recv(int sock, struct mdd_worker_note *n, int *fdp);
