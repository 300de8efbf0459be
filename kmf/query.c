/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Query strings as the front received them: name=value pairs, percent-encoded.
 */
#include "kmf/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p;

	if (c == '\0' || (p = strchr(digits, c | 0x20)) == NULL)
		return -1;
	return (int)(p - digits);
}

static int
decode(char *out, size_t cap, const char *in, size_t n)
{
	size_t i, o = 0;

	for (i = 0; i < n; i++, o++) {
		if (o + 1 >= cap)
			return PERC_ERR_LIMIT;
		out[o] = in[i] == '+' ? ' ' : in[i];
		if (in[i] != '%')
			continue;
		if (i + 2 >= n || hex(in[i + 1]) < 0 || hex(in[i + 2]) < 0)
			return PERC_ERR_FORMAT;
		out[o] = (char)(hex(in[i + 1]) << 4 | hex(in[i + 2]));
		if (out[o] == '\0')
			return PERC_ERR_FORMAT;
		i += 2;
	}
	out[o] = '\0';
	return 0;
}

int
kmf_query_get(char *out, size_t cap, const char *query, const char *name)
{
	size_t n, len = strlen(name);
	const char *p;

	out[0] = '\0';
	for (p = query; *p != '\0'; p += n + (p[n] == '&')) {
		n = strcspn(p, "&");
		if (n > len && p[len] == '=' && strncmp(p, name, len) == 0)
			return decode(out, cap, p + len + 1, n - len - 1);
	}
	return 0;
}

int
kmf_query_int(int64_t *out, const char *query, const char *name, int64_t def,
    int64_t min, int64_t max)
{
	char text[24], *end;
	int r;

	if ((r = kmf_query_get(text, sizeof(text), query, name)) != 0)
		return r;
	*out = def;
	if (text[0] == '\0')
		return 0;
	errno = 0;
	*out = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || *out < min || *out > max)
		return PERC_ERR_FORMAT;
	return 0;
}
