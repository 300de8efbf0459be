/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WHIP (RFC 9725) for endpoints that speak SDP: POST an offer, get an answer
 * and a resource to PATCH and DELETE. The token is the same token2 as for
 * POST /v1/join, and binds the same things: the certificate and the SSRCs of
 * the offer must be its own. What such a leg sends no end-to-end layer
 * protects, so it is in a room of its kind, and there is none unless the
 * operator says so (whip = yes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mdd/control.h"
#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/rate.h"
#include "perc/secret.h"

#define WHIP_PATH   "/v1/whip"
#define WHIP_SDP    "application/sdp"
#define WHIP_FRAG   "application/trickle-ice-sdpfrag"
#define WHIP_OTHERS 64 /* SSRCs that an answer names */

void
whip_free(struct ctl_whip *w)
{
	if (w == NULL)
		return;
	free(w->offer);
	free(w);
}

size_t
whip_cors(struct perc_httpd_header h[2], const struct perc_httpd_req *r)
{
	if (strncmp(perc_httpd_path(r), WHIP_PATH, strlen(WHIP_PATH)) != 0)
		return 0;
	/* Any origin: what lets it in is a token that it must have, not a
	 * cookie that the browser would send for it. */
	h[0].name = "Access-Control-Allow-Origin";
	h[0].value = "*";
	h[1].name = "Access-Control-Expose-Headers";
	h[1].value = "Location, ETag, Retry-After";
	return 2;
}

static bool
whip_off(struct ctl *c, struct perc_httpd_req *r)
{
	if (c->conf->whip)
		return false;
	join_problem(r, 404, "whip_off",
	    "This MDD takes no WHIP endpoints; its operator may set whip = "
	    "yes");
	return true;
}

/* The media type, whatever parameters follow. */
static bool
type_is(struct perc_httpd_req *r, const char *type)
{
	const char *h = perc_httpd_header(r, "Content-Type", NULL);
	size_t n = strlen(type);

	return h != NULL && strncasecmp(h, type, n) == 0 &&
	    (h[n] == '\0' || h[n] == ';' || h[n] == ' ');
}

/* A browser asks this before it asks anything. */
void
whip_options(struct ctl *c, struct perc_httpd_req *r, const char *rest)
{
	bool session = rest[0] != '\0';
	struct perc_httpd_header h[7] = {
		{ "Access-Control-Allow-Methods",
		    session ? "PATCH, DELETE" : "POST" },
		{ "Access-Control-Allow-Headers",
		    "Authorization, Content-Type, If-Match" },
		{ "Access-Control-Max-Age", "600" },
		{ session ? "Accept-Patch" : "Accept-Post",
		    session ? WHIP_FRAG : WHIP_SDP },
	};
	size_t n = 4;

	if (whip_off(c, r))
		return;
	n += whip_cors(h + n, r);
	perc_httpd_reply(r, 204, h, n, NULL, 0, false);
}

/* ---- POST ------------------------------------------------------------- */

static void
refuse_sdp(struct ctl *c, struct perc_httpd_req *r,
    const struct mdd_sdp_refusal *why, unsigned at)
{
	char title[256];

	c->refused++;
	log_info("offer refused code=%s line=%u", why->code, at);
	if (why->status == 400)
		(void)snprintf(
		    title, sizeof(title), "%s: line %u", why->title, at);
	else
		(void)snprintf(title, sizeof(title), "%s", why->title);
	join_problem(r, why->status, why->code, title);
}

/* The offer must be of whom the token is. False: answered. */
static bool
offer_is_the_tokens(struct ctl *c, struct perc_httpd_req *r,
    const struct mdd_sdp *o, const struct mdd_token *t)
{
	uint32_t stray = mdd_sdp_stray_ssrc(o, t->ssrcs, t->nssrcs);
	char title[128];

	if (memcmp(o->pin, t->pin, sizeof(t->pin)) != 0) {
		join_problem(r, 403, "fingerprint_not_in_token",
		    "Ask for a token with the x5t_s256 of the certificate that "
		    "is offered, or offer the one of the token");
	} else if (stray != 0) {
		(void)snprintf(title, sizeof(title),
		    "SSRC %u is not among those of the token (ssrcs): send "
		    "with one of them",
		    stray);
		join_problem(r, 403, "ssrc_not_in_token", title);
	} else {
		return true;
	}
	c->refused++;
	return false;
}

static struct ctl_whip *
whip_new(void)
{
	struct ctl_whip *w = calloc(1, sizeof(*w));

	if (w != NULL && (w->offer = calloc(1, sizeof(*w->offer))) == NULL) {
		free(w);
		w = NULL;
	}
	return w;
}

static void
ice_take(struct ctl_ice *ice, struct mdd_str ufrag, struct mdd_str pwd)
{
	memset(ice, 0, sizeof(*ice)); /* both are bounded by the parser */
	memcpy(ice->ufrag, ufrag.p, ufrag.n);
	memcpy(ice->pwd, pwd.p, pwd.n);
}

/* 0: asked the worker; 1: answered; negative: no leg to be had. */
static int
offer_take(struct ctl *c, struct perc_httpd_req *r, struct ctl_whip *w,
    const struct mdd_token *t)
{
	const struct mdd_sdp_refusal *why = NULL;
	struct ctl_ice ice;
	const uint8_t *p;
	size_t n;
	int e;

	p = perc_httpd_body(r, &n);
	if (mdd_sdp_parse(w->offer, (const char *)p, n, &why) != 0 ||
	    mdd_sdp_settle(&w->plan, w->offer, &why) != 0) {
		refuse_sdp(c, r, why, w->offer->at);
		return 1;
	}
	if (!offer_is_the_tokens(c, r, w->offer, t))
		return 1;
	w->nown = mdd_sdp_own(w->offer, w->own, MDD_TOKEN_SSRCS);
	if (c->stopping)
		return PERC_ERR_AGAIN;
	ice_take(&ice, w->offer->ufrag, w->offer->pwd);
	perc_rate_address(ice.from, perc_httpd_peer(r));
	e = ctl_join(c, t, &ice, w, r);
	perc_wipe(&ice, sizeof(ice));
	return e;
}

void
whip_post(struct ctl *c, struct perc_httpd_req *r, const char *rest)
{
	struct mdd_token t;
	struct ctl_whip *w;
	int e = PERC_ERR_NOMEM;

	if (whip_off(c, r) || !join_token(c, r, &t))
		return;
	if (!type_is(r, WHIP_SDP)) {
		join_problem(r, 415, "media_type",
		    "Send an SDP offer as Content-Type: " WHIP_SDP);
		return;
	}
	if ((w = whip_new()) != NULL && (e = offer_take(c, r, w, &t)) == 0)
		return;
	whip_free(w);
	if (e < 0)
		join_full(c, r, e);
}

/* ---- the worker's word ------------------------------------------------ */

static void
etag_make(struct ctl_whip *w)
{
	char id[28];

	perc_random_id(id, sizeof(id), "i_");
	(void)snprintf(w->etag, sizeof(w->etag), "\"%s\"", id);
}

static void
reply_sdp(struct perc_httpd_req *r, unsigned status, const char *type,
    const struct ctl_leg *leg, const char *text, size_t len)
{
	char path[sizeof(WHIP_PATH) + 1 + MDD_LEG_ID_MAX];
	struct perc_httpd_header h[5] = { { "Content-Type", type },
		{ "ETag", leg->whip->etag }, { "Location", path } };
	size_t n = status == 201 ? 3 : 2;

	(void)snprintf(path, sizeof(path), WHIP_PATH "/%s", leg->id);
	n += whip_cors(h + n, r);
	perc_httpd_reply(r, status, h, n, text, len, true);
}

/* The others of the conference, as their SDP names them. */
static unsigned
others_list(const struct ctl *c, const struct ctl_leg *leg,
    struct mdd_sdp_named out[static WHIP_OTHERS])
{
	const struct ctl_leg *l;
	unsigned i, n = 0;

	for (l = c->first; l != NULL; l = l->next) {
		if (l == leg || l->room != leg->room || l->whip == NULL)
			continue;
		for (i = 0; i < l->whip->nown && n < WHIP_OTHERS; i++)
			out[n++] = l->whip->own[i];
	}
	return n;
}

static int
answer_put(char *out, size_t *len, struct ctl *c, const struct ctl_leg *leg,
    const struct mdd_joined *a)
{
	struct mdd_sdp_ours ours = { .fingerprint =
					 leg->room->worker->fingerprint,
		.ufrag = a->ufrag,
		.pwd = a->pwd,
		.host = c->conf->media_host,
		.host6 = c->conf->media_host6,
		.port = leg->room->worker->port };

	struct mdd_sdp_named others[WHIP_OTHERS];

	ours.others = others;
	ours.nothers = others_list(c, leg, others);
	perc_random(&ours.session, sizeof(ours.session));
	ours.session >>= 1; /* RFC 8829 section 5.2.1: 63 bits */
	if (leg->whip->offer == NULL)
		return mdd_sdp_frag_answer(
		    out, MDD_SDP_ANSWER_MAX, len, &leg->whip->plan, &ours);
	return mdd_sdp_answer(out, MDD_SDP_ANSWER_MAX, len, leg->whip->offer,
	    &leg->whip->plan, &ours);
}

void
whip_answer(struct ctl *c, struct ctl_leg *leg, const struct mdd_joined *a)
{
	bool first = leg->whip->offer != NULL;
	struct perc_httpd_req *r = leg->req;
	char *text = malloc(MDD_SDP_ANSWER_MAX);
	size_t len;

	leg->req = NULL;
	if (text == NULL || answer_put(text, &len, c, leg, a) != 0) {
		free(text);
		join_problem(r, 422, "sdp_too_large",
		    "The answer would be too long: offer fewer m-lines");
		ctl_leg_leave(c, leg);
		return;
	}
	etag_make(leg->whip);
	free(leg->whip->offer); /* its text goes with the request */
	leg->whip->offer = NULL;
	c->joins += first;
	log_info("%s leg=%s conference=%s member=%s worker=%u whip=yes",
	    first ? "joined" : "ice restarted", leg->id, leg->room->key,
	    leg->member, leg->room->worker->index);
	reply_sdp(
	    r, first ? 201 : 200, first ? WHIP_SDP : WHIP_FRAG, leg, text, len);
	perc_wipe(text, len);
	free(text);
}

/* ---- the session ------------------------------------------------------ */

void
whip_delete(struct ctl *c, struct perc_httpd_req *r, const char *id)
{
	struct perc_httpd_header h[2];
	struct mdd_token t;
	struct ctl_leg *leg;

	if (whip_off(c, r) || (leg = join_own_leg(c, r, id, &t)) == NULL)
		return;
	ctl_leg_leave(c, leg);
	perc_httpd_reply(r, 200, h, whip_cors(h, r), NULL, 0, false);
}

static void
restart(struct ctl *c, struct ctl_leg *leg, struct perc_httpd_req *r,
    const struct mdd_frag *f)
{
	struct mdd_restart m = { 0 };
	uint8_t buf[MDD_MSG_MAX];
	int n;

	memcpy(m.leg, leg->id, sizeof(m.leg));
	memcpy(m.ufrag, f->ufrag.p, f->ufrag.n);
	memcpy(m.pwd, f->pwd.p, f->pwd.n);
	n = mdd_restart_put(buf, &m);
	if (n < 0 ||
	    perc_chan_send(leg->room->worker->chan, MDD_MSG_RESTART, 0, buf,
		(size_t)n) != 0) {
		join_full(c, r, PERC_ERR_AGAIN);
	} else {
		leg->req = r;
		leg->asked_ms = perc_now_ms();
	}
	perc_wipe(&m, sizeof(m));
	perc_wipe(buf, sizeof(buf));
}

/* RFC 9725 sections 4.3.1 and 4.3.3: the ETag of now is more candidates, "*"
 * is another ICE session. */
static void
patch(struct ctl *c, struct ctl_leg *leg, struct perc_httpd_req *r,
    const struct mdd_frag *f)
{
	const char *match = perc_httpd_header(r, "If-Match", NULL);
	struct perc_httpd_header h[2];

	if (match == NULL)
		join_problem(r, 428, "precondition_required",
		    "Send If-Match: the ETag, or * to restart ICE");
	else if (strcmp(match, "*") == 0)
		restart(c, leg, r, f);
	else if (strcmp(match, leg->whip->etag) != 0)
		join_problem(r, 412, "precondition_failed",
		    "That ICE session is over; If-Match: * restarts ICE");
	else /* addresses show by checks, and we send to no others */
		perc_httpd_reply(r, 204, h, whip_cors(h, r), NULL, 0, false);
}

void
whip_patch(struct ctl *c, struct perc_httpd_req *r, const char *id)
{
	struct mdd_token t;
	struct ctl_leg *leg;
	struct mdd_frag f;
	const uint8_t *p;
	size_t n;

	if (whip_off(c, r) || (leg = join_own_leg(c, r, id, &t)) == NULL)
		return;
	p = perc_httpd_body(r, &n);
	if (leg->whip == NULL)
		join_problem(r, 404, "leg_unknown", "It joined without SDP");
	else if (!type_is(r, WHIP_FRAG))
		join_problem(
		    r, 415, "media_type", "Send Content-Type: " WHIP_FRAG);
	else if (mdd_sdp_frag(&f, (const char *)p, n) != 0)
		join_problem(r, 400, "sdp_malformed",
		    "Send a=ice-ufrag and a=ice-pwd, and candidates (RFC "
		    "8840)");
	else
		patch(c, leg, r, &f);
}
