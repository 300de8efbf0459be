/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper: database, root key, epochs, rosters, tokens, audit. No network.
 * All calls of one turn of the loop are one transaction; nothing, neither an
 * answer nor an event, leaves before the commit that made it durable. When
 * the commit fails every call of the turn is answered 503.
 *
 * What a front may rely on:
 * - reply.body is the whole HTTP body of a 2xx, of type reply.content_type.
 *   For the three token operations it is the RFC 6749 answer as it stands.
 * - Else reply.code is the stable `code` of the problem document (for the
 *   token operations: RFC 6749's `error`) and reply.detail its text; the
 *   front writes the document and adds the request id.
 * - CLIENT_KEY: who NOBODY, obj the client id; body {"jwk": {...},
 *   "scope": "admin ..."}; 404 when there is no such client.
 * - TOKEN_CLIENT: who CLIENT, sub the client whose assertion was verified,
 *   arg the wanted scope ("" all), arg2 the hash of the assertion's jti,
 *   refused when seen before (kept for KMF_ASSERTION_KEEP_S).
 * - TOKEN1: who PERSON or CODE, conf. TOKEN2: who MEMBER, conf, arg the MDD
 *   as asked for, arg2 the x5t#S256.
 * - Times of requests are the keeper's own; a front sends none but
 *   replay_until_s.
 */
#pragma once

#include "kmf/kmf.h"
#include "perc/loop.h"
#include "perc/secret.h"

#define KMF_ASSERTION_KEEP_S 600
#define KMF_ROOT_KEY_LEN 32
#define KMF_DB_FILE "perch.db"
#define KMF_ROOT_FILE "root.key"
#define KMF_KEYS_FILE "kmf-keys.json"
#define KMF_ADMIN_FILE "admin-client.jwk"

struct kmf_keeper;

#define KMF_DAY_MS (24 * 3600 * 1000LL)
#define KMF_KEEP_ENDED_DAYS 30
#define KMF_KEEP_GONE_DAYS 7
#define KMF_KEEP_REVOKED_DAYS 400

struct kmf_keep { /* how long what is over is remembered; 0: as above */
	int64_t ended_ms;   /* conferences */
	int64_t gone_ms;    /* members who left */
	int64_t revoked_ms; /* revocations: older backups are refused */
};

#define KMF_EVENTS_KEEP_MS (30LL * 24 * 3600 * 1000)

struct kmf_hook_opts { /* one webhook, as far as the keeper needs it */
	const char *name, *types; /* types: "" all */
	const char *url;	  /* shown to auditors; the fetcher has its own */
	const struct perc_secret *secrets[2]; /* copied; [1] NULL: none */
	int64_t give_up_ms;
};

struct kmf_keeper_opts {
	const char *db_file, *base_url;
	int db_wait_ms; /* for whoever still has the database open */
	char *const *mdds;     /* NULL-terminated, at least one */
	bool cascade;	       /* a conference is at all of them */
	/* KMF_ROOT_KEY_LEN octets each, copied; root_new: of a rewrap that is
	 * under way, or NULL. Then root may be NULL too. */
	const uint8_t *root, *root_new;
	const char *root_file; /* where they came from, to swap; NULL: not ours */
	const char *guard_dir; /* root.gen, revoked.log; NULL: none are kept */
	int64_t (*clock)(void *);  /* ms since 1970; NULL: perc_wall_ms */
	int64_t (*steady)(void *); /* ms, never set; NULL: perc_now_ms */
	void *clock_arg;
	struct kmf_keep keep;
	/* Of one scheduler, and of one conference; 0: the greatest there is. */
	int64_t limit_conferences, limit_invitees, limit_invitations;
	const char *mail_from; /* NULL: no mail goes out */
	int64_t events_keep_ms; /* 0: KMF_EVENTS_KEEP_MS */
	const struct kmf_hook_opts *hooks;
	size_t nhooks;
};

/*
 * Open the database, recover members and leases, start the timers. why gets
 * one line that says what to do. The keeper owns nothing of l.
 */
PERC_MUST int kmf_keeper_new(struct kmf_keeper **kp, struct perc_loop *l,
    const struct kmf_keeper_opts *o, char *why, size_t whycap);
/* Take over the channel to a front and send it WELCOME. */
PERC_MUST int kmf_keeper_front_add(struct kmf_keeper *k, int fd);
/* Take over the channel to the fetcher, or the mailer; a later one replaces
 * it. */
PERC_MUST int
kmf_keeper_outlet_add(struct kmf_keeper *k, enum kmf_outlet o, int fd);
void kmf_keeper_free(struct kmf_keeper *k);

/*
 * `perch-kmf init`: make root.key, perch.db with fresh signing keys,
 * kmf-keys.json and admin-client.jwk, of the client `admin`, in dir (which
 * exists, 0700). Overwrites
 * nothing: PERC_ERR_EXISTS when one of them is there. why as above.
 */
PERC_MUST int kmf_keeper_init(const char *dir, const char *base_url,
    const char *admin,
    char *why, size_t whycap);
