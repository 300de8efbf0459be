/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One media process: the legs of its conferences behind one UDP socket. The
 * packet road is mdd_worker_input and what it calls; it allocates nothing but
 * a DTLS association for an address that a STUN check proved.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mdd/batch.h"
#include "mdd/leg.h"
#include "mdd/link.h"
#include "mdd/msg.h"
#include "perc/chan.h"
#include "perc/dtls.h"
#include "perc/forward.h"
#include "perc/loop.h"
#include "perc/rtcp.h"

#define MDD_HANDSHAKES_MAX   256   /* associations of OpenSSL at once */
#define MDD_ADDRESS_MS	     12000 /* two missed checks of its owner */
#define MDD_REKEY_MS	     5000  /* one handshake of a leg that is up in it */
#define MDD_REKEY_OLD_MS     2000  /* for packets under the old keys */
#define MDD_TRIES_MAX	     5	   /* failed handshakes of one leg */
#define MDD_STRANGER_ANSWERS 50	   /* STUN errors a second to unknown people */
#define MDD_DTLS_LINGER_MS   1500  /* to repeat the last flight */
#define MDD_HANDSHAKE_MS     10000 /* from the first datagram to the keys */
#define MDD_HANDSHAKE_PKTS   200   /* and how many they may be */

#define MDD_HOP_WINDOW 256 /* packets of replay window, both directions */

#define MDD_CERT_DAYS 30 /* the pin is what counts, not the date */

struct mdd_staged { /* an opened RTP packet that waits for mdd_media_flush */
	const struct mdd_leg *from;
	struct mdd_room *room;	 /* NULL: it is through */
	const uint8_t *p, *tail; /* in the buffer it came in */
	size_t n, taillen;
	uint32_t number; /* in mdd_worker.rtx; 0: not kept */
	struct perc_rewrite rw;
	uint16_t head; /* octets of its header */
	struct mdd_source *src;
	uint16_t seq, top; /* of the source; top: before this packet */
	bool full;	   /* it carries a Full EKTField */
	uint32_t known;	   /* the key that those before it told */
	struct mdd_frame frame;
};

struct mdd_worker {
	struct perc_loop *loop;
	struct perc_chan *chan; /* to control; NULL in tests */
	struct perc_dtls_id *id;
	struct mdd_batch *out;
	struct mdd_legs legs;
	struct perc_timer tick;
	int udp;
	bool ready;    /* limits are known, pools are made */
	uint64_t node; /* ours in the paths of announcements */
	unsigned answers;
	bool segments;	   /* before init: the system knows GSO */
	unsigned dtls_max; /* 0 before init: MDD_HANDSHAKES_MAX */
	unsigned nstaged;
	struct mdd_staged staged[MDD_BATCH];
	int64_t now_ms; /* of what is being handled */
	struct mdd_rtx *rtx;
	struct mdd_leg *beats; /* that have something to do soon */
	struct perc_timer beat;
	uint64_t wanted[1024]; /* SEQs of the NACK at hand; else all 0 */
	bool nacked; /* the compound at hand made something due */
	uint8_t ext[MDD_BATCH][PERC_HDREXT_MAX]; /* extensions made anew */
	uint64_t count[MDD_COUNTS];
};

/* Pools, identity and batch; udp is borrowed. */
PERC_MUST int mdd_worker_init(struct mdd_worker *w, struct perc_loop *loop,
    int udp, const struct mdd_setup *limits);
void mdd_worker_clear(struct mdd_worker *w);
/* One datagram: p is written to, and must stay until mdd_worker_flush. */
void mdd_worker_input(struct mdd_worker *w, const struct mdd_addr *from,
    uint8_t *p, size_t n, int64_t now_ms);
/* Is it RTP, in ChannelData or not? Then it is not kept elsewhere. */
bool mdd_worker_is_rtp(const uint8_t *p, size_t n);
/* No more datagrams for now: all that is to be sent is sent. */
void mdd_worker_flush(struct mdd_worker *w);
/* Once a second. */
void mdd_worker_tick(struct mdd_worker *w, int64_t now_ms);

/* The kinds (each in its file); leg is where the datagram came from. */
void mdd_ice_input(struct mdd_worker *w, const struct mdd_addr *from,
    const uint8_t *p, size_t n, int64_t now_ms);
/* RFC 8445 section 9: new credentials; leg has ours afterwards. */
void mdd_ice_restart(struct mdd_worker *w, struct mdd_leg *leg,
    const char *ufrag, const char *pwd);
void mdd_hop_input(struct mdd_worker *w, struct mdd_leg *leg, const uint8_t *p,
    size_t n, int64_t now_ms);
/* rekey.c: another handshake of a leg that is up. Does this datagram begin
 * one, and may it? */
bool mdd_rekey_may(const struct mdd_leg *leg, const uint8_t *p, size_t n,
    int64_t now_ms);
void mdd_rekey_begin(struct mdd_leg *leg, int64_t now_ms);
PERC_MUST int
mdd_rekey_end(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms);
/* In place, with the keys of now or those of just before. */
PERC_MUST int mdd_rekey_unprotect(struct mdd_leg *leg,
    const struct perc_rtp *h, uint8_t *p, size_t n, size_t *len);
PERC_MUST int
mdd_rekey_unprotect_rtcp(struct mdd_leg *leg, uint8_t *p, size_t *n);
/* Ask legs that have not shown their consent for long (RFC 7675). */
void mdd_ice_consent(struct mdd_worker *w, int64_t now_ms);
void mdd_media_input(struct mdd_worker *w, struct mdd_leg *leg, uint8_t *p,
    size_t n, int64_t now_ms);
/* fetch.c: bring what a packet like k needs of the next receivers, first and
 * behind it, closer; where to go on (NULL: there are no more). */
#define MDD_FETCH 32
struct mdd_leg *mdd_fetch(struct mdd_leg *first, const struct mdd_staged *k);
/* Forward what is staged; before any leg may end, and before p is reused. */
void mdd_media_flush(struct mdd_worker *w);
/* Send again what s tells of; false: it is gone, or would not be the same. */
bool mdd_media_again(struct mdd_worker *w, struct mdd_leg *to,
    struct mdd_sent *s, int64_t now_ms);
/* Send now what waited (mdd/pace.h). */
void mdd_media_release(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_pace_item *item, int64_t now_ms);
/* The SEQ under which the hop of s sent us what `to` has as seq; false: that
 * was too long ago. */
bool mdd_media_seq_in(const struct mdd_leg *to, const struct mdd_source *s,
    uint16_t seq, uint16_t *in);

#define MDD_RTCP_SSRC 1u   /* our own, on every leg */
#define MDD_RTCP_MAX  1200 /* octets of a compound of ours */
/* Every compound of ours begins with an empty RR (RFC 3550 section 6.1). */
void mdd_rtcp_begin(struct perc_wire *out, uint8_t buf[static MDD_RTCP_MAX]);
void mdd_rtcp_send(
    struct mdd_worker *w, struct mdd_leg *to, const uint8_t *p, size_t n);
/* A packet of leg's i-th SSRC came; what is missing before it? */
void mdd_nack_seen(struct mdd_worker *w, struct mdd_leg *leg, unsigned i,
    const struct perc_rtp *h, int64_t now_ms);
/* A generic NACK of leg; w->nacked when a sender is to be asked. */
void mdd_nack_input(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms);
/* Ask leg for what is due of its SSRCs; false: nothing is missing. */
bool mdd_nack_ask(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms);
void
mdd_nack_ask_room(struct mdd_worker *w, struct mdd_room *room, int64_t now_ms);
void mdd_rtcp_input(struct mdd_worker *w, struct mdd_leg *leg, uint8_t *p,
    size_t n, int64_t now_ms);
/* An opened compound of leg: relay what is to be relayed. */
void mdd_rtcp_relay(struct mdd_worker *w, struct mdd_leg *leg, const uint8_t *p,
    size_t n, int64_t now_ms);
/* Ask everybody else for a key frame: leg has just come up. */
void
mdd_rtcp_welcome(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms);
/* Ask the owner of s for a key frame, unless somebody just did. */
void mdd_rtcp_ask(struct mdd_worker *w, struct mdd_room *room,
    struct mdd_source *s, int64_t now_ms);
/* Tell the leg itself that it ends. */
void mdd_leg_farewell(struct mdd_worker *w, struct mdd_leg *leg);
/* Tell the others that these SSRCs ended (RFC 3550 section 6.6). */
void mdd_rtcp_bye(struct mdd_worker *w, struct mdd_leg *leg);

/* link_run.c: DIAL came; a check of ours was answered; a leg came up; hello
 * came (one packet of a compound); once a second. */
void mdd_link_dial(struct mdd_worker *w, struct mdd_leg *leg,
    const struct mdd_dial *m, int64_t now_ms);
void mdd_link_answered(struct mdd_worker *w, struct mdd_leg *leg);
void mdd_link_up(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms);
void mdd_link_hello(struct mdd_worker *w, struct mdd_leg *leg, const uint8_t *p,
    size_t n, int64_t now_ms);
/* Links that have something to hear hear it. */
void
mdd_link_pass_news(struct mdd_worker *w, struct mdd_room *room, int64_t now_ms);
void mdd_link_tick(struct mdd_worker *w, int64_t now_ms);
/* hop.c: begin as the client. */
void mdd_hop_dial(struct mdd_worker *w, struct mdd_leg *leg);
/* SSRCs of a leg beyond its own, and those that it may be sent. */
unsigned mdd_hop_repairs(const struct mdd_leg *leg);
unsigned
mdd_hop_streams(const struct mdd_worker *w, const struct mdd_leg *leg);

/* The process: descriptors 3 and 5 (UDP: road and lobby) and 4 (channel).
 * Returns at the end. */
int mdd_worker_main(unsigned max_legs);
