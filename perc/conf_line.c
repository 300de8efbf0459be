/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which line set something, asked when all lines are read: what is wrong
 * between two settings is seen only then, and whoever mends it still has to
 * find the place. The text is read again, for that happens once and then the
 * program ends.
 */
#include "perc/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/conf_value.h"

char *
perc_conf_trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	for (n = strlen(s); n > 0 && strchr(" \t\r", s[n - 1]) != NULL;)
		s[--n] = '\0';
	return s;
}

/* A '#' at the start, or behind a blank: a URL may hold one. */
void
perc_conf_cut_comment(char *s)
{
	for (char *p = s; (p = strchr(p, '#')) != NULL; p++)
		if (p == s || p[-1] == ' ' || p[-1] == '\t') {
			*p = '\0';
			return;
		}
}

/* Is this "[section label]"? Either may be NULL. */
static bool
is_header(char *line, const char *section, const char *label)
{
	size_t n = strlen(line);
	char *rest;

	if (section == NULL || n < 2 || line[n - 1] != ']')
		return false;
	line[n - 1] = '\0';
	line++;
	rest = line + strcspn(line, " \t");
	if (*rest != '\0')
		*rest++ = '\0';
	rest = perc_conf_trim(rest);
	return strcmp(line, section) == 0 &&
	    (label == NULL || strcmp(rest, label) == 0);
}

static bool
sets(char *line, const char *name)
{
	char *eq = strchr(line, '=');

	if (eq == NULL)
		return false;
	*eq = '\0';
	return strcmp(perc_conf_trim(line), name) == 0;
}

int
perc_conf_line(const char *text, size_t len, const char *section,
    const char *label, const char *name)
{
	char *copy = strndup(text, len), *next = copy, *line;
	bool in = section == NULL;
	int at = 0, header = 0;

	while ((line = strsep(&next, "\n")) != NULL) {
		at++;
		perc_conf_cut_comment(line);
		line = perc_conf_trim(line);
		if (*line == '[') {
			in = is_header(line, section, label);
			header = in ? at : header;
		} else if (in && sets(line, name)) {
			header = at;
			break;
		}
	}
	free(copy);
	return header;
}

void
perc_conf_vfault(char *why, size_t cap, const struct perc_conf_text *t,
    const char *section, const char *label, const char *name, const char *fmt,
    va_list ap)
{
	int line = perc_conf_line(t->text, t->len, section, label, name), n;

	n = line > 0 ? snprintf(why, cap, "%s:%d: ", t->file, line)
		     : snprintf(why, cap, "%s: ", t->file);
	if (n >= 0 && (size_t)n < cap)
		vsnprintf(why + n, cap - (size_t)n, fmt, ap);
}

int
perc_conf_fault(struct perc_conf_error *e, int r,
    const struct perc_conf_text *t, const char *section, const char *label,
    const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	perc_conf_vfault(
	    e->text, sizeof(e->text), t, section, label, name, fmt, ap);
	va_end(ap);
	return r;
}
