/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One front: HTTPS on one side, the keeper on the other, one loop between.
 * It opens its files, drops privileges, shuts the cage and only then listens
 * to strangers. It holds the TLS key and the one answer it is writing; no
 * database, no root key, no key of any conference but in passing.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kmf/front.h"
#include "kmf/verify.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/sandbox.h"
#include "perc/secret.h"

#define FD_KEEPER  PERC_PROC_FD
#define FD_FETCHER (PERC_PROC_FD + 1)
#define FD_READY   (PERC_PROC_FD + 2)
#define FD_LISTEN  (PERC_PROC_FD + 3)
#define FD_METRICS (PERC_PROC_FD + 4)

#define DEADLINE_MS 15000
#define TICK_MS	    1000
#define FIELD_MAX   256
#define FRAME_MAX   PERC_CHAN_FRAME_MAX

/* --- requests ------------------------------------------------------------- */
static struct front_req *
req_new(struct front *f, struct perc_httpd_req *r)
{
	struct front_req *q = calloc(1, sizeof(*q));

	f->count[COUNT_REQUESTS]++;
	if (q == NULL) {
		perc_httpd_reply(r, 503, NULL, 0, NULL, 0, false);
		return NULL;
	}
	q->f = f;
	q->r = r;
	q->begun_us = kmf_now_us();
	perc_random_id(q->id, sizeof(q->id), "r_");
	return q;
}

/* A field that changes what a request does: once, and not without bound. */
static int
field(const char **out, const struct front_req *q, const char *name)
{
	unsigned count;
	const char *v = perc_httpd_header(q->r, name, &count);

	*out = v == NULL ? "" : v;
	return count > 1 || strlen(*out) > FIELD_MAX ? PERC_ERR_FORMAT : 0;
}

/* Idempotency-Key makes POST repeatable, If-Match keeps changes apart; where
 * they mean nothing they are not looked at. */
static int
fields_take(struct kmf_call *c, struct front_req *q)
{
	bool post = strcmp(q->route->method, "POST") == 0;
	bool get = strcmp(q->route->method, "GET") == 0;
	struct kmf_faults f = { .n = 0 };

	if (!get && field(&c->if_match, q, "If-Match") != 0)
		kmf_fault_add(
		    &f, KMF_IN_HEADER, "If-Match", "twice or too long");
	if (post && field(&c->idempotency_key, q, "Idempotency-Key") != 0)
		kmf_fault_add(
		    &f, KMF_IN_HEADER, "Idempotency-Key", "twice or too long");
	if (f.n == 0)
		return 0;
	front_faults(q, &f);
	return PERC_ERR_FORMAT;
}

static void
relay_call(struct front_req *q)
{
	const char *query = perc_httpd_query(q->r);
	struct kmf_call c = {
		.op = q->route->op, .conf = q->par.conf, .obj = q->par.obj
	};

	if (front_check(q) != 0)
		return;
	if (fields_take(&c, q) != 0)
		return;
	c.body = perc_httpd_body(q->r, &c.body_len);
	if ((q->route->flags & KMF_QUERY) != 0)
		c.arg = query == NULL ? "" : query;
	else if (q->route->op == KMF_OP_KEYS)
		c.arg = q->proof.seal_jkt;
	front_call(q, &c, front_relay);
}

/* RFC 9110, 12.5.1, as far as it matters here: who can take events asks for
 * nothing else. */
static bool
wants_stream(const struct front_req *q)
{
	const char *accept = perc_httpd_header(q->r, "Accept", NULL);

	return accept != NULL &&
	    strncasecmp(accept, "text/event-stream", 17) == 0;
}

static void
open_events(struct front_req *q)
{
	if (front_check(q) == 0)
		front_events(q);
}

static int
route_take(struct front_req *q)
{
	struct perc_httpd_header allow = { "Allow", NULL };
	char methods[64];
	size_t len;
	int r;

	r = kmf_route_find(&q->route, &q->par, perc_httpd_method(q->r),
	    perc_httpd_path(q->r), methods, sizeof(methods));
	allow.value = methods;
	if (r == PERC_ERR_UNSUPPORTED &&
	    strcmp(perc_httpd_method(q->r), "OPTIONS") == 0)
		front_reply(q, 204, &allow, 1, NULL, 0, false);
	else if (r == PERC_ERR_UNSUPPORTED)
		front_problem_with(q, 405, "method_not_allowed",
		    "not with this method", &allow, 1);
	else if (r != 0)
		front_problem(q, 404, "not_found", "there is no such thing");
	if (r != 0)
		return r;
	(void)perc_httpd_body(q->r, &len);
	if (len > q->route->max_body) {
		front_problem(q, 413, "too_large", "the body is too large");
		return PERC_ERR_LIMIT;
	}
	return 0;
}

/* Whoever watches us should see us when we are busy, too. */
static bool
is_watching(const struct front_req *q)
{
	return q->route->handler == KMF_H_HEALTH ||
	    q->route->handler == KMF_H_READY ||
	    q->route->handler == KMF_H_METRICS;
}

static void
dispatch(struct front_req *q)
{
	if (!is_watching(q) && front_rate_address(q) != 0)
		return;
	switch (q->route->handler) {
	case KMF_H_TOKEN:
		front_token(q);
		return;
	case KMF_H_CALL:
		front_auth(q, relay_call);
		return;
	case KMF_H_EVENTS:
		front_auth(q, open_events);
		return;
	case KMF_H_FEED:
		front_auth(q, wants_stream(q) ? open_events : relay_call);
		return;
	default:
		front_meta(q);
	}
}

static void
on_request(struct perc_httpd_req *r, void *arg)
{
	struct front *f = arg;
	struct front_req *q = req_new(f, r);

	if (q == NULL || route_take(q) != 0)
		return;
	if (q->route->handler == KMF_H_METRICS &&
	    f->conf->metrics_listen != NULL)
		front_problem(q, 404, "not_found", "there is no such thing");
	else
		dispatch(q);
}

static void
on_metrics_request(struct perc_httpd_req *r, void *arg)
{
	struct front_req *q = req_new(arg, r);

	if (q == NULL || route_take(q) != 0)
		return;
	if (q->route->handler == KMF_H_METRICS ||
	    q->route->handler == KMF_H_HEALTH ||
	    q->route->handler == KMF_H_READY)
		dispatch(q);
	else
		front_problem(q, 404, "not_found", "there is no such thing");
}

/* --- channels ------------------------------------------------------------- */
static int
serve(struct front *f)
{
	struct perc_httpd_conf c = { .listen_fd = FD_LISTEN,
		.cert_file = f->conf->tls_cert,
		.key_file = f->conf->tls_key,
		.max_body = KMF_BODY_MAX,
		.deadline_ms = DEADLINE_MS,
		.max_conns = (unsigned)f->conf->max_conns,
		.max_conns_per_ip = (unsigned)f->conf->max_conns_per_ip };
	char why[512] = "", *trust = NULL;
	int r;

	if ((r = front_cas_open(f, &trust, why, sizeof(why))) != 0)
		goto out;
	c.client_ca = trust;
	if ((r = perc_httpd_new(
		 &f->httpd, f->loop, &c, on_request, f, why, sizeof(why))) != 0)
		goto out;
	if (f->index == 0 && f->conf->metrics_listen != NULL) {
		c.listen_fd = FD_METRICS;
		c.max_conns = 16;
		c.client_ca = NULL;
		r = perc_httpd_new(&f->metrics, f->loop, &c, on_metrics_request,
		    f, why, sizeof(why));
	}
out:
	if (r != 0)
		log_warnx("front.start err=\"%s\"", why);
	free(trust);
	return r;
}

/* Both the public keys and the nonce keys; again at every rotation. */
static int
on_welcome(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front *f = arg;
	struct perc_jwks *set = NULL;
	struct kmf_welcome w;
	char *text = NULL;
	int r;

	if ((r = kmf_welcome_decode(&w, m->data, m->len)) != 0)
		return r;
	if ((r = perc_jwks_from_json(&set, w.jwks, strlen(w.jwks))) != 0)
		goto out;
	if ((text = strdup(w.jwks)) == NULL) {
		r = PERC_ERR_NOMEM;
		goto out;
	}
	if (f->jwks_text == NULL || strcmp(f->jwks_text, text) != 0)
		front_cache_void(f->cache, NULL);
	perc_jwks_free(f->jwks);
	free(f->jwks_text);
	f->jwks = set;
	f->jwks_text = text;
	set = NULL;
	memcpy(f->nonce_key, w.nonce_key, sizeof(f->nonce_key));
	memcpy(f->prev_nonce_key, w.prev_nonce_key, sizeof(f->nonce_key));
	perc_chan_state_set(c, FRONT_RUNNING);
	if (!f->welcomed) {
		f->welcomed = true;
		perc_loop_stop(f->loop);
	}
out:
	perc_wipe(&w, sizeof(w));
	perc_jwks_free(set);
	return r;
}

static int
on_keys(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front *f = arg;
	json_t *jwks = NULL;
	struct kmf_keys k;
	size_t i;
	int r;

	if ((r = kmf_keys_decode(&k, m->data, m->len)) != 0)
		return r;
	for (i = 0; i < f->conf->nissuers; i++)
		if (strcmp(f->conf->issuers[i].url, k.issuer) == 0)
			break;
	if (i == f->conf->nissuers)
		return PERC_ERR_DENIED;
	if (k.jwks[0] != '\0' &&
	    perc_json_parse(
		&jwks, k.jwks, strlen(k.jwks), FRAME_MAX, NULL, 0) == 0) {
		if (!json_equal(f->keys[i].jwks, jwks))
			front_cache_void(f->cache, &f->conf->issuers[i]);
		json_decref(f->keys[i].jwks);
		f->keys[i].jwks = jwks;
	}
	f->keys[i].fetched_s = k.fetched_s;
	f->keys[i].asked = false;
	snprintf(f->keys[i].why, sizeof(f->keys[i].why), "%s", k.why);
	front_park_keys(f, i);
	return 0;
}

static const struct perc_chan_rule keeper_rules[] = {
	{ KMF_MSG_WELCOME, FRONT_STARTING | FRONT_RUNNING, 65536, on_welcome },
	{ KMF_MSG_REPLY, FRONT_RUNNING, FRAME_MAX, front_on_reply },
	{ KMF_MSG_EVENT, FRONT_RUNNING, FRAME_MAX, front_on_event },
	{ KMF_MSG_STREAM_OPEN, FRONT_RUNNING, 0, front_on_stream_open },
	{ KMF_MSG_STREAM_END, FRONT_RUNNING, 4096, front_on_stream_end },
	{ KMF_MSG_ROSTER, FRONT_RUNNING, FRAME_MAX, front_on_roster },
};

static const struct perc_chan_rule fetcher_rules[] = {
	{ KMF_MSG_KEYS, ~0u, FRAME_MAX, on_keys },
	{ KMF_MSG_WORD, ~0u, FRAME_MAX, front_on_word },
};

/* Without the keeper a front is nothing; the supervisor starts another. */
static void
on_keeper_gone(struct perc_chan *c, int why, void *arg)
{
	struct front *f = arg;

	if (!f->stopping)
		log_warnx("front.stop reason=keeper_gone why=\"%s\"",
		    perc_strerror(why));
	perc_chan_free(f->keeper);
	f->keeper = NULL;
	perc_loop_stop(f->loop);
}

/* Keys that we have go on being good. */
static void
on_fetcher_gone(struct perc_chan *c, int why, void *arg)
{
	struct front *f = arg;
	size_t i;

	perc_chan_free(f->fetcher);
	f->fetcher = NULL;
	for (i = 0; i < KMF_ISSUERS_MAX; i++)
		f->keys[i].asked = false;
}

/* --- timers and signals --------------------------------------------------- */
static void on_term(int signo, void *arg);

static void
on_tick(void *arg)
{
	struct front *f = arg;
	int64_t now = perc_now_ms();

	front_calls_tick(f, now);
	front_park_tick(f, now);
	front_keys_tick(f);
	front_audit_tick(f);
	front_counts_send(f);
	if (f->retiring && !f->stopping && perc_httpd_conns(f->httpd) == 0)
		on_term(SIGTERM, f);
	if (perc_timer_set(f->loop, &f->tick, TICK_MS, on_tick, f) != 0)
		fatalx("front.tick err=no_memory");
}

static void
on_hb(void *arg)
{
	struct front *f = arg;

	front_streams_hb(f);
	if (perc_timer_set(f->loop, &f->hb, FRONT_HB_MS, on_hb, f) != 0)
		fatalx("front.hb err=no_memory");
}

static void
on_drained(void *arg)
{
	struct front *f = arg;

	perc_loop_stop(f->loop);
}

static void
on_term(int signo, void *arg)
{
	struct front *f = arg;

	if (f->stopping)
		return;
	f->stopping = true;
	if (f->httpd == NULL) {
		perc_loop_stop(f->loop);
		return;
	}
	front_audit_tick(f);
	front_streams_stop(f);
	front_park_end(f); /* their wait could be longer than ours */
	perc_httpd_drain(f->httpd, FRONT_DRAIN_MS, on_drained, f);
}

/* An heir has the port: end when the last connection has ended. */
static void
on_retire(int signo, void *arg)
{
	struct front *f = arg;

	if (f->httpd == NULL) {
		on_term(signo, arg);
		return;
	}
	f->retiring = true;
	perc_httpd_retire(f->httpd);
	if (f->metrics != NULL)
		perc_httpd_retire(f->metrics);
	log_info("front.retire connections=%u", perc_httpd_conns(f->httpd));
}

/* --- life ----------------------------------------------------------------- */
/* A descriptor per connection; the usual soft limit is 1024. */
static void
fds_allow(const struct kmf_conf *c)
{
	rlim_t want = (rlim_t)c->max_conns + 64;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= want)
		return;
	l.rlim_cur = want < l.rlim_max ? want : l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur < want)
		log_warnx("front.limit files=%llu max_conns=%lld "
			  "hint=\"raise the limit of open files\"",
		    (unsigned long long)l.rlim_cur, (long long)c->max_conns);
}

static int
front_open(struct front *f)
{
	int r;

	fds_allow(f->conf);
	if ((f->streams = calloc(FRONT_STREAMS_MAX, sizeof(*f->streams))) ==
	    NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_loop_new(&f->loop)) != 0 ||
	    (r = front_cache_new(&f->cache)) != 0 ||
	    (r = front_limit_new(&f->limit)) != 0 ||
	    (r = front_rate_new(&f->rate)) != 0 ||
	    (r = kmf_verify_init()) != 0 ||
	    (r = perc_chan_new(&f->keeper, f->loop, FD_KEEPER, keeper_rules,
		 sizeof(keeper_rules) / sizeof(keeper_rules[0]), on_keeper_gone,
		 f)) != 0 ||
	    (r = perc_chan_new(&f->fetcher, f->loop, FD_FETCHER, fetcher_rules,
		 sizeof(fetcher_rules) / sizeof(fetcher_rules[0]),
		 on_fetcher_gone, f)) != 0 ||
	    (r = perc_loop_signal(f->loop, SIGTERM, on_term, f)) != 0 ||
	    (r = perc_loop_signal(f->loop, SIGUSR1, on_retire, f)) != 0)
		return r;
	perc_chan_state_set(f->keeper, FRONT_STARTING);
	return front_check_open(f);
}

/* No file at all: the root key and the database lie beside the certificate.
 * A new certificate is for a new front (supervisor.c). */
static int
cage(void)
{
	struct perc_cage_report report;
	const char *const none[] = { NULL };
	int r;

	r = perc_sandbox(PERC_CAGE_NET, none, none, &report);
	if (r == PERC_ERR_UNSUPPORTED) {
		log_warnx("front.cage err=\"the kernel has none\"");
		return 0;
	}
	if (r == 0)
		log_debug("front.cage seccomp=%d landlock=%d", report.seccomp,
		    report.landlock_abi);
	return r;
}

static int
front_start(struct front *f)
{
	int r;

	/* The keeper's first word, or nobody could be let in. */
	if ((r = perc_loop_run(f->loop)) != 0)
		return r;
	if (!f->welcomed)
		return PERC_ERR_CLOSED;
	if ((r = serve(f)) != 0 ||
	    (r = perc_proc_drop(f->conf->user, NULL)) != 0 ||
	    (r = perc_process_harden()) != 0 || (r = cage()) != 0)
		return r;
	on_tick(f);
	on_hb(f);
	if (write(FD_READY, "r", 1) != 1)
		return PERC_ERR_SYS;
	close(FD_READY);
	return 0;
}

static void
front_close(struct front *f)
{
	size_t i;

	f->stopping = true;
	front_park_end(f);
	front_calls_end(f);
	if (f->streams != NULL)
		front_streams_stop(f);
	perc_httpd_free(f->metrics);
	perc_httpd_free(f->httpd);
	perc_chan_free(f->keeper);
	perc_chan_free(f->fetcher);
	for (i = 0; i < KMF_ISSUERS_MAX; i++)
		json_decref(f->keys[i].jwks);
	front_cas_close(f);
	front_rosters_clear(f);
	kmf_api_free(f->api);
	front_cache_free(f->cache);
	front_limit_free(f->limit);
	front_rate_free(f->rate);
	perc_jwks_free(f->jwks);
	free(f->jwks_text);
	free(f->streams);
	kmf_verify_done();
	perc_loop_free(f->loop);
	perc_wipe(f, sizeof(*f));
	free(f);
}

int
kmf_front_main(const struct kmf_conf *c, unsigned index)
{
	struct front *f = calloc(1, sizeof(*f));
	int r = PERC_ERR_NOMEM, code = 1;

	if (f == NULL)
		fatalx("front.start err=no_memory");
	f->conf = c;
	f->index = index;
	if ((r = front_open(f)) != 0 || (r = front_start(f)) != 0) {
		if (!f->stopping)
			log_warnx("front.start err=\"%s\"", perc_strerror(r));
		goto out;
	}
	if (perc_loop_run(f->loop) == 0 && f->stopping)
		code = 0;
out:
	front_close(f);
	return code;
}
