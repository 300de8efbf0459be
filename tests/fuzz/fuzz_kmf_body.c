/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What schedulers send: bodies with a policy and invitees, and query strings.
 * A policy that was taken prints as one that is taken, equal to it.
 */
#include <stdlib.h>
#include <string.h>

#include "kmf/keeper_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
query(const uint8_t *p, size_t n)
{
	char text[64], *q;
	int64_t v;

	if ((q = malloc(n + 1)) == NULL)
		abort();
	memcpy(q, p, n);
	q[n] = '\0';
	if (kmf_query_get(text, sizeof(text), q, "cursor") == 0 &&
	    strlen(text) >= sizeof(text))
		abort();
	if (kmf_query_int(&v, q, "limit", 5, 1, 100) == 0 && (v < 1 || v > 100))
		abort();
	free(q);
}

static void
policy(const json_t *o)
{
	struct kmf_policy a, b;
	char why[160], *text;
	json_t *v;

	kmf_policy_default(&a);
	memset(&b, 0, sizeof(b));
	if (kmf_policy_get(&a, o, why, sizeof(why)) != 0)
		return;
	if ((v = kmf_policy_json(&a)) == NULL ||
	    (text = perc_json_text(v)) == NULL ||
	    kmf_policy_load(&b, text) != 0)
		abort();
	if (memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	perc_json_free(text);
	json_decref(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct db_invitee *list = NULL;
	char why[160];
	json_t *body;
	size_t count;

	query(p, n);
	if (perc_json_parse(&body, p, n, KMF_BODY_MAX, why, sizeof(why)) != 0)
		return 0;
	policy(json_object_get(body, "policy"));
	if (kmf_invitees_get(&list, &count, json_object_get(body, "invitees"),
		why, sizeof(why)) == 0)
		free(list);
	json_decref(body);
	return 0;
}
