/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text with an end and a memory of failure, so that a caller checks once.
 * Growing never goes through realloc(), which could leave a token behind.
 */
#include "agent/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perc/secret.h"

void
text_put(char *out, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, cap, fmt, ap);
	va_end(ap);
}

char *
text_new(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

char *
text_dup(const char *s)
{
	return s != NULL ? strdup(s) : NULL;
}

void
text_free(char *s)
{
	if (s != NULL)
		perc_wipe(s, strlen(s));
	free(s);
}

void
text_clear(struct text *t)
{
	if (t->p != NULL)
		perc_wipe(t->p, t->cap);
	free(t->p);
	memset(t, 0, sizeof(*t));
}

static void
text_add_n(struct text *t, const char *s, size_t n)
{
	struct text bigger = { 0 };

	if (t->failed)
		return;
	if (t->len + n + 1 > t->cap) {
		bigger.cap = (t->len + n + 1) * 2;
		if ((bigger.p = malloc(bigger.cap)) == NULL) {
			t->failed = true;
			return;
		}
		bigger.len = t->len;
		if (t->len > 0)
			memcpy(bigger.p, t->p, t->len);
		text_clear(t);
		*t = bigger;
	}
	memcpy(t->p + t->len, s, n);
	t->len += n;
	t->p[t->len] = '\0';
}

void
text_add(struct text *t, const char *s)
{
	text_add_n(t, s, strlen(s));
}

void
text_addf(struct text *t, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0) {
		s = NULL;
		t->failed = true;
	} else {
		text_add(t, s);
	}
	va_end(ap);
	text_free(s);
}

void
text_add_escaped(struct text *t, const char *s)
{
	char hex[4];

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) || strchr("-._~", c) != NULL) {
			text_add_n(t, s, 1);
			continue;
		}
		snprintf(hex, sizeof(hex), "%%%02X", c);
		text_add_n(t, hex, 3);
	}
}

void
text_add_form(struct text *t, const char *name, const char *value)
{
	if (value == NULL)
		return;
	if (t->len > 0)
		text_add_n(t, "&", 1);
	text_add_escaped(t, name);
	text_add_n(t, "=", 1);
	text_add_escaped(t, value);
}

/* Up to the first '/', '?' or '#' behind "scheme://". */
static size_t
origin_len(const char *url)
{
	const char *p = strstr(url, "://");

	return p == NULL ? 0 : (size_t)(p + 3 - url) + strcspn(p + 3, "/?#");
}

bool
text_same_origin(const char *a, const char *b)
{
	size_t n = origin_len(a);

	return n > 0 && n == origin_len(b) && strncasecmp(a, b, n) == 0 &&
	    memchr(a, '@', n) == NULL;
}

bool
text_is_id(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s == NULL || strncmp(s, prefix, n) != 0)
		return false;
	s += n;
	n = strspn(s,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_");
	return n >= 1 && n <= 48 && s[n] == '\0';
}
