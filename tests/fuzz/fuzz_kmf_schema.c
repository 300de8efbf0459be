/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A stranger's body and query against every route of the real document: the
 * first octet chooses the route. Each fault can be told in JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "kmf/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
tell(const struct kmf_faults *f, int r)
{
	json_t *v;
	size_t i;

	if ((r == PERC_ERR_FORMAT) != (f->n != 0))
		abort();
	for (i = 0; i < f->n; i++) {
		if ((v = json_pack("{s:s, s:s}", "w", f->list[i].where, "d",
			 f->list[i].detail)) == NULL)
			abort();
		json_decref(v);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct kmf_api *api;
	static size_t routes;
	const struct kmf_route *t;
	struct kmf_faults f;
	char why[160], *query;
	int r;

	if (api == NULL && kmf_api_new(&api, why, sizeof(why)) != 0)
		abort();
	while (routes == 0 || kmf_route_at(routes) != NULL)
		routes++;
	if (n == 0)
		return 0;
	t = kmf_route_at(p[0] % routes);
	r = kmf_api_body(api, t, NULL, p + 1, n - 1, &f);
	tell(&f, r);
	if ((query = calloc(1, n)) == NULL)
		abort();
	memcpy(query, p + 1, n - 1);
	r = kmf_api_query(api, t, query, &f);
	tell(&f, r);
	free(query);
	return 0;
}
