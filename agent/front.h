/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front process of perch-agent: tokens, TLS, hop-by-hop keys and
 * ciphertext; never a key or a packet of the inner layer. One struct agent
 * per process, one struct front_conf per conference. Files:
 *
 *	front.c       the process, the vault's voice
 *	frontcmd.c    what local commands ask
 *	frontenter.c  from a conference URI to the first key
 *	frontadmit.c  who the user is, for token1
 *	frontkeys.c   token1 and keys, the first and again
 *	frontlive.c   tokens, rosters
 *	frontlease.c  leases, and the news they bring
 *	frontleave.c  the way out
 *	frontevents.c the event stream
 *	frontmdd.c    token2 and the join at the distributor
 *	frontmdds.c   which distributor of several
 *	frontleg.c    DTLS of one leg; frontsearch.c and frontpath.c: its ICE;
 *	              frontpump.c: its packets
 *	frontmoved.c  the network of this machine has changed
 *	frontrelay.c  relays at TURN servers, by perch-turn
 *	frontlogin.c  login at the organisation's identity provider; more
 *	              files in frontlogin.h
 *	frontcall.c   requests with a DPoP proof of the vault's
 *	frontadmin.c  requests of an administrator, by the login's role
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agentconf.h"
#include "agent/frontrelay.h"
#include "agent/frontsse.h"
#include "agent/frontvault.h"
#include "agent/text.h"
#include "perc/dtls.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/loop.h"
#include "perc/stun.h"

#define FRONT_ID_MAX	 64
#define FRONT_NONCE_MAX	 256
#define FRONT_WORDS_MAX	 256
#define FRONT_PAST_MAX	 4 /* conferences remembered after their end */
#define FRONT_CONFS_MAX	 (VAULT_SLOTS + FRONT_PAST_MAX)
#define FRONT_LOGINS_MAX 4

#define FRONT_BACKOFF_MIN_MS 500
#define FRONT_BACKOFF_MAX_MS 15000

struct agent;
struct front_conf;
struct front_leg;
struct front_admin;
struct front_relay_try;
struct front_login;
struct local;
struct local_req;
struct status;

/* ---- frontcall.c: one request, proved by the vault --------------------- */
struct front_call;

enum front_nonce_of { FRONT_NONCE_AS, FRONT_NONCE_RS, FRONT_NONCES };

struct front_ask {
	const char *method, *url; /* without query it is htu */
	const char *token;	  /* NULL: none */
	const char *type, *body;  /* NULL: none */
	const char *extra;	  /* one more header line, or NULL */
	bool seal_jkt;		  /* the proof names the sealing key */
	bool login;		  /* goes to an identity provider */
	perc_httpc_data_fn on_data;
	unsigned idle_ms;
};

/* Nonces of the KMF, by who gave them. */
struct front_nonces {
	char value[FRONT_NONCES][FRONT_NONCE_MAX];
};

/*
 * Ask the vault for a proof, send, and once more if the server wants another
 * nonce. done runs exactly once unless cancelled; *callp (may be NULL) is
 * NULL again before it runs. Strings are copied.
 */
PERC_MUST int front_call_start(struct agent *a, struct front_call **callp,
    struct front_nonces *nonces, enum front_nonce_of which,
    const struct front_ask *ask, perc_httpc_fn done, void *arg);
void front_call_cancel(struct front_call *c); /* NULL is fine */
/* A phrase for people: the problem's detail or title, OAuth's description. */
void
front_answer_words(const struct perc_httpc_answer *a, char *out, size_t cap);
/* The stable code of a problem or an OAuth error, "" if there is none. */
void
front_answer_code(const struct perc_httpc_answer *a, char *out, size_t cap);
/* Would the same request have a chance later? */
bool front_answer_transient(const struct perc_httpc_answer *a);

/* ---- a conference -------------------------------------------------------- */
enum front_state {
	FRONT_ENTERING,	  /* up to the first key */
	FRONT_CONNECTING, /* keys are there, no leg (yet, or any more) */
	FRONT_UP,	  /* media flows */
	FRONT_LEAVING,
	FRONT_OVER,
};

struct front_retry {
	struct perc_timer timer;
	unsigned tries;
};

struct front_conf {
	struct agent *agent;
	enum front_state state;
	char words[FRONT_WORDS_MAX];	 /* what is going on */
	char refusal[FRONT_WORDS_MAX];	 /* of the first token shown, or "" */
	char kmf_words[FRONT_WORDS_MAX]; /* trouble with the KMF, or "" */
	char mdd_words[FRONT_WORDS_MAX]; /* trouble with the MDD, or "" */
	struct local_req *joiner;	 /* who waits for progress, or NULL */
	struct local_req *leaver;	 /* who waits for the end, or NULL */

	/* who and where */
	char *uri, *code;
	char id[FRONT_ID_MAX], member[FRONT_ID_MAX];
	char *kmf, *resource, *token_endpoint, *mdd;
	char *title, *name, *starts_at, *ends_at;
	json_t *media, *policy, *mdds;

	/* the KMF's side */
	struct front_nonces nonces;
	struct front_call *call; /* of entering, then of leaving */
	char *token1;
	int64_t token1_until_ms;
	struct front_call *token_call, *lease_call, *keys_call, *roster_call,
	    *events_call;
	struct perc_httpc_req *plain; /* a request without proof */
	struct perc_timer token_timer, lease_timer, roster_timer, over_timer;
	struct front_retry keys_retry, events_retry, token_retry;
	struct front_sse sse;
	int64_t lease_ms, keys_asked_ms, events_first_ms;
	struct { /* packets that name a key which we have not */
		int64_t next_ms; /* none counts before */
		int64_t vain_ms; /* how long the last one that was wrong holds
				  * the next one off; 0: it was right */
		bool asked;	 /* the keys_call under way is for one */
	} hint;
	bool events_open, doomed;
	bool events_eaten; /* a stream fell silent: polls until one lives */
	bool receipt_told; /* the lease request under way has it */
	bool events_late;  /* an epoch was there before the stream told it */
	bool asleep;	 /* came to rest with the machine */
	bool returning;	 /* was in, was cut off, enters again */
	unsigned behind; /* lease answers that told of an unknown epoch */

	/* the vault's side */
	struct front_opening *opening; /* the vault makes room, or NULL */
	bool vault_open, vault_live, vault_erased;
	unsigned slot;
	int64_t epoch, roster_seq;
	int64_t epoch_told; /* the newest by the stream */
	struct { /* an epoch that came while a key was asked for */
		int64_t epoch;
		char *statement, *sealed; /* NULL: none */
	} early;
	char *reason;
	struct front_news *news; /* rosters that the vault looks at */
	char *receipt; /* of keys that ran out while the KMF was away */
	json_t *roster, *streams, *speaking, *roster_state;

	/* the MDD's side */
	struct front_call *token2_call;
	struct perc_httpc_req *join_req, *leave_req;
	struct front_retry mdd_retry;
	struct perc_timer token2_timer;
	struct perc_dtls_id *dtls_id;
	char ufrag[PERC_ICE_UFRAG + 1]; /* ours, of the newest join */
	char ice_pwd[PERC_ICE_PWD + 1];
	char *token2, *leg_url;
	struct front_leg *leg;
	char *subscription; /* JSON that legs are told; NULL: none */
	struct perc_httpc_req *subscribe_req;
	struct local_req *subscriber; /* who waits for it, or NULL */
};

/* ---- logins -------------------------------------------------------------- */
struct front_subject { /* what proves who the user is */
	const char *token, *type;
	const char *issuer; /* who gave it; NULL: the KMF */
};

struct agent {
	struct perc_loop *loop;
	const struct agent_conf *conf;
	struct perc_httpc *http;
	struct front_vault *vault;
	struct local *local;
	struct front_conf *confs[FRONT_CONFS_MAX];
	struct front_login *logins[FRONT_LOGINS_MAX];
	struct status *statuses; /* waiting for the vault's part */
	struct front_admin *admins;
	struct front_watch *watches;
	char *seal_jwk, *vault_report;
	char sign_jkt[PERC_JKT_LEN + 1]; /* of the vault's proofs */
	bool vault_ready, stopping;
	struct perc_timer stop_timer;
	int given; /* the socket of a service manager; -1: none */
	struct {
		struct perc_timer timer;
		int64_t since_ms; /* 0: busy when last looked */
	} idle;
	struct front_relays *relays; /* NULL: none are configured */
	struct front_relay_try *relay_try; /* NULL: none under way */
	int moved_fd;		     /* netlink; -1: none */
	struct perc_io *moved_io;
	struct perc_timer moved_timer;
};

/* front.c */
/* given: the socket that a service manager holds for us, or -1; relay_fd: the
 * channel to perch-turn, or -1. */
int front_main(
    const struct agent_conf *conf, int vault_fd, int given, int relay_fd);
/* The one with this id that is not over; NULL. */
struct front_conf *front_conf_find(struct agent *a, const char *id);
/* While stopping: end the process when all conferences are over. */
void front_stop_step(struct agent *a);
/* Say where we are; the joiner hears it too. */
void front_progress(struct front_conf *c, const char *fmt, ...)
    PERC_PRINTF(2, 3);

/* frontcmd.c */
void front_command(
    struct local_req *r, const char *cmd, const json_t *args, void *agent);
void front_asker_gone(struct local_req *r, void *agent);
void front_statuses_free(struct agent *a);
/* Media is up: the joiner has its result. */
void front_joined(struct front_conf *c);
json_t *front_conf_json(const struct front_conf *c); /* for status; new */

/* What `status` says; vault: its own part, borrowed. */
json_t *front_status_json(struct agent *a, const json_t *vault);

/* frontidle.c: go when nothing is to do, where somebody brings us back */
void front_idle_start(struct agent *a);

/* frontrelaytry.c */
/* Try every relay that is configured; r gets the answer (local.md). */
void front_relay_try(struct agent *a, struct local_req *r, const json_t *args);
void front_relay_try_told(
    struct agent *a, uint32_t id, bool up, const char *words);
void front_relay_try_gone(struct agent *a, const struct local_req *r);
void front_relay_try_stop(struct agent *a);

/* frontwatch.c */
/* Tell r what `status` says as often as it changes, until r is gone. */
void front_watch_start(struct agent *a, struct local_req *r, const json_t *ask);
void front_watch_gone(struct agent *a, const struct local_req *r);
void front_watches_free(struct agent *a);

/* fronthost.c */
/* The conference that a path of the KMF's interface is about, where we are in
 * it as a host; NULL. kmf: only of this one; NULL: of any. Borrowed. */
const struct front_conf *front_host_of(
    const struct agent *a, const char *kmf, const char *path);

/* frontadmin.c */
/* One request of an administrator's, as local.md tells; r gets the answer. */
void front_admin_start(struct agent *a, struct local_req *r, const json_t *ask);
void front_admin_gone(struct agent *a, const struct local_req *r);
void front_admins_free(struct agent *a);

/* frontdiscover.c */
/* Ask the URI whose it is, then those; goes on with front_enter_open(). */
void front_discover(struct front_conf *c);
/* The JSON object of a 200 answer, or NULL after front_fail(). */
json_t *front_json_take(
    struct front_conf *c, const struct perc_httpc_answer *a, const char *what);
/* The well-known URL of an identifier (RFC 9728 section 3.1, RFC 8414 section
 * 3.1): NAME goes between host and path. free() it. */
char *front_well_known(const char *id, const char *name);

/* frontenter.c */
/* The servers are known. */
void front_enter_open(struct front_conf *c);
/* The conference goes while the vault makes room for it. */
void front_opening_forget(struct front_conf *c);
PERC_MUST int front_enter(struct agent *a, struct local_req *joiner,
    const char *uri, const char *code, char *why, size_t whycap);
/* From the beginning, with what is known already. */
void front_enter_again(struct front_conf *c);
/* Give up: tell the joiner, wipe, end. code: of docs/wire/local.md. */
void front_fail(struct front_conf *c, const char *code, const char *fmt, ...)
    PERC_PRINTF(3, 4);

/* The one after front_admit(). */
void front_enter_admitted(struct front_conf *c);

/* frontadmit.c */
void front_admit(void *conf); /* ask for token1 */
/* front_fail() with what an answer says, in local.md's codes. */
void front_fail_answer(
    struct front_conf *c, const struct perc_httpc_answer *a, const char *what);

/* frontkeys.c */
/* token1 anew, with whatever still proves who we are; done gets its answer
 * and gives it to take. PERC_ERR_NOTFOUND: nothing proves it. */
PERC_MUST int front_token1_ask(struct front_conf *c, struct front_call **callp,
    bool second_best, perc_httpc_fn done);
PERC_MUST int
front_token1_take(struct front_conf *c, const struct perc_httpc_answer *a);
/* POST .../keys; its answer goes to the vault's KEY. */
PERC_MUST int front_keys_ask(
    struct front_conf *c, struct front_call **callp, perc_httpc_fn done);
/* Remember what DONE of KEY or EPOCH said. */
void front_epoch_note(struct front_conf *c, const char *json);
/* One more POST .../keys, not too often. */
void front_keys_want(struct front_conf *c);
/* A packet names a key that the vault has not. Anybody on the path can write
 * that, so a hint that turns out wrong holds the next ones off for longer. */
void front_keys_hint(struct front_conf *c, uint16_t spi);

/* frontlive.c */
void front_live_start(struct front_conf *c); /* after the first key */
bool front_is_live(const struct front_conf *c);
void front_later(
    struct front_conf *c, struct perc_timer *t, int64_t in_ms, perc_loop_fn fn);
/* Remember what is wrong with the KMF, in words. */
void front_trouble(struct front_conf *c, const struct perc_httpc_answer *a);
/* The KMF does not know us any more: wait for its signed word, then go. */
bool front_answer_final(const struct perc_httpc_answer *a);
void front_doomed(struct front_conf *c, const struct perc_httpc_answer *a);
void front_token_soon(struct front_conf *c); /* after a 401 */
void front_roster_want(struct front_conf *c, int64_t in_ms);
void front_news_forget(struct front_conf *c);
/* Hand a roster to the vault; kept for display once it is taken. */
void front_roster_give(struct front_conf *c, const char *jws);

/* frontlease.c */
void front_lease_start(struct front_conf *c);
void front_lease_soon(struct front_conf *c);
void front_lease_in(struct front_conf *c, int64_t ms);

/* frontleave.c */
/* Leave; the vault erases, the KMF and the MDD are told. */
void front_leave(struct front_conf *c);
/* The vault erased: send the receipt, leave the MDD, end. */
void
front_erased(struct front_conf *c, const char *reason, const char *receipt);
/* Enter again after a while, and again until it succeeds or is refused. */
void front_return(struct front_conf *c);
/* The machine woke: enter again what it went to sleep with. */
void front_wake(struct agent *a);
/* A part of leaving is over: end if it was the last. */
void front_leave_step(struct front_conf *c);
/* Stop everything of c and wipe; it stays in the list as FRONT_OVER. */
void front_conf_close(struct front_conf *c);
void front_conf_free(struct front_conf *c);
/* Milliseconds to wait, growing with each call, with jitter. */
int64_t front_backoff(struct front_retry *r);

/* frontevents.c */
void front_events_start(struct front_conf *c);
/* A key that was asked for is there, or will not be: what overtook it on the
 * stream is handed in once more. */
void front_events_early(struct front_conf *c);
void front_events_early_forget(struct front_conf *c);
void front_events_stop(struct front_conf *c);
/* Does the stream bring what happens? If not, the lease is renewed often. */
bool front_events_followed(const struct front_conf *c);

/* frontmdd.c */
void front_mdd_start(struct front_conf *c);
/* Take the leg away and, unless we are leaving, come back later. */
void front_mdd_lost(struct front_conf *c, const char *why);
void front_mdd_up(struct front_conf *c);
void front_mdd_stop(struct front_conf *c); /* DELETE join too */
/* frontmdds.c: mdd and mdds of the descriptor; try the next one, if there is
 * one; what an MDD answered to the join, or the KMF to the question for its
 * token2: is that a reason to? */
void front_mdds_take(struct front_conf *c, const json_t *descriptor);
void front_mdds_next(struct front_conf *c);
void front_mdds_joined(struct front_conf *c, const struct perc_httpc_answer *a);
void front_mdds_named(struct front_conf *c, const struct perc_httpc_answer *a);
/* frontsubscribe.c: answers r; tell a new leg; it is over. */
void front_subscribe(
    struct front_conf *c, struct local_req *r, const json_t *wanted);
void front_subscribe_again(struct front_conf *c);
void front_subscribe_stop(struct front_conf *c);

struct front_join { /* the MDD's answer (docs/wire/join.md) */
	char leg[FRONT_ID_MAX];
	char host[64]; /* literal address */
	uint16_t port;
	uint8_t fingerprint[32];
	char ufrag[257], pwd[257];
	int64_t expires_in;
};
PERC_MUST int
front_join_parse(struct front_join *j, const char *text, size_t len);

/* frontleg.c */
/* Towards j, with the certificate id; ufrag and pwd are ours. Reports by
 * front_mdd_up and front_mdd_lost. */
PERC_MUST int front_leg_new(struct front_leg **lp, struct front_conf *c,
    struct perc_dtls_id *id, const struct front_join *j, const char *ufrag,
    char *why, size_t whycap);
void front_leg_free(struct front_leg *l);
void front_leg_media(struct front_leg *l, const uint8_t *p, size_t n);
void front_leg_rtcp(struct front_leg *l, const uint8_t *p, size_t n);
void front_leg_turn(struct front_leg *l); /* send what has gathered */
json_t *front_leg_json(const struct front_leg *l);
/* Addresses or routes of this machine are others: look for a new path. */
void front_leg_moved(struct front_leg *l);
/* What perch-turn says of the relay id, which may be this leg's. */
void front_leg_relay_told(
    struct front_leg *l, uint32_t id, bool up, const char *words);

/* frontmoved.c */
/* Hear of changes; a kernel that tells none is no reason to fail. */
void front_moved_follow(struct agent *a);
void front_moved_stop(struct agent *a);

/* frontlogin.c */
/* Start a login at the KMF's identity provider, as ask says (local.md); req
 * gets the outcome. */
PERC_MUST int front_login_start(struct agent *a, struct local_req *req,
    const json_t *ask, char *why, size_t whycap);
/* Forget it, here and at the provider; kmf NULL: the only one. */
PERC_MUST int front_login_logout(struct agent *a, struct local_req *req,
    const char *kmf, char *why, size_t whycap);
void front_login_cancel(struct agent *a, const struct local_req *req);
void front_login_free(struct front_login *l);
/* What we hold for this KMF; false: nothing (any more). `other`: the second
 * best, where the first was refused. */
bool front_login_subject(const struct agent *a, const char *kmf, bool other,
    struct front_subject *s);
/* Renew at the IdP if nothing we hold is good any more; done(arg) always runs,
 * perhaps at once. */
void front_login_refresh(
    struct agent *a, const char *kmf, void (*done)(void *arg), void *arg);
/* arg waits for no refresh any more. */
void front_login_forget(struct agent *a, const void *arg);
json_t *front_logins_json(const struct agent *a);
