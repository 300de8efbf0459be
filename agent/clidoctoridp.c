/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity providers that the KMF names, seen from here: the same two
 * documents that the agent and the KMF's fetcher read. The KMF compares the
 * issuer octet by octet, so a slash too many is an error, and is said.
 */
#include "agent/clidoctor.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/json.h"

static bool
chosen(const struct doctor *d, const json_t *p)
{
	const char *want = d->c->opt[CLI_PROVIDER];
	const char *name = perc_json_str(p, "name");
	const char *issuer = perc_json_str(p, "issuer");

	return want == NULL || (name != NULL && strcmp(name, want) == 0) ||
	    (issuer != NULL && strcmp(issuer, want) == 0);
}

static bool
slash_apart(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	while (n > 0 && a[n - 1] == '/')
		n--;
	while (m > 0 && b[m - 1] == '/')
		m--;
	return n == m && strncmp(a, b, n) == 0;
}

static bool
issuer_check(
    struct doctor *d, const char *who, const char *want, const json_t *j)
{
	const char *have = perc_json_str(j, "issuer");

	if (have != NULL && strcmp(have, want) == 0) {
		doctor_good(d, who, "issuer", "exactly %s", cli_clean(want));
		return true;
	}
	doctor_wrong(d, who, "issuer",
	    have != NULL && slash_apart(have, want)
		? "they differ by a slash: copy the provider's own into url of "
		  "its section in perch-kmf.conf"
		: "copy the provider's own into url of its section in "
		  "perch-kmf.conf",
	    "it calls itself \"%s\", the KMF expects \"%s\"",
	    cli_get(j, "issuer"), cli_clean(want));
	return false;
}

static void
keys_check(struct doctor *d, const char *who, const json_t *j)
{
	/* What kmf/claims.c takes; an RSA key without "alg" reads RS256. */
	static const char *const algs[] = { "RS256", "PS256", "ES256", NULL };
	const char *url = perc_json_str(j, "jwks_uri");
	struct doctor_page p = { 0 };
	size_t all;

	if (url == NULL || strncmp(url, "https://", 8) != 0) {
		doctor_wrong(d, who, "keys",
		    "the provider must offer its key set over https",
		    "no jwks_uri with https");
		return;
	}
	if (!doctor_get(d, &p, url)) {
		doctor_page_wrong(d, who, "keys", url, &p);
	} else {
		all = json_array_size(json_object_get(p.json, "keys"));
		if (doctor_keys(p.json, algs) == 0)
			doctor_wrong(d, who, "keys",
			    "let it sign with RS256, PS256 or ES256",
			    "%zu keys, none of an algorithm that we do", all);
		else
			doctor_good(d, who, "keys", "%u of %zu usable",
			    doctor_keys(p.json, algs), all);
	}
	doctor_page_clear(&p);
}

/* Some providers do PKCE without saying so; then only a trial tells. */
static void
ways_check(struct doctor *d, const char *who, const json_t *j)
{
	bool device = perc_json_str(j, "device_authorization_endpoint") != NULL;
	bool code = perc_json_str(j, "authorization_endpoint") != NULL &&
	    perc_json_str(j, "token_endpoint") != NULL;
	bool pkce =
	    perc_json_has(j, "code_challenge_methods_supported", "S256");

	if (!device && !(code && pkce))
		doctor_wrong(d, who, "login",
		    "allow the device grant or PKCE with S256 at the provider; "
		    "if it does PKCE without telling, --login --browser shows",
		    "neither device grant nor code with PKCE (S256) is "
		    "offered");
	else
		doctor_good(d, who, "login", "%s%s%s",
		    device ? "device grant" : "", device && code ? ", " : "",
		    !code      ? ""
			: pkce ? "browser (code, PKCE S256)"
			       : "browser (code; PKCE is not announced)");
}

/* Its tokens are read by the KMF: the two clocks that must agree. */
static void
clock_check(struct doctor *d, const char *who, const struct doctor_page *p)
{
	int64_t ms = p->skew_ms - (d->dated ? d->kmf_skew_ms : 0);
	long long s = (long long)(ms / 1000);
	const char *whose = d->dated ? "the KMF's" : "ours";

	if (!p->dated)
		doctor_good(d, who, "clock", "it does not tell");
	else if (llabs(ms) > DOCTOR_SKEW_MS)
		doctor_wrong(d, who, "clock",
		    "set both clocks by NTP; tokens fail beyond 60 s",
		    "%lld s %s %s", llabs(s), s > 0 ? "ahead of" : "behind",
		    whose);
	else
		doctor_good(d, who, "clock", "%+.1f s from %s",
		    (double)ms / 1000, whose);
}

static void
provider_check(struct doctor *d, const json_t *p)
{
	const char *issuer = perc_json_str(p, "issuer");
	const char *who = cli_get(p, "name");
	struct doctor_page page = { 0 };
	size_t n;
	char *url;

	if (issuer == NULL || perc_json_str(p, "client_id") == NULL) {
		doctor_wrong(d, "KMF", "providers", "is this a perch-kmf?",
		    "an identity provider without issuer or client_id");
		return;
	}
	n = strlen(issuer);
	url = text_new("%s%s.well-known/openid-configuration", issuer,
	    n > 0 && issuer[n - 1] == '/' ? "" : "/");
	if (!doctor_get(d, &page, url)) {
		doctor_page_wrong(
		    d, who, "discovery", url != NULL ? url : issuer, &page);
	} else if (page.json == NULL) {
		doctor_wrong(d, who, "discovery", "is this URL the right one?",
		    "%s is no JSON object", cli_clean(url));
	} else {
		doctor_good(d, who, "discovery", "%s", cli_clean(url));
		clock_check(d, who, &page);
		if (issuer_check(d, who, issuer, page.json)) {
			keys_check(d, who, page.json);
			ways_check(d, who, page.json);
		}
	}
	doctor_page_clear(&page);
	free(url);
}

void
doctor_providers(struct doctor *d, const json_t *list)
{
	const json_t *one;
	unsigned n = 0;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (!chosen(d, one))
			continue;
		n++;
		provider_check(d, one);
	}
	if (n == 0 && d->c->opt[CLI_PROVIDER] != NULL)
		doctor_wrong(d, "KMF", "providers",
		    "name one of [issuer ...] in perch-kmf.conf",
		    "no identity provider is called \"%s\"",
		    cli_clean(d->c->opt[CLI_PROVIDER]));
	else if (n == 0)
		doctor_good(d, "KMF", "providers",
		    "none: guests with invitation codes only");
}
