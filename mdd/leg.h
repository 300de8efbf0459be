/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The legs and conferences of one worker: pools made at start, found by leg
 * id, by ICE ufrag, and by the address that a STUN check proved. A leg is one
 * endpoint's hop: its certificate pin, its SSRCs, its hop keys. Nothing here
 * can hold an end-to-end key.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mdd/batch.h"
#include "mdd/bwe.h"
#include "mdd/cc.h"
#include "mdd/climb.h"
#include "mdd/damp.h"
#include "mdd/msg.h"
#include "mdd/report.h"
#include "mdd/rtx.h"
#include "mdd/select.h"
#include "mdd/table.h"
#include "perc/gaps.h"
#include "perc/loop.h"
#include "perc/reception.h"
#include "perc/srtp.h"

#define MDD_TRIES_PER_IP    2 /* legs of one member that are not up yet */
#define MDD_TRIES_OF_MEMBER 8 /* the same from all addresses together */
#define MDD_SOURCES_PER_LEG 2 /* sizes the SSRC table of a conference */

/*
 * One SSRC of a conference, known as long as there is room even when its leg
 * is gone: when its member comes back with a new leg, the outer SEQ goes on
 * where it stopped, because the keys of the other legs still remember it (a GCM
 * nonce never repeats, and no receiver could follow a jump backwards).
 */
struct mdd_source {
	uint32_t ssrc;
	uint32_t serial; /* of the leg that feeds it; 0: none has yet */
	uint16_t top;	 /* highest outer SEQ sent */
	uint16_t shift;	 /* added to the sender's SEQ */
	uint8_t fir_seq;
	unsigned legs; /* that have it; 0: the place may be taken */
	int64_t refresh_ms;

	/* For the choice among sources, mdd/select.h. */
	uint8_t via;	  /* enum mdd_link_kind of what feeds it */
	uint64_t member;  /* whose it is */
	uint16_t head;	  /* the member's first source: there is its voice */
	uint16_t place;	  /* among the member's sources */
	uint16_t picture; /* it is a layer: index + 1 of the first of them */
	uint8_t layer;	  /* 0 is the worst */
	bool sends;	  /* something came lately */
	uint32_t full;	  /* names the key of its last Full EKTField */
	struct mdd_sight sight;
	struct mdd_voice voice;
	uint64_t octets; /* since share_ms of the room */
	uint64_t bps;	 /* of late */
};

struct mdd_inbound { /* one SSRC as its leg sends it to us */
	struct perc_reception rx;
	struct perc_gaps gaps;
};

struct mdd_leg;
struct mdd_link; /* mdd/link.h */

struct mdd_room { /* one conference */
	struct mdd_node by_key;
	char key[MDD_CONF_KEY_MAX + 1];
	struct mdd_leg *first;
	unsigned legs, nsrc;
	unsigned links;	       /* of legs */
	unsigned link_sources; /* SSRCs that links feed now ... */
	unsigned link_life;    /* ... and ever brought */
	struct mdd_source *src;
	uint32_t gen;	 /* something changed: decide anew */
	unsigned last_n; /* 0: all speak */
	bool pictures;	 /* there are layers to choose from */
	bool rated;	 /* some leg has a bandwidth */
	int64_t turn_ms, share_ms;
	struct mdd_room *next_free;
};

/* A check that we sent: whoever answers it with the endpoint's password is at
 * this address and can be reached there. */
struct mdd_path {
	struct mdd_addr to; /* len 0: none */
	uint8_t txid[12];
	int64_t sent_ms;
};

enum mdd_leg_state {
	MDD_LEG_FREE,
	MDD_LEG_WAITING,
	MDD_LEG_PROVEN,
	MDD_LEG_UP
};

struct mdd_leg {
	struct mdd_node by_id, by_ufrag, by_addr;
	struct mdd_leg *next, **linkp; /* in the conference; next also free */
	struct mdd_room *room;
	/* What it negotiated by SDP: its packets are protected by the hop
	 * alone; it is in a room of such legs only. NULL: Double, ids fixed. */
	struct mdd_plan *plan;
	struct mdd_link *link; /* NULL: a member's */
	enum mdd_leg_state state;
	uint32_t serial; /* never 0, never the same again */
	/* What each packet to it needs, in few lines of the cache. */
	struct perc_srtp *tx;
	struct mdd_addr addr;
	uint8_t keys;	   /* handshakes that gave keys, modulo 256 */
	bool shaped;	   /* it gets, or once got, less than everything */
	bool twcc;	   /* its endpoint answers transport-wide numbers */
	bool flooded;	   /* too many from its address: strangers' queue */
	uint32_t gen;	   /* of the room when its choice was made */
	struct mdd_cc *cc; /* NULL: it has no transport-wide numbers */
	struct mdd_tally *tally; /* by place in room->src */
	struct mdd_flow *flow;	 /* the same; in use if shaped */
	struct mdd_ledger ledger;
	uint64_t sent, sent_octets; /* packets to it */
	/* And each packet from it. */
	struct perc_srtp *rx;
	unsigned seen;	   /* datagrams of its address since the last sweep */
	unsigned credit;   /* datagrams it may still send ... */
	int64_t octets;	   /* ... and octets ... */
	int64_t credit_ms; /* ... since then */
	uint64_t came, came_octets; /* from its address */
	uint64_t taken;		    /* of those, its packets */
	int64_t heard_ms;
	int64_t rekey_ms; /* when its last handshake while up began, or 0 */
	unsigned nssrcs;
	char id[MDD_LEG_ID_MAX];
	char member[MDD_TOKEN_ID_MAX + 1];
	uint8_t from[MDD_IP_LEN];
	char ufrag[PERC_ICE_UFRAG + 1], pwd[PERC_ICE_PWD + 1];
	uint8_t pin[PERC_FINGERPRINT_LEN];
	uint32_t ssrcs[MDD_TOKEN_SSRCS];
	struct mdd_source *src[MDD_TOKEN_SSRCS];
	struct mdd_inbound in[MDD_TOKEN_SSRCS];
	unsigned tries;
	char peer_ufrag[MDD_ICE_MAX + 1], peer_pwd[MDD_ICE_MAX + 1];
	struct mdd_path path;	/* a check of ours under way */
	bool answered;		/* one at addr was answered */
	size_t heard, said;	/* octets to and from addr before it is up */
	struct perc_dtls *dtls; /* until some seconds after it is up */
	struct perc_timer timer;
	struct perc_srtcp *rx_rtcp, *tx_rtcp;
	/* Another handshake while it is up (mdd/rekey.c). */
	bool rekeying;
	struct perc_srtp *old_rx; /* until old_until_ms; or NULL */
	struct perc_srtcp *old_rx_rtcp;
	int64_t old_until_ms;
	int64_t consent_ms; /* of its last check, or answer to one of ours */
	struct mdd_leg *beat_next, **beat_linkp; /* mdd/beat.c */
	struct mdd_report report;
	struct mdd_damp damp;
	struct mdd_bwe bwe;
	uint64_t sent_before, sent_bps; /* octets a second ago */
	int64_t ends_ms;
	int64_t dtls_until_ms; /* up: it lingers; before: it must be done */
	unsigned dtls_heard;   /* datagrams of this association */
	struct mdd_taste taste;
	uint64_t bps; /* that it carries; 0: not known */
	struct mdd_climb climb;
	void *owner; /* the worker, for callbacks of dtls and timer */
};

/* A leg ends; still whole during the call. why: MDD_LEGS_... */
typedef void (*mdd_gone_fn)(struct mdd_leg *leg, enum mdd_count why, void *arg);

struct mdd_legs {
	struct mdd_setup limits;
	struct mdd_leg *pool, *free_legs;
	struct mdd_plan *plans; /* one each */
	struct mdd_room *rooms, *free_rooms;
	struct mdd_source *sources;
	struct mdd_sent *lines; /* of all ledgers */
	struct mdd_tally *tallies;
	uint32_t ledger_lines;	   /* of one; 0: none */
	struct mdd_flow *flows;	   /* legs x sources_max */
	struct mdd_voice **voices; /* room for those of one conference */
	struct mdd_link *links, *free_links;
	struct mdd_link_source *link_slots;
	struct mdd_inbound *link_in, **free_in; /* a pool and its spare ones */
	unsigned nfree_in;
	uint16_t channel; /* the last one given */
	struct mdd_table by_id, by_ufrag, by_addr, by_key;
	unsigned sources_max; /* of one conference */
	uint32_t serial;
	unsigned n, up, nrooms, nlinks;
	unsigned dtls; /* associations alive */
	unsigned flooded;
	bool moved; /* where legs live has changed; the intake's to clear */
	struct perc_loop *loop;
	mdd_gone_fn gone;
	void *arg;
};

PERC_MUST int mdd_legs_init(struct mdd_legs *l, const struct mdd_setup *limits,
    struct perc_loop *loop, mdd_gone_fn gone, void *arg);
void mdd_legs_clear(struct mdd_legs *l); /* no gone calls */

/* PERC_ERR_LIMIT (a named maximum), _CONFLICT (an SSRC is another member's),
 * _EXISTS (leg id). */
PERC_MUST int mdd_leg_join(struct mdd_legs *l, const struct mdd_join *j,
    int64_t now_ms, struct mdd_leg **lp);
void mdd_leg_end(struct mdd_legs *l, struct mdd_leg *leg, enum mdd_count why);
/* Fresh credentials of ours, under which it is found from now on (mdd/ice.c).
 */
void mdd_ice_credentials(struct mdd_legs *l, struct mdd_leg *leg);
struct mdd_leg *mdd_leg_by_id(struct mdd_legs *l, const char *id);
struct mdd_leg *mdd_leg_by_ufrag(struct mdd_legs *l, const char *p, size_t n);
struct mdd_leg *mdd_leg_by_addr(struct mdd_legs *l, const struct mdd_addr *a);
/* From now on leg lives at a; whoever was there is nowhere. */
void
mdd_leg_bind(struct mdd_legs *l, struct mdd_leg *leg, const struct mdd_addr *a);
/* OpenSSL's part of a leg goes; NULL is fine. */
void mdd_leg_dtls_free(struct mdd_legs *l, struct mdd_leg *leg);
/* Hop keys stand: legs that its member had before end. */
void mdd_leg_up(struct mdd_legs *l, struct mdd_leg *leg);
#define MDD_CONSENT_MS	   30000 /* RFC 7675 section 5.1 */
#define MDD_CONSENT_ASK_MS 15000 /* then we ask ourselves, once a second */
/* Old keys of a leg that has new ones go (mdd/rekey.c). */
void mdd_rekey_forget(struct mdd_leg *leg);
/* End what is silent or past its time. */
void mdd_legs_sweep(struct mdd_legs *l, int64_t now_ms);
/* A new leg's credit, a full second of it. */
void mdd_leg_credit_init(const struct mdd_legs *l, struct mdd_leg *leg,
    enum mdd_link_kind kind, int64_t now_ms);
/* A second is over; as quiet as it should be: back on the road. */
void mdd_leg_calm(struct mdd_legs *l, struct mdd_leg *leg);
/* One more datagram came from its address, whoever sent it. */
void mdd_leg_seen(struct mdd_legs *l, struct mdd_leg *leg, size_t n);
/* May this leg send one more datagram now? */
bool mdd_leg_may(struct mdd_legs *l, struct mdd_leg *leg, int64_t now_ms);
/* It sent one of n octets. */
void mdd_leg_charge(struct mdd_leg *leg, size_t n);
/* Both. */
bool mdd_leg_credit(
    struct mdd_legs *l, struct mdd_leg *leg, size_t n, int64_t now_ms);
/*
 * Which of its SSRCs: of its token, or of those that this link feeds now;
 * PERC_ERR_NOTFOUND. Good until the leg's next datagram. Then that one's
 * records: of the conference, and as this leg sends it.
 */
PERC_MUST int mdd_leg_index(const struct mdd_leg *leg, uint32_t ssrc);
struct mdd_source *mdd_leg_src(const struct mdd_leg *leg, unsigned i);
struct mdd_inbound *mdd_leg_in(struct mdd_leg *leg, unsigned i);
/* Its record of ssrc, or NULL. */
struct mdd_source *mdd_leg_source(const struct mdd_leg *leg, uint32_t ssrc);
/* All of them, one at each call from *at = 0 on; NULL at the end. *at - 1 is
 * then its index. */
struct mdd_source *mdd_leg_source_next(const struct mdd_leg *leg, unsigned *at);
/* Whose SSRC is it: the leg that is up, and its record. */
struct mdd_leg *
mdd_room_owner(struct mdd_room *room, uint32_t ssrc, struct mdd_source **sp);
