/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table is read twice: here by name, to fill a struct, and by --help-
 * config, so a setting cannot exist without its line of help. Every error
 * names file and line and what to do about it; a misspelt name gets the
 * nearest right one.
 */
#include "perc/conf.h"

#include "perc/conf_value.h"
#include "perc/secret.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX  (1u << 20) /* octets of a configuration */
#define ITEMS_MAX 96	     /* names in one section */

struct loader {
	void *conf;
	const char *file;
	const struct perc_conf_section *sections, *sec; /* sec: the open one */
	void *target;
	int line, sec_line;
	int seen[ITEMS_MAX]; /* line that set it, 0: not yet */
	struct perc_conf_error *e;
};

static int PERC_PRINTF(3, 4)
    complain(struct loader *l, int r, const char *fmt, ...)
{
	int n = l->line > 0
	    ? snprintf(l->e->text, sizeof(l->e->text), "%.200s:%d: ", l->file,
		  l->line)
	    : snprintf(l->e->text, sizeof(l->e->text), "%.200s: ", l->file);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->e->text + n, sizeof(l->e->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return r;
}

static size_t
items_count(const struct perc_conf_item *items)
{
	size_t n = 0;

	while (items[n].name != NULL)
		n++;
	return n;
}

/* --- the nearest name --------------------------------------------------- */

#define NAME_MAX_LEN 48

/* Letters to insert, delete, change or swap. */
static unsigned
distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];

	if (n > NAME_MAX_LEN || m > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (unsigned i = 0; i <= n; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			unsigned v = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (v > d[i - 1][j] + 1)
				v = d[i - 1][j] + 1;
			if (v > d[i][j - 1] + 1)
				v = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && v > d[i - 2][j - 2] + 1)
				v = d[i - 2][j - 2] + 1;
			d[i][j] = v;
		}
	return d[n][m];
}

static int
unknown_name(struct loader *l, const char *name)
{
	const char *near = NULL;
	unsigned best = strlen(name) < 4 ? 2 : 4;

	for (const struct perc_conf_item *i = l->sec->items; i->name != NULL;
	     i++) {
		unsigned d = distance(name, i->name);

		if (d < best) {
			best = d;
			near = i->name;
		}
	}
	return complain(l, PERC_ERR_FORMAT,
	    "unknown name '%.64s'%s%s%s (%s --help-config lists all)", name,
	    near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
	    near != NULL ? "'?" : "", program_invocation_short_name);
}

/* --- sections ----------------------------------------------------------- */

static int
section_begin(
    struct loader *l, const struct perc_conf_section *sec, void *target)
{
	char why[160];
	int r;

	l->sec = sec;
	l->sec_line = l->line;
	l->target = target;
	memset(l->seen, 0, sizeof(l->seen));
	if (items_count(sec->items) > ITEMS_MAX)
		return complain(l, PERC_ERR_LIMIT, "the table is too long");
	for (const struct perc_conf_item *i = sec->items; i->name != NULL; i++)
		if (i->def != NULL &&
		    (r = perc_conf_value_set(
			 target, i, i->def, l->file, why, sizeof(why))) != 0)
			return complain(
			    l, r, "default of '%s' %s", i->name, why);
	return 0;
}

static int
section_end(struct loader *l)
{
	for (size_t i = 0; l->sec->items[i].name != NULL; i++)
		if (l->sec->items[i].required && l->seen[i] == 0) {
			l->line = l->sec_line;
			return complain(l, PERC_ERR_NOTFOUND,
			    "'%s' is missing; add the line '%s = ...' (%s)",
			    l->sec->items[i].name, l->sec->items[i].name,
			    l->sec->items[i].help);
		}
	return 0;
}

static const struct perc_conf_section *
section_find(const struct perc_conf_section *s, const char *name)
{
	for (; s->items != NULL; s++)
		if (name == NULL
			? s->name == NULL
			: s->name != NULL && strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* "[issuer corp]", blanks already cut at both ends. */
static int
section_line(struct loader *l, char *text)
{
	const struct perc_conf_section *sec;
	size_t n = strlen(text);
	void *target = l->conf;
	char *label;
	int r;

	if (n < 3 || text[n - 1] != ']')
		return complain(
		    l, PERC_ERR_FORMAT, "a section header is '[name label]'");
	text[n - 1] = '\0';
	text++;
	label = text + strcspn(text, " \t");
	if (*label != '\0')
		*label++ = '\0';
	label += strspn(label, " \t");
	if ((r = section_end(l)) != 0)
		return r;
	if ((sec = section_find(l->sections, text)) == NULL)
		return complain(
		    l, PERC_ERR_FORMAT, "unknown section '%.64s'", text);
	if (sec->open != NULL) {
		if (*label == '\0')
			return complain(l, PERC_ERR_FORMAT,
			    "section '%s' needs a label: '[%s NAME]'", text,
			    text);
		if ((r = sec->open(l->conf, label, &target)) != 0)
			return complain(l, r, "section '%s %.64s': %s", text,
			    label, perc_strerror(r));
	} else if (*label != '\0')
		return complain(
		    l, PERC_ERR_FORMAT, "section '%s' takes no label", text);
	return section_begin(l, sec, target);
}

/* --- lines -------------------------------------------------------------- */

static int
setting_line(struct loader *l, char *text)
{
	char *eq = strchr(text, '='), *name, *value, why[160];
	size_t i = 0;
	int r;

	if (eq == NULL)
		return complain(l, PERC_ERR_FORMAT,
		    "expected 'name = value' or '[section]'");
	*eq = '\0';
	name = perc_conf_trim(text);
	value = perc_conf_trim(eq + 1);
	while (l->sec->items[i].name != NULL &&
	    strcmp(l->sec->items[i].name, name) != 0)
		i++;
	if (l->sec->items[i].name == NULL)
		return unknown_name(l, name);
	if (l->seen[i] != 0)
		return complain(l, PERC_ERR_EXISTS,
		    "'%s' was set on line %d already; keep one of them", name,
		    l->seen[i]);
	l->seen[i] = l->line;
	r = perc_conf_value_set(
	    l->target, &l->sec->items[i], value, l->file, why, sizeof(why));
	return r == 0 ? 0 : complain(l, r, "'%s' %s", name, why);
}

static int
load_text(struct loader *l, char *text, size_t len)
{
	char *line, *next = text;
	int r;

	if (memchr(text, '\0', len) != NULL)
		return complain(l, PERC_ERR_FORMAT, "holds a NUL octet");
	while ((line = strsep(&next, "\n")) != NULL) {
		l->line++;
		perc_conf_cut_comment(line);
		line = perc_conf_trim(line);
		if (*line == '\0')
			continue;
		r = *line == '[' ? section_line(l, line)
				 : setting_line(l, line);
		if (r != 0)
			return r;
	}
	return section_end(l);
}

int
perc_conf_load_text(void *conf, const char *file, const char *text, size_t len,
    const struct perc_conf_section *sections, struct perc_conf_error *e)
{
	static const struct perc_conf_item no_items[1];
	static const struct perc_conf_section none = { .items = no_items };
	struct loader l = {
		.conf = conf, .file = file, .sections = sections, .e = e
	};
	const struct perc_conf_section *top = section_find(sections, NULL);
	char *copy;
	int r;

	e->text[0] = '\0';
	if ((r = section_begin(&l, top != NULL ? top : &none, conf)) != 0)
		return r;
	if ((copy = malloc(len + 1)) == NULL)
		return complain(&l, PERC_ERR_NOMEM, "out of memory");
	memcpy(copy, text, len);
	copy[len] = '\0';
	r = load_text(&l, copy, len);
	free(copy);
	return r;
}

int
perc_conf_load(void *conf, const char *file,
    const struct perc_conf_section *sections, struct perc_conf_error *e)
{
	return perc_conf_load_from(conf, file, file, sections, e);
}

int
perc_conf_load_from(void *conf, const char *file, const char *from,
    const struct perc_conf_section *sections, struct perc_conf_error *e)
{
	char *text = NULL;
	size_t len = 0;
	int r;

	e->text[0] = '\0';
	if ((r = perc_conf_read_file(&text, &len, from, FILE_MAX, e)) != 0)
		return r;
	r = perc_conf_load_text(conf, file, text, len, sections, e);
	perc_secmem_free(text);
	return r;
}

/* --- help --------------------------------------------------------------- */

static void
print_range(const struct perc_conf_item *i)
{
	static const char *const names[] = { [PERC_CONF_STR] = "text",
		[PERC_CONF_PATH] = "path",
		[PERC_CONF_BOOL] = "yes|no",
		[PERC_CONF_LIST] = "a, b, ...",
		[PERC_CONF_HOSTPORT] = "host:port",
		[PERC_CONF_URL] = "https URL" };

	if (i->type == PERC_CONF_INT)
		printf("%lld..%lld", (long long)i->min, (long long)i->max);
	else if (i->type == PERC_CONF_ENUM)
		printf("%s", i->choices);
	else
		printf("%s", names[i->type]);
}

void
perc_conf_print_help(const struct perc_conf_section *sections)
{
	for (const struct perc_conf_section *s = sections; s->items != NULL;
	     s++) {
		if (s->name != NULL)
			printf("\n[%s%s]\n", s->name,
			    s->open != NULL ? " NAME" : "");
		for (const struct perc_conf_item *i = s->items; i->name != NULL;
		     i++) {
			printf("# %s (", i->help != NULL ? i->help : "");
			print_range(i);
			printf("%s%s)\n%s%s = %s\n",
			    i->required ? ", required" : "",
			    i->fixed ? ", a change needs a restart" : "",
			    i->required ? "" : "#", i->name,
			    i->def != NULL ? i->def : "");
		}
	}
}
