/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conference with several distributors (docs/wire/cascade.md): the KMF names
 * them all, ours first, and linked as they are each is as good as the other.
 * When the one that is tried is out of reach the next one has its turn, in a
 * circle; who came up somewhere stays there.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/log.h"

void
front_mdds_take(struct front_conf *c, const json_t *descriptor)
{
	const json_t *all = json_object_get(descriptor, "mdds"), *url;
	size_t i;

	free(c->mdd);
	c->mdd = text_dup(perc_json_str(descriptor, "mdd"));
	json_decref(c->mdds);
	c->mdds = json_array();
	json_array_foreach(all, i, url)
	{
		if (json_is_string(url))
			json_array_append(c->mdds, (json_t *)url);
	}
}

/* The one behind that of now, or the first; NULL: there is no other. */
static const char *
behind(const struct front_conf *c)
{
	size_t n = json_array_size(c->mdds), at = 0;
	const char *next;

	while (at < n &&
	    strcmp(json_string_value(json_array_get(c->mdds, at)), c->mdd) != 0)
		at++;
	if (n == 0)
		return NULL;
	next = json_string_value(
	    json_array_get(c->mdds, at < n ? (at + 1) % n : 0));
	return strcmp(next, c->mdd) != 0 ? next : NULL;
}

void
front_mdds_next(struct front_conf *c)
{
	const char *next = behind(c);
	char *url = text_dup(next);

	if (url == NULL)
		return;
	log_info("mdd_next conf=%s from=%s to=%s", c->id, c->mdd, url);
	free(c->mdd);
	c->mdd = url;
	/* What was for the one is never told to the other. */
	front_call_cancel(c->token2_call);
	free(c->leg_url);
	c->leg_url = NULL;
	text_free(c->token2);
	c->token2 = NULL;
}

/* 503: full or draining; 502 and 504 are those of a proxy before it. */
void
front_mdds_joined(struct front_conf *c, const struct perc_httpc_answer *a)
{
	if (a->err != 0 || (a->status >= 502 && a->status <= 504))
		front_mdds_next(c);
}

/* The KMF does not know that distributor, or not any more. */
void
front_mdds_named(struct front_conf *c, const struct perc_httpc_answer *a)
{
	if (a->err == 0 && a->status == 400)
		front_mdds_next(c);
}
