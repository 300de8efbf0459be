/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The join API of docs/wire/join.md: a table of routes, one refusal for every
 * bad token (the log has the reason), and answers that come when the worker
 * has made the leg.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mdd/cascade.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/rate.h"
#include "perc/secret.h"

#define JOIN_SUBSCRIPTIONS "/subscriptions"
#define JOIN_BODY_MAX	   1024

static const struct perc_httpd_header json_header = { "Content-Type",
	"application/json" };

static void
reply_json(struct perc_httpd_req *r, unsigned status,
    const struct perc_httpd_header *h, size_t n, json_t *j, bool secret)
{
	char *text = j == NULL ? NULL : perc_json_text(j);

	json_decref(j);
	if (text == NULL) {
		perc_httpd_reply(r, 500, NULL, 0, NULL, 0, false);
		return;
	}
	perc_httpd_reply(r, status, h, n, text, strlen(text), secret);
	perc_json_free(text);
}

void
join_problem_with(struct perc_httpd_req *r, unsigned status, const char *code,
    const char *title, const struct perc_httpd_header *extra)
{
	struct perc_httpd_header h[4] = { { "Content-Type",
	    "application/problem+json" } };
	size_t n = 1 + whip_cors(h + 1, r);
	char id[32];

	perc_random_id(id, sizeof(id), "r_");
	if (extra != NULL)
		h[n++] = *extra;
	reply_json(r, status, h, n,
	    json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank",
		"title", title, "status", (int)status, "code", code,
		"request_id", id),
	    false);
}

void
join_problem(struct perc_httpd_req *r, unsigned status, const char *code,
    const char *title)
{
	struct perc_httpd_header retry = { "Retry-After", "5" };

	join_problem_with(
	    r, status, code, title, status == 503 ? &retry : NULL);
}

/* ---- the token -------------------------------------------------------- */

static void
refuse(struct ctl *c, struct perc_httpd_req *r, const char *why)
{
	static struct perc_log_limit limit = { .burst = 20, .per_ms = 1000 };
	/* RFC 6750 section 3.1: no error when there was no token at all. */
	struct perc_httpd_header h = { "WWW-Authenticate",
		why == NULL ? "Bearer" : "Bearer error=\"invalid_token\"" };

	c->unauthorized++;
	if (perc_log_allow(&limit))
		log_info(
		    "token refused why=\"%s\"", why == NULL ? "none" : why);
	join_problem_with(r, 401,
	    why == NULL ? "token_missing" : "token_invalid",
	    why == NULL ? "A token is needed" : "The token is not good here",
	    &h);
}

bool
join_token(struct ctl *c, struct perc_httpd_req *r, struct mdd_token *t)
{
	const char *why = NULL, *h;
	unsigned count = 0;

	h = perc_httpd_header(r, "Authorization", &count);
	if (h == NULL || count == 0) {
		refuse(c, r, NULL);
		return false;
	}
	if (count > 1 || strncasecmp(h, "Bearer ", 7) != 0) {
		refuse(c, r, "not one bearer token");
		return false;
	}
	for (h += 7; *h == ' '; h++)
		;
	if (mdd_token_check(t, c->issuer, c->conf->kmfs, c->conf->base_url, h,
		strlen(h), perc_wall_ms() / 1000, &why) != 0) {
		refuse(c, r, why);
		return false;
	}
	return true;
}

/* RFC 8839 section 5.4 */
static bool
ice_text_ok(const char *s, size_t min)
{
	size_t n = s == NULL ? 0 : strlen(s), i;

	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '+' &&
		    s[i] != '/' && s[i] != '-' && s[i] != '_')
			return false;
	return n >= min && n <= MDD_ICE_MAX;
}

static bool
body_take(struct perc_httpd_req *r, struct ctl_ice *ice)
{
	const uint8_t *p;
	const char *ufrag, *pwd;
	json_t *j = NULL, *twcc;
	size_t len;
	bool ok;

	p = perc_httpd_body(r, &len);
	if (perc_json_parse(&j, p, len, JOIN_BODY_MAX, NULL, 0) != 0)
		return false;
	ufrag = perc_json_str(j, "ufrag");
	pwd = perc_json_str(j, "pwd");
	twcc = json_object_get(j, "transport_cc");
	ok = ice_text_ok(ufrag, 4) && ice_text_ok(pwd, 22) &&
	    (twcc == NULL || json_is_boolean(twcc));
	if (ok) {
		memcpy(ice->ufrag, ufrag, strlen(ufrag) + 1);
		memcpy(ice->pwd, pwd, strlen(pwd) + 1);
		ice->twcc = json_is_true(twcc);
	}
	json_decref(j);
	return ok;
}

/* ---- POST, PUT, DELETE ------------------------------------------------ */

void
join_full(struct ctl *c, struct perc_httpd_req *r, int err)
{
	if (err == PERC_ERR_CONFLICT) {
		c->refused++;
		join_problem(r, 409, "ssrc_taken",
		    "An SSRC of the token is in use by another member");
		return;
	}
	c->full++;
	join_problem(r, 503, err == PERC_ERR_LIMIT ? "full" : "not_ready",
	    "No leg to be had now");
}

static void
post_join(struct ctl *c, struct perc_httpd_req *r, const char *leg)
{
	struct ctl_ice ice = { 0 };
	struct mdd_token t;
	int e;

	if (!join_token(c, r, &t))
		return;
	if (c->draining) {
		join_problem(r, 503, "draining",
		    "This distributor is about to end; come again");
		return;
	}
	if (!body_take(r, &ice)) {
		join_problem(r, 400, "request_malformed",
		    "Send {\"ufrag\", \"pwd\"} of your ICE agent");
		return;
	}
	perc_rate_address(ice.from, perc_httpd_peer(r));
	if (c->stopping)
		e = PERC_ERR_AGAIN;
	else
		e = ctl_join(c, &t, &ice, NULL, r);
	perc_wipe(&ice, sizeof(ice));
	if (e != 0)
		join_full(c, r, e);
}

static int64_t
left_s(const struct ctl_leg *leg)
{
	int64_t s = leg->exp_s - perc_wall_ms() / 1000;

	return s < 0 ? 0 : s;
}

void
join_answer(struct ctl *c, struct ctl_leg *leg, const struct mdd_joined *a)
{
	struct perc_httpd_req *r = leg->req;
	const struct ctl_worker *w = leg->room->worker;

	leg->req = NULL;
	if (a == NULL || a->err == PERC_ERR_LIMIT) {
		join_full(c, r, a == NULL ? PERC_ERR_AGAIN : a->err);
		return;
	}
	if (a->err != 0) {
		join_full(c, r, PERC_ERR_CONFLICT);
		return;
	}
	if (leg->whip != NULL) {
		leg->req = r;
		whip_answer(c, leg, a);
		return;
	}
	c->joins++;
	log_info("joined leg=%s conference=%s member=%s worker=%u", leg->id,
	    leg->room->key, leg->member, w->index);
	reply_json(r, 201, &json_header, 1,
	    json_pack("{s:s, s:s, s:s*, s:i, s:s, s:s, s:s, s:[s,s], s:I}",
		"leg", leg->id, "host", c->conf->media_host, "host6",
		c->conf->media_host6, "port", (int)w->port, "fingerprint",
		w->fingerprint, "ufrag", a->ufrag, "pwd", a->pwd, "profiles",
		"SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_128_GCM", "expires_in",
		(json_int_t)left_s(leg)),
	    true);
}

struct ctl_leg *
join_own_leg(struct ctl *c, struct perc_httpd_req *r, const char *id,
    struct mdd_token *t)
{
	struct ctl_leg *leg;

	if (!join_token(c, r, t))
		return NULL;
	leg = strlen(id) < MDD_LEG_ID_MAX ? ctl_leg_find(c, id) : NULL;
	if (leg != NULL && leg->req == NULL && !leg->ended &&
	    ctl_leg_is(c, leg, t))
		return leg;
	join_problem(r, 404, "leg_unknown", "No such leg");
	return NULL;
}

static void
put_join(struct ctl *c, struct perc_httpd_req *r, const char *id)
{
	struct mdd_token t;
	struct ctl_leg *leg = join_own_leg(c, r, id, &t);

	if (leg == NULL)
		return;
	ctl_leg_renew(c, leg, &t);
	reply_json(r, 200, &json_header, 1,
	    json_pack("{s:s, s:I}", "leg", leg->id, "expires_in",
		(json_int_t)left_s(leg)),
	    false);
}

static void
delete_join(struct ctl *c, struct perc_httpd_req *r, const char *id)
{
	struct mdd_token t;
	struct ctl_leg *leg = join_own_leg(c, r, id, &t);

	if (leg == NULL)
		return;
	ctl_leg_leave(c, leg);
	perc_httpd_reply(r, 204, NULL, 0, NULL, 0, false);
}

static void
put_subscriptions(struct ctl *c, struct perc_httpd_req *r, const char *rest)
{
	size_t n = strlen(rest) - strlen(JOIN_SUBSCRIPTIONS), len;
	char id[MDD_LEG_ID_MAX] = "", why[MDD_TASTE_WHY];
	struct mdd_token t;
	struct mdd_taste taste;
	struct ctl_leg *leg;
	const uint8_t *p;

	if (n < sizeof(id))
		memcpy(id, rest, n);
	if ((leg = join_own_leg(c, r, id, &t)) == NULL)
		return;
	p = perc_httpd_body(r, &len);
	if (mdd_taste_parse(&taste, p, len, why) != 0) {
		join_problem(r, 400, "request_malformed", why);
		return;
	}
	ctl_leg_subscribe(c, leg, &taste);
	perc_httpd_reply(r, 204, NULL, 0, NULL, 0, false);
}

/* ---- the rest --------------------------------------------------------- */

static void
get_health(struct ctl *c, struct perc_httpd_req *r, const char *rest)
{
	perc_httpd_reply(r, 200, NULL, 0, "ok\n", 3, false);
}

static void
get_ready(struct ctl *c, struct perc_httpd_req *r, const char *rest)
{
	if (c->draining)
		perc_httpd_reply(r, 503, NULL, 0, "draining\n", 9, false);
	else if (c->stopping || !ctl_ready(c))
		perc_httpd_reply(r, 503, NULL, 0, "not ready\n", 10, false);
	else
		perc_httpd_reply(r, 200, NULL, 0, "ready\n", 6, false);
}

static void
get_metrics(struct ctl *c, struct perc_httpd_req *r, const char *rest)
{
	metrics_reply(c, r);
}

static const struct {
	const char *method, *path; /* one part behind a last '/', or at '*' */
	void (*fn)(struct ctl *, struct perc_httpd_req *, const char *rest);
	const char *allow;
} routes[] = {
	{ "POST", "/v1/join", post_join, "POST" },
	{ "PUT", "/v1/join/", put_join, "PUT, DELETE" },
	{ "DELETE", "/v1/join/", delete_join, "PUT, DELETE" },
	{ "PUT", "/v1/join/*" JOIN_SUBSCRIPTIONS, put_subscriptions, "PUT" },
	{ "POST", "/v1/whip", whip_post, "POST, OPTIONS" },
	{ "OPTIONS", "/v1/whip", whip_options, "POST, OPTIONS" },
	{ "PATCH", "/v1/whip/", whip_patch, "PATCH, DELETE, OPTIONS" },
	{ "DELETE", "/v1/whip/", whip_delete, "PATCH, DELETE, OPTIONS" },
	{ "OPTIONS", "/v1/whip/", whip_options, "PATCH, DELETE, OPTIONS" },
	{ "POST", "/v1/link", cascade_post, "POST" },
	{ "PUT", "/v1/link/", cascade_put, "PUT, DELETE" },
	{ "DELETE", "/v1/link/", cascade_delete, "PUT, DELETE" },
	{ "GET", "/healthz", get_health, "GET" },
	{ "GET", "/readyz", get_ready, "GET" },
	{ "GET", "/metrics", get_metrics, "GET" },
};

/* What is at the star, or behind the slash, and all that follows is *rest. */
static bool
path_is(const char *route, const char *path, const char **rest)
{
	size_t n = strcspn(route, "*"), part;

	*rest = "";
	if (route[n] == '\0' && route[n - 1] != '/')
		return strcmp(route, path) == 0;
	if (strncmp(route, path, n) != 0)
		return false;
	*rest = path + n;
	part = strcspn(*rest, "/");
	route += n + (route[n] == '*');
	return part > 0 && strcmp(*rest + part, route) == 0;
}

void
join_request(struct perc_httpd_req *r, void *ctl)
{
	const char *path = perc_httpd_path(r), *rest;
	struct perc_httpd_header h = { "Allow", NULL };
	size_t i;

	if (join_over(ctl, r))
		return;
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!path_is(routes[i].path, path, &rest))
			continue;
		if (strcmp(routes[i].method, perc_httpd_method(r)) == 0) {
			routes[i].fn(ctl, r, rest);
			return;
		}
		h.value = routes[i].allow;
	}
	if (h.value != NULL)
		join_problem_with(r, 405, "method_not_allowed",
		    "Not a method of this resource", &h);
	else
		join_problem(r, 404, "not_found", "Nothing here");
}
