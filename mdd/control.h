/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control process: who may join (mdd/token.h), which worker has which
 * conference, and what the workers count. It sees tokens and pseudonyms and
 * never a media packet or a key of one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mdd/conf.h"
#include "mdd/msg.h"
#include "mdd/role.h"
#include "mdd/sdp.h"
#include "mdd/table.h"
#include "mdd/taste.h"
#include "mdd/token.h"
#include "perc/chan.h"
#include "perc/httpd.h"
#include "perc/loop.h"

#define CTL_ANSWER_MS 3000 /* a worker must answer a join within */

struct ctl;

struct ctl_worker {
	struct ctl *ctl;
	struct perc_chan *chan; /* NULL: not there */
	bool ready;
	unsigned index, port, legs;
	char fingerprint[PERC_FINGERPRINT_TEXT];
	uint64_t v[MDD_COUNTS];
	unsigned busy;	    /* thousandths of a processor, of late ... */
	unsigned told_legs; /* ... and its legs by then, */
	int64_t told_ms;    /* when it told; 0: not yet */
};

struct ctl_party; /* mdd/cascade.h */
struct ctl_cascade;

struct ctl_room {	       /* a conference's part that a worker has */
	struct ctl_room *next; /* of the same conference */
	struct ctl_party *party;
	char key[MDD_CONF_KEY_MAX + 1];
	struct ctl_worker *worker;
	unsigned legs, links;
};

/* Of a leg that came by SDP (mdd/whip.c). */
struct ctl_whip {
	struct mdd_sdp *offer; /* until it is answered; then NULL */
	struct mdd_plan plan;
	struct mdd_sdp_named own[MDD_TOKEN_SSRCS]; /* that its SDP names */
	unsigned nown;
	char etag[32]; /* of this ICE session (RFC 9725 section 4.3) */
};

struct ctl_leg {
	struct mdd_node by_id;
	struct ctl_leg *next, **linkp; /* all of them */
	char id[MDD_LEG_ID_MAX];
	char member[MDD_TOKEN_ID_MAX + 1];
	uint8_t pin[PERC_FINGERPRINT_LEN];
	uint32_t ssrcs[MDD_TOKEN_SSRCS];
	unsigned nssrcs;
	struct ctl_room *room;
	struct perc_httpd_req *req; /* waits for the worker; or NULL */
	struct ctl_whip *whip;	    /* NULL: it joined by JSON */
	bool ended; /* the worker has been told, and has not said LEFT yet */
	int64_t asked_ms, exp_s;
	struct mdd_legstat stat; /* as its worker told last, if it does */
};

struct ctl {
	struct perc_loop *loop;
	struct mdd_conf *conf;
	const char *conf_file;
	struct perc_httpd *httpd;
	struct perc_chan_rule const *rules;
	struct mdd_issuer issuer[MDD_KMF_MAX];
	struct ctl_worker worker[MDD_WORKERS_MAX];
	unsigned workers;
	struct mdd_table legs, rooms; /* rooms: of parties, mdd/place.c */
	struct ctl_cascade *cascade;
	struct ctl_leg *first;
	unsigned nlegs;
	struct perc_timer tick;
	struct perc_io *link_io;
	struct ctl_admin *admin;
	bool told, stopping, draining, farewell;
	int64_t drain_until_ms;
	struct perc_rate *rate;
	uint64_t joins, refused, unauthorized, full, limited; /* of the API */
};

/* One octet to the supervisor (mdd/role.h). */
void ctl_tell(struct ctl *c, char what);
void ctl_stop(struct ctl *c); /* answer what is asked, and end */

/* ---- reload.c --------------------------------------------------------- */

/* Read the keys of conf's KMFs; one that cannot be read keeps those it has,
 * and without any nothing changes. *freshp: how many were read. */
PERC_MUST int
ctl_issuers_load(struct ctl *c, const struct mdd_conf *conf, unsigned *freshp);
void ctl_issuers_free(struct ctl *c);
void ctl_reload(struct ctl *c);

/* ---- drain.c ---------------------------------------------------------- */

void ctl_drain(struct ctl *c);
void ctl_drain_tick(struct ctl *c, int64_t now_ms);

/* ---- control_legs.c: the records, and the way to the workers ---------- */

struct ctl_ice { /* of the endpoint; wiped by whoever has it */
	uint8_t from[MDD_IP_LEN];
	char ufrag[MDD_ICE_MAX + 1], pwd[MDD_ICE_MAX + 1];
	bool twcc;
};

/* Ask the worker of the token's conference for a leg; req is answered later
 * by join_answer. whip is taken over, unless there is an error, and puts the
 * leg among its like. PERC_ERR_LIMIT, _AGAIN (no worker is ready), _NOMEM,
 * _CONFLICT (an SSRC is another member's, on another worker). */
PERC_MUST int ctl_join(struct ctl *c, const struct mdd_token *t,
    const struct ctl_ice *ice, struct ctl_whip *whip,
    struct perc_httpd_req *req);
struct ctl_leg *ctl_leg_find(struct ctl *c, const char *id);
/* Is it this token's leg? */
bool ctl_leg_is(
    const struct ctl *c, const struct ctl_leg *leg, const struct mdd_token *t);
void ctl_leg_leave(struct ctl *c, struct ctl_leg *leg);
/* The same for a reason of ours, of which the endpoint is told. */
void ctl_leg_end(struct ctl *c, struct ctl_leg *leg, enum mdd_count why);
void ctl_limits_send(struct ctl *c); /* to all workers */
void
ctl_leg_renew(struct ctl *c, struct ctl_leg *leg, const struct mdd_token *t);
/* From now on it gets what t says. */
void ctl_leg_subscribe(
    struct ctl *c, struct ctl_leg *leg, const struct mdd_taste *t);
/* A worker came (fd is taken over) or what it had is lost. */
void ctl_worker_open(struct ctl *c, const struct mdd_worker_note *n, int fd);
void ctl_worker_lost(struct ctl_worker *w);
/* Joins that no worker answered in time. */
void ctl_legs_tick(struct ctl *c, int64_t now_ms);
void ctl_legs_clear(struct ctl *c);
bool ctl_ready(const struct ctl *c); /* every worker is */

/* ---- join.c: the HTTP API --------------------------------------------- */

void join_request(struct perc_httpd_req *r, void *ctl);
/* A worker's word on a join: a is NULL when it gave none in time. */
void
join_answer(struct ctl *c, struct ctl_leg *leg, const struct mdd_joined *a);
/* {"type", "title", "status", "code", "request_id"} of RFC 9457. */
void join_problem(struct perc_httpd_req *r, unsigned status, const char *code,
    const char *title);

void join_problem_with(struct perc_httpd_req *r, unsigned status,
    const char *code, const char *title, const struct perc_httpd_header *extra);
/* rate.c: its address asks too often, and has been told so. */
bool join_over(struct ctl *c, struct perc_httpd_req *r);

/* The token of a request, checked; false: it was answered. */
bool join_token(struct ctl *c, struct perc_httpd_req *r, struct mdd_token *t);
/* The leg that the path names, when the token is its own. NULL: answered. */
struct ctl_leg *join_own_leg(struct ctl *c, struct perc_httpd_req *r,
    const char *id, struct mdd_token *t);
/* No leg to be had, by the error of ctl_join. */
void join_full(struct ctl *c, struct perc_httpd_req *r, int err);

/* ---- whip.c: the same for who speaks SDP ------------------------------ */

void whip_post(struct ctl *c, struct perc_httpd_req *r, const char *rest);
void whip_delete(struct ctl *c, struct perc_httpd_req *r, const char *id);
void whip_patch(struct ctl *c, struct perc_httpd_req *r, const char *id);
void whip_options(struct ctl *c, struct perc_httpd_req *r, const char *rest);
void
whip_answer(struct ctl *c, struct ctl_leg *leg, const struct mdd_joined *a);
void whip_free(struct ctl_whip *w);
/* What a page of another origin may read (CORS): how many of at most 2 headers
 * it put into h; none for paths that pages have no business with. */
size_t whip_cors(struct perc_httpd_header h[2], const struct perc_httpd_req *r);

/* ---- metrics.c -------------------------------------------------------- */

/* All of it; the caller frees. NULL: no memory. */
char *metrics_text(const struct ctl *c, size_t *len);
void metrics_reply(struct ctl *c, struct perc_httpd_req *r);
