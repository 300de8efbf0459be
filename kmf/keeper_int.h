/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Inside the keeper. One struct kmf_keeper, passed down; one struct kmf_job
 * per call, on the stack. Handlers return 0 when the answer stands in job->a
 * (a refusal is an answer too: it changes nothing, and is kept because it was
 * audited), or a negative enum perc_err: then all their writes are undone
 * and the caller hears 500.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "kmf/errand.h"
#include "kmf/guard.h"
#include "kmf/keeper.h"
#include "kmf/msg.h"
#include "kmf/rekey.h"
#include "kmf/replay.h"
#include "perc/chan.h"
#include "perc/crypto.h"
#include "perc/enckey.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/secret.h"

#define KMF_TOKEN1_S 300
#define KMF_TOKEN2_S 600
#define KMF_CLIENT_TOKEN_S 300 /* role tokens too */
#define KMF_ROSTER_S 75
/* What a signing key made lives at most so long (token2), clocks apart. */
#define KMF_KEY_KEEP_MS ((KMF_TOKEN2_S + 120) * 1000LL)
#define KMF_SEALED_ANSWER_S 60
#define KMF_NONCE_ROTATE_MS (10 * 60 * 1000)
#define KMF_PURGE_MS 10000
#define KMF_CLOCK_STEP_MS 2000 /* a larger jump: the clock was set */
#define KMF_COMMIT_GAP_MS 2	 /* between commits, while many ask */
#define KMF_GRACE_MS 30000     /* to come back to us after a pause of ours */
#define KMF_INVITEES_MAX 1000  /* of one conference */
#define KMF_INVITATIONS_MAX 1000
#define KMF_MEMBERS_MAX 5000   /* rows of one conference, gone ones too */
#define KMF_PERSON_MEMBERS_MAX 16 /* of these, of one person */
#define KMF_IDEM_KEEP_MS (24 * 3600 * 1000)
#define KMF_DURATION_MAX_MS (31LL * 24 * 3600 * 1000)
#define KMF_AHEAD_MAX_MS (10LL * 366 * 24 * 3600 * 1000) /* to be planned */
#define KMF_LIMIT_CONFERENCES 1000000 /* of one scheduler, not over */

struct kmf_front { /* one front process */
	struct kmf_front *next;
	struct kmf_keeper *k;
	struct perc_chan *chan; /* NULL: gone */
	struct {		/* what it was given, by kmf_roster_place() */
		char conf[DB_ID_MAX];
		int64_t seq;
	} roster[KMF_ROSTER_PLACES];
	uint8_t *to; /* addressees of the push being made */
	size_t to_len, to_cap;
	int64_t refused_ms;    /* this stretch of failed logins began */
	unsigned refused;      /* recorded in it */
	uint64_t refused_more; /* only counted in it */
	struct kmf_counts counts;
};

struct kmf_stream { /* one open event stream of a member */
	struct kmf_stream *next, *prev; /* of the same place by conference */
	struct kmf_stream *of_member, *of_id;
	struct kmf_front *front;
	uint32_t id;
	char conf[DB_ID_MAX], member[DB_ID_MAX];
	bool deltas; /* rosters as differences */
	/* kmf_stream_look() */
	bool known, listens, keyed;
	uint8_t *delivery; /* 32 octets, secret memory; NULL: not looked up */
	bool pending; /* opened in this turn, not yet committed */
	uint64_t ending; /* closed behind that mark, not yet committed; 0: no */
};

#define KMF_STREAM_CONFS 256
#define KMF_STREAM_IDS	 1024
struct kmf_streams { /* by hash */
	struct kmf_stream *conf[KMF_STREAM_CONFS];
	struct kmf_stream *member[KMF_STREAM_IDS], *id[KMF_STREAM_IDS];
	bool unsettled; /* some are opened or closed in this turn */
};

struct kmf_out { /* waits for the commit */
	struct kmf_out *next;
	struct kmf_front *front;
	uint16_t type;
	uint32_t id;
	uint8_t *buf; /* perc_secmem_free */
	size_t len;
};

struct kmf_feed_sub;
struct kmf_feed { /* who waits for events (feed_wait.c) */
	struct kmf_feed_sub *subs;
	unsigned nsubs;
	bool fresh;  /* an event was written in this turn */
	bool behind; /* somebody has not been given all there is */
	struct perc_timer timer;
};

struct kmf_counters {
	uint64_t calls, refused, failed, commits, commit_failures;
	uint64_t mail_sent, mail_again, mail_failed;
	uint64_t epochs, rosters, pushes, replays, checkpoints;
	uint64_t keys_refused, login_failures, out, out_octets, out_lost, out_peak;
	uint64_t commit_hist[KMF_HIST_LEN];
};

struct kmf_rewrap { /* sealing all anew under another root key */
	struct perc_timer timer;
	unsigned table;
	char key[DB_SUB_MAX], key2[DB_SUB_MAX]; /* done up to here */
	uint64_t changed;  /* rows of this pass that the old key sealed */
	uint64_t failures; /* commits that had failed when it began */
	bool committed;    /* the database says that it is done */
};

struct kmf_lag { /* a member's request for the key that was refused */
	char member[DB_ID_MAX], code[32];
	int64_t at_ms;
};
#define KMF_LAGS 64

struct kmf_keeper {
	struct perc_loop *loop;
	struct db *db;
	char base[DB_URL_MAX];
	char **mdds; /* NULL-terminated */
	bool cascade;
	int64_t limit_conferences, limit_invitees, limit_invitations;
	char mail_from[DB_EMAIL_MAX]; /* "": no mail goes out */
	int64_t mail_spoilt;	      /* one that cannot be composed; 0 */
	struct perc_secret *root;     /* seals */
	struct perc_secret *root_old; /* opens too, while rewrapping */
	struct kmf_guard guard;
	struct kmf_rewrap rewrap;
	char root_file[4096]; /* "": a credential */
	struct perc_jwk *token_key, *statement_key;
	char *jwks; /* public, JSON text */
	uint8_t nonce_key[32], prev_nonce_key[32];
	struct kmf_replay replay;
	int64_t replay_spilt_s; /* until then some are in the table instead */
	int64_t (*clock)(void *), (*steady)(void *);
	void *clock_arg;
	int64_t now_ms;	 /* of this turn */
	int64_t skew_ms; /* clock - steady, as last seen */
	struct kmf_keep keep;
	char policy_text[DB_POLICY_MAX]; /* read last, and what it says */
	struct kmf_policy policy;
	bool stepped;	 /* the clock was set; this turn gave new leases */
	bool scrub;	 /* a conference's keys were destroyed in this turn */
	bool scrub_soon; /* an epoch was replaced: with the next purge */
	struct kmf_front *fronts;
	struct kmf_front *caller; /* whose call runs; NULL: no front's */
	uint32_t caller_id;	  /* that call */
	struct kmf_streams streams;
	struct kmf_list *lists; /* rosterlist.c */
	struct kmf_out *out, **out_tail;
	struct kmf_out **mark_tail; /* the outbox as it was at the mark */
	uint64_t mark_no;
	struct perc_timer due, purge, rotate, look, gap;
	int64_t commit_ms; /* of the last commit, by perc_now_ms() */
	unsigned company;  /* who waited for it */
	bool look_due;
	int64_t rotate_after_ms; /* argument of a rotation under way */
	char dir[4096];		 /* of the database */
	struct kmf_errands errands;
	unsigned audit_new;	 /* rows that no checkpoint may cover yet */
	int64_t checkpoint_ms;	 /* when the last was made */
	struct kmf_feed feed;
	int64_t events_keep_ms;
	struct kmf_hooks *hooks;
	struct kmf_lag lag[KMF_LAGS]; /* the last ones, a ring */
	unsigned lag_next;
	struct kmf_counters count;
	uint64_t gone[COUNT_GAUGES]; /* of fronts that are no more */
	int64_t start_ms;
	char db_file[256]; /* "" : too long to be told */
};

#define KMF_ETAG_MAX 48

#define KMF_ANSWER_LATER 1 /* a status: no reply now, one will come */

struct kmf_answer {
	uint16_t status;
	const char *code;	  /* static */
	char detail[256];
	const char *content_type; /* static */
	char location[DB_URL_MAX + 128];
	char etag[KMF_ETAG_MAX];
	char next[32];		  /* cursor of the next page; "" none */
	char secret_header[PERC_ENCKEY_TEXT_MAX + 1];
	uint32_t retry_after_s;
	char *body; /* perc_secmem_free */
	size_t body_len;
};

struct kmf_job {
	struct kmf_keeper *k;
	const struct kmf_call *call;
	struct kmf_answer a;
	struct db_conf conf;	  /* when the operation is on one */
	struct kmf_policy policy; /* of conf */
	struct db_member me;	  /* when the caller is a member */
	char scope[DB_SCOPE_MAX]; /* of staff, as it is at this moment */
};

/* --- ops.c, admit.c, answer.c -------------------------------------------- */

/* Decide and run; fills a. Never fails: what goes wrong becomes 5xx. */
void kmf_op_run(struct kmf_keeper *k, const struct kmf_call *c,
    struct kmf_answer *a);
void kmf_answer_clear(struct kmf_answer *a);
/* The signed notice as a refusal's body, where it is for good. */
PERC_MUST int kmf_refusal_notice(struct kmf_job *j);
/* Put a refusal into the answer; always 0, to be returned. */
int kmf_refuse(struct kmf_job *j, uint16_t status, const char *code,
    const char *fmt, ...) PERC_PRINTF(4, 5);
int kmf_not_found(struct kmf_job *j);
/* Body from a JSON value, whose reference is taken over; NULL: no memory. */
PERC_MUST int kmf_answer_json(struct kmf_job *j, uint16_t status, json_t *v);
PERC_MUST int kmf_answer_text(struct kmf_job *j, uint16_t status,
    const char *type, const char *text);
/* May such a caller ask for this at all? scope: of staff. */
bool kmf_op_may(enum kmf_op op, enum kmf_who who, const char *scope);
/* Admission: who may, for what; a refusal stands in j->a afterwards. */
PERC_MUST int kmf_admit(struct kmf_job *j);
/* A path's segment is a stranger's: only what could be an id is recorded. */
const char *kmf_id_or_nothing(const char *s);
/* What a refusal leaves behind for the auditor: refusal.c. */
PERC_MUST int kmf_refusal_audit(struct kmf_job *j);
/* Record the repeats of a minute ago; in a turn. */
PERC_MUST int kmf_refusals_flush(struct kmf_keeper *k);
/* j->conf and its policy; when there is none a stand-in, after equal work. */
PERC_MUST int kmf_conf_try(struct kmf_job *j, bool *have);
/* Append v (taken over) to *a; when either is NULL or memory ends *a becomes
 * NULL, so that a list is whole or not there. */
void kmf_json_add(json_t **a, json_t *v);
/* For json_pack's "s*": NULL leaves the member out. */
const char *kmf_json_opt(const char *s);
/* Copy into a fixed text; PERC_ERR_LIMIT when it does not fit. */
PERC_MUST int kmf_copy(char *out, size_t cap, const char *in);
/* Is `word` one of the space-separated words of `list`? */
bool kmf_has_word(const char *list, const char *word);
/* Value of `name` in a query string, decoded; "" when it is not there. */
PERC_MUST int kmf_query_get(char *out, size_t cap, const char *query,
    const char *name);
PERC_MUST int kmf_query_int(int64_t *out, const char *query,
    const char *name, int64_t def, int64_t min, int64_t max);

/* --- outbox.c --------------------------------------------------------- */

/* One operation's changes, in the database and in the outbox, can be undone
 * together; marks do not nest. */
PERC_MUST int kmf_mark(struct kmf_keeper *k);
PERC_MUST int kmf_mark_keep(struct kmf_keeper *k);
void kmf_mark_undo(struct kmf_keeper *k);
PERC_MUST int kmf_out_add(struct kmf_keeper *k, struct kmf_front *f,
    uint16_t type, uint32_t id, uint8_t *buf, size_t len); /* takes buf */
void kmf_out_send(struct kmf_keeper *k);
/* The commit failed: answer all with 503, undo what streams were opened. */
void kmf_out_fail(struct kmf_keeper *k);
void kmf_out_clear(struct kmf_keeper *k);
void kmf_reply_queue(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const struct kmf_reply *r);

/* --- stream.c --------------------------------------------------------- */

/* *out: the keeper's, until the stream ends. */
PERC_MUST int kmf_stream_add(struct kmf_keeper *k, struct kmf_front *f,
    uint32_t id, const char *conf, const char *member,
    struct kmf_stream **out);
void kmf_stream_del(struct kmf_keeper *k, struct kmf_front *f, uint32_t id);
bool kmf_stream_known(struct kmf_keeper *k, const struct kmf_front *f,
    uint32_t id);
void kmf_stream_front_gone(struct kmf_keeper *k, struct kmf_front *f);
void kmf_stream_refuse(struct kmf_keeper *k, struct kmf_front *f,
    uint32_t id, uint16_t status, const char *code, const char *detail);
PERC_MUST int kmf_stream_event(struct kmf_keeper *k, struct kmf_stream *s,
    uint64_t event_id, const char *name, const char *data);
/* End the streams of a member (NULL: of all in the conference). */
void kmf_stream_end(struct kmf_keeper *k, const char *conf,
    const char *member, uint16_t status, const char *code);
bool kmf_stream_has(struct kmf_keeper *k, const char *member);
/* The member's row is no more what it was: state, held or delivery. */
void kmf_stream_changed(struct kmf_keeper *k, const char *member);
/* The mark's changes are undone; the turn was committed, or not. */
void kmf_streams_undo(struct kmf_keeper *k);
void kmf_streams_settle(struct kmf_keeper *k, bool committed);
uint64_t kmf_streams_count(const struct kmf_keeper *k);
/* Those of a conference that are not ending. */
struct kmf_stream *kmf_stream_first(struct kmf_keeper *k, const char *conf);
struct kmf_stream *kmf_stream_next(struct kmf_stream *s);
/* Fill in listens (live, and has got a key: a roster must not come before it)
 * and keyed, and with conf_key delivery too. */
PERC_MUST int kmf_stream_look(struct kmf_keeper *k, struct kmf_stream *s,
    const uint8_t *conf_key);
/* An event for many: name the addressees, each with what is its own, then
 * send; r: of the naming, handed through. */
PERC_MUST int kmf_push_to(struct kmf_stream *s, const char *own, size_t n);
PERC_MUST int kmf_push_send(struct kmf_keeper *k, int r,
    const struct kmf_push *what);
/* One event for a member (NULL: all), under the next event number. */
PERC_MUST int kmf_broadcast(struct kmf_keeper *k, struct db_conf *c,
    const char *member, const char *name, const json_t *data);
/* For all who are live and have a key, for a roster names people; diff (may
 * be NULL) is for those who asked for differences. */
PERC_MUST int kmf_broadcast_roster(struct kmf_keeper *k, struct db_conf *c,
    const json_t *plain, const json_t *diff);

/* --- keys.c ----------------------------------------------------------- */

PERC_MUST int kmf_keys_load(struct kmf_keeper *k, char *why, size_t cap);
PERC_MUST int kmf_signing_key_make(struct db *db, const uint8_t *root,
    const char *use, int64_t now_ms, int64_t active_ms);
/* Public JWKS of a database, as published (past_too: with the keys that were,
 * apart); the caller free()s. */
PERC_MUST int kmf_keys_jwks(char **textp, struct db *db, const char *base,
    int64_t now_ms, bool past_too);
void kmf_keys_file_put(struct kmf_keeper *k);
/* By the root key; what an older one sealed opens while a rewrap runs. */
PERC_MUST int kmf_root_seal(struct kmf_keeper *k, uint8_t *out,
    const char *aad, const void *in, size_t n);
PERC_MUST int kmf_root_unseal(struct kmf_keeper *k, uint8_t *out,
    const char *aad, const uint8_t *in, size_t n);
PERC_MUST int kmf_seal_by(struct db_sealed *out, const uint8_t *key,
    const char *aad, const void *in, size_t n);
PERC_MUST int kmf_unseal_by(void *out, size_t n, const uint8_t *key,
    const char *aad, const struct db_sealed *in);
/* The conference's key: 32 octets, wiped by the caller. */
PERC_MUST int kmf_conf_key_new(struct kmf_keeper *k, const char *conf,
    uint8_t key[static 32]);
PERC_MUST int kmf_conf_key_get(struct kmf_keeper *k, const char *conf,
    uint8_t key[static 32]);

/* --- rotate.c, control.c ---------------------------------------------- */

/* Which of these keys signs. */
const struct db_signing_key *kmf_signer_of(const struct db_signing_key *list,
    size_t n, const char *use, int64_t now_ms);
/* next, signs, old or past */
const char *kmf_signing_key_state(const struct db_signing_key *list, size_t n,
    const struct db_signing_key *k, int64_t now_ms);
/* Carry out what is due; between turns. */
PERC_MUST int kmf_keys_tick(struct kmf_keeper *k);
/* Make and publish the next keys. text: what was done, or why it was not. */
PERC_MUST int kmf_keys_rotate(struct kmf_keeper *k, int64_t after_ms,
    char *text, size_t cap);
PERC_MUST int kmf_control_start(struct kmf_keeper *k);
void kmf_control_turn(struct kmf_keeper *k);
void kmf_control_look(struct kmf_keeper *k);

/* --- audit.c ---------------------------------------------------------- */

enum kmf_audit_kind {
	KMF_AUDIT_CONF_CREATED,
	KMF_AUDIT_CONF_CHANGED,
	KMF_AUDIT_CONF_DELETED,
	KMF_AUDIT_CONF_STARTED,
	KMF_AUDIT_CONF_ENDED,
	KMF_AUDIT_CONF_EMPTY,
	KMF_AUDIT_INVITED,
	KMF_AUDIT_UNINVITED,
	KMF_AUDIT_TOKEN,
	KMF_AUDIT_REFUSED,
	KMF_AUDIT_JOINED,
	KMF_AUDIT_KEY,
	KMF_AUDIT_LEFT,
	KMF_AUDIT_EVICTED,
	KMF_AUDIT_EPOCH,
	KMF_AUDIT_RECEIPT,
	KMF_AUDIT_ADMITTED,
	KMF_AUDIT_LOGIN_FAILED,
	KMF_AUDIT_STARTED,
	KMF_AUDIT_CONFIGURED,
	KMF_AUDIT_STOPPED,
	KMF_AUDIT_SIGNING_KEY,
	KMF_AUDIT_CLIENT,
	KMF_AUDIT_ROOT_KEY,
	KMF_AUDIT_RESTORED,
	KMF_AUDIT_CONF_CANCELLED,
	KMF_AUDIT_CONF_LOCKED,
	KMF_AUDIT_CONF_UNLOCKED,
	KMF_AUDIT_CONF_ADJOURNED,
	KMF_AUDIT_SERIES_CREATED,
	KMF_AUDIT_SERIES_CHANGED,
	KMF_AUDIT_SERIES_CANCELLED,
	KMF_AUDIT_SERIES_DELETED,
	KMF_AUDIT_MAIL_FAILED,
	KMF_AUDIT_REDELIVERED,
};
/* detail: its reference is taken over; NULL: none. "" for what is absent. */
PERC_MUST int kmf_audit(struct kmf_keeper *k, enum kmf_audit_kind kind,
    const char *actor, const char *conf, const char *subject, json_t *detail);
/* Behind that record (all zero: as the first), though it is not here. */
PERC_MUST int kmf_audit_behind(struct kmf_keeper *k,
    const struct db_audit *last, enum kmf_audit_kind kind, const char *actor,
    const char *conf, const char *subject, json_t *detail);
int kmf_op_audit(struct kmf_job *j);
/* What a front refused; at most KMF_REFUSED_MAX rows in KMF_REFUSED_MS of each
 * front, the rest is merged into the next. In a transaction. */
#define KMF_REFUSED_MAX 64
#define KMF_REFUSED_MS	10000
PERC_MUST int kmf_login_failed(
    struct kmf_front *f, const struct kmf_refused *x);
/* Of the program itself: started and stopped (with a checkpoint), in a
 * transaction of their own. Takes detail over. */
PERC_MUST int kmf_audit_program(
    struct kmf_keeper *k, enum kmf_audit_kind kind, json_t *detail);

/* --- checkpoint.c ------------------------------------------------------ */

#define KMF_CHECKPOINT_ROWS 1000
#define KMF_CHECKPOINT_MS   60000
/* Sign the newest row, unless that is done; called in a transaction. */
PERC_MUST int kmf_checkpoint(struct kmf_keeper *k);
/* When many rows or much time went by since the last; tells itself. */
void kmf_checkpoint_due(struct kmf_keeper *k, bool by_time);

/* --- decide.c: who may come in ---------------------------------------- */

struct kmf_person {
	const char *iss, *sub, *email, *name;
	const char *kind; /* as the provider's setting says; "" as invited */
	bool email_verified;
	bool groups_partial; /* there may be more */
	const char *const *groups;
	unsigned ngroups;
};
struct kmf_verdict {
	bool running, invited, welcome;
	bool allowed; /* all three */
	char via[DB_ID_MAX];
	char role[DB_WORD_MAX], kind[DB_WORD_MAX];
};
/* rules (may be NULL): array that gets one object per rule. */
PERC_MUST int kmf_decide(struct kmf_keeper *k, const struct db_conf *c,
    const struct kmf_person *p, struct kmf_verdict *v, json_t *rules);
/* Does what once let this member in still stand? 0 or NOTFOUND. */
PERC_MUST int kmf_decide_member(struct kmf_keeper *k,
    const struct db_conf *c, const struct db_member *m);
/* Does the lock let this person in? */
PERC_MUST int kmf_decide_lock(struct kmf_keeper *k, const struct db_conf *c,
    const char *iss, const char *sub, bool *in);
int kmf_op_explain(struct kmf_job *j);

/* --- person.c: from a person to a member ------------------------------- */

/* What a member is bound to: a DPoP thumbprint, "x5t:" and that of a TLS
 * certificate, or "" when the token is bound to neither. */
PERC_MUST int kmf_binding_put(char out[static DB_BIND_MAX],
    const struct kmf_identity *id);
json_t *kmf_binding_cnf(const struct kmf_identity *id);
/* Who the provider says that is. PERC_ERR_FORMAT: nobody we could write
 * down. p points into id. */
PERC_MUST int kmf_person_get(struct kmf_person *p, struct kmf_keeper *k,
    const struct kmf_identity *id);
/* Find or make this person's member in j->conf, or refuse; have: there is
 * such a conference. */
PERC_MUST int kmf_person_admit(struct kmf_job *j, const struct kmf_person *p,
    bool have);

/* --- conf_json.c, conf.c, invite.c ------------------------------------ */

json_t *kmf_time_json(int64_t ms);
void kmf_policy_default(struct kmf_policy *p);
/* What o names goes into p, the rest stays; NULL: nothing. why: "/member:
 * what". */
PERC_MUST int kmf_policy_get(struct kmf_policy *p, const json_t *o, char *why,
    size_t cap);
PERC_MUST int kmf_policy_load(struct kmf_policy *p, const char *text);
/* The same, at hand when it is the text that was read last. Only for who was
 * admitted: by the clock it tells texts apart. */
PERC_MUST int kmf_policy_of(struct kmf_keeper *k, struct kmf_policy *p,
    const char *text);
json_t *kmf_policy_json(const struct kmf_policy *p);
/* mdds.c: by turns; this member's; the configured one that url is, if the
 * conference is there, or NULL; and token2's claim of the others. */
const char *kmf_mdd_pick(const struct kmf_keeper *k, const char *id);
const char *kmf_mdd_of(const struct kmf_keeper *k, const struct db_conf *c,
    const char *member);
/* All that it may be at, its own first. */
json_t *kmf_mdds_json(const struct kmf_keeper *k, const struct db_conf *c,
    const char *member);
const char *kmf_mdd_find(const struct kmf_keeper *k, const struct db_conf *c,
    const char *url);
PERC_MUST int kmf_mdd_name_others(
    const struct kmf_keeper *k, const char *mdd, json_t *claims);
json_t *kmf_media_json(void);
json_t *kmf_ssrcs_json(const struct db_member *m);
json_t *kmf_ssrc_numbers_json(const struct db_member *m); /* as in token2 */
const char *kmf_conf_state_name(enum db_conf_state s);
const char *kmf_conf_state_text(const struct db_conf *c); /* cancelled, too */
/* The door opens early_entry_s before the start. */
int64_t kmf_conf_opens_ms(const struct db_conf *c, const struct kmf_policy *p);
json_t *kmf_invitees_json(struct kmf_keeper *k,
    const struct db_invitee *list, size_t n);
json_t *kmf_conf_json(struct kmf_keeper *k, const struct db_conf *c);
json_t *kmf_conf_event_json(const struct db_conf *c);
/* "" when there is none; lower case. */
PERC_MUST int kmf_email_get(char *out, size_t cap, const json_t *o);
/* Is w one of these words, and not ""? */
bool kmf_word_is(const char *w, const char *words);
PERC_MUST int kmf_role_get(char out[static DB_WORD_MAX], const json_t *o);
PERC_MUST int kmf_word_get(char *out, size_t cap, const json_t *o,
    const char *name, const char *words, const char *def);
bool kmf_is_utf8(const char *s);
PERC_MUST int kmf_text_check(const char *s, size_t max);
PERC_MUST int kmf_invitees_get(struct db_invitee **vp, size_t *np,
    const json_t *a, char *why, size_t cap);
/* Shared by create and change; refuse, or leave the status at 0. */
PERC_MUST int kmf_conf_body(struct kmf_job *j, json_t **bodyp);
PERC_MUST int kmf_conf_fields(struct kmf_job *j, const json_t *body,
    struct db_conf *c, struct kmf_policy *p);
/* The same, and it may be over: for series, whose first occurrence may. */
PERC_MUST int kmf_conf_fields_past(struct kmf_job *j, const json_t *body,
    struct db_conf *c, struct kmf_policy *p);
/* A new row's id, engine, distributor; the rest is there or 0. */
PERC_MUST int kmf_conf_init(struct kmf_keeper *k, struct db_conf *c,
    const char *by);
/* The ETag of what counts its changes. */
void kmf_etag_version(char out[static KMF_ETAG_MAX], int64_t version);
/* If-Match, which must be there, against that ETag; refuse, or status 0. */
PERC_MUST int kmf_precondition(struct kmf_job *j, const char *etag);
/* j->conf: its list becomes this one; cancel and forget it. */
PERC_MUST int kmf_invitees_replace(struct kmf_job *j,
    const struct db_invitee *want, size_t n);
PERC_MUST int kmf_conf_remove(struct kmf_job *j);
PERC_MUST int kmf_conf_invitees(struct kmf_job *j, const json_t *body,
    struct db_invitee **vp, size_t *np);
PERC_MUST int kmf_conf_answer(struct kmf_job *j, uint16_t status);
int kmf_op_conf_create(struct kmf_job *j);
int kmf_op_conf_list(struct kmf_job *j);
int kmf_op_conf_get(struct kmf_job *j);
int kmf_op_conf_patch(struct kmf_job *j);
int kmf_op_conf_delete(struct kmf_job *j);
/* Room for n more conferences of this scheduler? Refuse, or status 0. */
PERC_MUST int kmf_conf_room_left(struct kmf_job *j, unsigned n);

/* --- conf_state.c ------------------------------------------------------ */

/* Whose deed it is: client or member. */
const char *kmf_actor(const struct kmf_job *j);
/* j->conf has changed: audit (detail is taken over), tell, settle, write. */
PERC_MUST int kmf_conf_changed(struct kmf_job *j, enum kmf_audit_kind kind,
    json_t *detail);
/* Nothing when it is over already; why: for people, or NULL. */
PERC_MUST int kmf_conf_cancel(struct kmf_job *j, struct db_conf *c,
    const char *why);
int kmf_op_lock(struct kmf_job *j);
int kmf_op_unlock(struct kmf_job *j);
int kmf_op_extend(struct kmf_job *j);
int kmf_op_cancel(struct kmf_job *j);
struct kmf_cancellation { /* what the body of a cancel says */
	const char *why; /* NULL: nothing; lives as the body does */
	bool notify;
};
PERC_MUST int kmf_cancellation_get(struct kmf_job *j, json_t **bodyp,
    struct kmf_cancellation *what);

/* --- mail.c: queue messages; nothing when no mail goes out -------------- */

struct kmf_series;
/* Does the body want people told? */
bool kmf_notify(const json_t *body);
/* code: NULL says nothing of one. */
PERC_MUST int kmf_mail_guest(struct kmf_keeper *k, const struct db_conf *c,
    const struct db_inv *i, const char *code);
PERC_MUST int kmf_mail_invitee(struct kmf_keeper *k, const struct db_conf *c,
    const struct db_invitee *v, bool out);
/* All whom it invites by an address. */
PERC_MUST int kmf_mail_conf(struct kmf_keeper *k, const struct db_conf *c);
PERC_MUST int kmf_mail_series(struct kmf_keeper *k,
    const struct kmf_series *o);
json_t *kmf_mail_json(struct kmf_keeper *k, const char *about);
int kmf_op_inv_send(struct kmf_job *j);
int kmf_op_invitee_send(struct kmf_job *j);
int kmf_op_series_send(struct kmf_job *j);

/* --- series.c, series_plan.c ------------------------------------------- */

PERC_MUST int kmf_series_create(struct kmf_job *j, const json_t *body);
/* Make what is due in all series; called in a transaction. */
PERC_MUST int kmf_series_tick(struct kmf_keeper *k);
int kmf_op_series_list(struct kmf_job *j);
int kmf_op_series_get(struct kmf_job *j);
int kmf_op_series_patch(struct kmf_job *j);
int kmf_op_series_cancel(struct kmf_job *j);
int kmf_op_series_delete(struct kmf_job *j);
int kmf_op_series_current(struct kmf_job *j);
int kmf_op_occurrence_list(struct kmf_job *j);
int kmf_op_occurrence_make(struct kmf_job *j);

/* --- invite.c ----------------------------------------------------------- */

int kmf_op_inv_create(struct kmf_job *j);
int kmf_op_inv_get(struct kmf_job *j);
int kmf_op_inv_list(struct kmf_job *j);
int kmf_op_inv_delete(struct kmf_job *j);
int kmf_op_inv_ics(struct kmf_job *j);
int kmf_op_invitee_ics(struct kmf_job *j);
int kmf_op_series_ics(struct kmf_job *j);

/* --- page.c, list.c ----------------------------------------------------- */

#define KMF_CURSOR_MAX 32
struct kmf_paging {
	int64_t limit;
	int64_t at, no; /* behind which row; then that of the last one seen */
	json_t *items;
	size_t octets;
	bool more;
};
/* limit and cursor of the query; refuses, or leaves the status at 0. */
PERC_MUST int kmf_page_get(struct kmf_job *j, struct kmf_paging *p, int64_t def,
    int64_t max);
void kmf_page_clear(struct kmf_paging *p);
bool kmf_title_has(const char *title, const char *text);
/* Does one more fit? When not, there is a next page. */
bool kmf_page_room(struct kmf_paging *p);
void kmf_page_add(struct kmf_paging *p, json_t *v, int64_t at, int64_t no);
void kmf_page_skip(struct kmf_paging *p, int64_t at, int64_t no);
/* o (taken over) with items, and next when there is more. */
PERC_MUST int kmf_page_answer(struct kmf_job *j, struct kmf_paging *p,
    json_t *o);
const char *kmf_inv_word(const struct kmf_job *j, const struct db_inv *i);
json_t *kmf_inv_json(const struct kmf_job *j, const struct db_inv *i);
json_t *kmf_member_json(const struct db_member *m);
int kmf_member_state_of(const char *text); /* -1: no such */

/* --- idem.c ------------------------------------------------------------ */

/* 1: answered from memory (or refused); 0: go on; negative: error. */
PERC_MUST int kmf_idem_check(struct kmf_job *j);
PERC_MUST int kmf_idem_keep(struct kmf_job *j);

#define KMF_CODE_MAX 23 /* characters of a code, with NUL */
void kmf_code_new(char code[static KMF_CODE_MAX]);
/* The invitation that the path names, of this conference; or refuse. */
PERC_MUST int kmf_inv_load(struct kmf_job *j, struct db_inv *i);
/* Its code was not used in time. */
bool kmf_inv_expired(struct kmf_keeper *k, const struct db_inv *i,
    const struct db_conf *c);

/* --- mint.c: tokens ---------------------------------------------------- */

/* What was asked for, as far as it is had; "" asks for all. */
void kmf_scope_cut(char out[static DB_SCOPE_MAX], const char *have,
    const char *want);
/* Claims that all tokens have; the rest is set by the caller. */
json_t *kmf_claims_new(struct kmf_job *j, const char *aud, const char *sub,
    const char *client, const char *scope, int64_t lives_s);
/* Sign claims (taken over) and answer as RFC 6749 and 8693 say. */
PERC_MUST int kmf_token_answer(struct kmf_job *j, json_t *claims,
    const char *type, int64_t lives_s, const char *member);
PERC_MUST int kmf_code_hash(char out[static DB_HASH_MAX], const char *code);
/* client.c: what `perch-kmf client` asks for; text: for people. */
PERC_MUST int kmf_client_change(struct kmf_keeper *k, const json_t *args,
    char *text, size_t cap);
int kmf_op_client_key(struct kmf_job *j);
int kmf_op_token_client(struct kmf_job *j);
/* Who that is, without saying so: p_ and a hash. */
PERC_MUST int kmf_principal_id(char out[static DB_CLIENT_MAX],
    const char *iss, const char *sub);
int kmf_op_token_role(struct kmf_job *j);
int kmf_op_token1(struct kmf_job *j);
int kmf_op_token2(struct kmf_job *j);

/* --- room.c: a live conference ----------------------------------------- */

struct kmf_room { /* the conference's row and its engine, side by side */
	struct kmf_keeper *k;
	struct db_conf *c;
	struct kmf_policy p;
	struct kmf_rekey r;
	unsigned live;
	const char *cause; /* of the next epoch, when not a window or age */
	/* *c as it stands in the database: as long as it need not be written,
	 * for one who only renews. NULL: not known, or written since. */
	const struct db_conf *was;
};
PERC_MUST int kmf_room_load(struct kmf_room *o, struct kmf_keeper *k,
    struct db_conf *c);
/* When c's policy has been read already. */
PERC_MUST int kmf_room_take(struct kmf_room *o, struct kmf_keeper *k,
    struct db_conf *c, const struct kmf_policy *p);
/* Carry out orders and write the row back. */
PERC_MUST int kmf_room_settle(struct kmf_room *o, unsigned orders);
/* The member becomes live (or stays so), with a fresh lease. */
PERC_MUST int kmf_room_join(struct kmf_room *o, struct db_member *m);
PERC_MUST int kmf_room_leave(struct kmf_room *o, struct db_member *m,
    const char *why);
/* Put one endpoint out, as EVICTED (for good) or GONE (no longer invited);
 * the caller settles evictions together. */
PERC_MUST int kmf_room_evict(struct kmf_room *o, struct db_member *m,
    enum db_member_state to, const char *actor, const char *reason);
PERC_MUST int kmf_room_evict_settle(struct kmf_room *o);
PERC_MUST int kmf_room_end(struct kmf_room *o, const char *actor,
    const char *reason);
/* Let all go and destroy the keys; it may become live again. */
PERC_MUST int kmf_room_adjourn(struct kmf_room *o, const char *actor,
    const char *reason);
/* What is due in all conferences; called in a transaction. */
PERC_MUST int kmf_room_tick_all(struct kmf_keeper *k);

/* --- budget.c ------------------------------------------------------------ */

/* j->me, who is not live, wants to come in: charge it, or refuse. */
PERC_MUST int kmf_budget_join(struct kmf_job *j, const struct kmf_room *o);
/* Somebody's leave asked for an epoch. */
PERC_MUST int kmf_budget_leave(struct kmf_room *o);

/* --- epoch.c ------------------------------------------------------------ */

struct kmf_epoch_key { /* wiped by the holder */
	uint8_t octets[PERC_EKT_KEY_MAX + PERC_EKT_SALT_LEN]; /* key || salt */
	size_t keylen, len;
	uint16_t spi;
	char keyid[PERC_ENCKEY_KEYID_MAX + 1];
};
PERC_MUST int kmf_epoch_make(struct kmf_room *o); /* after r said so */
PERC_MUST int kmf_epoch_get(struct kmf_room *o, struct kmf_epoch_key *e);
/* The epoch event for one member's streams. */
PERC_MUST int kmf_epoch_push(struct kmf_room *o);
PERC_MUST int kmf_epoch_push_one(struct kmf_room *o, struct kmf_stream *s);
uint32_t kmf_epoch_ttl(const struct kmf_policy *p);
const char *kmf_epoch_cipher(const struct kmf_policy *p);
const char *kmf_epoch_profile(const struct kmf_policy *p);

/* --- roster.c ------------------------------------------------------------ */

PERC_MUST int kmf_roster_sign(struct kmf_room *o);
/* The newest roster as it is fetched, made now if it was not yet; free().
 * PERC_ERR_STATE: it cannot be told whole any more. */
PERC_MUST int kmf_roster_text(struct kmf_room *o, char **textp);
PERC_MUST int kmf_roster_push_one(struct kmf_room *o, struct kmf_stream *s);
PERC_MUST int kmf_notice(char **textp, struct kmf_keeper *k,
    const char *conf, const char *event, const char *member,
    const char *reason);
int kmf_op_roster(struct kmf_job *j);
/* A ROSTER may not have left: the fronts get theirs anew. */
void kmf_roster_forget(struct kmf_keeper *k);

/* --- member.c, subscribe.c, status.c ------------------------------------- */

int kmf_op_keys(struct kmf_job *j);
/* lag.c: a live member got no key; why a live member is behind, NULL if it is
 * not. */
void kmf_lag_refused(struct kmf_keeper *k, const char *member,
    const char *code);
json_t *kmf_lag_json(const struct kmf_job *j, const struct db_member *m);
int kmf_op_lease_renew(struct kmf_job *j);
int kmf_op_lease_end(struct kmf_job *j);
int kmf_op_member_list(struct kmf_job *j);
int kmf_op_member_get(struct kmf_job *j);
int kmf_op_member_evict(struct kmf_job *j);
int kmf_op_evict(struct kmf_job *j);
int kmf_op_rekey(struct kmf_job *j);
int kmf_op_end(struct kmf_job *j);
/* Put out every endpoint that came in by this invitee or invitation. */
PERC_MUST int kmf_drop_via(struct kmf_keeper *k, struct db_conf *c,
    const char *via, const char *actor);
PERC_MUST int kmf_subscribe(struct kmf_keeper *k, struct kmf_front *f,
    uint32_t id, const struct kmf_subscribe *s);
int kmf_op_ready(struct kmf_job *j);
int kmf_op_metrics(struct kmf_job *j);
/* metrics.c */
void kmf_counts_gone(struct kmf_keeper *k, const struct kmf_front *f);

/* --- rewrap.c -------------------------------------------------------------- */

/* Which of the given root keys seals, which else opens. */
PERC_MUST int kmf_roots_open(struct kmf_keeper *k,
    const struct kmf_keeper_opts *o, char *why, size_t cap);
/* Note the id of the key that seals, if none is noted; in a transaction. */
PERC_MUST int kmf_roots_note(struct kmf_keeper *k);
/* Go on with what a stop interrupted. */
PERC_MUST int kmf_rewrap_resume(struct kmf_keeper *k);
/* A new root key stands beside the old one; text tells what happens. */
int kmf_rewrap_begin(struct kmf_keeper *k, char *text, size_t cap);

/* --- purge.c --------------------------------------------------------------- */

PERC_MUST int kmf_purge_start(struct kmf_keeper *k);

/* --- keeper.c -------------------------------------------------------------- */

/* Keys or nonces changed: tell all fronts. */
void kmf_keeper_welcome_all(struct kmf_keeper *k);
/* Open the turn's transaction if it is not open yet. */
PERC_MUST int kmf_turn_begin(struct kmf_keeper *k);
/* Commit it, if there is one, as the loop does at the end of a turn. */
void kmf_turn_finish(struct kmf_keeper *k);
/* Look at due_ms again. */
void kmf_due_arm(struct kmf_keeper *k);
