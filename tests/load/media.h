/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Media of some seats: the agent's own vault, its own front's leg and the
 * channel between the two, towards a real perch-mdd; what an agent has in
 * three processes each, here in one for all (aside.c). Every packet says who sent it, which one
 * it is and when it was sent, so whoever opens it can tell.
 *
 * A seat that left or was put out goes on listening for SPY_MS with all that
 * it had, as somebody would who patched his vault to erase nothing.
 */
#pragma once

#include "agent/front.h"
#include "agent/vault.h"
#include "tests/load/load.h"

#define LOAD_MEDIA_MAX	 64
#define LOAD_PACKETS_MAX 65536 /* of one sender: 20 minutes */
#define LOAD_FRAME_MS	 20
#define LOAD_LATE_MS	 8500 /* what did not open by then never does */
#define LOAD_OUT_BOUND_MS 1000 /* who is out reads nothing sent after it */

struct load_sealed {
	int64_t us;   /* when its vault sealed it */
	uint16_t spi; /* whose key */
};

struct load_media {
	struct load_seat *s;
	unsigned index; /* among those with media */
	struct vault *vault;
	struct front_vault *front;
	struct agent agent;
	struct front_conf conf; /* what a leg wants to know of it */
	int app_fd;		/* the local application: a tone */
	uint32_t ssrc;		/* 0: no key yet */
	uint32_t next;		/* number of the next packet */
	int64_t *sent_us;	/* by number; 0: never */
	struct load_sealed *sealed; /* by number */
	int64_t up_us;		/* key, roster and leg are there */
	int64_t first_us;	/* its first packet since then */
	bool rostered, spying;
	size_t out; /* which of those who went, mediacount.c */
	struct perc_timer join, spy;
	struct perc_httpc_req *req;
	struct load_road *road; /* a bad one to the MDD; NULL: none */
};

/* mddproc.c */
PERC_MUST int load_mdd_prepare(struct load *l); /* before the KMF's files */
PERC_MUST int load_mdd_serve(struct load *l);
void load_mdd_stop(struct load *l);

/* media.c */
PERC_MUST int load_media_init(struct load_seat *s, unsigned index);
PERC_MUST int load_media_run(struct load *l); /* once for all */
void load_media_clear(struct load_seat *s);
/* s, which has media, comes in; is given this; goes. */
void load_media_begin(struct load_seat *s);
void load_media_key(struct load_seat *s, const char *jwe);
/* late: a fetched one overtook it. */
void load_media_epoch(struct load_seat *s, const json_t *event, bool late);
void load_media_roster(struct load_seat *s, const char *text);
void load_media_gone(struct load_seat *s);
bool load_media_hears(struct load_media *m); /* looks whether it does now */

/* mediatone.c: the local application */
/* Two sockets of loopback: the vault's, and the application's towards it. */
PERC_MUST int load_tone_open(struct load_media *m, int *vault_fd);
PERC_MUST int load_tone_run(struct load *l); /* once for all */

/* mediajoin.c: token2, POST /v1/join, the leg; again when it is lost */
void load_media_join(void *media);
void load_media_part(struct load_media *m); /* give the leg up */

/* mediacount.c: what came of each packet */
PERC_MUST int load_count_open(struct load *l);
void load_count_close(void);
void load_count_out(struct load_media *m); /* it left or was put out */
/* m begins anew: nothing from before counts for or against it. */
void load_count_restart(const struct load_media *m);
/* Who has this sender in its vault? NULL: nobody. */
struct load_media *load_count_sender(const struct perc_double_tx *t);
/* Wait until all is opened that will be, then tell the scenario's figures. */
void load_count_report(struct load *l, const char *what);

/* mediawhy.c: why a packet did not open */
enum load_why { WHY_OPENED, WHY_WIPED, WHY_UNKNOWN, WHY_FIELD, WHY_COUNT };
struct load_look { /* at a packet that did not open */
	uint8_t first, last; /* enum load_why */
	uint16_t after_ms;   /* since it was sealed; the first one */
};
/* The milliseconds since the packet was sealed; -1: not known. */
double load_why_age(const struct load_media *from, uint16_t number);
void load_why_look(struct load_look *k, const struct load_media *to,
    const struct load_media *from, uint16_t number);
void load_why_count(const struct load_look *k); /* it never opened */
void load_why_report(struct load *l, const char *what);
