/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two spellings of one resource must compare equal, two resources never. The
 * order matters: percent-encoded unreserved characters are decoded before dot
 * segments go, or "%2e%2e" would survive as "..". Encoded reserved ones
 * ("%2F") stay encoded, since they mean something else.
 */
#include "perc/htu.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || (c != 0 && strchr("-._~", c) != NULL);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3986 sections 6.2.2.1 and 6.2.2.2, until '?' or '#'. */
static int
percent_normal(char *out, size_t cap, const char *in)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *in != '\0' && *in != '?' && *in != '#'; in++) {
		int c = (unsigned char)*in, hi, lo;

		if (n + 4 > cap)
			return PERC_ERR_LIMIT;
		if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}", c) != NULL)
			return PERC_ERR_FORMAT;
		if (c != '%') {
			out[n++] = (char)c;
			continue;
		}
		if ((hi = hex_value(in[1])) < 0 || (lo = hex_value(in[2])) < 0)
			return PERC_ERR_FORMAT;
		c = hi << 4 | lo;
		in += 2;
		if (unreserved(c)) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[hi];
		out[n++] = hex[lo];
	}
	out[n] = '\0';
	return 0;
}

/* RFC 3986 section 5.2.4, in place; path begins with '/'. */
static void
dots_remove(char *path)
{
	char *out = path;
	const char *in = path;

	while (*in != '\0') {
		size_t n = 1 + strcspn(in + 1, "/");
		bool last = in[n] == '\0';

		if (n == 2 && in[1] == '.') {
			if (last)
				*out++ = '/';
		} else if (n == 3 && in[1] == '.' && in[2] == '.') {
			while (out > path && *--out != '/')
				;
			if (last)
				*out++ = '/';
		} else {
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	*out = '\0';
}

/* Octets of the host at the start of auth: a name, or "[v6]". 0: neither. */
static size_t
host_length(const char *auth, size_t n)
{
	const char *end;

	if (n > 0 && auth[0] == '[') {
		end = memchr(auth, ']', n);
		return end != NULL && end - auth > 2 ? (size_t)(end - auth) + 1
						     : 0;
	}
	end = memchr(auth, ':', n);
	n = end != NULL ? (size_t)(end - auth) : n;
	return memchr(auth, '@', n) == NULL && memchr(auth, '[', n) == NULL &&
		memchr(auth, ']', n) == NULL
	    ? n
	    : 0;
}

/* Lower-case host, no default port, no user. n: octets before the path. */
static int
authority_normal(char *auth, size_t *n)
{
	size_t host = host_length(auth, *n), port = *n - host;

	if (host == 0 || (port > 0 && auth[host] != ':') ||
	    (port > 1 && strspn(auth + host + 1, "0123456789") < port - 1))
		return PERC_ERR_FORMAT;
	for (size_t i = 0; i < host; i++)
		auth[i] = (char)tolower((unsigned char)auth[i]);
	/* An empty port, or the default one (section 6.2.3). */
	if (port == 1 || (port == 4 && memcmp(auth + host, ":443", 4) == 0))
		*n = host;
	return 0;
}

int
perc_htu_normal(char out[static PERC_HTU_MAX], const char *uri)
{
	char text[PERC_HTU_MAX], root[] = "/", *path;
	size_t n, pathlen;
	int r;

	if (strncasecmp(uri, "https://", 8) != 0)
		return PERC_ERR_FORMAT;
	/* 16 octets spared for the scheme and a path of "/". */
	if ((r = percent_normal(text, sizeof(text) - 16, uri + 8)) != 0)
		return r;
	n = strcspn(text, "/");
	path = text + n;
	if ((r = authority_normal(text, &n)) != 0)
		return r;
	if (*path != '\0')
		dots_remove(path);
	else
		path = root;
	pathlen = strlen(path);
	memcpy(out, "https://", 8);
	memcpy(out + 8, text, n);
	memcpy(out + 8 + n, path, pathlen + 1);
	return 0;
}
