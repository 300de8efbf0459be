/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The fetcher: the process of perch-kmf that asks the outside; mailer.c, which
 * may block, is its only fellow.
 * What it fetches it gives to every front. Tokens of strangers cannot make it
 * hammer a provider: a wanted kid leads to one fetch per cooldown, however
 * many ask, and whoever asks meanwhile gets the keys that are here.
 */
#include "config.h"

#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/fetch_int.h"
#include "kmf/msg.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/proc.h"

#define RETIRED_LOOK_MS 100

/* --- from the fronts ------------------------------------------------------ */
static int
on_wanted(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct fetch_front *e = arg;
	struct fetch *f = e->f;
	struct fetch_issuer *i;

	if (m->id >= f->conf->nissuers || f->conf->issuers[m->id].certificate)
		return PERC_ERR_DENIED;
	i = &f->issuers[m->id];
	if (i->req != NULL)
		return 0; /* one is under way: its end tells all */
	if (perc_now_ms() - i->started_ms < i->conf->cooldown_s * 1000)
		fetch_keys_tell(i, e);
	else
		fetch_keys_start(i);
	return 0;
}

static int
on_question(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct fetch_front *e = arg;
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
	struct fetch_front *e = arg;

	kmf_asker_drop(&e->f->asker, e->chan);
	perc_chan_free(e->chan);
	e->chan = NULL;
}

static int
front_take(struct fetch *f, unsigned n, int fd)
{
	struct fetch_front *e = &f->fronts[n];
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
			fetch_keys_tell(&f->issuers[i], e);
	return 0;
}

static void
on_handover(unsigned n, int fd, void *arg)
{
	struct fetch *f = arg;

	if (n >= KMF_FRONTS_MAX || front_take(f, n, fd) != 0)
		log_warnx("fetch.front n=%u err=refused", n);
}

/* The supervisor has closed it: an heir has our place, and is given what is
 * new. What we have been given is ours to finish, for who began it would else
 * begin it again elsewhere, and an event come twice. */
static void
on_retired(void *arg)
{
	struct fetch *f = arg;

	if (f->runner.chan != NULL)
		perc_chan_flush(f->runner.chan);
	if (f->runner.chan == NULL ||
	    (f->runner.flying == 0 && !kmf_asker_busy(&f->asker)) ||
	    perc_timer_set(
		f->loop, &f->retired, RETIRED_LOOK_MS, on_retired, f) != 0)
		perc_loop_stop(f->loop);
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
	struct fetch_issuer *i = &f->issuers[n];
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

static int
cage(const struct kmf_conf *conf)
{
	const char *ro[FETCH_FILES_MAX + 1];
	char paths[2 * KMF_ISSUERS_MAX][512];
	size_t n = 0, i, k;

	for (i = 0; i < conf->nissuers; i++) {
		const struct kmf_issuer *is = &conf->issuers[i];
		const char *files[] = { is->ca_file, is->jwks_file };

		for (k = 0; k < 2; k++)
			if (files[k] != NULL) {
				ro[n] = readable(
				    paths[n], files[k], conf->state_dir);
				n++;
			}
	}
	/* The file alone: a webhook's secret may lie beside it. */
	for (i = 0; i < conf->nhooks; i++)
		if (conf->hooks[i].ca_file != NULL)
			ro[n++] = conf->hooks[i].ca_file;
	ro[n] = NULL;
	return fetch_cage(ro);
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
	/* Secrets are read before privileges are dropped. */
	if ((r = perc_loop_new(&f->loop)) != 0 ||
	    (r = perc_loop_signal(f->loop, SIGTERM, on_term, f->loop)) != 0 ||
	    (r = kmf_runner_open(&f->runner, KMF_OUTLET_FETCHER, f->loop,
		 f->conf, PERC_PROC_FD + (int)n + 1)) != 0 ||
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
		 PERC_PROC_FD + (int)n, on_handover, on_retired, f)) != 0 ||
	    (r = cage(f->conf)) != 0)
		return r;
	for (i = 0; i < f->conf->nissuers; i++)
		if (!f->conf->issuers[i].certificate)
			fetch_keys_start(&f->issuers[i]);
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
	perc_timer_stop(f->loop, &f->retired);
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
