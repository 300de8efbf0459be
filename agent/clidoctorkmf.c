/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KMF as everybody sees it: its name, its clock, its keys, and what it
 * says itself that it lacks.
 */
#include "agent/clidoctor.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/json.h"

#define EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"

static const char base_url_advice[] =
    "use the URL that base_url in perch-kmf.conf names, or change base_url to "
    "the one people use";

static void
kmf_server(struct doctor *d, const json_t *j)
{
	const char *issuer = perc_json_str(j, "issuer");
	const char *token = perc_json_str(j, "token_endpoint");

	if (issuer == NULL || strcmp(issuer, d->kmf) != 0) /* RFC 8414 3.3 */
		doctor_wrong(d, "KMF", "metadata", base_url_advice,
		    "it calls itself \"%s\", not \"%s\"", cli_get(j, "issuer"),
		    d->kmf);
	else if (token == NULL || !text_same_origin(token, d->kmf) ||
	    !perc_json_has(j, "grant_types_supported", EXCHANGE) ||
	    !perc_json_has(j, "dpop_signing_alg_values_supported", "ES256"))
		doctor_wrong(d, "KMF", "metadata",
		    "is this a perch-kmf of our version, and no proxy between?",
		    "no token endpoint of its own, no token exchange or no "
		    "DPoP with ES256");
	else
		doctor_good(d, "KMF", "metadata",
		    "RFC 8414: issuer, token exchange, DPoP");
}

/* RFC 9728 section 3.3: a resource that is not ours must not be used. */
static void
kmf_resource(struct doctor *d)
{
	char *url = text_new("%s" WELL "oauth-protected-resource", d->kmf);
	struct doctor_page p;

	if (!doctor_get(d, &p, url))
		doctor_page_wrong(d, "KMF", "resource", url, &p);
	else if (strcmp(cli_get(p.json, "resource"), d->kmf) != 0 ||
	    !perc_json_has(p.json, "authorization_servers", d->kmf))
		doctor_wrong(d, "KMF", "resource", base_url_advice,
		    "its protected resource is \"%s\", not itself",
		    cli_get(p.json, "resource"));
	else
		doctor_good(d, "KMF", "resource",
		    "RFC 9728: the resource and its server are one");
	doctor_page_clear(&p);
	free(url);
}

static void
kmf_keys(struct doctor *d, const char *url)
{
	static const char *const algs[] = { "ES256", NULL };
	struct doctor_page p = { 0 };

	if (!text_same_origin(url, d->kmf))
		doctor_wrong(d, "KMF", "keys", base_url_advice,
		    "its jwks_uri \"%s\" is not at the KMF", cli_clean(url));
	else if (!doctor_get(d, &p, url))
		doctor_page_wrong(d, "KMF", "keys", url, &p);
	else if (doctor_keys(p.json, algs) == 0)
		doctor_wrong(d, "KMF", "keys", "is this a perch-kmf?",
		    "no ES256 key in its key set");
	else
		doctor_good(
		    d, "KMF", "keys", "%u ES256", doctor_keys(p.json, algs));
	doctor_page_clear(&p);
}

static void
kmf_clock(struct doctor *d, const struct doctor_page *p)
{
	long long s = (long long)(p->skew_ms / 1000);

	d->dated = p->dated;
	d->kmf_skew_ms = p->skew_ms;
	if (!p->dated)
		doctor_wrong(d, "KMF", "clock", "let a proxy pass Date on",
		    "it does not tell its time");
	else if (llabs(p->skew_ms) > DOCTOR_SKEW_MS)
		doctor_wrong(d, "KMF", "clock",
		    "set both clocks by NTP; proofs fail beyond 120 s",
		    "%lld s %s ours", llabs(s), s > 0 ? "ahead of" : "behind");
	else
		doctor_good(d, "KMF", "clock", "%+.1f s from ours",
		    (double)p->skew_ms / 1000);
}

/* {"checks": {"issuer:LABEL": {"ok", "reason"}}} */
static void
ready_read(struct doctor *d, const struct doctor_page *p)
{
	json_t *checks = json_object_get(p->json, "checks"), *one;
	const char *name;

	json_object_foreach(checks, name, one)
	{
		if (json_is_true(json_object_get(one, "ok")))
			continue;
		doctor_wrong(d, "KMF", "ready",
		    strncmp(name, "issuer", 6) == 0
			? "see that the KMF's own host reaches the provider: "
			  "url and ca_file in perch-kmf.conf"
			: "see the KMF's log",
		    "%s: %s", cli_clean(name), cli_get(one, "reason"));
	}
}

/* What the KMF itself lacks. */
static void
kmf_ready(struct doctor *d)
{
	char *url = text_new("%s/readyz", d->kmf);
	unsigned bad = d->bad;
	struct doctor_page p;

	if (!doctor_get(d, &p, url) && p.err != 0)
		doctor_page_wrong(d, "KMF", "ready", url, &p);
	else
		ready_read(d, &p);
	if (d->bad == bad && p.status != 200)
		doctor_wrong(d, "KMF", "ready", "see the KMF's log",
		    "HTTP status %d", p.status);
	if (d->bad == bad)
		doctor_good(d, "KMF", "ready",
		    "it is, with keys of every identity provider");
	doctor_page_clear(&p);
	free(url);
}

void
doctor_kmf(struct doctor *d, const struct doctor_page *server)
{
	const char *jwks = perc_json_str(server->json, "jwks_uri");

	kmf_clock(d, server);
	kmf_server(d, server->json);
	kmf_resource(d);
	kmf_keys(d, jwks != NULL ? jwks : "");
	kmf_ready(d);
}
