/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Ways to say who somebody is. Each takes a credential that a request shows
 * (q->cred), at the token endpoint or directly at a member endpoint, and ends
 * with the one identity record, struct kmf_identity in q->who. A new method
 * is a file and a row of the table in method.c; the endpoints do not learn
 * of it (HACKING.md, "Adding a method").
 *
 * A method decides who. What the credential is bound to (who.jkt, who.x5t)
 * it only reports: that the binding holds is checked by the endpoints, on
 * every request and for all methods alike.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "perc/err.h"

struct front_req;

enum kmf_cred_kind {
	KMF_CRED_TOKEN,	    /* an access token, of a JWT's form or opaque */
	KMF_CRED_ID_TOKEN,  /* OpenID Connect Core 2 */
	KMF_CRED_CODE,	    /* invitation code */
	KMF_CRED_ASSERTION, /* RFC 7523: client_assertion */
	KMF_CRED_CERT,	    /* the certificate of the TLS connection */
};

struct kmf_cred {
	enum kmf_cred_kind kind;
	bool direct;	  /* shown at a member endpoint, not exchanged */
	const char *text; /* token, code, assertion; lives in the request */
	const char *hint; /* whose it is, as the client says; "" no word */
};

struct kmf_method {
	const char *name;
	/* May its credentials be shown at member endpoints? */
	bool direct;
	/* Is this one for me? By its form and by whose it claims to be. */
	bool (*takes)(const struct front_req *q);
	/* Find out who; ends with one kmf_method_end(), now or later. It may
	 * be run again after front_park(). */
	void (*run)(struct front_req *q);
	/* q->claims were verified before: fill q->who from them. NULL:
	 * nothing of this method is ever remembered. */
	void (*known)(struct front_req *q);
};

/* err 0: q->who is filled. PERC_ERR_CLOSED: nobody can tell at present, try
 * again. Else: no; why is for the log, q->say for people. q may be gone when
 * this returns. */
typedef void (*kmf_method_fn)(struct front_req *q, int err, const char *why);

/* Find the method for q->cred and run it; done ends it. */
void kmf_method_start(struct front_req *q, kmf_method_fn done);
void kmf_method_end(struct front_req *q, int err, const char *why);
/* Remember that q->cred.text was good and means q->claims, until exp_s. */
void kmf_method_remember(struct front_req *q, int64_t exp_s);

extern const struct kmf_method kmf_method_own;
extern const struct kmf_method kmf_method_oidc;
extern const struct kmf_method kmf_method_introspect;
extern const struct kmf_method kmf_method_code;
extern const struct kmf_method kmf_method_client;
extern const struct kmf_method kmf_method_cert;
