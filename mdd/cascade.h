/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control's part of links (docs/wire/cascade.md): which there should be, and
 * how they come about. It sees fingerprints and ICE credentials of both ends
 * and never a hop key.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "mdd/control.h"
#include "mdd/proofs.h"
#include "perc/httpc.h"
#include "perc/jose.h"

#define LINK_TTL_S	120   /* a peer's word is good for */
#define LINK_RENEW_MS	60000 /* or half of what the peer gave, if less */
#define LINK_RETRY_MS	5000  /* of a renewal that was not answered */
#define LINK_BACK_MS	1000  /* first wait before dialling again ... */
#define LINK_BACK_MAX	60000
#define LINK_REFUSED_MS 300000 /* ... and of who is not let in */
#define LINK_HELD_MS	30000  /* a link that stood so long was good */
#define LINK_NOBODY_MS	30000
#define LINK_CLIENT_MS	20000 /* goodbyes take no longer (perc/httpc.h) */
#define LINK_BODY_MAX	2048
#define LINK_URL_MAX	600

struct ctl_party { /* a conference, whichever workers have a part of it */
	struct mdd_node by_key;
	char key[MDD_CONF_KEY_MAX + 1];
	struct ctl_room *first;	      /* the root, then the others */
	uint64_t named[MDD_PEER_MAX]; /* URLs that a token2 named, hashed */
	unsigned nnamed;
	unsigned stamp;
};

/* A peer keeps its place while it is configured. */
struct ctl_peer {
	struct mdd_peer_conf conf; /* its texts are control's conf's */
	struct perc_httpc *http;   /* NULL: the place is free */
};

struct ctl_client { /* of a peer that went: its goodbyes may be under way */
	struct perc_httpc *http;
	int64_t until_ms;
};

enum ctl_link_state {
	LINK_WAITS,  /* until due_ms, then we dial */
	LINK_OURS,   /* our worker makes its end */
	LINK_THEIRS, /* the other one makes theirs */
	LINK_LIVE,
};

struct ctl_link {
	struct ctl_link *next, **linkp; /* all of them */
	struct ctl_party *party;
	struct ctl_room *room; /* our end; between workers the dialling one */
	struct ctl_room *far;  /* between workers; else NULL */
	struct ctl_peer *peer; /* between MDDs; else NULL */
	enum ctl_link_state state;
	bool dial;
	char leg[MDD_LEG_ID_MAX], far_leg[MDD_LEG_ID_MAX];
	struct perc_httpc_req *ask;
	struct perc_httpd_req *req; /* the peer's POST, not yet answered */
	unsigned tries;
	int64_t due_ms, live_ms, renew_ms;
};

struct ctl_cascade {
	struct ctl_peer peer[MDD_PEER_MAX];
	struct ctl_client old[MDD_PEER_MAX];
	struct perc_httpc *fresh[MDD_PEER_MAX]; /* between ready and take */
	struct perc_jwk *key; /* of our proofs; NULL without peers */
	struct ctl_link *first;
	struct mdd_proofs proofs;
	unsigned stamp;
	uint64_t dialled, accepted, refused, failed;
};

/* ---- place.c ---------------------------------------------------------- */

/* What it counts, about once a second. */
void ctl_worker_told(
    struct ctl_worker *w, const struct mdd_stats *s, int64_t now_ms);
struct ctl_party *ctl_party_find(struct ctl *c, const char *key);
bool ctl_key_divisible(const char *key); /* "kmf/conference", no more */
/* The part of the conference where this member's leg belongs (NULL: where a
 * link does), made if need be; nothing is counted yet. PERC_ERR_AGAIN. */
PERC_MUST int ctl_room_get(
    struct ctl *c, const char *key, const char *member, struct ctl_room **rp);
/* Another part of its conference has a leg with an SSRC of this token. */
bool ctl_ssrc_elsewhere(const struct ctl *c, const struct ctl_room *room,
    const struct mdd_token *t);
void ctl_room_put(struct ctl *c, struct ctl_room *room); /* free if empty */
/* Its legs are more or fewer than before: links follow, then as above. */
void ctl_room_changed(struct ctl *c, struct ctl_room *room);

/* ---- cascade_want.c: which there should be ---------------------------- */

/* Legs came or went: make the links that are missing, end what is idle. May
 * free rooms without legs, and the party. */
void cascade_changed(struct ctl *c, struct ctl_party *p);
void cascade_changed_all(struct ctl *c); /* for each conference */
void cascade_worker_lost(struct ctl *c, struct ctl_worker *w);

/* ---- cascade.c: their life -------------------------------------------- */

/* A worker's words on legs that are no member's. */
void
cascade_joined(struct ctl *c, struct ctl_worker *w, const struct mdd_joined *a);
void
cascade_left(struct ctl *c, struct ctl_worker *w, const struct mdd_leave *q);
void cascade_tick(struct ctl *c, int64_t now_ms);
void cascade_print(FILE *f, const struct ctl *c); /* metrics */

/* The same file's, for the others of them. */
struct ctl_link *cascade_find(
    struct ctl *c, const struct ctl_party *p, const struct ctl_peer *peer);
struct ctl_link *cascade_new(struct ctl *c, struct ctl_room *room);
void cascade_start(struct ctl *c, struct ctl_link *k); /* we dial */
/* A join of either end, with a leg id. */
void cascade_join_fill(const struct ctl_link *k, bool dial, struct mdd_join *j);
void cascade_fail(struct ctl *c, struct ctl_link *k, int64_t least_ms);
/* Forget it; what it had at workers and peer is told to end. */
void cascade_end(struct ctl *c, struct ctl_link *k);
void cascade_dial(struct ctl *c, struct ctl_link *k, const struct mdd_dial *d);
PERC_MUST int
cascade_ask_worker(struct ctl *c, struct ctl_link *k, const struct mdd_join *j);

/* ---- cascade_peer.c: which peers there are ---------------------------- */

/* Before the cage: link key, clients of peers. Fatal when they are no good. */
void cascade_open(struct ctl *c);
void cascade_close(struct ctl *c);
/* SIGHUP, in these steps. All that can go wrong, and nothing has changed. */
PERC_MUST int cascade_peers_ready(struct ctl *c, const struct mdd_conf *next);
/* Links end whose peer is not in next, or is another there. */
void cascade_peers_take(struct ctl *c, const struct mdd_conf *next);
/* Once next is control's: links come that are missing, or wanted no more. */
void cascade_peers_settle(struct ctl *c);
/* A token2 of this conference names other MDDs. True: one more than before. */
bool cascade_named(struct ctl_party *p, const struct mdd_token *t);
/* May it be carried to this peer at all? p NULL: nobody of ours is in it. */
bool cascade_allows(const struct ctl_party *p, const struct ctl_peer *peer);
void cascade_clients_tick(struct ctl *c, int64_t now_ms);

/* ---- cascade_http.c: what another MDD asks ---------------------------- */

void cascade_post(struct ctl *c, struct perc_httpd_req *r, const char *rest);
void cascade_put(struct ctl *c, struct perc_httpd_req *r, const char *leg);
void cascade_delete(struct ctl *c, struct perc_httpd_req *r, const char *leg);
/* Our worker made the end that a peer asked for; a NULL: it did not. */
void
cascade_answer(struct ctl *c, struct ctl_link *k, const struct mdd_joined *a);

/* ---- cascade_ask.c: and what we ask ----------------------------------- */

/* Ask the peer for its end; to let ours live on; to end it. */
void
cascade_ask_peer(struct ctl *c, struct ctl_link *k, const struct mdd_joined *a);
void cascade_renew(struct ctl *c, struct ctl_link *k);
void cascade_bye(struct ctl *c, struct ctl_link *k);
/* Text of min to cap - 1 octets that are letters, digits or of `also`. */
bool cascade_text_get(char *out, size_t min, size_t cap, const json_t *j,
    const char *name, const char *also);
/* Our worker's end lives another LINK_TTL_S. */
void cascade_live_on(struct ctl_link *k);
