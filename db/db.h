/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conference session database: one interface of plain structs, SQLite
 * behind it. No SQL outside db/. Every function returns 0 or an enum
 * perc_err: PERC_ERR_NOTFOUND, PERC_ERR_EXISTS (a unique row is there),
 * PERC_ERR_LIMIT (a text is too long for its struct), PERC_ERR_SYS (disk full
 * and the like: the transaction is lost, db_broken() says so).
 *
 * All writes happen between db_begin and db_commit. One handle, one thread;
 * one process that writes, others may read beside it (db_open_reader).
 * Lists are malloc()ed arrays; the caller free()s them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define DB_ID_MAX 32	  /* c_, m_, i_, v_ ids and client ids below */
#define DB_CLIENT_MAX 64
#define DB_TITLE_MAX 256
#define DB_NAME_MAX 192
#define DB_EMAIL_MAX 256
#define DB_ISS_MAX 256
#define DB_SUB_MAX 256
#define DB_URL_MAX 256
#define DB_POLICY_MAX 512
#define DB_JWK_MAX 1024
#define DB_SCOPE_MAX 64
#define DB_HASH_MAX 44	  /* base64url SHA-256 */
#define DB_BIND_MAX 48	  /* what an endpoint is bound to, see jkt below */
#define DB_WORD_MAX 16
#define DB_TZID_MAX 64
#define DB_DOMAIN_MAX 256
#define DB_RRULE_MAX 256
#define DB_SEALED_MAX 96  /* sealed key material */
#define DB_AUDIT_MAX 2048

struct db;

/*
 * Open or create (0600), bring the schema up to date. why: one line for
 * people. PERC_ERR_UNSUPPORTED: the file is of a newer version; nothing was
 * changed. PERC_ERR_STATE: another process has it.
 */
PERC_MUST int db_open(struct db **dbp, const char *path, char *why,
    size_t whycap);
/* Beside whoever has it open: to look, never to write. The file must be of
 * this program's version. */
PERC_MUST int db_open_reader(struct db **dbp, const char *path, char *why,
    size_t whycap);
/* Only the lock that db_open takes, for db_unlock: what replaces the file
 * must know that nobody has it open. */
PERC_MUST int db_lock(int *fdp, const char *path, char *why, size_t whycap);
void db_unlock(int fd, const char *path); /* -1 is fine */
void db_close(struct db *db); /* NULL is fine */
int db_version(const struct db *db);
int db_version_newest(void);  /* this program's */

/* Statements run so far, remembered answers too: what a caller could tell apart
 * by the clock. */
uint64_t db_statements_run(const struct db *db);

PERC_MUST int db_begin(struct db *db);
PERC_MUST int db_commit(struct db *db);
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);
/* A transaction was begun, and the disk has since taken it away. */
bool db_broken(const struct db *db);
/* One level of undo inside a transaction. */
PERC_MUST int db_mark(struct db *db);
PERC_MUST int db_mark_keep(struct db *db);
PERC_MUST int db_mark_undo(struct db *db);
/* Move the log into the file and cut it off: after keys were destroyed. */
PERC_MUST int db_scrub(struct db *db);

/* A sealed key as it stands at rest. len 0: none. */
struct db_sealed {
	size_t len;
	uint8_t data[DB_SEALED_MAX];
};

/* --- signing keys and clients ---------------------------------------- */

struct db_signing_key {
	char kid[DB_HASH_MAX], use[DB_WORD_MAX];
	char public_jwk[DB_JWK_MAX];
	int64_t created_ms, retired_ms;
	int64_t active_ms; /* signs from then on, until another does */
	struct db_sealed_jwk {
		size_t len;
		uint8_t data[DB_JWK_MAX];
	} sealed;
};
PERC_MUST int db_signing_key_add(struct db *db,
    const struct db_signing_key *k);
PERC_MUST int db_signing_key_list(struct db *db, struct db_signing_key **kp,
    size_t *np);
/* It signs no more: the private half is destroyed. */
PERC_MUST int db_signing_key_retire(struct db *db, const char *kid,
    int64_t now_ms);

struct db_client {
	char id[DB_CLIENT_MAX];
	char jwk[DB_JWK_MAX];
	char scope[DB_SCOPE_MAX];
	int64_t created_ms;
	bool disabled;
};
PERC_MUST int db_client_add(struct db *db, const struct db_client *c);
PERC_MUST int db_client_find(struct db *db, struct db_client *c,
    const char *id);
/* jwk, scope, disabled */
PERC_MUST int db_client_put(struct db *db, const struct db_client *c);
PERC_MUST int db_client_list(struct db *db, struct db_client **cp, size_t *np);

/* --- conferences ------------------------------------------------------ */

enum db_conf_state { DB_CONF_SCHEDULED, DB_CONF_LIVE, DB_CONF_ENDED };

struct db_conf { /* all but the roster's text, which may be long */
	int64_t no;
	char id[DB_ID_MAX];
	char title[DB_TITLE_MAX];
	int64_t starts_ms, ends_ms;
	enum db_conf_state state;
	char policy[DB_POLICY_MAX];
	char mdd[DB_URL_MAX];
	int64_t version;
	int64_t created_ms, ended_ms;
	char created_by[DB_CLIENT_MAX];
	int64_t epoch, spi_start, spi_step;
	int64_t epoch_ms, rekey_ms, roster_ms, due_ms;
	int64_t event_no, roster_seq;
	char tzid[DB_TZID_MAX];
	char series[DB_ID_MAX]; /* "": one of its own */
	int64_t recur_ms;	/* when the rule says that it starts */
	bool exception;		/* changed by itself since */
	int64_t locked_ms;	/* 0: open */
	bool cancelled;		/* how it ended */
};
PERC_MUST int db_conf_add(struct db *db, struct db_conf *c); /* sets no */
PERC_MUST int db_conf_find(struct db *db, struct db_conf *c, const char *id);
/* The same for who is known to be in it: quicker the second time, which would
 * tell a stranger that there is such a conference. */
PERC_MUST int db_conf_known(struct db *db, struct db_conf *c, const char *id);
PERC_MUST int db_conf_put(struct db *db, const struct db_conf *c);
PERC_MUST int db_conf_delete(struct db *db, const char *id);
/* By no; with from_ms or to_ms by starts_ms, and only those that overlap
 * that time. Behind after_no (and after_ms), at most limit. */
struct db_conf_filter {
	const char *owner; /* created_by; "": anybody */
	int state;	   /* -1: any */
	int64_t from_ms, to_ms; /* 0: no bound */
	int64_t after_ms, after_no;
};
PERC_MUST int db_conf_list(struct db *db, struct db_conf **cp, size_t *np,
    const struct db_conf_filter *f, unsigned limit);
/* Those whose due_ms is now or past, at most limit. */
PERC_MUST int db_conf_due(struct db *db, struct db_conf **cp, size_t *np,
    int64_t now_ms, unsigned limit);
/* The earliest due_ms of all, series too; 0: none. */
PERC_MUST int db_conf_next_due(struct db *db, int64_t *due_ms);
/* Conferences of that client that are not over. */
PERC_MUST int db_conf_open_count(struct db *db, int64_t *np,
    const char *client);

struct db_roster { /* the newest of a conference, but for its text */
	int64_t seq;
	char before[DB_HASH_MAX], head[DB_HASH_MAX], last[DB_HASH_MAX];
	bool whole; /* its text was made */
};
PERC_MUST int db_roster_find(struct db *db, struct db_roster *o,
    const char *conf);
/* text: "" was not made. */
PERC_MUST int db_roster_put(struct db *db, const struct db_roster *o,
    const char *conf, const char *text);
/* The caller free()s *textp; "" when it was not made. */
PERC_MUST int db_roster_text(struct db *db, char **textp, const char *conf);
PERC_MUST int db_roster_delete(struct db *db, const char *conf);

PERC_MUST int db_conf_key_find(struct db *db, struct db_sealed *s,
    const char *conf);
PERC_MUST int db_conf_key_put(struct db *db, const char *conf,
    const struct db_sealed *s); /* replaces */
PERC_MUST int db_conf_key_delete(struct db *db, const char *conf);

/* --- series ------------------------------------------------------------ */

enum db_series_state { DB_SERIES_ON, DB_SERIES_ENDED, DB_SERIES_CANCELLED };

struct db_series {
	int64_t no;
	char id[DB_ID_MAX];
	char title[DB_TITLE_MAX];
	int64_t starts_ms, ends_ms; /* of the first occurrence */
	char tzid[DB_TZID_MAX], rrule[DB_RRULE_MAX];
	char policy[DB_POLICY_MAX];
	enum db_series_state state;
	int64_t version;
	int64_t created_ms;
	char created_by[DB_CLIENT_MAX];
	int64_t due_ms; /* when to look for occurrences; 0: never */
};
PERC_MUST int db_series_add(struct db *db, struct db_series *s); /* sets no */
PERC_MUST int db_series_put(struct db *db, const struct db_series *s);
PERC_MUST int db_series_find(struct db *db, struct db_series *s,
    const char *id);
/* With its occurrences, whatever they are at. */
PERC_MUST int db_series_delete(struct db *db, const char *id);
/* Of that client ("": of all), with no > after_no, in that order. */
PERC_MUST int db_series_list(struct db *db, struct db_series **sp, size_t *np,
    const char *client, int64_t after_no, unsigned limit);
PERC_MUST int db_series_due(struct db *db, struct db_series **sp, size_t *np,
    int64_t now_ms, unsigned limit);
/* Instants that the rule names and that are left out; once or more often. */
PERC_MUST int db_exdate_add(struct db *db, const char *series,
    int64_t at_ms);
PERC_MUST int db_exdate_clear(struct db *db, const char *series);
PERC_MUST int db_exdate_list(struct db *db, int64_t **ap, size_t *np,
    const char *series); /* in order */
/* The conferences made of it, in order of recur_ms. */
PERC_MUST int db_conf_of_series(struct db *db, struct db_conf **cp,
    size_t *np, const char *series);
PERC_MUST int db_conf_of_occurrence(struct db *db, struct db_conf *c,
    const char *series, int64_t recur_ms);

/* --- who is invited --------------------------------------------------- */

struct db_invitee {
	char id[DB_ID_MAX];
	char email[DB_EMAIL_MAX], iss[DB_ISS_MAX], sub[DB_SUB_MAX];
	char group[DB_SUB_MAX], domain[DB_DOMAIN_MAX];
	char role[DB_WORD_MAX], kind[DB_WORD_MAX];
};
PERC_MUST int db_invitee_add(struct db *db, const char *conf,
    const struct db_invitee *v);
PERC_MUST int db_invitee_list(struct db *db, struct db_invitee **vp,
    size_t *np, const char *conf);
PERC_MUST int db_invitee_find(struct db *db, struct db_invitee *v,
    const char *conf, const char *id);
/* Who invites this person: a host's place before others, then the first.
 * email and domain in lower case, "" for none; groups: a JSON array. */
struct db_who {
	const char *email, *domain, *iss, *sub, *groups;
};
PERC_MUST int db_invitee_match(struct db *db, struct db_invitee *v,
    const char *conf, const struct db_who *who);
/* Is any group invited? 0 or NOTFOUND. */
PERC_MUST int db_invitee_by_group(struct db *db, const char *conf);
PERC_MUST int db_invitee_delete(struct db *db, const char *id);
/* Those that a series hands down to its occurrences. */
PERC_MUST int db_series_invitee_add(struct db *db, const char *series,
    const struct db_invitee *v);
PERC_MUST int db_series_invitee_list(struct db *db, struct db_invitee **vp,
    size_t *np, const char *series);
PERC_MUST int db_series_invitee_delete(struct db *db, const char *id);
PERC_MUST int db_series_invitee_put(struct db *db,
    const struct db_invitee *v); /* role and kind */
/* Another role and kind for the same people; who is inside has them too. */
PERC_MUST int db_invitee_put(struct db *db, const struct db_invitee *v,
    const char *conf);

enum db_inv_state { DB_INV_OPEN, DB_INV_USED, DB_INV_REVOKED };

struct db_inv {
	char id[DB_ID_MAX], conf[DB_ID_MAX];
	char code_hash[DB_HASH_MAX];
	char email[DB_EMAIL_MAX], name[DB_NAME_MAX], kind[DB_WORD_MAX];
	char jkt[DB_BIND_MAX]; /* as a member's */
	enum db_inv_state state;
	int64_t created_ms;
	char role[DB_WORD_MAX];
	int64_t expires_ms; /* of an unused code; 0: with the conference */
};
PERC_MUST int db_inv_add(struct db *db, const struct db_inv *i);
/* Code hash, jkt and state. */
PERC_MUST int db_inv_put(struct db *db, const struct db_inv *i);
PERC_MUST int db_inv_find(struct db *db, struct db_inv *i, const char *id);
PERC_MUST int db_inv_find_code(struct db *db, struct db_inv *i,
    const char *code_hash);
PERC_MUST int db_inv_list(struct db *db, struct db_inv **ip, size_t *np,
    const char *conf);

/* --- mail -------------------------------------------------------------- */

enum db_mail_state { DB_MAIL_QUEUED, DB_MAIL_SENT, DB_MAIL_FAILED };

struct db_mail { /* all but what it says */
	int64_t no;
	char id[DB_ID_MAX];    /* its Message-ID */
	char about[DB_ID_MAX]; /* v_ or i_ */
	char address[DB_EMAIL_MAX];
	struct db_sealed code; /* a guest's, by the root key */
	enum db_mail_state state;
	int64_t tries, at_ms, due_ms, until_ms;
	char why[256];
	char place[DB_ID_MAX]; /* c_ or s_ it tells of */
	char name[DB_NAME_MAX], kind[DB_WORD_MAX], role[DB_WORD_MAX];
};
/* What many are told alike; forgotten with the last message of it. */
PERC_MUST int db_sheet_add(struct db *db, int64_t *no, const char *event);
PERC_MUST int db_mail_add(struct db *db, const struct db_mail *m,
    int64_t sheet);
PERC_MUST int db_mail_due(struct db *db, struct db_mail **mp, size_t *np,
    int64_t now_ms, unsigned n);
/* The one that is due first; NOTFOUND. */
PERC_MUST int db_mail_next(struct db *db, struct db_mail *m);
PERC_MUST int db_mail_find(struct db *db, struct db_mail *m, int64_t no);
/* The newest about somebody. */
PERC_MUST int db_mail_last(struct db *db, struct db_mail *m,
    const char *about);
/* What has no due_ms any more loses what it said. */
PERC_MUST int db_mail_put(struct db *db, const struct db_mail *m);
/* The caller free()s *textp. */
PERC_MUST int db_mail_event(struct db *db, char **textp, int64_t no);
/* What still waits shall not be sent. */
PERC_MUST int db_mail_drop(struct db *db, const char *about);
/* What waits for its next try is due now. */
PERC_MUST int db_mail_hurry(struct db *db, int64_t now_ms);
PERC_MUST int db_mail_purge(struct db *db, int64_t before_ms);

/* --- members ---------------------------------------------------------- */

enum db_member_state { /* KNOWN: has a token1, never had a key */
	DB_MEMBER_KNOWN, DB_MEMBER_LIVE, DB_MEMBER_GONE, DB_MEMBER_EVICTED
};

#define DB_LAYERS_MAX 3 /* of a member's picture */

struct db_member {
	int64_t no;
	char id[DB_ID_MAX], conf[DB_ID_MAX];
	char iss[DB_ISS_MAX], sub[DB_SUB_MAX], email[DB_EMAIL_MAX];
	char name[DB_NAME_MAX], kind[DB_WORD_MAX], role[DB_WORD_MAX];
	/* Thumbprint of its DPoP key; "x5t:" and that of its TLS certificate;
	 * "": its tokens are bound to nothing. */
	char jkt[DB_BIND_MAX], via[DB_ID_MAX];
	enum db_member_state state;
	uint32_t ssrc_audio, ssrc_video;
	uint32_t ssrc_video2, ssrc_video3; /* better layers; 0: none */
	struct db_sealed delivery;
	int64_t granted, held, joined_ms, lease_ms;
};
PERC_MUST int db_member_add(struct db *db, const struct db_member *m);
PERC_MUST int db_member_put(struct db *db, const struct db_member *m);
PERC_MUST int db_member_find(struct db *db, struct db_member *m,
    const char *id);
PERC_MUST int db_member_find_key(struct db *db, struct db_member *m,
    const char *conf, const char *iss, const char *sub, const char *jkt);
/* Of one state (-1: any), in order of arrival. */
PERC_MUST int db_member_list(struct db *db, struct db_member **mp, size_t *np,
    const char *conf, int state);
/* Of those that ever had a key, with no > after_no; state -1: any. */
PERC_MUST int db_member_page(struct db *db, struct db_member **mp, size_t *np,
    const char *conf, int state, int64_t after_no, unsigned limit);
PERC_MUST int db_member_count(struct db *db, int64_t *np, const char *conf,
    int state);
/* Never put out, and what let this member in still stands, whoever still has a
 * token: 0 or NOTFOUND. */
PERC_MUST int db_member_welcome(struct db *db, const char *conf,
    const struct db_member *m);
/* Those who may know this epoch: they are its roster. */
/* Live ones that hold an older epoch than this. */
PERC_MUST int db_member_behind(struct db *db, int64_t *np, const char *conf,
    int64_t epoch);
PERC_MUST int db_member_granted(struct db *db, struct db_member **mp,
    size_t *np, const char *conf, int64_t epoch);
/* All live ones may know this epoch from now on. */
PERC_MUST int db_member_grant_live(struct db *db, const char *conf,
    int64_t epoch);
PERC_MUST int db_member_lease(struct db *db, const char *id, int64_t lease_ms,
    int64_t held);
/* The earliest lease of a live member; 0: nobody is live. */
PERC_MUST int db_member_next_lease(struct db *db, int64_t *lease_ms,
    const char *conf);
/*
 * After a pause of ours, or when the clock was set: live leases begin anew
 * (and last min_ms at least), what lies in the future is moved to now_ms, and
 * every live conference is due. An epoch keeps its age when the clock was set
 * back by -step_ms: else it would outlive its ttl at the endpoints.
 */
PERC_MUST int db_clock_recover(struct db *db, int64_t now_ms,
    int64_t min_ms, int64_t step_ms);
/* Has this person a member here whose lease ran at since_ms or later? */
PERC_MUST int db_member_inside(struct db *db, bool *inside, const char *conf,
    const char *iss, const char *sub, int64_t since_ms);
/* Forget all delivery keys of a conference. */
PERC_MUST int db_member_wipe_keys(struct db *db, const char *conf);

/* One person's, in order of arrival. */
PERC_MUST int db_member_of_person(struct db *db, struct db_member **mp,
    size_t *np, const char *conf, const char *iss, const char *sub);
PERC_MUST int db_member_delete(struct db *db, const char *id);

/* When the bucket is full again; 0: it is. */
PERC_MUST int db_budget_get(struct db *db, int64_t *full_ms,
    const char *conf, const char *key);
PERC_MUST int db_budget_put(struct db *db, const char *conf, const char *key,
    int64_t full_ms);

/* PERC_ERR_EXISTS: taken. */
PERC_MUST int db_ssrc_add(struct db *db, const char *conf, uint32_t ssrc);
PERC_MUST int db_evicted_add(struct db *db, const char *conf, const char *iss,
    const char *sub, const char *email, int64_t at_ms);
/* By issuer and subject, or by a (non-empty) e-mail address. */
PERC_MUST int db_evicted_find(struct db *db, const char *conf,
    const char *iss, const char *sub, const char *email);

/* --- epochs ----------------------------------------------------------- */

struct db_epoch {
	char conf[DB_ID_MAX];
	int64_t epoch;
	uint16_t spi;
	struct db_sealed key;
	int64_t made_ms;
};
PERC_MUST int db_epoch_add(struct db *db, const struct db_epoch *e);
PERC_MUST int db_epoch_find(struct db *db, struct db_epoch *e,
    const char *conf, int64_t epoch);
/* Destroy the keys of all epochs of conf below `epoch`. */
PERC_MUST int db_epoch_wipe(struct db *db, const char *conf, int64_t epoch);

/* --- replay, idempotency, audit --------------------------------------- */

PERC_MUST int db_replay_add(struct db *db, const char *hash, int64_t until_s);
PERC_MUST int db_replay_drop(struct db *db, const char *hash);

struct db_idem {
	char client[DB_CLIENT_MAX], key[DB_SUB_MAX], body_hash[DB_HASH_MAX];
	int64_t until_ms;
	struct db_heap {
		size_t len;
		uint8_t *data; /* find: malloc()ed, the caller free()s */
	} answer;
};
PERC_MUST int db_idem_add(struct db *db, const struct db_idem *i);
PERC_MUST int db_idem_find(struct db *db, struct db_idem *i,
    const char *client, const char *key);

struct db_refusal { /* who, where and why; columns in schema/ */
	char iss[DB_ISS_MAX], actor[DB_SUB_MAX], conf[DB_ID_MAX], code[40];
	int64_t status, noted_ms, count, first_ms, last_ms;
};
/* By the first four members. */
PERC_MUST int db_refusal_find(struct db *db, struct db_refusal *f);
PERC_MUST int db_refusal_put(struct db *db, const struct db_refusal *f);
PERC_MUST int db_refusal_delete(struct db *db, const struct db_refusal *f);
/* How many this actor has. */
PERC_MUST int db_refusal_places(struct db *db, int64_t *np,
    const struct db_refusal *f);
/* Last noted before. */
PERC_MUST int db_refusal_due(struct db *db, struct db_refusal **fp, size_t *np,
    int64_t before_ms, unsigned limit);

struct db_audit {
	int64_t seq;
	char text[DB_AUDIT_MAX];
	char prev[DB_HASH_MAX], hash[DB_HASH_MAX];
};
PERC_MUST int db_audit_add(struct db *db, const struct db_audit *a);
PERC_MUST int db_audit_last(struct db *db, struct db_audit *a); /* NOTFOUND */
/* Its seq and hash alone, for the next one. */
PERC_MUST int db_audit_tail(struct db *db, struct db_audit *a);
PERC_MUST int db_audit_list(struct db *db, struct db_audit **ap, size_t *np,
    int64_t after_seq, unsigned limit);
/* Texts that are "" select nothing out; times as they stand in the rows. */
struct db_audit_query {
	int64_t after_seq, upto_seq; /* only rows between are looked at */
	const char *kind, *conf, *actor, *from, *to;
	unsigned limit;
};
PERC_MUST int db_audit_find(struct db *db, struct db_audit **ap, size_t *np,
    const struct db_audit_query *q);

struct db_checkpoint { /* a signed statement about the newest row */
	int64_t n, seq, at_ms;
	char jws[DB_JWK_MAX];
};
PERC_MUST int db_checkpoint_add(struct db *db, const struct db_checkpoint *c);
PERC_MUST int db_checkpoint_last(struct db *db,
    struct db_checkpoint *c); /* NOTFOUND */
/* Those of rows after_seq < seq <= upto_seq. */
PERC_MUST int db_checkpoint_list(struct db *db, struct db_checkpoint **cp,
    size_t *np, int64_t after_seq, int64_t upto_seq);

/* What is older than these goes, at most `rows` of it; *more: that was not
 * all. */
struct db_purge {
	int64_t now_ms;	    /* proofs and idempotent answers that ran out */
	int64_t ended_ms;   /* conferences that ended before, with all below */
	int64_t gone_ms;    /* members whose lease ran out before */
	int64_t revoked_ms; /* the memory of what was revoked before */
	unsigned rows;
};
PERC_MUST int db_purge(struct db *db, const struct db_purge *p, bool *more);

/* --- the file itself ---------------------------------------------------- */

struct db_meta { /* about this file; columns in schema/002_at_rest.sql */
	char id[40];
	int64_t generation;
	char root_id[DB_HASH_MAX];
	int64_t backup_ms;
	int64_t rewrapped, to_rewrap;
};
PERC_MUST int db_meta_get(struct db *db, struct db_meta *m);
PERC_MUST int db_meta_put(struct db *db, const struct db_meta *m);

PERC_MUST int db_generation_put(struct db *db, int64_t generation);
/* Has the transaction written anything? */
bool db_changed(const struct db *db);

/* Columns that the root key seals, by table (0 ..), in order of their keys
 * behind key, key2; sealed.data is malloc()ed, len 0 where nothing is. */
struct db_sealed_row {
	char key[DB_SUB_MAX], key2[DB_SUB_MAX], aad[DB_SUB_MAX];
	struct db_heap sealed;
};
unsigned db_sealed_tables(void);
PERC_MUST int db_sealed_page(struct db *db, unsigned table,
    struct db_sealed_row **rp, size_t *np, const char *key, const char *key2,
    unsigned limit);
PERC_MUST int db_sealed_put(struct db *db, unsigned table,
    const struct db_sealed_row *row);
PERC_MUST int db_sealed_count(struct db *db, int64_t *n);

struct db_revocation { /* what may never come back */
	int64_t no;
	char kind[DB_WORD_MAX], conf[DB_ID_MAX];
	char a[DB_ISS_MAX], b[DB_SUB_MAX], c[DB_EMAIL_MAX];
	int64_t at_s;
};
PERC_MUST int db_revocation_list(struct db *db, struct db_revocation **rp,
    size_t *np, int64_t after_no, unsigned limit);
PERC_MUST int db_revocation_last(struct db *db, int64_t *no); /* 0: none ever */
/* All from this number on are remembered. */
PERC_MUST int db_revocation_from(struct db *db, int64_t *no);

/*
 * A copy as of now, in a new file (which must not be there), beside whoever
 * has the original open: all but keys of conferences and what serves for a
 * day. meta.backup_ms says what it is.
 */
PERC_MUST int db_backup(const char *from, const char *to, int64_t now_ms,
    char *why, size_t whycap);
/*
 * Parts of a restore, on a copy that is open. join: take over what only grows
 * (audit, signing keys) from the file that is replaced, before a transaction;
 * an error leaves the copy as it was. Then within one: revoke what was
 * revoked (UNSUPPORTED: of an unknown kind); distrust: revoke all that nobody
 * can vouch for; calm: no keys, nobody live, numbers beyond what was given
 * out; numbers: later revocations count from there.
 */
PERC_MUST int db_restore_join(struct db *db, const char *old);
PERC_MUST int db_restore_revoke(struct db *db, const struct db_revocation *v,
    int64_t now_ms);
PERC_MUST int db_restore_distrust(struct db *db);
PERC_MUST int db_restore_calm(struct db *db);
PERC_MUST int db_restore_numbers(struct db *db, int64_t last);
PERC_MUST int db_restore_floor(struct db *db, int64_t seq);

/* Look through everything: structure, references, keys without a use,
 * counts. fn hears one line for each problem; slow, on a reader's handle. */
typedef void (*db_problem_fn)(const char *line, void *arg);
PERC_MUST int db_check(struct db *db, db_problem_fn fn, void *arg);

/* --- events and webhooks ---------------------------------------------- */

#define DB_MARK_MAX 12
#define DB_EVENT_MAX 2048
#define DB_TYPE_MAX 32
#define DB_WHY_MAX 256

struct db_event { /* one that happened, for machines that follow */
	int64_t seq; /* that of its row in the audit chain */
	char mark[DB_MARK_MAX]; /* begin of that row's hash */
	int64_t at_ms;
	char type[DB_TYPE_MAX], conf[DB_ID_MAX];
	char data[DB_EVENT_MAX]; /* JSON */
};
/* The conference's creator is looked up here, as its owner. */
PERC_MUST int db_event_add(struct db *db, const struct db_event *e);
PERC_MUST int db_event_find(struct db *db, struct db_event *e, int64_t seq);
/* With seq > after, at most limit; owner, conf: "" any. */
PERC_MUST int db_event_list(struct db *db, struct db_event **ep, size_t *np,
    int64_t after, const char *owner, const char *conf, unsigned limit);
/* The newest; NOTFOUND. */
PERC_MUST int db_event_last(struct db *db, struct db_event *e);
/* The highest seq that was ever forgotten; 0: none. */
PERC_MUST int db_event_floor(struct db *db, int64_t *floor);
/* Forget those older than before_ms among the oldest 2000, none behind
 * keep_after. */
PERC_MUST int db_event_purge(struct db *db, int64_t before_ms,
    int64_t keep_after);

struct db_hook { /* how far a webhook is */
	char name[DB_CLIENT_MAX];
	int64_t cursor; /* all events up to it are delivered or dead */
	int64_t tries;	/* in vain, since the last success */
	int64_t failing_ms, next_ms, ok_ms; /* 0: not failing; now; never */
	int64_t delivered, dead;	    /* counters of all time */
	char why[DB_WHY_MAX];		    /* of the last failure */
};
PERC_MUST int db_hook_put(struct db *db, const struct db_hook *h);
PERC_MUST int db_hook_find(struct db *db, struct db_hook *h,
    const char *name);

struct db_dead { /* an event that a webhook never took */
	char hook[DB_CLIENT_MAX];
	int64_t dead_ms;
	char why[DB_WHY_MAX];
	struct db_event e;
};
PERC_MUST int db_dead_add(struct db *db, const struct db_dead *d);
PERC_MUST int db_dead_list(struct db *db, struct db_dead **dp, size_t *np,
    const char *hook, int64_t after, unsigned limit);
PERC_MUST int db_dead_purge(struct db *db, int64_t before_ms);
/* Deliver that one (seq 0: all of this webhook) again; *n: so many. */
PERC_MUST int db_dead_again(struct db *db, const char *hook, int64_t seq,
    int64_t now_ms, unsigned *n);
/* The first that is to be delivered again; NOTFOUND. */
PERC_MUST int db_dead_next(struct db *db, struct db_dead *d, const char *hook);
/* None is, any more: why the first was refused. */
PERC_MUST int db_dead_calm(struct db *db, const char *hook, const char *why);
PERC_MUST int db_dead_delete(struct db *db, const char *hook, int64_t seq);

struct db_count { /* for metrics */
	int64_t conferences, live_conferences, live_members, epochs, audit;
	int64_t behind; /* live members that hold no or an older epoch */
};
PERC_MUST int db_count(struct db *db, struct db_count *c);
