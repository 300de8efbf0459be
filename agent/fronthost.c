/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host needs no role in the organisation, and may be a guest without any
 * login: what says that they may is the roster, and what shows it to the KMF
 * is the token that the conference's keys are fetched with.
 */
#include <string.h>

#include "agent/front.h"
#include "perc/json.h"

static bool
is_host(const struct front_conf *c)
{
	const json_t *m;
	size_t i;

	json_array_foreach(c->roster, i, m)
	{
		const char *id = perc_json_str(m, "member");
		const char *role = perc_json_str(m, "role");

		if (id != NULL && strcmp(id, c->member) == 0)
			return role != NULL && strcmp(role, "host") == 0;
	}
	return false;
}

const struct front_conf *
front_host_of(const struct agent *a, const char *kmf, const char *path)
{
	static const char below[] = "/v1/conferences/";
	const char *id = path + sizeof(below) - 1;
	size_t n;

	if (strncmp(path, below, sizeof(below) - 1) != 0)
		return NULL;
	n = strcspn(id, "/?");
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		const struct front_conf *c = a->confs[i];

		if (c != NULL && front_is_live(c) && c->token1 != NULL &&
		    strlen(c->id) == n && memcmp(c->id, id, n) == 0 &&
		    (kmf == NULL || strcmp(c->kmf, kmf) == 0) && is_host(c))
			return c;
	}
	return NULL;
}
