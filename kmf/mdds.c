/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which media distributor whom. As a rule a conference stays with one, and
 * they are taken in turn by its id. With `cascade` its members are spread over
 * all of them, by their ids, and each token2 names the others, so that the
 * distributors know which conference to carry to whom (docs/wire/cascade.md).
 */
#include <jansson.h>
#include <string.h>

#include "kmf/keeper_int.h"

#define MDDS_NAMED 8 /* that an MDD reads */

const char *
kmf_mdd_pick(const struct kmf_keeper *k, const char *id)
{
	uint32_t h = 0;
	size_t n = 0;

	for (; *id != '\0'; id++)
		h = h * 31 + (unsigned char)*id;
	while (k->mdds != NULL && k->mdds[n] != NULL)
		n++;
	return n == 0 ? "" : k->mdds[h % n];
}

const char *
kmf_mdd_of(
    const struct kmf_keeper *k, const struct db_conf *c, const char *member)
{
	return k->cascade ? kmf_mdd_pick(k, member) : c->mdd;
}

json_t *
kmf_mdds_json(
    const struct kmf_keeper *k, const struct db_conf *c, const char *member)
{
	const char *own = kmf_mdd_of(k, c, member);
	json_t *list = json_array();
	size_t n = 0, at = 0;

	if (list == NULL || json_array_append_new(list, json_string(own)) != 0)
		goto fail;
	if (!k->cascade)
		return list;
	for (; k->mdds[n] != NULL; n++)
		if (strcmp(k->mdds[n], own) == 0)
			at = n;
	for (size_t i = 1; i < n; i++)
		if (json_array_append_new(
			list, json_string(k->mdds[(at + i) % n])) != 0)
			goto fail;
	return list;
fail:
	json_decref(list);
	return NULL;
}

static bool
same_url(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	n -= n > 0 && a[n - 1] == '/';
	m -= m > 0 && b[m - 1] == '/';
	return n == m && strncmp(a, b, n) == 0;
}

const char *
kmf_mdd_find(
    const struct kmf_keeper *k, const struct db_conf *c, const char *url)
{
	size_t i;

	for (i = 0; k->cascade && k->mdds[i] != NULL; i++)
		if (same_url(url, k->mdds[i]))
			return k->mdds[i];
	return same_url(url, c->mdd) ? c->mdd : NULL;
}

int
kmf_mdd_name_others(const struct kmf_keeper *k, const char *mdd, json_t *claims)
{
	json_t *list;
	size_t i;

	if (!k->cascade)
		return 0;
	if ((list = json_array()) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; k->mdds[i] != NULL && json_array_size(list) < MDDS_NAMED;
	     i++)
		if (strcmp(k->mdds[i], mdd) != 0 &&
		    json_array_append_new(list, json_string(k->mdds[i])) != 0) {
			json_decref(list);
			return PERC_ERR_NOMEM;
		}
	return json_object_set_new(claims, "cascade", list) == 0
	    ? 0
	    : PERC_ERR_NOMEM;
}
