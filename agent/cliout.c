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
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "agent/text.h"

#define CLEAN_MAX     512
#define CLEAN_BUFFERS 16
#define COLUMN_MIN    8 /* no column is cut below */
#define COLUMNS_MAX   16

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

/* Of the terminal; 0: no terminal, as wide as need be. */
static int
terminal_width(void)
{
	struct winsize w;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0)
		return 0;
	return w.ws_col;
}

static void
widths_find(const struct cli_table *t, int *widths)
{
	for (unsigned i = 0; i < t->rows * t->columns; i++) {
		int w = t->cells[i] != NULL ? width(t->cells[i]) : 0;

		if (w > widths[i % t->columns])
			widths[i % t->columns] = w;
	}
}

/* Take from the widest that may be cut until all fit, or none can give. */
static void
widths_fit(const struct cli_table *t, int *widths, int room)
{
	int total = 2 * ((int)t->columns - 1), widest;
	unsigned i;

	for (i = 0; i < t->columns; i++)
		total += widths[i];
	for (; room > 0 && total > room; total--) {
		widest = -1;
		for (i = 0; i < t->columns; i++)
			if ((t->flex & 1u << i) != 0 &&
			    widths[i] > COLUMN_MIN &&
			    (widest < 0 || widths[i] > widths[widest]))
				widest = (int)i;
		if (widest < 0)
			return;
		widths[widest]--;
	}
}

/* s, cut to max columns with a mark where it was; the columns it takes. */
static int
cell_print(const char *s, int max)
{
	wchar_t w[CLEAN_MAX];
	size_t n = mbstowcs(w, s, CLEAN_MAX), i;
	int k, used = 0;

	if (n == (size_t)-1 || n == CLEAN_MAX || wcswidth(w, n) < 0)
		return printf("%.*s", max, s);
	if (wcswidth(w, n) <= max) {
		fputs(s, stdout);
		return wcswidth(w, n);
	}
	for (i = 0; i < n; i++) {
		k = wcwidth(w[i]);
		if (used + k > max - 1)
			break;
		used += k;
	}
	w[i] = L'\0';
	printf("%ls%lc", w, (wint_t)(MB_CUR_MAX > 1 ? L'\u2026' : L'.'));
	return used + 1;
}

static void
table_free(struct cli_table *t)
{
	for (unsigned i = 0; i < t->rows * t->columns; i++)
		text_free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->rows = 0;
}

void
cli_table_print(struct cli_table *t)
{
	int widths[COLUMNS_MAX] = { 0 }, used;

	widths_find(t, widths);
	widths_fit(t, widths, terminal_width());
	for (unsigned i = 0; i < t->rows * t->columns; i++) {
		unsigned col = i % t->columns;
		const char *s = t->cells[i] != NULL ? t->cells[i] : "";

		used = cell_print(s, widths[col]);
		if (col + 1 < t->columns)
			printf("%*s", widths[col] - used + 2, "");
		else
			putchar('\n');
	}
	table_free(t);
	fflush(stdout);
}
