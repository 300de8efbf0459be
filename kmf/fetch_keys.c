/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Providers' metadata (OpenID Connect discovery, RFC 8414; the issuer must be
 * exactly the configured one) and key sets. On an outage the last good keys
 * stay; how long they serve is for the fronts to say, who know the hour.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/fetch_int.h"
#include "perc/conf.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

#define REFRESH_MS (3600 * 1000)
#define RETRY_MS   5000 /* after a failure, doubling */
#define RETRY_MAX  300000

/* --- to the fronts -------------------------------------------------------- */
void
fetch_keys_tell(struct fetch_issuer *i, struct fetch_front *e)
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
tell_all(struct fetch_issuer *i)
{
	size_t n;

	for (n = 0; n < KMF_FRONTS_MAX; n++)
		fetch_keys_tell(i, &i->f->fronts[n]);
}

static void
again_in(struct fetch_issuer *i, int64_t ms)
{
	if (perc_timer_set(i->f->loop, &i->timer, ms, fetch_keys_start, i) != 0)
		log_warnx("fetch.timer err=no_memory");
}

/* Several tries within the time that keys may be used. */
static int64_t
at_most(const struct fetch_issuer *i, int64_t ms)
{
	int64_t third = i->conf->keys_max_age_s * 1000 / 3;

	return ms < third ? ms : third;
}

static void
done_bad(struct fetch_issuer *i, const char *why)
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
done_good(struct fetch_issuer *i, const json_t *set)
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
take_keys(struct fetch_issuer *i, const char *text, size_t len)
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
take_metadata(struct fetch_issuer *i, const char *text, size_t len)
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
	    strlen(uri) >= FETCH_URL_MAX)
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
metadata_url(struct fetch_issuer *i)
{
	const char *iss = i->conf->url;
	size_t host, n = strlen(iss);

	if (i->step == FETCH_OIDC) {
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

static void ask(struct fetch_issuer *i);

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct fetch_issuer *i = arg;
	char why[200];
	int r;

	i->req = NULL;
	if (a->err != 0)
		snprintf(why, sizeof(why), "%s", a->why);
	else
		snprintf(why, sizeof(why), "HTTP status %d", a->status);
	r = a->err != 0 || a->status != 200 ? PERC_ERR_NOTFOUND : 0;
	if (r == 0 && i->step == FETCH_JWKS) {
		(void)!take_keys(i, a->body, a->len);
		return;
	}
	if (r == 0) {
		if (take_metadata(i, a->body, a->len) == 0) {
			i->step = FETCH_JWKS;
			ask(i);
			return;
		}
		snprintf(why, sizeof(why), "%s", i->why);
	}
	if (i->step == FETCH_OIDC && a->err == 0 &&
	    i->conf->discovery == KMF_DISCOVER_AUTO) {
		i->step = FETCH_OAUTH;
		metadata_url(i);
		ask(i);
		return;
	}
	done_bad(i, why);
}

static void
ask(struct fetch_issuer *i)
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
read_file(struct fetch_issuer *i)
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

void
fetch_keys_start(void *arg)
{
	struct fetch_issuer *i = arg;

	if (i->req != NULL)
		return;
	i->started_ms = perc_now_ms();
	if (i->conf->jwks_file != NULL) {
		snprintf(i->url, sizeof(i->url), "%s", i->conf->jwks_file);
		read_file(i);
		return;
	}
	i->step =
	    i->conf->discovery == KMF_DISCOVER_OAUTH ? FETCH_OAUTH : FETCH_OIDC;
	metadata_url(i);
	ask(i);
}
