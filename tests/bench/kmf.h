/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/kmf: what the KMF's authorization costs, over real sockets
 * against a real perch-kmf, beside the signatures that it cannot do without.
 * The KMF and its administrator are tests/load's (load.h). Files:
 *
 *	kmf.c       arguments, scenarios, the report
 *	kmfcast.c   people with tokens of a provider whose keys the KMF has
 *	kmffloor.c  bare signatures, with OpenSSL and with cjose
 *	kmftls.c    the same requests at a server that does nothing but TLS
 *	kmfmhd.c    and at libmicrohttpd, which does nothing beyond HTTP
 *	kmfwire.c   many connections, requests that were written beforehand
 */
#pragma once

#include "tests/load/load.h"

#define BENCH_PEOPLE_MAX 1000
#define BENCH_ROUNDS_MAX 99

/* --- kmfwire.c ------------------------------------------------------------ */
struct bench_text { /* one whole request */
	char *p;
	size_t len;
};
struct bench_wire;
struct bench_round {
	double wall_s;
	double *lat_us; /* of each request; the caller's, sorted */
	size_t octets;	/* of the last answer, head and body */
	size_t n, bad;	/* bad: no answer, or not the status wanted */
	int bad_status;
	char bad_body[200]; /* of the first bad one */
};
/* n keep-alive TLS connections to localhost:port. */
PERC_MUST int bench_wire_open(
    struct bench_wire **wp, unsigned n, unsigned port, const char *ca);
void bench_wire_close(struct bench_wire *w); /* NULL is fine */
/* Each connection sends its per requests (texts[i * per + k]), the next one
 * when the answer is there, all of them at once. */
PERC_MUST int bench_wire_run(struct bench_round *r, struct bench_wire *w,
    const struct bench_text *texts, size_t per, int want);

/* --- kmffloor.c ----------------------------------------------------------- */
struct bench_floor {
	double evp_sign_us, evp_verify_us;     /* P-256, nothing else */
	double cjose_sign_us, cjose_verify_us; /* a whole JWS: base64, JSON */
};
PERC_MUST int bench_floor_measure(struct bench_floor *f);

/* --- kmftls.c ------------------------------------------------------------- */
struct bench_tls;
/* A server's process: n connections, answers of *octets each, until the last
 * connection ends. ls is its own. */
typedef int (*bench_serve_fn)(int ls, unsigned n, const size_t *octets,
    const char *cert, const char *key);
PERC_MUST int bench_tls_serve(int ls, unsigned n, const size_t *octets,
    const char *cert, const char *key);
/* Such a server, with the KMF's certificate, and n connections to it. */
PERC_MUST int bench_tls_open(struct bench_tls **tp, bench_serve_fn serve,
    unsigned n, const char *cert, const char *key);
void bench_tls_close(struct bench_tls *t);
/* Its processor time for each of these requests (as bench_wire_run()), each
 * answered with so many octets. */
PERC_MUST int bench_tls_run(double *us, struct bench_tls *t,
    const struct bench_text *texts, size_t per, size_t octets);

/* --- kmfmhd.c ------------------------------------------------------------- */
PERC_MUST int bench_mhd_serve(int ls, unsigned n, const size_t *octets,
    const char *cert, const char *key);

/* --- kmfcast.c ------------------------------------------------------------ */
struct bench_person {
	struct load_peer peer;
	char sub[32];
	char jkt[PERC_JKT_LEN + 1];
	char *idp_token; /* at+jwt, bound to the key */
	char *token1;
};
struct bench_cast {
	struct load l;
	struct perc_jwk *idp;
	char idp_url[64], kid[PERC_JKT_LEN + 1];
	char *jwks;
	struct bench_person *who; /* n of them */
	unsigned n, fronts;
};
/* A KMF with fronts processes that knows the provider's keys, a conference
 * to which its group is invited, and n people in it with live leases. */
PERC_MUST int bench_cast_start(struct bench_cast *c);
void bench_cast_end(struct bench_cast *c);
/* A new token of the provider's for p; free() it. */
PERC_MUST int
bench_cast_token(char **out, struct bench_cast *c, struct bench_person *p);
/* Leases run while nobody asks; renew them. */
PERC_MUST int bench_cast_renew(struct bench_cast *c);
