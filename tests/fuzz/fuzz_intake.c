/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers hand to a front: the first octet chooses an Authorization
 * field, a form body or a request line, the rest is it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/intake.h"
#include "kmf/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
try_auth(const char *text)
{
	enum kmf_scheme scheme;
	const char *token;

	if (kmf_auth_parse(&scheme, &token, text) == 0 &&
	    (scheme == KMF_SCHEME_NONE || token[0] == '\0' ||
		strpbrk(token, " ,\"") != NULL))
		abort();
	(void)kmf_query_has(text, "access_token");
}

static void
try_form(const char *text, size_t n)
{
	struct kmf_form f;
	size_t i, j;

	if (kmf_form_parse(&f, text, n) != 0)
		return;
	for (i = 0; i < f.n; i++)
		for (j = 0; j < i; j++)
			if (strcmp(f.item[i].name, f.item[j].name) == 0)
				abort();
	kmf_form_clear(&f);
}

static void
try_route(char *text)
{
	char *path = strchr(text, ' '), allow[64];
	const struct kmf_route *r;
	struct kmf_params p;

	if (path == NULL)
		return;
	*path++ = '\0';
	if (kmf_route_find(&r, &p, text, path, allow, sizeof(allow)) == 0 &&
	    ((p.conf[0] != '\0' && !kmf_id_ok(p.conf, "c_")) ||
		(p.obj[0] != '\0' && !kmf_id_ok(p.obj, "m_") &&
		    !kmf_id_ok(p.obj, "i_"))))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text;

	if (n == 0 || (text = malloc(n)) == NULL)
		return 0;
	memcpy(text, p + 1, n - 1);
	text[n - 1] = '\0';
	if (p[0] == 'a')
		try_auth(text);
	else if (p[0] == 'f')
		try_form(text, n - 1);
	else
		try_route(text);
	free(text);
	return 0;
}
