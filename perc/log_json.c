/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines are written as text everywhere and turned into JSON here, at the last
 * moment, so that no caller has two forms to keep equal. Text of strangers
 * came through perc_log_escape: between quotes there is no quote, and a
 * backslash is one of ours. It is kept as it is, escaped once more for JSON.
 */
#include "perc/log_json.h"

#include <stdbool.h>
#include <string.h>

#define NAME "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

struct out {
	char *p;
	size_t n, cap; /* two octets are kept back for the end */
	bool full;
};

static void
put(struct out *o, const char *s, size_t n)
{
	if (o->full || o->n + n + 2 > o->cap) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->n, s, n);
	o->n += n;
}

/* Octets of the UTF-8 character at s, 0: it is none (RFC 3629). */
static size_t
utf8_len(const unsigned char *s, size_t n)
{
	size_t want = s[0] < 0xc2 ? 0
	    : s[0] < 0xe0	  ? 2
	    : s[0] < 0xf0	  ? 3
	    : s[0] < 0xf5	  ? 4
				  : 0;
	size_t i;

	if (want == 0 || want > n || (s[0] == 0xe0 && s[1] < 0xa0) ||
	    (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	for (i = 1; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return want;
}

static void
put_string(struct out *o, const char *s, size_t n)
{
	size_t i, len;

	put(o, "\"", 1);
	for (i = 0; i < n; i += len) {
		unsigned char c = (unsigned char)s[i];

		len = 1;
		if (c == '"' || c == '\\')
			put(o, "\\", 1);
		if (c >= 0x80)
			len = utf8_len((const unsigned char *)s + i, n - i);
		if (len == 0 || c < 0x20 || c == 0x7f) {
			put(o, "?", 1);
			len = 1;
		} else
			put(o, s + i, len);
	}
	put(o, "\"", 1);
}

/* Whole, or not there. */
static void
put_member(struct out *o, const char *name, size_t namelen, const char *value,
    size_t len)
{
	size_t was = o->n;

	if (was > 1)
		put(o, ",", 1);
	put_string(o, name, namelen);
	put(o, ":", 1);
	put_string(o, value, len);
	if (o->full)
		o->n = was;
	o->full = false;
}

static void
put_named(struct out *o, const char *name, const char *value)
{
	if (value != NULL)
		put_member(o, name, strlen(name), value, strlen(value));
}

/* The value behind an '=': up to the next blank, or between quotes. */
static size_t
value_len(const char **v)
{
	size_t n;

	if (**v != '"')
		return strcspn(*v, " ");
	(*v)++;
	n = strcspn(*v, "\"");
	return n;
}

static void
put_text(struct out *o, const char *s)
{
	size_t n = strspn(s, NAME), len;
	const char *v;

	if (n == 0 || (s[n] != ' ' && s[n] != '\0')) {
		put_named(o, "text", s);
		return;
	}
	put_member(o, "event", 5, s, n);
	for (s += n; *(s += strspn(s, " ")) != '\0';) {
		n = strspn(s, NAME);
		if (n == 0 || s[n] != '=') {
			put_named(o, "text", s);
			return;
		}
		v = s + n + 1;
		len = value_len(&v);
		put_member(o, s, n, v, len);
		s = v + len + (v[len] == '"');
	}
}

size_t
perc_log_json(char *out, size_t cap, const struct perc_log_line *l)
{
	struct out o = { .p = out, .cap = cap };

	put(&o, "{", 1);
	put_named(&o, "time", l->time);
	put_named(&o, "level", l->level);
	put_named(&o, "program", l->program);
	put_named(&o, "role", l->role);
	put_text(&o, l->text);
	out[o.n++] = '}';
	return o.n;
}
