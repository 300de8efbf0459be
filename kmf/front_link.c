/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Link: <?state=live&cursor=...>; rel="next" (RFC 8288): the same question,
 * from where this page ends.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/front.h"

/* What has no place between < and > is written as its escape. */
static int
copy(char *out, size_t cap, const char *in, size_t n)
{
	size_t i, o = 0;

	for (i = 0; i < n; i++) {
		if (o + 4 > cap)
			return PERC_ERR_LIMIT;
		if (strchr("<>\"\\^`{|}", in[i]) != NULL)
			o += (size_t)snprintf(
			    out + o, cap - o, "%%%02X", (unsigned char)in[i]);
		else
			out[o++] = in[i];
	}
	out[o] = '\0';
	return 0;
}

int
front_link_next(char *out, size_t cap, const char *query, const char *next)
{
	const char *p = query == NULL ? "" : query;
	size_t n, o;

	o = (size_t)snprintf(out, cap, "<?");
	for (; *p != '\0'; p += n + (p[n] == '&')) {
		n = strcspn(p, "&");
		if (n == 0 || strncmp(p, "cursor=", 7) == 0)
			continue;
		if (copy(out + o, cap - o, p, n) != 0)
			return PERC_ERR_LIMIT;
		o += strlen(out + o);
		if (o + 2 > cap)
			return PERC_ERR_LIMIT;
		out[o++] = '&';
		out[o] = '\0';
	}
	n = (size_t)snprintf(
	    out + o, cap - o, "cursor=%s>; rel=\"next\"", next);
	return n < cap - o ? 0 : PERC_ERR_LIMIT;
}
