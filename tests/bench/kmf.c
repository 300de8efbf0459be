/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments, the scenarios one after the other, medians. A request's cost is
 * the processor time of all the KMF's processes while it did so many of them:
 * the client's share does not count, nor that of whoever else uses the
 * machine, and its reciprocal is what one core does in a second.
 */
#include "tests/bench/kmf.h"

#include <getopt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/log.h"

static const char usage[] =
    "tests/bench/kmf [-n REQUESTS] [-r ROUNDS] [-c CONNECTIONS] [-f FRONTS]\n"
    "                [-k PERCH-KMF] [SCENARIO...]\n"
    "\n"
    "What perch-kmf's authorization costs, over TLS on loopback, beside the\n"
    "signatures that it needs; medians of ROUNDS (5) of REQUESTS (2000) on\n"
    "CONNECTIONS (8; 1000 at most), each another person's, who waits for an\n"
    "answer before asking again. It starts a KMF of its own (-k, default\n"
    "./perch-kmf) with FRONTS (1) in a temporary directory and removes it.\n"
    "Scenarios, default all:\n"
    "\n"
    "  health    GET /healthz: TLS and HTTP alone\n"
    "  roster    GET .../roster with token1: a proof to verify\n"
    "  lease     PUT .../lease with token1: a proof, and a transaction\n"
    "  keys      POST .../keys with token1, the key in the answer's header: a\n"
    "            proof, and a transaction\n"
    "  sealed    the same with seal_to: a statement to sign, a JWE to seal "
    "too\n"
    "  direct    GET .../roster with the provider's own bound at+jwt\n"
    "  renewal   POST /oauth/token, an at+jwt that was seen before to token1:\n"
    "            a proof to verify, a token to sign, a transaction\n"
    "  exchange  the same with a new at+jwt each time: two to verify\n"
    "\n"
    "The columns: answers per second of the clock; processor time of front,\n"
    "keeper and all processes per request; that of a server which does "
    "nothing\n"
    "but TLS, asked the same, with an answer as long; that of libmicrohttpd\n"
    "with GnuTLS below, the KMF's own, which does nothing else (no floor: to\n"
    "compare with); what a core does in a second; all processes' time divided\n"
    "by the bare signatures (OpenSSL; whole JWS by cjose), and by the floor,\n"
    "which is bare signatures and the request to the server that does nothing\n"
    "but TLS; waits at the client, median and p99.\n";

struct bench {
	struct bench_cast cast;
	struct bench_floor floor;
	unsigned requests, rounds, conns;
	struct bench_wire *wire;
	struct bench_tls *tls, *mhd;
};

struct scenario {
	const char *name;
	unsigned verify, sign;
	/* request of person p; new */
	char *(*make)(struct bench *b, struct bench_person *p);
};

/* ---- requests
 * ----------------------------------------------------------------- */

struct ask { /* what a proof may say beside what it must */
	const char *nonce, *seal_jkt;
};

static char *
request(struct bench *b, struct bench_person *p, const char *method,
    const char *path, const char *token, const char *type, const char *body,
    const struct ask *more)
{
	char *url = text_new("%s%s", b->cast.l.base, path), *proof = NULL;
	struct text t = { 0 };

	text_addf(&t, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path,
	    b->cast.l.base + 8);
	if (p != NULL && url != NULL &&
	    perc_dpop_make(&proof, p->peer.key, method, url, token,
		more != NULL ? more->nonce : NULL,
		more != NULL ? more->seal_jkt : NULL,
		perc_wall_ms() / 1000) == 0)
		text_addf(&t, "DPoP: %s\r\n", proof);
	if (token != NULL)
		text_addf(&t, "Authorization: DPoP %s\r\n", token);
	if (body != NULL)
		text_addf(&t, "Content-Type: %s\r\nContent-Length: %zu\r\n",
		    type, strlen(body));
	text_add(&t, "\r\n");
	if (body != NULL)
		text_add(&t, body);
	free(url);
	free(proof);
	if (t.failed)
		exit(1);
	return t.p;
}

static char *
health_make(struct bench *b, struct bench_person *p)
{
	return request(b, NULL, "GET", "/healthz", NULL, NULL, NULL, NULL);
}

static char *
below(struct bench *b, struct bench_person *p, const char *method,
    const char *what, const char *token, const char *body,
    const struct ask *more)
{
	char path[256];

	text_put(
	    path, sizeof(path), "/v1/conferences/%s/%s", b->cast.l.conf, what);
	return request(
	    b, p, method, path, token, "application/json", body, more);
}

static char *
roster_make(struct bench *b, struct bench_person *p)
{
	const struct ask more = { .nonce = p->peer.nonce[1] };

	return below(b, p, "GET", "roster", p->token1, NULL, &more);
}

static char *
lease_make(struct bench *b, struct bench_person *p)
{
	const struct ask more = { .nonce = p->peer.nonce[1] };

	return below(b, p, "PUT", "lease", p->token1, "{\"epoch\":1}", &more);
}

static char *
keys_make(struct bench *b, struct bench_person *p)
{
	const struct ask more = { .nonce = p->peer.nonce[1] };

	return below(b, p, "POST", "keys", p->token1, "", &more);
}

static char *
sealed_make(struct bench *b, struct bench_person *p)
{
	const struct ask more = { p->peer.nonce[1], p->jkt };
	char *jwk = NULL, *body, *out;

	if (perc_jwk_public_json(&jwk, p->peer.key) != 0)
		exit(1);
	body = text_new("{\"seal_to\":%s}", jwk);
	out = below(b, p, "POST", "keys", p->token1, body, &more);
	text_free(body);
	perc_json_free(jwk);
	return out;
}

static char *
direct_make(struct bench *b, struct bench_person *p)
{
	return below(b, p, "GET", "roster", p->idp_token, NULL, NULL);
}

static char *
exchange_of(struct bench *b, struct bench_person *p, const char *token)
{
	struct text form = { 0 };
	char *out;

	text_add_form(&form, "grant_type",
	    "urn:ietf:params:oauth:grant-type:token-exchange");
	text_add_form(&form, "subject_token", token);
	text_add_form(&form, "subject_token_type",
	    "urn:ietf:params:oauth:token-type:access_token");
	text_add_form(&form, "resource", b->cast.l.resource);
	out = request(b, p, "POST", "/oauth/token", NULL,
	    "application/x-www-form-urlencoded", form.p, NULL);
	text_clear(&form);
	return out;
}

static char *
renewal_make(struct bench *b, struct bench_person *p)
{
	return exchange_of(b, p, p->idp_token);
}

static char *
exchange_make(struct bench *b, struct bench_person *p)
{
	char *token = NULL, *out;

	if (bench_cast_token(&token, &b->cast, p) != 0)
		exit(1);
	out = exchange_of(b, p, token);
	free(token);
	return out;
}

static const struct scenario scenarios[] = {
	{ "health", 0, 0, health_make },
	{ "roster", 1, 0, roster_make },
	{ "lease", 1, 0, lease_make },
	{ "keys", 1, 0, keys_make },
	{ "sealed", 1, 1, sealed_make },
	{ "direct", 1, 0, direct_make },
	{ "renewal", 1, 1, renewal_make },
	{ "exchange", 2, 1, exchange_make },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* ---- measuring
 * ---------------------------------------------------------------- */

struct result {
	struct load_samples rate, front, keeper, all, tls, mhd, p50, p99;
};

static int
round_run(struct bench *b, const struct scenario *s, struct result *out)
{
	size_t per = b->requests / b->conns, n = per * b->conns;
	struct bench_text *texts = calloc(n, sizeof(*texts));
	struct load_usage before, after;
	struct bench_round r = { 0 };
	double tls_us = 0, mhd_us = 0;
	int e = PERC_ERR_NOMEM;

	if (texts == NULL)
		return e;
	/* A person speaks on one connection, as an agent does. */
	for (size_t i = 0; i < n; i++) {
		texts[i].p = s->make(b, &b->cast.who[i / per % b->cast.n]);
		texts[i].len = strlen(texts[i].p);
	}
	load_kmf_usage(&b->cast.l, &before);
	if ((e = bench_wire_run(&r, b->wire, texts, per, 200)) != 0)
		goto out;
	load_kmf_usage(&b->cast.l, &after);
	if (r.bad != 0) {
		fprintf(stderr, "bench: %s: %zu of %zu failed; %d %s\n",
		    s->name, r.bad, r.n, r.bad_status, r.bad_body);
		e = PERC_ERR_DENIED;
		goto out;
	}
	if ((e = bench_tls_run(&tls_us, b->tls, texts, per, r.octets)) != 0 ||
	    (e = bench_tls_run(&mhd_us, b->mhd, texts, per, r.octets)) != 0)
		goto out;
	load_sample(&out->tls, tls_us);
	load_sample(&out->mhd, mhd_us);
	load_sample(&out->rate, (double)r.n / r.wall_s);
	load_sample(
	    &out->front, (after.front_us - before.front_us) / (double)r.n);
	load_sample(
	    &out->keeper, (after.keeper_us - before.keeper_us) / (double)r.n);
	load_sample(&out->all, (after.all_us - before.all_us) / (double)r.n);
	load_sample(&out->p50, r.lat_us[r.n / 2] / 1e3);
	load_sample(&out->p99, r.lat_us[r.n * 99 / 100] / 1e3);
out:
	for (size_t i = 0; i < n; i++)
		text_free(texts[i].p);
	free(texts);
	free(r.lat_us);
	return e;
}

static void
result_print(struct bench *b, const struct scenario *s, struct result *r)
{
	const struct bench_floor *f = &b->floor;
	double all = load_quantile(&r->all, 0.5);
	double tls = load_quantile(&r->tls, 0.5);
	double evp = s->verify * f->evp_verify_us + s->sign * f->evp_sign_us;
	double jws =
	    s->verify * f->cjose_verify_us + s->sign * f->cjose_sign_us;

	printf("%-9s %8.0f %8.0f %8.0f %8.0f %8.1f %8.1f %9.0f ", s->name,
	    load_quantile(&r->rate, 0.5), load_quantile(&r->front, 0.5),
	    load_quantile(&r->keeper, 0.5), all, tls,
	    load_quantile(&r->mhd, 0.5), 1e6 / all);
	if (evp > 0)
		printf("%8.1f %8.1f", all / evp, all / jws);
	else
		printf("%8s %8s", "", "");
	printf(" %8.2f", all / (evp + tls));
	printf(" %8.2f %8.2f\n", load_quantile(&r->p50, 0.5),
	    load_quantile(&r->p99, 0.5));
	(void)fflush(stdout);
}

static int
scenario_run(struct bench *b, const struct scenario *s)
{
	struct result r = { 0 }, warm = { 0 };
	int e;

	/* A connection that asks nothing is soon shut, so it is opened when
	 * all else is ready: a thousand take a while. */
	if ((e = bench_cast_renew(&b->cast)) == 0 &&
	    (e = bench_wire_open(&b->wire, b->conns,
		 (unsigned)atoi(strrchr(b->cast.l.base, ':') + 1),
		 b->cast.l.ca)) == 0)
		e = round_run(b, s, &warm);
	for (unsigned k = 0; e == 0 && k < b->rounds; k++)
		e = round_run(b, s, &r);
	if (e == 0)
		result_print(b, s, &r);
	bench_wire_close(b->wire);
	b->wire = NULL;
	for (int k = 0; k < 2; k++) {
		struct result *x = k == 0 ? &r : &warm;

		free(x->rate.v);
		free(x->front.v);
		free(x->keeper.v);
		free(x->all.v);
		free(x->tls.v);
		free(x->mhd.v);
		free(x->p50.v);
		free(x->p99.v);
	}
	return e;
}

/* ---- the frame
 * ---------------------------------------------------------------- */

static void
machine_print(void)
{
	char line[256], model[200] = "unknown";
	struct utsname u;
	double load[1] = { 0 };
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "model name", 10) == 0 &&
		    strchr(line, ':') != NULL) {
			line[strcspn(line, "\n")] = '\0';
			text_put(
			    model, sizeof(model), "%s", strchr(line, ':') + 2);
			break;
		}
	if (f != NULL)
		fclose(f);
	(void)uname(&u);
	(void)getloadavg(load, 1);
	printf("%s, %ld cores, Linux %s, %s, load %.1f\n", model,
	    sysconf(_SC_NPROCESSORS_ONLN), u.release,
	    OpenSSL_version(OPENSSL_VERSION), load[0]);
}

static void
head_print(const struct bench *b)
{
	const struct bench_floor *f = &b->floor;

	machine_print();
	printf("%u rounds of %u requests, %u connections, %u fronts\n"
	       "P-256 by OpenSSL: sign %.1f us, verify %.1f us; "
	       "a JWS by cjose: %.1f us, %.1f us\n\n",
	    b->rounds, b->requests, b->conns, b->cast.fronts, f->evp_sign_us,
	    f->evp_verify_us, f->cjose_sign_us, f->cjose_verify_us);
	printf("%-9s %8s %8s %8s %8s %8s %8s %9s %8s %8s %8s %8s %8s\n", "",
	    "answers/s", "front us", "keeper", "all us", "tls us", "(mhd us)",
	    "per core", "x bare", "x cjose", "x floor", "p50 ms", "p99 ms");
}

static int
args_get(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' }, { 0 }
	};
	int c;

	while (
	    (c = getopt_long(argc, argv, "n:r:c:f:k:h", options, NULL)) != -1) {
		if (c == 'n')
			b->requests = (unsigned)atoi(optarg);
		else if (c == 'r')
			b->rounds = (unsigned)atoi(optarg);
		else if (c == 'c')
			b->conns = (unsigned)atoi(optarg);
		else if (c == 'f')
			b->cast.fronts = (unsigned)atoi(optarg);
		else if (c == 'k')
			text_put(
			    b->cast.l.kmf, sizeof(b->cast.l.kmf), "%s", optarg);
		else if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		} else
			return -1;
	}
	b->cast.n = b->conns;
	return b->conns >= 1 && b->conns <= BENCH_PEOPLE_MAX &&
		b->requests >= b->conns && b->requests <= 20000 &&
		b->rounds >= 1 && b->rounds <= BENCH_ROUNDS_MAX &&
		b->cast.fronts >= 1 && b->cast.fronts <= 16
	    ? 0
	    : -1;
}

/* Four descriptors per person here: his own, the KMF's, the floor's two. */
static void
fds_allow(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static bool
wanted(const char *name, char **names)
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	struct bench b = {
		.requests = 2000, .rounds = 5, .conns = 8, .cast.fronts = 1
	};
	unsigned failed = 0;
	char key[600];
	int r;

	text_put(b.cast.l.kmf, sizeof(b.cast.l.kmf), "./perch-kmf");
	perc_log_init("bench", "", 0, PERC_LOG_WARN);
	if (args_get(&b, argc, argv) != 0) {
		fputs(usage, stderr);
		return 2;
	}
	fds_allow();
	if ((r = bench_floor_measure(&b.floor)) == 0 &&
	    (r = bench_cast_start(&b.cast)) == 0) {
		text_put(key, sizeof(key), "%s/state/tls.key", b.cast.l.dir);
		r = bench_tls_open(
		    &b.tls, bench_tls_serve, b.conns, b.cast.l.ca, key);
	}
	if (r == 0)
		r = bench_tls_open(
		    &b.mhd, bench_mhd_serve, b.conns, b.cast.l.ca, key);
	if (r == 0)
		head_print(&b);
	for (size_t i = 0; r == 0 && i < SCENARIOS; i++)
		if (wanted(scenarios[i].name, argv + optind) &&
		    scenario_run(&b, &scenarios[i]) != 0)
			failed++;
	if (r != 0)
		fprintf(stderr, "bench: %s\n", perc_strerror(r));
	bench_tls_close(b.mhd);
	bench_tls_close(b.tls);
	bench_cast_end(&b.cast);
	return r == 0 && failed == 0 ? 0 : 1;
}
