/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What an issuer's claims mean here, by its settings: whose addresses count,
 * which claim has the groups, which values are roles. A list of groups that
 * the provider left out for its length (Entra ID's "overage") is not an empty
 * list, and nobody may take it for one.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "perc/json.h"
#include "perc/log.h"

static bool
listed(char *const *list, const char *word, size_t n)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		if (strlen(list[i]) == n && strncasecmp(list[i], word, n) == 0)
			return true;
	return false;
}

bool
front_email_counts(const struct kmf_issuer *i, const char *email)
{
	const char *at = strrchr(email, '@');

	return i->email_domains == NULL ||
	    (at != NULL && listed(i->email_domains, at + 1, strlen(at + 1)));
}

/* An address of a domain that is not this issuer's is only a claim. */
static void
email_fill(struct front_req *q)
{
	const struct kmf_issuer *i = q->issuer;
	struct kmf_identity *id = &q->who;

	id->email = front_text_of(q->claims, i->email_claim);
	id->email_verified = perc_json_bool(q->claims, "email_verified", false);
	if (id->email[0] == '\0' || front_email_counts(i, id->email))
		return;
	if (id->email_verified)
		log_info("front.email id=%s issuer=%s counts=no "
			 "reason=\"not of its email_domains\"",
		    q->id, i->label);
	id->email = "";
	id->email_verified = false;
}

/* "realm_access.roles": members within members; a name with a dot in it (a
 * URL, as providers like them) is tried whole first. */
static const json_t *
claim_find(const json_t *claims, const char *path)
{
	char part[128];
	const json_t *v;
	size_t n;

	if ((v = json_object_get(claims, path)) != NULL)
		return v;
	n = strcspn(path, ".");
	if (path[n] == '\0' || n >= sizeof(part))
		return NULL;
	snprintf(part, sizeof(part), "%.*s", (int)n, path);
	v = json_object_get(claims, part);
	return json_is_object(v) ? claim_find(v, path + n + 1) : NULL;
}

/* RFC 9068 2.2.3.1. "hasgroups" and "_claim_names" are Entra ID's. */
static void
groups_fill(struct front_req *q)
{
	static struct perc_log_limit limit = { .burst = 20, .per_ms = 60000 };
	const char *name = q->issuer->groups_claim;
	const json_t *names = json_object_get(q->claims, "_claim_names");
	const json_t *list = claim_find(q->claims, name), *one;
	struct kmf_identity *id = &q->who;
	size_t n;

	id->groups_partial = json_object_get(names, name) != NULL ||
	    json_object_get(names, "groups") != NULL ||
	    json_is_true(json_object_get(q->claims, "hasgroups"));
	json_array_foreach(list, n, one)
	{
		if (!json_is_string(one))
			continue;
		if (id->ngroups < KMF_GROUPS_MAX)
			id->groups[id->ngroups++] = json_string_value(one);
		else
			id->groups_partial = true;
	}
	if (id->groups_partial && perc_log_allow(&limit))
		log_warnx("front.groups_partial id=%s issuer=%s got=%u "
			  "hint=\"the token does not hold all groups; let the "
			  "provider send only those assigned to perch\"",
		    q->id, q->issuer->label, id->ngroups);
}

static bool
has_value(const json_t *claim, const char *value)
{
	const char *text = json_string_value(claim);
	const json_t *one;
	size_t n;

	if (text != NULL &&
	    (strcmp(text, value) == 0 || kmf_word_in(text, value)))
		return true;
	json_array_foreach(claim, n, one)
	{
		text = json_string_value(one);
		if (text != NULL && strcmp(text, value) == 0)
			return true;
	}
	return false;
}

static bool
has_role(const struct front_req *q, char *const *values)
{
	const json_t *claim = claim_find(q->claims, q->issuer->roles_claim);
	const json_t *scope = json_object_get(q->claims, "scope");
	size_t i;

	for (i = 0; values != NULL && values[i] != NULL; i++)
		if (has_value(claim, values[i]) || has_value(scope, values[i]))
			return true;
	return false;
}

static void
roles_fill(struct front_req *q)
{
	const struct kmf_issuer *i = q->issuer;
	const struct {
		const char *role;
		char *const *values;
	} all[] = { { "admin", i->admin_values },
		{ "scheduler", i->scheduler_values },
		{ "auditor", i->auditor_values } };
	size_t n, o = 0;

	for (n = 0; n < sizeof(all) / sizeof(all[0]); n++)
		if (has_role(q, all[n].values))
			o +=
			    (size_t)snprintf(q->roles + o, sizeof(q->roles) - o,
				"%s%s", o == 0 ? "" : " ", all[n].role);
	q->who.roles = q->roles;
}

void
front_person(struct front_req *q)
{
	static const char *const kinds[] = {
		[KMF_KIND_AUTO] = "",
		[KMF_KIND_PERSON] = "person",
		[KMF_KIND_ROOM] = "room",
		[KMF_KIND_RECORDER] = "recorder",
	};
	struct kmf_identity *id = &q->who;

	id->who = KMF_WHO_PERSON;
	id->iss = q->issuer->url;
	id->sub = front_text_of(q->claims, "sub");
	id->name = front_text_of(q->claims, "name");
	if (id->name[0] == '\0')
		id->name = front_text_of(q->claims, "preferred_username");
	id->scope = front_text_of(q->claims, "scope");
	id->kind = kinds[q->issuer->kind];
	if (perc_json_int(&id->token_exp_s, q->claims, "exp", 1, INT64_MAX) !=
	    0)
		id->token_exp_s = 0;
	id->ngroups = 0;
	email_fill(q);
	groups_fill(q);
	roles_fill(q);
}
