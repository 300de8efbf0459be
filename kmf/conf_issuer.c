/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * "[issuer label]": who may say who somebody is, and what its word counts
 * for. What works but is dangerous is said aloud, at start and by
 * check-config.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/conf_table.h"
#include "kmf/kmf.h"
#include "perc/conf.h"

#define IN(m) offsetof(struct kmf_issuer, m)

const struct perc_conf_item kmf_issuer_items[] = {
	{ .name = "url",
	    .type = PERC_CONF_STR,
	    .offset = IN(url),
	    .required = true,
	    .help = "issuer identifier, exactly as in its tokens (iss)" },
	{ .name = "name",
	    .type = PERC_CONF_STR,
	    .offset = IN(name),
	    .help = "shown to people; default the label" },
	{ .name = "client_id",
	    .type = PERC_CONF_STR,
	    .offset = IN(client_id),
	    .def = "perch",
	    .help = "of perch at this provider" },
	{ .name = "audience",
	    .type = PERC_CONF_STR,
	    .offset = IN(audience),
	    .help = "accepted aud of its access tokens besides base_url" },
	{ .name = "scope",
	    .type = PERC_CONF_STR,
	    .offset = IN(scope),
	    .def = "openid email profile",
	    .help = "what perch asks for when people log in" },
	{ .name = "resource_indicator",
	    .type = PERC_CONF_BOOL,
	    .offset = IN(resource_indicator),
	    .def = "yes",
	    .help = "logins name this KMF (RFC 8707); no where it is refused" },
	{ .name = "jwks_file",
	    .type = PERC_CONF_PATH,
	    .offset = IN(jwks_file),
	    .help = "its public keys from a file instead of discovery" },
	{ .name = "ca_file",
	    .type = PERC_CONF_PATH,
	    .offset = IN(ca_file),
	    .help = "trust for its HTTPS; default the system's" },
	{ .name = "email_claim",
	    .type = PERC_CONF_STR,
	    .offset = IN(email_claim),
	    .def = "email",
	    .help = "claim with the e-mail address" },
	{ .name = "groups_claim",
	    .type = PERC_CONF_STR,
	    .offset = IN(groups_claim),
	    .def = "groups",
	    .help = "claim with the list of groups" },
	{ .name = "cooldown_s",
	    .type = PERC_CONF_INT,
	    .offset = IN(cooldown_s),
	    .def = "30",
	    .min = 1,
	    .max = 3600,
	    .help = "least seconds between key fetches that tokens cause" },
	{ .name = "keys_max_age_s",
	    .type = PERC_CONF_INT,
	    .offset = IN(keys_max_age_s),
	    .def = "86400",
	    .min = 3,
	    .max = 2592000,
	    .help = "how long fetched keys are used in an outage" },
	{ .name = "leeway_s",
	    .type = PERC_CONF_INT,
	    .offset = IN(leeway_s),
	    .def = "60",
	    .min = 0,
	    .max = 300,
	    .help = "seconds that its clock may differ from ours" },
	{ .name = "discovery",
	    .type = PERC_CONF_ENUM,
	    .offset = IN(discovery),
	    .def = "auto",
	    .choices = "auto|oidc|oauth2",
	    .help = "where its metadata is; auto tries both" },
	{ .name = "allowed_clients",
	    .type = PERC_CONF_LIST,
	    .offset = IN(allowed_clients),
	    .help = "client_id of its access tokens; default any" },
	{ .name = "allowed_actors",
	    .type = PERC_CONF_LIST,
	    .offset = IN(allowed_actors),
	    .help = "who may act for others (act.sub); default nobody" },
	{ .name = "allow_bearer",
	    .type = PERC_CONF_BOOL,
	    .offset = IN(allow_bearer),
	    .def = "no",
	    .help = "take tokens that are bound to no key: dangerous" },
	{ .name = "email_domains",
	    .type = PERC_CONF_LIST,
	    .offset = IN(email_domains),
	    .help = "its addresses count in these domains alone" },
	{ .name = "roles_claim",
	    .type = PERC_CONF_STR,
	    .offset = IN(roles_claim),
	    .def = "groups",
	    .help = "claim that roles come from; a.b is b within a" },
	{ .name = "admin_values",
	    .type = PERC_CONF_LIST,
	    .offset = IN(admin_values),
	    .help = "values of roles_claim, or scopes, that mean admin" },
	{ .name = "scheduler_values",
	    .type = PERC_CONF_LIST,
	    .offset = IN(scheduler_values),
	    .help = "likewise scheduler" },
	{ .name = "auditor_values",
	    .type = PERC_CONF_LIST,
	    .offset = IN(auditor_values),
	    .help = "likewise auditor" },
	{ .name = "introspection",
	    .type = PERC_CONF_BOOL,
	    .offset = IN(introspection),
	    .def = "no",
	    .help = "ask it about opaque tokens (RFC 7662)" },
	{ .name = "introspection_endpoint",
	    .type = PERC_CONF_URL,
	    .offset = IN(introspection_endpoint),
	    .help = "default as its metadata says" },
	{ .name = "introspection_client_id",
	    .type = PERC_CONF_STR,
	    .offset = IN(introspection_client_id),
	    .help = "who asks there; default client_id" },
	{ .name = "introspection_key",
	    .type = PERC_CONF_PATH,
	    .offset = IN(introspection_key),
	    .help = "private JWK, mode 0600: private_key_jwt" },
	{ .name = "introspection_secret",
	    .type = PERC_CONF_PATH,
	    .offset = IN(introspection_secret),
	    .help = "or a file with a client secret, mode 0600" },
	{ .name = "certificate",
	    .type = PERC_CONF_BOOL,
	    .offset = IN(certificate),
	    .def = "no",
	    .help = "devices with certificates of ca_file (RFC 8705)" },
	{ .name = "crl_file",
	    .type = PERC_CONF_PATH,
	    .offset = IN(crl_file),
	    .help = "PEM revocation lists of that CA" },
	{ .name = "subject_from",
	    .type = PERC_CONF_ENUM,
	    .offset = IN(subject_from),
	    .def = "san-uri",
	    .choices = "san-uri|san-dns|san-email|cn",
	    .help = "name in the certificate that says who it is" },
	{ .name = "kind",
	    .type = PERC_CONF_ENUM,
	    .offset = IN(kind),
	    .def = "auto",
	    .choices = "auto|person|room|recorder",
	    .help = "what it says comes; auto: invited, certificates room" },
	{ 0 }
};

int
kmf_issuer_open(void *conf, const char *label, void **targetp)
{
	struct kmf_conf *c = conf;
	struct kmf_issuer *i;
	size_t n;

	for (n = 0; n < c->nissuers; n++)
		if (strcmp(c->issuers[n].label, label) == 0)
			return PERC_ERR_EXISTS;
	if (c->nissuers == KMF_ISSUERS_MAX)
		return PERC_ERR_LIMIT;
	i = &c->issuers[c->nissuers];
	if ((i->label = strdup(label)) == NULL)
		return PERC_ERR_NOMEM;
	c->nissuers++;
	*targetp = i;
	return 0;
}

/* *name: the setting to look at first. */
static const char *
introspection_fault(const struct kmf_issuer *i, const char **name)
{
	bool secret = i->introspection_secret != NULL;
	bool key = i->introspection_key != NULL;

	*name = secret ? "introspection_secret" : "introspection_key";
	if (!i->introspection && (secret || key))
		return "a credential for introspection, which is off; say "
		       "'introspection = yes'";
	*name = "introspection";
	if (i->introspection && secret == key)
		return "'introspection' needs 'introspection_key' or "
		       "'introspection_secret', one of them";
	*name = "jwks_file";
	if (i->introspection && i->jwks_file != NULL &&
	    i->introspection_endpoint == NULL)
		return "with 'jwks_file' nothing is discovered; name the "
		       "'introspection_endpoint'";
	return NULL;
}

static const char *
fault(const struct kmf_conf *c, const struct kmf_issuer *i, const char **name)
{
	*name = "url";
	if (strncmp(i->url, "https://", 8) != 0)
		return "'url' must be an https URL";
	if (strcmp(i->url, c->base_url) == 0)
		return "'url' is this KMF's own base_url; name the provider's";
	*name = "certificate";
	if (i->certificate && i->ca_file == NULL)
		return "'certificate' needs 'ca_file', the CA of the devices";
	if (i->certificate && (i->introspection || i->allow_bearer))
		return "'certificate' stands alone; give tokens an issuer of "
		       "their own";
	*name = "crl_file";
	if (!i->certificate && i->crl_file != NULL)
		return "'crl_file' goes with 'certificate = yes' only";
	return introspection_fault(i, name);
}

static bool
twice(const struct kmf_conf *c, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(c->issuers[i].url, c->issuers[n].url) == 0)
			return true;
	return false;
}

int
kmf_issuers_complete(struct kmf_conf *c, const struct kmf_conf_text *t)
{
	const char *bad, *name;
	size_t n;

	for (n = 0; n < c->nissuers; n++) {
		struct kmf_issuer *i = &c->issuers[n];

		bad = fault(c, i, &name);
		if (bad == NULL && twice(c, n)) {
			name = "url";
			bad = "another issuer has this 'url' already";
		}
		if (bad != NULL)
			return kmf_conf_fault(t, "issuer", i->label, name,
			    "[issuer %s]: %s", i->label, bad);
		if (i->name == NULL && (i->name = strdup(i->label)) == NULL)
			return PERC_ERR_NOMEM;
		if (i->introspection_client_id == NULL &&
		    (i->introspection_client_id = strdup(i->client_id)) == NULL)
			return PERC_ERR_NOMEM;
	}
	return 0;
}

void
kmf_issuers_warn(
    const struct kmf_conf *c, void (*say)(const char *label, const char *text))
{
	const struct kmf_issuer *i;
	size_t n, all = 0;

	for (n = 0; n < c->nissuers; n++) {
		i = &c->issuers[n];
		if (i->allow_bearer)
			say(i->label,
			    "allow_bearer: whoever copies a token of this "
			    "issuer is that person here until it expires");
		if (!i->certificate && i->email_domains == NULL)
			all++;
	}
	for (n = 0; all > 1 && n < c->nissuers; n++)
		if (!c->issuers[n].certificate &&
		    c->issuers[n].email_domains == NULL)
			say(c->issuers[n].label,
			    "email_domains is not set and there are several "
			    "issuers: each may claim everybody's address");
}

bool
kmf_conf_asks_cert(const struct kmf_conf *c)
{
	size_t i;

	for (i = 0; i < c->nissuers; i++)
		if (c->issuers[i].certificate)
			return true;
	return c->client_ca != NULL;
}

bool
kmf_conf_takes_bearer(const struct kmf_conf *c)
{
	size_t i;

	for (i = 0; i < c->nissuers; i++)
		if (c->issuers[i].allow_bearer)
			return true;
	return kmf_conf_asks_cert(c);
}
