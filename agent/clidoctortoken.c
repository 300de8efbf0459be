/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tokens of a trial login look like, and what that means for
 * invitations. Much of it is no mistake but a choice of the provider's, which
 * somebody should know of before the first conference: a NOTE.
 */
#include "agent/clidoctor.h"

#include <stdlib.h>
#include <string.h>

#include "perc/json.h"

/* The KMF reads this many groups of a person. */
#define GROUPS_MAX 64

static bool
truth(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

static long long
number(const json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

/* Algorithms as kmf/claims.c takes them. */
static void
alg_check(struct doctor *d, const char *what, const json_t *token)
{
	static const char *const good[] = { "RS256", "PS256", "ES256" };
	const char *alg = cli_get(token, "alg");

	for (size_t i = 0; i < 3; i++)
		if (strcmp(alg, good[i]) == 0)
			return;
	doctor_wrong(d, "login", "algorithm",
	    "let the provider sign it with RS256, PS256 or ES256",
	    "its %s is signed with \"%s\"", what, alg);
}

static void
groups_check(struct doctor *d, const json_t *id)
{
	long long n = number(id, "groups");

	if (truth(id, "groups_left_out"))
		doctor_wrong(d, "login", "groups",
		    "let the provider send only the groups that are assigned "
		    "to perch (docs/sso/entra-id.md)",
		    "the provider left this person's groups out, they are too "
		    "many: an invitation of a group cannot be seen");
	else if (n == -2)
		doctor_wrong(d, "login", "groups",
		    "let the provider send a list of names",
		    "the claim \"groups\" is no list");
	else if (n > GROUPS_MAX)
		doctor_wrong(d, "login", "groups",
		    "let the provider send only the groups that are assigned "
		    "to perch",
		    "%lld groups; the KMF reads %d", n, GROUPS_MAX);
	else if (n < 0)
		doctor_note(d, "login", "groups",
		    "add the claim at the provider, or name it as "
		    "groups_claim, if groups are to be invited",
		    "no claim \"groups\"");
	else
		doctor_good(d, "login", "groups", "%lld", n);
}

static void
email_check(struct doctor *d, const json_t *id)
{
	if (!truth(id, "email"))
		doctor_note(d, "login", "e-mail",
		    "add email to scope in perch-kmf.conf, or the claim at "
		    "the provider; or invite by group",
		    "no address: invitations by address do not count");
	else if (!truth(id, "email_verified"))
		doctor_note(d, "login", "e-mail",
		    "let the provider verify addresses and send "
		    "email_verified, or invite by group",
		    "the provider does not vouch for the address: "
		    "invitations by address do not count");
	else
		doctor_good(d, "login", "e-mail", "an address, verified");
}

static void
id_check(struct doctor *d, const json_t *id)
{
	long long ahead = number(id, "ahead_s");

	alg_check(d, "ID token", id);
	email_check(d, id);
	groups_check(d, id);
	if (llabs(ahead) * 1000 > DOCTOR_SKEW_MS)
		doctor_wrong(d, "login", "clock",
		    "set both clocks by NTP; tokens fail beyond 60 s",
		    "its ID token was made %lld s %s", llabs(ahead),
		    ahead > 0 ? "in the future" : "ago");
}

static void
access_check(struct doctor *d, const json_t *access)
{
	if (json_is_string(access))
		doctor_note(d, "login", "access token",
		    "add openid to scope, or let the KMF ask the provider "
		    "about it (introspection)",
		    "it is opaque, and there is no ID token");
	else
		alg_check(d, "access token", access);
}

void
doctor_tokens(struct doctor *d, const json_t *seen)
{
	const json_t *id = json_object_get(seen, "id_token");
	const json_t *access = json_object_get(seen, "access_token");

	if (seen == NULL)
		return;
	if (id != NULL)
		id_check(d, id);
	else if (access != NULL)
		access_check(d, access);
	if (!truth(seen, "refresh_token"))
		doctor_note(d, "login", "renewal",
		    "allow refresh tokens for perch; some providers want "
		    "offline_access in scope",
		    "no refresh token: people log in again when the token "
		    "ends");
}

/* Why a KMF would refuse them; NULL: nothing here tells. */
const char *
doctor_tokens_advice(const json_t *seen)
{
	const json_t *id = json_object_get(seen, "id_token");
	const json_t *access = json_object_get(seen, "access_token");
	const char *typ = cli_get(access, "typ");

	if (id != NULL || !json_is_object(access))
		return NULL;
	if (strcasecmp(typ, "at+jwt") != 0 &&
	    strcasecmp(typ, "application/at+jwt") != 0)
		return "the access token is no at+jwt (RFC 9068): let the "
		       "provider make such ones, or add openid to scope";
	if (!truth(access, "for_kmf"))
		return "the access token is made for somebody else: make the "
		       "KMF a resource at the provider, or put its aud as "
		       "audience into the issuer's section";
	if (!truth(access, "client_id"))
		return "the access token names no client_id (RFC 9068): let "
		       "the provider add it, or add openid to scope";
	return NULL;
}
