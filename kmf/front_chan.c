/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the keeper and the fetcher tell a front, message by message.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define FD_KEEPER  PERC_PROC_FD
#define FD_FETCHER (PERC_PROC_FD + 1)
#define FRAME_MAX  PERC_CHAN_FRAME_MAX

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
	f->nonce_now[0] = '\0';
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
	{ KMF_MSG_PUSH, FRONT_RUNNING, FRAME_MAX, front_on_push },
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

int
front_chans_open(struct front *f)
{
	int r;

	if ((r = perc_chan_new(&f->keeper, f->loop, FD_KEEPER, keeper_rules,
		 sizeof(keeper_rules) / sizeof(keeper_rules[0]), on_keeper_gone,
		 f)) != 0 ||
	    (r = perc_chan_new(&f->fetcher, f->loop, FD_FETCHER, fetcher_rules,
		 sizeof(fetcher_rules) / sizeof(fetcher_rules[0]),
		 on_fetcher_gone, f)) != 0)
		return r;
	perc_chan_state_set(f->keeper, FRONT_STARTING);
	return 0;
}
