/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-load: many seats in one process against a real perch-kmf. A seat is
 * an endpoint without media: its own keys, connections, lease and stream, and
 * every key that it is given is opened and compared with the signed hash.
 * Some may have media too, by a real perch-mdd (media.h); these are in a
 * process of their own (aside.c).
 * What a signature costs the client is paid once per text, not once per seat:
 * the seats of one process get the same octets.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "agent/frontsse.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/loop.h"

#define LOAD_EPOCHS_MAX 2048 /* of one run */
#define LOAD_SEATS_MAX	1000 /* invitations of one conference */
#define LOAD_NONCE_MAX	128
#define LOAD_PIDS_MAX	32
#define LOAD_GOOD	8 /* signed texts kept, that seats share */

struct load;
struct load_call;
struct load_media;

/* --- call.c: one request with its proof, and the nonce dance ------------- */
struct load_peer { /* who asks */
	struct load *l;
	struct perc_httpc *http;
	struct perc_jwk *key;
	char nonce[2][LOAD_NONCE_MAX]; /* token endpoint, resources */
	struct load_call *calls;
	bool lags; /* by way of the relay */
};
struct load_ask {
	const char *method, *url, *token, *type, *body, *extra, *seal_jkt;
	perc_httpc_data_fn on_data;
};
PERC_MUST int load_peer_open(struct load_peer *p, struct load *l);
void load_peer_clear(struct load_peer *p); /* no callback follows */
/* done may not free the peer. */
void load_ask(struct load_peer *p, const struct load_ask *a, perc_httpc_fn done,
    void *arg);

/* --- seat.c -------------------------------------------------------------- */
enum seat_state { SEAT_OUT, SEAT_JOINING, SEAT_LIVE, SEAT_LEAVING };

struct load_seat {
	struct load *l;
	struct load_peer peer;
	struct perc_jwk *seal;
	char seal_jkt[PERC_JKT_LEN + 1], *seal_jwk;
	char code[128], *token, member[64];
	enum seat_state state;
	bool evicted, stream_open;
	bool roster_busy, keys_busy, lease_busy, token_busy; /* asked for */
	uint8_t delivery[32];
	int64_t epoch, roster_seq;
	int64_t epoch_told; /* the newest by the stream */
	json_t *early;	    /* an epoch that overtook its delivery key */
	/* in a row in vain, each by itself, as an agent counts them */
	struct {
		unsigned token, keys, stream;
	} tries;
	int64_t due_us;	   /* when it was to begin */
	int64_t live_us;   /* when it had its first key */
	int64_t stream_us; /* when its stream opened */
	int64_t gone_us;   /* when it asked to leave, or was put out */
	int64_t keys_us;   /* when it asked for the keys last */
	int64_t token_us;  /* when it had its token1 */
	int64_t *held_us;  /* by epoch: since when it has that or a newer one */
	bool hears;	   /* key, roster and leg are there; with media alone */
	struct front_sse sse;
	struct perc_timer begin, lease, roster, keys, again, end;
	struct load_media *media; /* NULL: none */
};
PERC_MUST int load_seat_init(
    struct load_seat *s, struct load *l, unsigned index);
void load_seat_clear(struct load_seat *s);
void load_seat_came_in(struct load_seat *s); /* it has its first key */
void load_seat_keys_ask(struct load_seat *s);
/* It holds roster `have`, and misses what came after. */
void load_seat_roster_want(struct load_seat *s, int64_t have);
void load_seat_join(struct load_seat *s, int64_t in_ms);
void load_seat_leave(struct load_seat *s, int64_t in_ms);
void load_seat_later(
    struct load_seat *s, struct perc_timer *t, int64_t ms, perc_loop_fn fn);
int64_t load_seat_backoff(unsigned *tries);
void load_seat_lease(void *seat);  /* renew it */
void load_seat_roster(void *seat); /* ask for what came after the one held */
void load_seat_end(void *seat);	   /* out, whatever was under way */

/* --- stream.c -------------------------------------------------------------- */
void load_stream_ask(void *seat);
/* The keys were answered: look again at what overtook that. */
void load_stream_early(struct load_seat *s);

/* --- key.c: what a seat is given, opened and compared -------------------- */
PERC_MUST int load_key_first(struct load_seat *s, const char *jwe, size_t len);
PERC_MUST int load_key_next(struct load_seat *s, const json_t *event);
PERC_MUST int load_roster_take(struct load_seat *s, const char *text);
PERC_MUST int load_delta_take(struct load_seat *s, const char *text);
/* Forget the texts that seats share. */
void load_good_clear(struct load *l);
PERC_MUST int load_roster_answer(
    struct load_seat *s, const char *body, size_t len);

/* --- proc.c: programs and their files in l->dir --------------------- */
/* argv[0] is run; its words go to NAME.log. -1: it did not start. */
pid_t load_run(struct load *l, const char *name, const char *const argv[]);
bool load_answers(const char *base); /* does anybody listen there? */
/* Wait until pid does. */
PERC_MUST int load_listens(const char *base, pid_t pid);
PERC_MUST int load_dir_make(struct load *l);
void load_dir_remove(struct load *l);

/* --- kmfproc.c: the KMF as processes ------------------------------------- */
struct load_usage {
	double keeper_us, front_us, all_us; /* processor time */
	/* Octets, files' pages apart; rss: all processes. */
	double keeper_rss, front_rss, rss;
	double files; /* libraries and the like, of all */
	int64_t at_us;
};
PERC_MUST int load_kmf_init(struct load *l); /* perch-kmf init, its files */
PERC_MUST int load_kmf_start(struct load *l); /* does not wait */
PERC_MUST int load_kmf_serve(struct load *l); /* until it listens */
void load_kmf_kill(struct load *l); /* SIGKILL, all of it */
void load_kmf_remove(struct load *l); /* the directory too */
void load_kmf_usage(struct load *l, struct load_usage *u);
double load_cpu_us(pid_t pid); /* processor time of one process so far */

/* --- floor.c ------------------------------------------------------------- */
struct load_floor {
	double seal_us, record_us; /* processor time of one */
};
PERC_MUST int load_floor_measure(struct load_floor *f, unsigned n,
    const char *cert, const char *key, size_t octets);

/* --- admin.c: the scheduler's side; each runs the loop until answered ---- */
PERC_MUST int load_admin_login(struct load *l);
PERC_MUST int load_admin_conference(struct load *l);
PERC_MUST int load_admin_invite(struct load *l);
PERC_MUST int load_admin_rekey(struct load *l);
void load_admin_rekey_begin(struct load *l); /* does not wait */
PERC_MUST int load_admin_evict(struct load *l, struct load_seat *s);
/* Everything after l->audit_seq, which moves on; the caller's. */
PERC_MUST int load_admin_audit(struct load *l, json_t **itemsp);

/* --- samples.c ----------------------------------------------------------- */
struct load_samples {
	double *v;
	size_t n, cap;
};
void load_sample(struct load_samples *s, double v);
double load_quantile(struct load_samples *s, double q);

/* --- report.c ------------------------------------------------------------ */
void load_note(struct load *l, const char *name, double v, const char *unit);
void
load_note_samples(struct load *l, const char *name, struct load_samples *s);
void load_report(struct load *l);

/* --- relay.c: bad lines --------------------------------------------------- */
PERC_MUST int load_relay_open(struct load *l);
/* Of the relay in front of this port of loopback. */
unsigned load_relay_port(struct load *l, unsigned port);

/* --- relayudp.c: the same for one leg ------------------------------------- */
struct load_road;
/* Towards *port of loopback; *port becomes the relay's. */
PERC_MUST int load_road_open(
    struct load_road **rp, struct load *l, uint16_t *port);
void load_road_close(struct load_road *r); /* NULL is fine */

/* --- away.c: where seats with bad lines are ------------------------------- */
PERC_MUST int load_away_open(void);
void load_away_close(void);
bool load_away_is(void);	       /* in a namespace of their own? */
const char *load_away_address(void);   /* of the relay, as they see it */
void load_away_go(void);	       /* sockets are made there, until */
void load_away_return(void);
/* perc_httpc_conf's open_socket; arg: the load. */
int load_away_socket(struct sockaddr *to, int type, void *arg);

/* --- aside.c: those with media, in a process of their own ----------------- */
PERC_MUST int load_board_make(struct load *l);
/* Fork: before there is a loop, a key, or a thread of any library's. */
PERC_MUST int load_aside_open(struct load *l);
PERC_MUST int load_aside_begin(struct load *l); /* there is a conference */
void load_aside_close(struct load *l);
/* A number that is found aside is told to whoever writes the report. */
bool load_aside_note(const char *name, double v, const char *unit);
/* To seats of this process or of the other; load_order_gone() waits. */
void load_order_join(struct load *l, struct load_seat *s, int64_t in_ms);
void load_order_leave(struct load *l, struct load_seat *s, int64_t in_ms);
void load_order_gone(struct load *l, struct load_seat *s); /* is put out */
/* Media of this scenario: load_count_report() where they are; waits. */
void load_order_report(struct load *l, const char *what);
struct load_count load_counted(const struct load *l); /* by both */

/* --- part.c: what each of the two processes has -------------------------- */
PERC_MUST int load_part_open(struct load *l); /* loop, relay, its seats */
void load_part_close(struct load *l);

/* --- cost.c -------------------------------------------------------------- */
PERC_MUST int load_floor(struct load *l);
PERC_MUST int load_do_rekey(struct load *l);

/* --- kill.c ----------------------------------------------------------------- */
PERC_MUST int load_do_kill(struct load *l);

/* --- outs.c ---------------------------------------------------------------- */
unsigned load_epochs_of(const json_t *rows); /* of the audit trail */
/* Of all that happened since it was last read: those of this kind. */
PERC_MUST int
load_outs_report(struct load *l, const char *what, const char *kind);

/* --- scenario.c ---------------------------------------------------------- */
PERC_MUST int load_scenario(struct load *l, const char *name);
/* Until nobody joins or leaves and all have the newest key. */
void load_settle(struct load *l, const char *what);

struct load_count {
	unsigned opened, bad_keys, bad_rosters, rosters, deltas, lost_streams, refused;
	unsigned errors, leases, first_keys;
	unsigned early;	    /* epochs that overtook their delivery key */
	unsigned overtaken; /* keys and epochs older than what a vault had */
	unsigned undecryptable, new_undecryptable; /* at stayers, newcomers */
	unsigned deaf, mixed_up, leg_troubles; /* media */
};

struct load_board { /* what both processes see */
	_Atomic int64_t epoch; /* newest that any seat has seen */
	bool react; /* seats answer news with requests, as agents do */
	bool quiet; /* no leases for a moment */
	char conf[64], resource[512], jwks[8192];
	struct load_count count[2]; /* ours, and of those aside */
};

struct load {
	struct perc_loop *loop;
	struct load_board *board;
	char base[256], dir[256], ca[512], client[512], kmf[512];
	char mdd[512], mdd_base[256]; /* the program; its URL */
	char trust[512];	      /* whom seats trust; "": ca */
	char conf[64], resource[512];
	struct perc_jwks *jwks;
	bool own, json, verbose, costs;
	bool no_rosters;
	bool whole_rosters; /* as plain clients: no differences */
	bool quick; /* fewer rounds: a test of function */
	unsigned n, spread_s;
	unsigned lag_ms; /* round trip of one seat in twenty; 0: none */
	/* How those on bad lines open theirs: perc_httpc_conf. */
	int (*bad_socket)(struct sockaddr *to, int type, void *load);
	unsigned nmedia; /* the first so many seats have media */
	bool together;	 /* and are in the process of all others */
	unsigned first, end; /* of the seats that are this process' own */
	struct load_seat *seats;
	struct load_peer admin;
	char admin_id[64], *admin_token;
	int64_t audit_seq;
	struct load_good {	  /* whose signature was right, lately */
		char *text;
		json_t *claims;
	} good[LOAD_GOOD];
	unsigned ngood;
	json_t *event; /* the newest that was not one seat's own */
	char *event_data;
	size_t event_len;
	pid_t pid, mdd_pid;
	struct load_floor floor;
	struct load_count *count; /* of this process */
	json_t *notes;
};

int64_t load_us(void); /* monotonic */
/* Turn the loop until fn says so; false: it did not in time. */
bool load_until(struct load *l, bool (*fn)(struct load *), int64_t ms);
void load_pause(struct load *l, int64_t ms);
unsigned load_live(const struct load *l);
/* Do all live seats have the newest epoch that any has, and a stream? */
bool load_settled(struct load *l);
