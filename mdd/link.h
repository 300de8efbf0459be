/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link: a leg to another worker, of this MDD or of a peer, by which the same
 * conference goes on (docs/wire/cascade.md). Its SSRCs are no token's but
 * those that the other side announced and that are free here: a member of
 * ours comes before any link, and of links the first to announce counts. An
 * announcement carries the path that it took, so that it never comes round.
 *
 * The other side is believed nothing but that it may link: what it announces
 * is bounded, at a time and over the life of a conference.
 */
#pragma once

#include "mdd/leg.h"

#define MDD_LINK_PATH	  6    /* nodes an announcement may have passed */
#define MDD_LINK_TTL_MS	  7000 /* three hellos of which two were lost */
#define MDD_LINK_IDLE_MS  10000
#define MDD_LINK_HELLO_MS 2000
#define MDD_LINK_SOON_MS  50 /* between two hellos that news caused */
#define MDD_LINK_SHARE	  16 /* sources of a link that there is memory for */
#define MDD_LINK_LIFE                                                          \
	4 /* SSRCs in a conference's life: this often                          \
	   * what links may have at a time */

struct mdd_link_path {
	uint8_t hops;
	uint64_t node[MDD_LINK_PATH]; /* nearest first */
};

struct mdd_word { /* what is said of an SSRC */
	struct mdd_link_path path;
	uint64_t member; /* mdd_select_member of whose it is */
	uint32_t head;	 /* that member's first SSRC */
	uint8_t place;	 /* among the member's */
};

struct mdd_link_source {	/* one SSRC that the other side announced */
	uint32_t ssrc;		/* 0: free */
	struct mdd_source *src; /* NULL: another leg feeds it */
	struct mdd_inbound *in; /* while src */
	int64_t until_ms;
	/* mdd_link_members(): slots, from 1; of it as a head, and behind it. */
	uint16_t first, next;
	struct mdd_word word;
};

struct mdd_link {
	struct mdd_link *next_free;
	enum mdd_link_kind kind;
	bool dial;
	unsigned n, mask; /* of slot, which is open addressing */
	uint64_t salt;	  /* of its hash: the other side chooses SSRCs */
	struct mdd_link_source *slot;
	struct mdd_addr to; /* of the dialled; len 0: not told yet */
	struct perc_timer timer;
	int64_t hello_ms, stun_ms;
	bool news; /* since the last hello */
};

enum mdd_claim {	 /* what became of an announced SSRC */
	MDD_CLAIM_HELD,	 /* it was ours already */
	MDD_CLAIM_TAKEN, /* now this link feeds it */
	MDD_CLAIM_OTHER, /* another link does */
	MDD_CLAIM_LOCAL, /* a member here does */
	MDD_CLAIM_LOOP,
	MDD_CLAIM_LIMIT,
	MDD_CLAIM_LATER, /* too many in this second: its next word counts */
};

/* The pool; without links nothing is made. */
PERC_MUST int mdd_links_init(struct mdd_legs *l);
void mdd_links_clear(struct mdd_legs *l);
PERC_MUST int mdd_link_open(
    struct mdd_legs *l, struct mdd_leg *leg, const struct mdd_join *j);
/* The leg ends: all that it fed is free. */
void mdd_link_close(struct mdd_legs *l, struct mdd_leg *leg);

/* May what came from `from` go to `to`? Split horizon. */
bool mdd_link_may(const struct mdd_leg *from, const struct mdd_leg *to);
/* Does this source go to the link `to`, of which it may be one? */
bool mdd_link_takes(const struct mdd_leg *to, const struct mdd_source *s);
/* The other side has ssrc, as it says. me: our node. */
enum mdd_claim mdd_link_claim(struct mdd_legs *l, struct mdd_leg *leg,
    uint32_t ssrc, const struct mdd_word *w, uint64_t me, int64_t now_ms);
/* It ended there. */
void mdd_link_drop(struct mdd_legs *l, struct mdd_leg *leg, uint32_t ssrc);
/* Announcements that nobody repeated. */
void mdd_link_expire(struct mdd_legs *l, struct mdd_leg *leg, int64_t now_ms);
/* A member came with ssrc: no link feeds it any more. */
void mdd_link_yield(struct mdd_legs *l, struct mdd_room *room, uint32_t ssrc);
/* Nobody feeds ssrc any more: does a link announce it? */
void mdd_link_inherit(struct mdd_legs *l, struct mdd_room *room, uint32_t ssrc);
/* The slot of an SSRC that this link feeds; PERC_ERR_NOTFOUND. */
PERC_MUST int mdd_link_index(const struct mdd_link *k, uint32_t ssrc);
struct mdd_source *mdd_link_feeds(const struct mdd_link *k, uint32_t ssrc);
/* What the link feeds, member by member: the word of a member's first, and its
 * SSRCs in their order. Gives how many entries it looked at, which is a few
 * times the size of the table. */
typedef void (*mdd_link_member_fn)(const struct mdd_word *first,
    const uint32_t *ssrcs, unsigned n, void *arg);
unsigned mdd_link_members(
    struct mdd_link *k, mdd_link_member_fn fn, void *arg);
/* Something changed that links of this conference should hear of. */
void mdd_link_news(struct mdd_room *room);

/* ---- the announcement's form (pure) ----------------------------------- */

#define MDD_HELLO_MAX 1100 /* octets of one compound */

struct mdd_hello { /* a writer of one APP packet */
	uint8_t *buf;
	size_t len, empty; /* so far, and without any block */
};
void mdd_hello_begin(struct mdd_hello *h, uint8_t buf[static MDD_HELLO_MAX]);
/* A block: n (1..MDD_TOKEN_SSRCS) SSRCs of one member. False: it is full; end
 * and send it, begin the next. */
bool mdd_hello_add(struct mdd_hello *h, const struct mdd_link_path *p,
    uint64_t member, const uint32_t *ssrcs, unsigned n);
size_t mdd_hello_end(struct mdd_hello *h); /* octets; 0: nothing was added */
/* One APP packet with its head. Calls fn for each SSRC; PERC_ERR_FORMAT (fn
 * may have been called by then) or _UNSUPPORTED: not ours. */
typedef void (*mdd_hello_fn)(
    const struct mdd_word *w, uint32_t ssrc, void *arg);
PERC_MUST int
mdd_hello_read(const uint8_t *p, size_t n, mdd_hello_fn fn, void *arg);
