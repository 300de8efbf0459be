/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The liboauth2 adapter. 1.4.5 checks a signature well and nothing else
 * reliably: no audience, no typ, no nbf, exp only when it wants to, and with
 * its result cache on, expired tokens stay good for 300 s (hence expiry=0).
 * Its log lines contain whole tokens (hence a sink that drops the text). All
 * that is decided in kmf/claims.c, so that a newer release, or another
 * library, can stand here.
 */
#include "config.h"

#include <jansson.h>
#include <oauth2/cfg.h>
#include <oauth2/log.h>
#include <oauth2/mem.h>
#include <oauth2/oauth2.h>
#include <oauth2/util.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/verify.h"
#include "perc/log.h"

/* We have checked these, and with leeway; 1.4.5 has none for exp. */
#define OPTIONS "verify.exp=skip&verify.iat=skip&expiry=0"
/* The least cache that it agrees to live without using. */
#define CACHE "max_entries=8&max_val_size=1024"

/* Keys whose configuration is kept: making one costs three times what it
 * verifies for. The text of the key is what it is found by, so another key,
 * or another form of it, is another configuration. */
#define KEPT 16

static struct kept {
	char *jwk;
	oauth2_cfg_token_verify_t *v;
} kept[KEPT];
static unsigned kept_next;

static oauth2_log_t *oauth2_log_;

static void
drop_text(oauth2_log_sink_t *sink, const char *file, unsigned long line,
    const char *function, oauth2_log_level_t level, const char *msg)
{
}

int
kmf_verify_init(void)
{
	oauth2_log_sink_t *sink;
	char *err;

	if (oauth2_log_ != NULL)
		return 0;
	sink = oauth2_log_sink_create(OAUTH2_LOG_ERROR, drop_text, NULL);
	if (sink == NULL)
		return PERC_ERR_NOMEM;
	if ((oauth2_log_ = oauth2_init(OAUTH2_LOG_ERROR, sink)) == NULL)
		return PERC_ERR_CRYPTO;
	err = oauth2_cfg_set_cache(oauth2_log_, NULL, "shm", CACHE);
	if (err != NULL) {
		log_warnx("verify.init err=cache");
		return PERC_ERR_CRYPTO;
	}
	return 0;
}

static void
kept_clear(struct kept *c)
{
	if (c->v != NULL)
		oauth2_cfg_token_verify_free(oauth2_log_, c->v);
	free(c->jwk);
	memset(c, 0, sizeof(*c));
}

void
kmf_verify_done(void)
{
	unsigned i;

	for (i = 0; i < KEPT; i++)
		kept_clear(&kept[i]);
	if (oauth2_log_ != NULL)
		oauth2_shutdown(oauth2_log_);
	oauth2_log_ = NULL;
}

/* Found, or made in the place of the oldest. */
static int
kept_get(struct kept **cp, const char *jwk)
{
	struct kept *c;
	unsigned i;
	char *err;

	for (i = 0; i < KEPT; i++)
		if (kept[i].jwk != NULL && strcmp(kept[i].jwk, jwk) == 0) {
			*cp = &kept[i];
			return 0;
		}
	c = &kept[kept_next++ % KEPT];
	kept_clear(c);
	err = oauth2_cfg_token_verify_add_options(
	    oauth2_log_, &c->v, "jwk", jwk, OPTIONS);
	if (err != NULL) {
		oauth2_mem_free(err);
		kept_clear(c);
		return PERC_ERR_CRYPTO;
	}
	if ((c->jwk = strdup(jwk)) == NULL) {
		kept_clear(c);
		return PERC_ERR_NOMEM;
	}
	*cp = c;
	return 0;
}

int
kmf_verify_signature(const char *jwk, const char *token)
{
	json_t *payload = NULL;
	struct kept *c;
	int r;

	if ((r = kept_get(&c, jwk)) != 0)
		return r;
	r = oauth2_token_verify(oauth2_log_, NULL, c->v, token, &payload) &&
		payload != NULL
	    ? 0
	    : PERC_ERR_AUTH;
	json_decref(payload);
	return r;
}
