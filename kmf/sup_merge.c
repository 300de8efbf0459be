/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A new configuration with what cannot change while we run put back as it
 * was. It is done to the text, for the text is what every process started from
 * now on reads: none of them may see one half of a change.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/supervisor.h"

/* "key" of "key = value", in front of the first section. */
static bool
names(const char *line, const struct kmf_frozen *f)
{
	size_t i, n;

	line += strspn(line, " \t");
	n = strcspn(line, " \t=\n");
	for (i = 0; i < f->n; i++)
		if (strlen(f->name[i]) == n &&
		    strncmp(line, f->name[i], n) == 0)
			return true;
	return false;
}

/* The lines before the first section that are frozen, or all the others. */
static void
part_put(FILE *o, const char *text, const struct kmf_frozen *f, bool frozen)
{
	bool in_section = false;
	const char *end;
	size_t n;

	for (; *text != '\0'; text = end) {
		n = strcspn(text, "\n");
		end = text + n + (text[n] == '\n');
		in_section = in_section || text[strspn(text, " \t")] == '[';
		if ((!in_section && names(text, f)) == frozen)
			fprintf(o, "%.*s\n", (int)n, text);
	}
}

int
sup_merge(
    char **textp, const char *was, const char *next, const struct kmf_frozen *f)
{
	char *text = NULL;
	size_t n = 0;
	FILE *o = open_memstream(&text, &n);

	if (o == NULL)
		return PERC_ERR_NOMEM;
	part_put(o, was, f, true);
	part_put(o, next, f, false);
	if (fclose(o) != 0) {
		free(text);
		return PERC_ERR_NOMEM;
	}
	*textp = text;
	return 0;
}
