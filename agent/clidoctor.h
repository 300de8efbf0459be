/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One examination, shared by clidoctor.c (its frame), clidoctorkmf.c (the
 * KMF), clidoctoridp.c (the identity providers), clidoctorlogin.c (a trial
 * login), clidoctortoken.c (what it brings) and, where an agent runs,
 * clidoctorrelay.c (the way of media) and clidoctorvault.c (its keys).
 */
#pragma once

#include "agent/cli.h"

/* The KMF forgives 60 s in a token (kmf/claims.h); half of it is alarming. */
#define DOCTOR_SKEW_MS 30000

struct doctor {
	const struct cli *c;
	char *kmf, *ca; /* ca NULL: the system's */
	json_t *checks; /* what was found so far */
	unsigned bad;
	bool dated; /* is kmf_skew_ms known? */
	int64_t kmf_skew_ms;
};

struct doctor_page { /* one document */
	int err, status;
	char why[160];
	char *text;
	json_t *json;	 /* NULL: it is no JSON object */
	bool dated;	 /* it came with a Date */
	int64_t skew_ms; /* the server's clock minus ours */
	int64_t asked_ms;
};

/* One line of the result. A note is no mistake, but somebody should know. */
void doctor_good(struct doctor *d, const char *who, const char *check,
    const char *fmt, ...) PERC_PRINTF(4, 5);
void doctor_note(struct doctor *d, const char *who, const char *check,
    const char *advice, const char *fmt, ...) PERC_PRINTF(5, 6);
void doctor_wrong(struct doctor *d, const char *who, const char *check,
    const char *advice, const char *fmt, ...) PERC_PRINTF(5, 6);

/* GET url; true: an answer with status 200. doctor_page_clear in any case. */
bool doctor_get(const struct doctor *d, struct doctor_page *p, const char *url);
void doctor_page_clear(struct doctor_page *p);
/* Why doctor_get was false, as a finding. */
void doctor_page_wrong(struct doctor *d, const char *who, const char *check,
    const char *url, const struct doctor_page *p);
/* How many keys of the set we could use; algs NULL-terminated. */
unsigned doctor_keys(const json_t *set, const char *const algs[]);

#define WELL "/.well-known/"

/* clidoctorkmf.c: server is the metadata of RFC 8414, fetched */
void doctor_kmf(struct doctor *d, const struct doctor_page *server);
/* clidoctoridp.c */
void doctor_providers(struct doctor *d, const json_t *list);
/* clidoctorlogin.c */
void doctor_login(struct doctor *d);
/* clidoctorrelay.c */
void doctor_relays(struct doctor *d);
/* What the agent answers; NULL: none runs, or it does not say. json_decref. */
json_t *doctor_ask(const struct doctor *d, const char *cmd);
/* clidoctorvault.c */
void doctor_vault(struct doctor *d);
/* clidoctortoken.c: what frontexamine.c saw; NULL: nothing */
void doctor_tokens(struct doctor *d, const json_t *seen);
/* Why a KMF would refuse them, and what to do; NULL: nothing there tells. */
const char *doctor_tokens_advice(const json_t *seen);
