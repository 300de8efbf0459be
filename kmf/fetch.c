/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The fetcher: the one process of perch-kmf that speaks to the outside first.
 * For each identity provider it reads the metadata (OpenID Connect discovery,
 * else RFC 8414; the issuer must be exactly the configured one), then the key
 * set, and gives it to every front. Tokens of strangers cannot make it hammer
 * a provider: a wanted kid leads to one fetch per cooldown, however many ask,
 * and whoever asks meanwhile gets the keys that are here. On an outage the
 * last good keys stay.
 */
#include "config.h"

#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/errand.h"
#include "kmf/fetch_ask.h"
#include "kmf/handover.h"
#include "kmf/kmf.h"
#include "kmf/msg.h"
#include "perc/chan.h"
#include "perc/conf.h"
#include "perc/httpc.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/sandbox.h"
#include "perc/secret.h"

#define FETCH_MAX  (256u << 10) /* octets of one document */
#define REFRESH_MS (3600 * 1000)
#define RETRY_MS   5000 /* after a failure, doubling */
#define RETRY_MAX  300000
#define URL_MAX	   1024

enum step { OIDC, OAUTH, JWKS, STEPS };

struct issuer {
	struct fetch *f;
	const struct kmf_issuer *conf;
	struct perc_httpc *client;
	struct perc_httpc_req *req; /* single flight; NULL: idle */
	enum step step;
	char url[URL_MAX];
	char *keys; /* last good set, NULL: none yet */
	int64_t fetched_s, started_ms, retry_ms;
	char why[160];
	struct perc_timer timer;
};

struct front_end {
	struct fetch *f;
	struct perc_chan *chan;
};

struct fetch {
	const struct kmf_conf *conf;
	struct perc_loop *loop;
	struct issuer issuers[KMF_ISSUERS_MAX];
	struct front_end fronts[KMF_FRONTS_MAX];
	struct kmf_handover handover;
	struct kmf_runner runner;
	struct kmf_asker asker;
};

static void start(void *arg);

/* --- to the fronts -------------------------------------------------------- */
static void
tell(struct issuer *i, struct front_end *e)
{
	const struct kmf_keys k = { .issuer = i->conf->url,
		.jwks = i->keys == NULL ? "" : i->keys,
		.why = i->why,
		.fetched_s = i->fetched_s };
	uint8_t *buf = NULL;
	size_t len;

	if (e->chan == NULL)
		return;
	if (kmf_keys_encode(&buf, &len, &k) != 0 ||
	    perc_chan_send(e->chan, KMF_MSG_KEYS, 0, buf, len) != 0)
		log_warnx("fetch.tell issuer=%s err=failed", i->conf->label);
	perc_secmem_free(buf);
}

static void
tell_all(struct issuer *i)
{
	size_t n;

	for (n = 0; n < KMF_FRONTS_MAX; n++)
		tell(i, &i->f->fronts[n]);
}

static void
again_in(struct issuer *i, int64_t ms)
{
	if (perc_timer_set(i->f->loop, &i->timer, ms, start, i) != 0)
		log_warnx("fetch.timer err=no_memory");
}

/* Several tries within the time that keys may be used. */
static int64_t
at_most(const struct issuer *i, int64_t ms)
{
	int64_t third = i->conf->keys_max_age_s * 1000 / 3;

	return ms < third ? ms : third;
}

static void
done_bad(struct issuer *i, const char *why)
{
	snprintf(i->why, sizeof(i->why), "%s", why);
	log_warnx("fetch.failed issuer=%s url=%s why=\"%s\" keys=%s",
	    i->conf->label, i->url, why, i->keys == NULL ? "none" : "last");
	i->retry_ms = i->retry_ms == 0 ? RETRY_MS : i->retry_ms * 2;
	if (i->retry_ms > RETRY_MAX)
		i->retry_ms = RETRY_MAX;
	again_in(i, at_most(i, i->retry_ms));
	tell_all(i);
}

static void
done_good(struct issuer *i, const json_t *set)
{
	char *text = perc_json_text(set);

	if (text == NULL) {
		done_bad(i, "no memory");
		return;
	}
	if (i->keys == NULL || strcmp(i->keys, text) != 0)
		log_info("fetch.keys issuer=%s n=%zu", i->conf->label,
		    json_array_size(json_object_get(set, "keys")));
	perc_json_free(i->keys);
	i->keys = text;
	i->fetched_s = perc_wall_ms() / 1000;
	i->why[0] = '\0';
	i->retry_ms = 0;
	again_in(i, at_most(i, REFRESH_MS));
	tell_all(i);
}

/* --- documents ------------------------------------------------------------ */
static int
take_keys(struct issuer *i, const char *text, size_t len)
{
	char why[120];
	json_t *set = NULL;
	bool good;

	if (perc_json_parse(&set, text, len, FETCH_MAX, why, sizeof(why)) !=
	    0) {
		done_bad(i, why);
		return PERC_ERR_FORMAT;
	}
	good = json_array_size(json_object_get(set, "keys")) != 0;
	if (good)
		done_good(i, set);
	else
		done_bad(i, "the key set is empty");
	json_decref(set);
	return good ? 0 : PERC_ERR_FORMAT;
}

/* RFC 8414 3.3: whose issuer is not exactly ours is somebody else's. */
static int
take_metadata(struct issuer *i, const char *text, size_t len)
{
	const char *iss, *uri;
	json_t *o = NULL;
	int r;

	if ((r = perc_json_parse(
		 &o, text, len, FETCH_MAX, i->why, sizeof(i->why))) != 0)
		return r;
	iss = perc_json_str(o, "issuer");
	uri = perc_json_str(o, "jwks_uri");
	r = PERC_ERR_DENIED;
	if (iss == NULL || strcmp(iss, i->conf->url) != 0)
		snprintf(i->why, sizeof(i->why),
		    "its metadata names another issuer");
	else if (uri == NULL || strncmp(uri, "https://", 8) != 0 ||
	    strlen(uri) >= URL_MAX)
		snprintf(
		    i->why, sizeof(i->why), "its jwks_uri is no https URL");
	else {
		snprintf(i->url, sizeof(i->url), "%s", uri);
		kmf_asker_found(&i->f->asker, (size_t)(i - i->f->issuers),
		    perc_json_str(o, "introspection_endpoint"));
		r = 0;
	}
	json_decref(o);
	return r;
}

/* OIDC appends, RFC 8414 inserts between host and path. */
static void
metadata_url(struct issuer *i)
{
	const char *iss = i->conf->url;
	size_t host, n = strlen(iss);

	if (i->step == OIDC) {
		snprintf(i->url, sizeof(i->url),
		    "%s%s.well-known/openid-configuration", iss,
		    n != 0 && iss[n - 1] == '/' ? "" : "/");
		return;
	}
	host = 8 + strcspn(iss + 8, "/");
	snprintf(i->url, sizeof(i->url),
	    "%.*s/.well-known/oauth-authorization-server%s", (int)host, iss,
	    strcmp(iss + host, "/") == 0 ? "" : iss + host);
}

static void ask(struct issuer *i);

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct issuer *i = arg;
	char why[200];
	int r;

	i->req = NULL;
	if (a->err != 0)
		snprintf(why, sizeof(why), "%s", a->why);
	else
		snprintf(why, sizeof(why), "HTTP status %d", a->status);
	r = a->err != 0 || a->status != 200 ? PERC_ERR_NOTFOUND : 0;
	if (r == 0 && i->step == JWKS) {
		(void)!take_keys(i, a->body, a->len);
		return;
	}
	if (r == 0) {
		if (take_metadata(i, a->body, a->len) == 0) {
			i->step = JWKS;
			ask(i);
			return;
		}
		snprintf(why, sizeof(why), "%s", i->why);
	}
	if (i->step == OIDC && a->err == 0 &&
	    i->conf->discovery == KMF_DISCOVER_AUTO) {
		i->step = OAUTH;
		metadata_url(i);
		ask(i);
		return;
	}
	done_bad(i, why);
}

static void
ask(struct issuer *i)
{
	static const char *const headers[] = { "Accept: application/json",
		NULL };

	if (perc_httpc_start(i->client, &i->req, "GET", i->url, headers, NULL,
		0, NULL, 0, on_answer, i) != 0) {
		i->req = NULL;
		done_bad(i, "the request does not start");
	}
}

static void
read_file(struct issuer *i)
{
	struct perc_conf_error e;
	char *text = NULL;
	size_t len;

	if (perc_conf_read_file(
		&text, &len, i->conf->jwks_file, FETCH_MAX, &e) != 0)
		done_bad(i, e.text);
	else
		(void)!take_keys(i, text, len);
	perc_secmem_free(text);
}

static void
start(void *arg)
{
	struct issuer *i = arg;

	if (i->req != NULL)
		return;
	i->started_ms = perc_now_ms();
	if (i->conf->jwks_file != NULL) {
		snprintf(i->url, sizeof(i->url), "%s", i->conf->jwks_file);
		read_file(i);
		return;
	}
	i->step = i->conf->discovery == KMF_DISCOVER_OAUTH ? OAUTH : OIDC;
	metadata_url(i);
	ask(i);
}

/* --- from the fronts ------------------------------------------------------ */
static int
on_wanted(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_end *e = arg;
	struct fetch *f = e->f;
	struct issuer *i;

	if (m->id >= f->conf->nissuers || f->conf->issuers[m->id].certificate)
		return PERC_ERR_DENIED;
	i = &f->issuers[m->id];
	if (i->req != NULL)
		return 0; /* one is under way: its end tells all */
	if (perc_now_ms() - i->started_ms < i->conf->cooldown_s * 1000)
		tell(i, e);
	else
		start(i);
	return 0;
}

static int
on_question(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_end *e = arg;
	struct kmf_question q;
	int r;

	if ((r = kmf_question_decode(&q, m->data, m->len)) == 0)
		kmf_asker_ask(&e->f->asker, c, m->id, &q);
	return r;
}

static const struct perc_chan_rule rules[] = {
	{ KMF_MSG_KEYS_WANTED, ~0u, 1024, on_wanted },
	{ KMF_MSG_QUESTION, ~0u, 16384, on_question },
};

static void
on_front_gone(struct perc_chan *c, int why, void *arg)
{
	struct front_end *e = arg;

	kmf_asker_drop(&e->f->asker, e->chan);
	perc_chan_free(e->chan);
	e->chan = NULL;
}

static int
front_take(struct fetch *f, unsigned n, int fd)
{
	struct front_end *e = &f->fronts[n];
	size_t i;
	int r;

	kmf_asker_drop(&f->asker, e->chan);
	perc_chan_free(e->chan);
	e->chan = NULL;
	e->f = f;
	if ((r = perc_chan_new(&e->chan, f->loop, fd, rules,
		 sizeof(rules) / sizeof(rules[0]), on_front_gone, e)) != 0)
		return r;
	for (i = 0; i < f->conf->nissuers; i++)
		if (f->issuers[i].keys != NULL)
			tell(&f->issuers[i], e);
	return 0;
}

static void
on_handover(unsigned n, int fd, void *arg)
{
	struct fetch *f = arg;

	if (n >= KMF_FRONTS_MAX || front_take(f, n, fd) != 0)
		log_warnx("fetch.front n=%u err=refused", n);
}

/* --- life ----------------------------------------------------------------- */
static void
on_term(int signo, void *arg)
{
	perc_loop_stop(arg);
}

static int
issuer_open(struct fetch *f, size_t n)
{
	struct issuer *i = &f->issuers[n];
	struct perc_httpc_conf c = { .ca_file = f->conf->issuers[n].ca_file,
		.user_agent = "perch-kmf",
		.max_body = FETCH_MAX };

	i->f = f;
	i->conf = &f->conf->issuers[n];
	snprintf(i->why, sizeof(i->why), "not fetched yet");
	return perc_httpc_new(&i->client, f->loop, &c);
}

/* Where file may be replaced later: its directory; but the file alone when it
 * lies beside the root key, or above. */
static const char *
readable(char copy[static 512], const char *file, const char *state_dir)
{
	char *dir, *state = realpath(state_dir, NULL);
	bool beside;

	snprintf(copy, 512, "%s", file);
	dir = realpath(dirname(copy), NULL);
	beside = state == NULL || dir == NULL ||
	    strncmp(state, dir, strlen(dir)) == 0;
	snprintf(copy, 512, "%s", beside ? file : dir);
	free(state);
	free(dir);
	return copy;
}

/* The resolver, its libraries and the trust anchors stay readable. */
static int
cage(const struct kmf_conf *conf)
{
	static const char *const none[] = { NULL };
	const char *ro[2 * KMF_ISSUERS_MAX + KMF_HOOKS_MAX + 8] = { "/etc",
		"/usr", "/lib", "/run" };
	char paths[2 * KMF_ISSUERS_MAX][512];
	struct perc_cage_report report;
	size_t n = 4, p = 0, i;
	int r;

	for (i = 0; i < conf->nissuers; i++) {
		const struct kmf_issuer *is = &conf->issuers[i];
		const char *files[] = { is->ca_file, is->jwks_file };

		for (size_t k = 0; k < 2; k++)
			if (files[k] != NULL)
				ro[n++] = readable(
				    paths[p++], files[k], conf->state_dir);
	}
	/* The file alone: a webhook's secret may lie beside it. */
	for (i = 0; i < conf->nhooks; i++)
		if (conf->hooks[i].ca_file != NULL)
			ro[n++] = conf->hooks[i].ca_file;
	ro[n] = NULL;
	r = perc_sandbox(PERC_CAGE_NET, none, ro, &report);
	if (r == PERC_ERR_UNSUPPORTED) {
		log_warnx("fetch.cage err=\"the kernel has none\"");
		return 0;
	}
	return r;
}

static int
fetch_open(struct fetch *f)
{
	unsigned n = (unsigned)f->conf->fronts, i;
	char why[512] = "no memory";
	int r;

	if ((r = kmf_asker_load(&f->asker, f->conf, why, sizeof(why))) != 0) {
		log_warnx("fetch.start err=\"%s\"", why);
		return r;
	}
	if ((r = perc_loop_new(&f->loop)) != 0 ||
	    (r = perc_loop_signal(f->loop, SIGTERM, on_term, f->loop)) != 0 ||
	    (r = perc_proc_drop(f->conf->user, NULL)) != 0 ||
	    (r = perc_process_harden()) != 0)
		return r;
	for (i = 0; i < f->conf->nissuers; i++)
		if ((r = issuer_open(f, i)) != 0)
			return r;
	if ((r = kmf_asker_open(&f->asker, f->loop)) != 0)
		return r;
	for (i = 0; i < n; i++)
		if ((r = front_take(f, i, PERC_PROC_FD + (int)i)) != 0)
			return r;
	if ((r = kmf_handover_watch(&f->handover, f->loop,
		 PERC_PROC_FD + (int)n, on_handover, f)) != 0 ||
	    (r = kmf_runner_open(&f->runner, f->loop, f->conf,
		 PERC_PROC_FD + (int)n + 1)) != 0 ||
	    (r = cage(f->conf)) != 0)
		return r;
	for (i = 0; i < f->conf->nissuers; i++)
		if (!f->conf->issuers[i].certificate)
			start(&f->issuers[i]);
	return 0;
}

static void
fetch_close(struct fetch *f)
{
	size_t i;

	for (i = 0; i < KMF_ISSUERS_MAX; i++) {
		perc_httpc_free(f->issuers[i].client);
		perc_json_free(f->issuers[i].keys);
	}
	kmf_asker_close(&f->asker);
	for (i = 0; i < KMF_FRONTS_MAX; i++)
		perc_chan_free(f->fronts[i].chan);
	kmf_handover_stop(&f->handover);
	kmf_runner_close(&f->runner);
	perc_loop_free(f->loop);
	free(f);
}

int
kmf_fetch_main(const struct kmf_conf *c)
{
	struct fetch *f = calloc(1, sizeof(*f));
	int r = PERC_ERR_NOMEM;

	if (f == NULL)
		fatalx("fetch.start err=no_memory");
	f->conf = c;
	if ((r = fetch_open(f)) == 0)
		r = perc_loop_run(f->loop);
	if (r != 0)
		log_warnx("fetch.stop err=\"%s\"", perc_strerror(r));
	fetch_close(f);
	return r == 0 ? 0 : 1;
}
