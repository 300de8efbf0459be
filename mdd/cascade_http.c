/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another MDD asks of us over HTTPS (docs/wire/cascade.md). Each
 * request proves the caller's link key by a DPoP proof without a token: it
 * names method and URL, so that what one peer was sent is nothing to another,
 * and is good once. TLS protects the rest: the caller checks the called's
 * certificate.
 */
#include <jansson.h>
#include <string.h>

#include "mdd/cascade.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

/* ---- who asks --------------------------------------------------------- */

static struct ctl_peer *
refuse(struct ctl *c, struct perc_httpd_req *r, const char *why)
{
	static struct perc_log_limit limit = { .burst = 20, .per_ms = 1000 };

	c->cascade->refused++;
	if (perc_log_allow(&limit))
		log_info("link refused why=\"%s\"", why);
	join_problem(r, 401,
	    strcmp(why, "none") == 0 ? "proof_missing" : "proof_invalid",
	    "A proof of a configured peer's key is needed");
	return NULL;
}

/* NULL: it was answered. */
static struct ctl_peer *
peer_of(struct ctl *c, struct perc_httpd_req *r)
{
	int64_t now_s = perc_wall_ms() / 1000;
	const char *proof, *why = NULL;
	char url[LINK_URL_MAX];
	struct perc_dpop d;
	unsigned i, count = 0;

	proof = perc_httpd_header(r, "DPoP", &count);
	if (proof == NULL || count != 1)
		return refuse(c, r, "none");
	if (c->conf->peers == 0)
		return refuse(c, r, "no peers");
	if (snprintf(url, sizeof(url), "%s%s", c->conf->base_url,
		perc_httpd_path(r)) >= (int)sizeof(url) ||
	    perc_dpop_check(&d, proof, strlen(proof), perc_httpd_method(r), url,
		NULL, now_s, MDD_PROOF_S, &why) != 0)
		return refuse(c, r, why != NULL ? why : "proof");
	for (i = 0; i < MDD_PEER_MAX; i++)
		if (c->cascade->peer[i].http != NULL &&
		    strcmp(c->cascade->peer[i].conf.key, d.jkt) == 0)
			break;
	if (i == MDD_PEER_MAX)
		return refuse(c, r, "not a peer's key");
	if (!mdd_proofs_fresh(&c->cascade->proofs, d.jkt, d.jti_hash, now_s))
		return refuse(c, r, "proof was here before");
	return &c->cascade->peer[i];
}

/* ---- what it asks ----------------------------------------------------- */

struct link_body {
	char key[MDD_CONF_KEY_MAX + 1], leg[MDD_LEG_ID_MAX];
	char ufrag[MDD_ICE_MAX + 1], pwd[MDD_ICE_MAX + 1];
	uint8_t pin[PERC_FINGERPRINT_LEN];
	bool twcc;
};

/* The KMF's base URL and the id there: our label for it may be another. */
static bool
key_get(const struct ctl *c, const json_t *j, char key[MDD_CONF_KEY_MAX + 1])
{
	const char *issuer = perc_json_str(j, "issuer");
	char id[MDD_TOKEN_ID_MAX + 1];
	unsigned i;

	if (issuer == NULL ||
	    !cascade_text_get(id, 1, sizeof(id), j, "conference", "-_"))
		return false;
	for (i = 0; i < c->conf->kmfs; i++)
		if (strcmp(c->issuer[i].issuer, issuer) == 0) {
			(void)snprintf(key, MDD_CONF_KEY_MAX + 1, "%s/%s",
			    c->issuer[i].name, id);
			return true;
		}
	return false;
}

/* 0, or the status of the refusal. */
static unsigned
body_get(const struct ctl *c, struct perc_httpd_req *r, struct link_body *b)
{
	const char *fp;
	const uint8_t *p;
	unsigned status = 400;
	json_t *j = NULL;
	size_t len;

	p = perc_httpd_body(r, &len);
	if (perc_json_parse(&j, p, len, LINK_BODY_MAX, NULL, 0) != 0)
		return 400;
	fp = perc_json_str(j, "fingerprint");
	if (cascade_text_get(b->leg, 1, sizeof(b->leg), j, "leg", "-_") &&
	    cascade_text_get(
		b->ufrag, 4, sizeof(b->ufrag), j, "ufrag", "+/-_") &&
	    cascade_text_get(b->pwd, 22, sizeof(b->pwd), j, "pwd", "+/-_") &&
	    fp != NULL && perc_fingerprint_get(b->pin, fp) == 0)
		status = key_get(c, j, b->key) ? 0 : 404;
	b->twcc = json_is_true(json_object_get(j, "twcc"));
	json_decref(j);
	return status;
}

/* ---- POST ------------------------------------------------------------- */

/* The place for the peer's link; what we had with it is replaced. NULL: r was
 * answered. */
static struct ctl_link *
link_place(struct ctl *c, struct perc_httpd_req *r, struct ctl_peer *peer,
    const char *key)
{
	struct ctl_party *p = ctl_party_find(c, key);
	struct ctl_link *k = p == NULL ? NULL : cascade_find(c, p, peer);
	struct ctl_room *room = NULL;

	if (!cascade_allows(p, peer)) {
		join_problem(
		    r, 404, "conference_unknown", "Nobody is in it here");
		return NULL;
	}
	if (k != NULL && k->dial &&
	    (k->state == LINK_OURS || k->state == LINK_THEIRS) &&
	    strcmp(c->conf->base_url, peer->conf.url) < 0) {
		join_problem(r, 409, "link_dialled", "We are dialling you");
		return NULL;
	}
	if (k != NULL && k->state == LINK_LIVE)
		k->leg[0] = k->far_leg[0] = '\0'; /* until the new one is up */
	if ((p == NULL && ctl_room_get(c, key, NULL, &room) != 0) ||
	    (k = cascade_new(c, p == NULL ? room : p->first)) == NULL) {
		join_problem(r, 503, "not_ready", "No link to be had now");
		return NULL;
	}
	k->peer = peer;
	return k;
}

/* One link for a peer: the record that was goes, the new one stays. */
static void
link_drop_older(struct ctl *c, struct ctl_link *k)
{
	struct ctl_link *o, *next;

	for (o = c->cascade->first; o != NULL; o = next) {
		next = o->next;
		if (o != k && o->party == k->party && o->peer == k->peer)
			cascade_end(c, o);
	}
}

void
cascade_post(struct ctl *c, struct perc_httpd_req *r, const char *rest)
{
	struct ctl_peer *peer = peer_of(c, r);
	struct link_body b = { .key = "" };
	struct ctl_link *k;
	struct mdd_join j;
	unsigned status;

	if (peer == NULL)
		return;
	status = body_get(c, r, &b);
	if (status != 0) {
		join_problem(r, status,
		    status == 404 ? "conference_unknown" : "request_malformed",
		    status == 404 ? "Not a conference of our KMFs"
				  : "Not the form of a link's request");
		goto out;
	}
	if (c->stopping) {
		join_problem(r, 503, "not_ready", "No link to be had now");
		goto out;
	}
	if ((k = link_place(c, r, peer, b.key)) == NULL)
		goto out;
	link_drop_older(c, k);
	k->state = LINK_THEIRS;
	k->req = r;
	cascade_join_fill(k, false, &j);
	memcpy(j.pin, b.pin, sizeof(j.pin));
	memcpy(j.ufrag, b.ufrag, sizeof(j.ufrag));
	memcpy(j.pwd, b.pwd, sizeof(j.pwd));
	j.twcc = b.twcc;
	memcpy(k->leg, j.leg, sizeof(k->leg));
	memcpy(k->far_leg, b.leg, sizeof(k->far_leg));
	if (cascade_ask_worker(c, k, &j) != 0) {
		k->far_leg[0] = k->leg[0] = '\0';
		cascade_end(c, k);
	}
	perc_wipe(&j, sizeof(j));
out:
	perc_wipe(&b, sizeof(b));
}

static void
reply(struct perc_httpd_req *r, unsigned status, json_t *j)
{
	static const struct perc_httpd_header h = { "Content-Type",
		"application/json" };
	char *text = j == NULL ? NULL : perc_json_text(j);

	json_decref(j);
	if (text == NULL) {
		perc_httpd_reply(r, 500, NULL, 0, NULL, 0, false);
		return;
	}
	perc_httpd_reply(r, status, &h, 1, text, strlen(text), true);
	perc_json_free(text);
}

void
cascade_answer(struct ctl *c, struct ctl_link *k, const struct mdd_joined *a)
{
	const struct ctl_worker *w = k->room->worker;
	struct perc_httpd_req *r = k->req;

	k->req = NULL;
	if (a == NULL) {
		k->far_leg[0] = '\0'; /* it knows by this answer */
		join_problem(r, 503, "full", "No link to be had now");
		return;
	}
	k->state = LINK_LIVE;
	k->live_ms = perc_now_ms();
	k->due_ms = k->live_ms + LINK_RENEW_MS;
	c->cascade->accepted++;
	log_info("link accepted leg=%s conference=%s from=%s worker=%u", k->leg,
	    k->party->key, k->peer->conf.name, w->index);
	reply(r, 201,
	    json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:b, s:i}", "leg", k->leg,
		"host", c->conf->media_host, "port", (int)w->port,
		"fingerprint", w->fingerprint, "ufrag", a->ufrag, "pwd", a->pwd,
		"twcc", 1, "expires_in", LINK_TTL_S));
	cascade_changed(c, k->party); /* others may be waiting for it */
}

/* ---- PUT, DELETE ------------------------------------------------------ */

static struct ctl_link *
link_named(struct ctl *c, struct perc_httpd_req *r, const char *leg)
{
	struct ctl_peer *peer = peer_of(c, r);
	struct ctl_link *k;

	if (peer == NULL)
		return NULL;
	for (k = c->cascade->first; k != NULL; k = k->next)
		if (k->peer == peer && k->leg[0] != '\0' &&
		    strcmp(k->leg, leg) == 0 && k->req == NULL)
			return k;
	join_problem(r, 404, "leg_unknown", "No such link");
	return NULL;
}

void
cascade_put(struct ctl *c, struct perc_httpd_req *r, const char *leg)
{
	struct ctl_link *k = link_named(c, r, leg);

	if (k == NULL)
		return;
	cascade_live_on(k);
	reply(r, 200,
	    json_pack("{s:s, s:i}", "leg", k->leg, "expires_in", LINK_TTL_S));
}

void
cascade_delete(struct ctl *c, struct perc_httpd_req *r, const char *leg)
{
	struct ctl_link *k = link_named(c, r, leg);

	if (k == NULL)
		return;
	perc_httpd_reply(r, 204, NULL, 0, NULL, 0, false);
	k->far_leg[0] = '\0'; /* the peer has ended its own */
	cascade_fail(c, k, LINK_NOBODY_MS);
	cascade_changed(c, k->party);
}
