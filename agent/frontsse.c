/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line may end in CR, LF or both, and any of them may fall between two
 * reads. An id counts only once its event is complete, so that what was cut
 * off is sent again. NUL octets never come from a sane server: they end it.
 */
#include "agent/frontsse.h"

#include <stdlib.h>
#include <string.h>

void
front_sse_init(struct front_sse *s)
{
	memset(s, 0, sizeof(*s));
}

static void
event_reset(struct front_sse *s)
{
	s->data_len = 0;
	s->has_data = false;
	s->event[0] = '\0';
}

void
front_sse_restart(struct front_sse *s)
{
	event_reset(s);
	s->line_len = 0;
	s->skip_lf = false;
	memcpy(s->id, s->last_id, sizeof(s->id));
}

void
front_sse_clear(struct front_sse *s)
{
	free(s->line);
	free(s->data);
	front_sse_init(s);
}

/* Append n octets, always leaving room for a NUL. */
static int
append(char **p, size_t *len, size_t *cap, const char *in, size_t n)
{
	size_t want;
	char *q;

	if (n > FRONT_SSE_DATA_MAX || *len > FRONT_SSE_DATA_MAX - n)
		return PERC_ERR_LIMIT;
	if (*len + n + 1 > *cap) {
		want = (*len + n + 1) * 2;
		if ((q = realloc(*p, want)) == NULL)
			return PERC_ERR_NOMEM;
		*p = q;
		*cap = want;
	}
	memcpy(*p + *len, in, n);
	*len += n;
	(*p)[*len] = '\0';
	return 0;
}

static int
dispatch(struct front_sse *s, front_sse_fn fn, void *arg)
{
	int r = 0;

	if (s->has_data) {
		memcpy(s->last_id, s->id, sizeof(s->last_id));
		r = fn(s->event[0] != '\0' ? s->event : "message", s->data,
		    s->data_len, arg);
	}
	event_reset(s);
	return r;
}

static int
field_data(struct front_sse *s, const char *value, size_t n)
{
	int r;

	if (s->has_data &&
	    (r = append(&s->data, &s->data_len, &s->data_cap, "\n", 1)) != 0)
		return r;
	s->has_data = true;
	return append(&s->data, &s->data_len, &s->data_cap, value, n);
}

static int
field(struct front_sse *s, const char *name, const char *value, size_t n)
{
	if (strcmp(name, "data") == 0)
		return field_data(s, value, n);
	if (strcmp(name, "event") == 0 && n < sizeof(s->event))
		memcpy(s->event, value, n + 1);
	else if (strcmp(name, "id") == 0 && n < sizeof(s->id))
		memcpy(s->id, value, n + 1);
	return 0;
}

/* s->line holds one line; a line that begins with ':' is a comment. */
static int
line_done(struct front_sse *s, front_sse_fn fn, void *arg)
{
	char *colon, *value;
	int r;

	if (s->line_len == 0)
		return dispatch(s, fn, arg);
	if (memchr(s->line, '\0', s->line_len) != NULL)
		return PERC_ERR_FORMAT;
	if ((colon = strchr(s->line, ':')) == NULL) {
		r = field(s, s->line, "", 0);
	} else {
		*colon = '\0';
		value = colon + 1 + (colon[1] == ' ');
		r = field(s, s->line, value, strlen(value));
	}
	s->line_len = 0;
	return r;
}

int
front_sse_feed(
    struct front_sse *s, const char *p, size_t n, front_sse_fn fn, void *arg)
{
	size_t part;
	int r;

	while (n > 0) {
		if (s->skip_lf && *p == '\n') {
			p++;
			n--;
		}
		s->skip_lf = false;
		for (part = 0; part < n && p[part] != '\n' && p[part] != '\r';)
			part++;
		if ((r = append(
			 &s->line, &s->line_len, &s->line_cap, p, part)) != 0)
			return r;
		if (part == n)
			return 0;
		s->skip_lf = p[part] == '\r';
		p += part + 1;
		n -= part + 1;
		if ((r = line_done(s, fn, arg)) != 0)
			return r;
	}
	return 0;
}
