/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a provider's tokens look like, for `perch doctor`: it is asked when a
 * login does not work, and then somebody must look. Nothing else of the agent
 * reads an access token (REQ-W-4.1), and no value of a claim that is secret
 * or long goes into the report: kinds, counts and names only.
 */
#include "agent/frontlogin.h"

#include <string.h>

#include "perc/jose.h"
#include "perc/json.h"
#include "perc/loop.h"

/* Entra ID's ways to say that the groups are not all there. */
static bool
groups_left_out(const json_t *claims)
{
	const json_t *names = json_object_get(claims, "_claim_names");

	return json_object_get(names, "groups") != NULL ||
	    json_is_true(json_object_get(claims, "hasgroups"));
}

/* -1: no such claim; -2: not a list. */
static json_int_t
groups_count(const json_t *claims)
{
	const json_t *groups = json_object_get(claims, "groups");

	if (groups == NULL)
		return -1;
	return json_is_array(groups) ? (json_int_t)json_array_size(groups) : -2;
}

static json_t *
id_examine(const struct perc_jws *j)
{
	const json_t *c = j->payload;
	const char *alg = perc_json_str(j->header, "alg");
	int64_t iat = 0, now = perc_wall_ms() / 1000;

	(void)!perc_json_int(&iat, c, "iat", 1, INT64_MAX);
	return json_pack("{s:s, s:b, s:b, s:b, s:I, s:b, s:I}", "alg",
	    alg != NULL ? alg : "", "email", perc_json_str(c, "email") != NULL,
	    "email_verified", perc_json_bool(c, "email_verified", false),
	    "name", perc_json_str(c, "name") != NULL, "groups", groups_count(c),
	    "groups_left_out", groups_left_out(c), "ahead_s",
	    (json_int_t)(iat - now));
}

static json_t *
access_examine(const struct perc_jws *j, const char *kmf)
{
	const json_t *c = j->payload, *aud = json_object_get(c, "aud");
	const char *alg = perc_json_str(j->header, "alg");
	const char *typ = perc_json_str(j->header, "typ");

	return json_pack("{s:s, s:s, s:O?, s:b, s:b, s:b}", "alg",
	    alg != NULL ? alg : "", "typ", typ != NULL ? typ : "", "aud", aud,
	    "for_kmf",
	    perc_json_has(c, "aud", kmf) ||
		(json_is_string(aud) &&
		    strcmp(json_string_value(aud), kmf) == 0),
	    "client_id", perc_json_str(c, "client_id") != NULL, "bound",
	    json_object_get(c, "cnf") != NULL);
}

json_t *
front_login_examine(const struct front_login *l)
{
	struct perc_jws id = { 0 }, access = { 0 };
	json_t *j = json_object();

	if (l->id_token != NULL &&
	    perc_jws_peek(&id, l->id_token, strlen(l->id_token),
		PERC_JOSE_TOKEN_MAX) == 0 &&
	    id.payload != NULL)
		json_object_set_new(j, "id_token", id_examine(&id));
	if (l->access_token != NULL &&
	    perc_jws_peek(&access, l->access_token, strlen(l->access_token),
		PERC_JOSE_TOKEN_MAX) == 0 &&
	    access.payload != NULL)
		json_object_set_new(
		    j, "access_token", access_examine(&access, l->kmf));
	else if (l->access_token != NULL)
		json_object_set_new(j, "access_token", json_string("opaque"));
	json_object_set_new(
	    j, "refresh_token", json_boolean(l->refresh_token != NULL));
	perc_jws_clear(&id);
	perc_jws_clear(&access);
	return j;
}
