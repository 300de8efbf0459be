/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files disorder*.c. */
#pragma once

#include "disorder.h"
#include "vaultkit.h"

#define CONFS	     2
#define EPOCHS	     4 /* in the first conference the last is weaker */
#define STORIES	     16 /* conferences that a front may name in one run */
#define SAID_MAX     128
#define OVERLAP_MS   1000   /* as the kit's policy says */
#define TTL_MS	     300000 /* as the kit's KMF says */
#define ANSWER_MS    60000
#define ROSTER_MS    75000
#define ROSTERS	     3 /* the first, the next, another next */
#define ROSTER_FIRST 0
#define ROSTER_ALONE 1 /* you have gone */
#define BASE_PORT    20000

#define must(x)                                                                \
	do {                                                                   \
		if (!(x))                                                      \
			abort();                                               \
	} while (0)

/* ---- disorder_world.c: a KMF, its conferences, their members ------------ */
struct sender {
	struct perc_double_tx *tx;
	uint16_t seq;
};

struct world {
	struct kit_kmf kmf, foreign;
	struct perc_loop *loop;
	struct kit_conf conf[CONFS][EPOCHS];
	struct kit me, you, third; /* claims are made of them */
	struct perc_ekt *ekt[CONFS], *false_ekt;
	struct sender sender[CONFS][EPOCHS], false_sender; /* of you */
	char *roster[CONFS][ROSTERS];
	int64_t passed_ms; /* of our clock, since the run began */
};
extern struct world world;

void world_make(void); /* once */
int64_t world_now(void); /* what perc_boot_ms says now */
/* free() them. */
char *world_answer(unsigned conf, enum disorder_lie lie, unsigned epoch);
char *world_statement(unsigned conf, enum disorder_lie lie, unsigned epoch);
char *world_copy(unsigned conf, enum disorder_lie lie, unsigned epoch);
char *world_roster(unsigned conf, enum disorder_lie lie, unsigned which);
char *world_notice(unsigned conf, enum disorder_lie lie, bool evicted);
/* RTP of you with that payload; sealed unless s is NULL; octets in out. */
size_t world_packet(struct sender *s, uint8_t pt, const void *payload, size_t n,
    uint8_t out[static VAULT_PACKET_MAX]);
/* Does p hold an octet string that must never leave the vault? */
bool world_secret_in(const uint8_t *p, size_t n);
/* Signed by this vault, and of keys that it erased. */
bool world_receipt_good(const struct vault *v, const char *text);
void world_secret_own(const struct vault *v); /* the keys it made itself */

enum story_state { STORY_NONE, STORY_OPEN, STORY_LIVE, STORY_ERASED };

struct offer { /* the message that was sent last */
	enum vault_msg type;
	int story; /* -1: of none */
	bool made; /* by us: well-formed */
	bool genuine; /* signed by the KMF for this, and not over */
	bool seen;    /* an answer that was taken before */
	unsigned conf, epoch, which;
	uint32_t id;
	bool greeted; /* before it */
	enum story_state state; /* of its story, before it */
	bool unpinned;
};

/* ---- disorder_story.c: a conference, by what was taken ------------------ */
struct story {
	char conf[VAULT_ID_MAX];
	enum story_state state;
	unsigned slot;
	bool known[EPOCHS];
	int64_t until[EPOCHS];
	unsigned top; /* newest + 1; 0: none */
	int64_t top_ms;
	int roster; /* the one held; -1 */
	bool lists; /* you are on it */
	struct perc_double_rx *rx; /* a member who hears us */
};

/* What may come of a message in that state: the end of the channel, a refusal
 * (or silence), anything. */
enum right { ENDS, ERROR, MAY };
enum right story_right(const struct offer *f);
void story_open(struct story *s, unsigned slot);
void story_close(struct story *s);
/* May this key be used now? */
bool story_usable(const struct story *s, unsigned epoch);
/* The offer was taken. NULL, or why that must not be. */
const char *story_key(struct story *s, const struct offer *f);
const char *story_epoch(struct story *s, const struct offer *f);
const char *story_roster(struct story *s, const struct offer *f);
const char *story_notice(const struct story *s, const struct offer *f);

/* ---- disorder_oracle.c -------------------------------------------------- */
struct said { /* what a member said */
	uint8_t p[1200];
	size_t n;
	bool sealed, heard;
	unsigned conf, epoch;
};

void oracle_begin(struct vault *v);
void oracle_end(void); /* nothing of a run is left */
/* -1: more than STORIES were named. */
int oracle_story(const char *conf);
int oracle_story_at(unsigned slot); /* -1: none there */
void oracle_offer(struct offer *o); /* about to be sent: fills the rest in */
void oracle_heard(const struct perc_chan_msg *m); /* from the vault */
void oracle_played(const struct sockaddr_in *to, const uint8_t *p, size_t n);
/* All that came of it has come. */
void oracle_settle(bool closed);
void oracle_asleep(void); /* the same, after the supervisor's word */
void oracle_timers(void); /* the same, after timers ran */
void oracle_over(void);	  /* the same, after the last */
struct said *oracle_say(void); /* NULL: no room */
unsigned oracle_mine(void);    /* number of the application's next packet */
bool oracle_taken(void);       /* was the offer taken? */
const char *oracle_words(void); /* what must not happen; NULL */

/* ---- disorder_front.c: the channel and the local sockets ---------------- */
struct vault *front_begin(void); /* a new one */
void front_end(void);		 /* and its end */
/* A message, and all that comes of it, through the oracle. */
void front_say(struct offer *o, const void *p, size_t n);
/* The same, of strings; b and c may be NULL. */
void front_strs(
    struct offer *o, const char *a, const char *b, const char *c);
void front_silent(void); /* all that comes of what was done otherwise */
void front_local(unsigned slot, const void *p, size_t n);
bool front_closed(void);
