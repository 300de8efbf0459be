/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people read. Names and titles come from strangers and may hold
 * terminal escapes: everything of theirs goes through cli_clean().
 */
#include "agent/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "agent/text.h"

#define CLEAN_MAX     512
#define CLEAN_BUFFERS 8

bool
cli_json(const struct cli *c)
{
	return c->opt[CLI_JSON] != NULL;
}

void
cli_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void
cli_complain(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("perch: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void
cli_print_json(const json_t *j)
{
	char *s = json_dumps(j, JSON_INDENT(2));

	if (s != NULL)
		puts(s);
	text_free(s);
	fflush(stdout);
}

const char *
cli_clean(const char *s)
{
	static char buffers[CLEAN_BUFFERS][CLEAN_MAX];
	static unsigned next;
	char *out = buffers[next++ % CLEAN_BUFFERS];
	size_t n = 0;

	for (; *s != '\0' && n + 1 < CLEAN_MAX; s++) {
		unsigned char c = (unsigned char)*s;
		/* C1 controls are C2 80 to C2 9F in UTF-8. */
		bool c1 = c == 0xc2 && (unsigned char)s[1] >= 0x80 &&
		    (unsigned char)s[1] <= 0x9f;

		if (c1)
			s++;
		out[n++] = c < ' ' || c == 0x7f || c1 ? '?' : (char)c;
	}
	out[n] = '\0';
	return out;
}

const char *
cli_get(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? cli_clean(s) : "";
}

/* Columns on a terminal; octets where the text is no text of the locale. */
static int
width(const char *s)
{
	wchar_t w[CLEAN_MAX];
	size_t n = mbstowcs(w, s, CLEAN_MAX);
	int k;

	if (n == (size_t)-1 || n == CLEAN_MAX || (k = wcswidth(w, n)) < 0)
		return (int)strlen(s);
	return k;
}

void
cli_table_row(struct cli_table *t, const char *const cells[])
{
	size_t n = (size_t)t->rows * t->columns;
	char **more = realloc(t->cells, (n + t->columns) * sizeof(*more));

	if (more == NULL)
		return;
	t->cells = more;
	for (unsigned i = 0; i < t->columns; i++)
		t->cells[n + i] = text_dup(cells[i]);
	t->rows++;
}

void
cli_table_print(struct cli_table *t)
{
	for (unsigned row = 0; row < t->rows; row++) {
		for (unsigned col = 0; col < t->columns; col++) {
			const char *s = t->cells[row * t->columns + col];
			int widest = 0, w;

			for (unsigned k = 0; k < t->rows; k++) {
				const char *o = t->cells[k * t->columns + col];

				w = o != NULL ? width(o) : 0;
				if (w > widest)
					widest = w;
			}
			s = s != NULL ? s : "";
			w = col + 1 < t->columns ? widest - width(s) + 2 : 0;
			printf("%s%*s", s, w, "");
		}
		putchar('\n');
	}
	for (unsigned i = 0; i < t->rows * t->columns; i++)
		text_free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->rows = 0;
	fflush(stdout);
}
