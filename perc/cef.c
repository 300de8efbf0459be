/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two escapings in one line: in the header a bar and a backslash, in the
 * extension an equals sign, a backslash and line ends get a backslash. A bar
 * in the extension and an equals sign in the header stay as they are; whoever
 * escapes both everywhere shows the backslashes to people. The detail goes
 * into msg as JSON, so nothing of a record is lost.
 */
#include "perc/cef.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/chain.h"
#include "perc/json.h"

static const struct { /* of what a watcher should look at; else 3 */
	const char *kind;
	int severity;
} severities[] = {
	{ "login_failed", 6 },
	{ "refused", 5 },
	{ "evicted", 5 },
	{ "configured", 6 },
	{ "started", 4 },
	{ "stopped", 4 },
};

static int
severity_of(const char *kind)
{
	size_t i;

	for (i = 0; i < sizeof(severities) / sizeof(severities[0]); i++)
		if (strcmp(kind, severities[i].kind) == 0)
			return severities[i].severity;
	return 3;
}

static void
put(FILE *f, const char *s, const char *escaped)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n' || *s == '\r') {
			fputs(*s == '\n' ? "\\n" : "\\r", f);
			continue;
		}
		if (strchr(escaped, *s) != NULL)
			fputc('\\', f);
		fputc(*s, f);
	}
}

static void
header_put(FILE *f, const char *s)
{
	fputc('|', f);
	put(f, s, "|\\");
}

static void
field_put(FILE *f, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	fprintf(f, " %s=", key);
	put(f, value, "=\\");
}

static void
labelled_put(FILE *f, const char *key, const char *label, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	fprintf(f, " %sLabel=%s", key, label);
	field_put(f, key, value);
}

static void
name_put(FILE *f, const char *kind)
{
	char name[64];
	char *p;

	snprintf(name, sizeof(name), "%s", kind);
	while ((p = strchr(name, '_')) != NULL)
		*p = ' ';
	header_put(f, name);
}

static void
extension_put(FILE *f, const json_t *v, int64_t at_ms, int64_t seq)
{
	const json_t *detail = json_object_get(v, "detail");
	char *msg = detail == NULL ? NULL : perc_chain_text(detail);

	fprintf(
	    f, "|rt=%lld externalId=%lld", (long long)at_ms, (long long)seq);
	field_put(f, "suser", perc_json_str(v, "actor"));
	field_put(f, "src", perc_json_str(detail, "peer"));
	field_put(f, "reason", perc_json_str(detail, "reason"));
	labelled_put(f, "cs1", "conference", perc_json_str(v, "conference"));
	labelled_put(f, "cs2", "subject", perc_json_str(v, "subject"));
	labelled_put(f, "cs3", "hash", perc_json_str(v, "hash"));
	field_put(f, "msg", msg);
	free(msg);
}

char *
perc_cef_text(const json_t *v, const char *version)
{
	const char *kind = perc_json_str(v, "kind");
	const char *at = perc_json_str(v, "at");
	char *text = NULL;
	int64_t at_ms, seq;
	size_t len;
	FILE *f;

	if (kind == NULL || at == NULL || perc_time_get(&at_ms, at) != 0 ||
	    perc_json_int(&seq, v, "seq", 1, INT64_MAX) != 0 ||
	    (f = open_memstream(&text, &len)) == NULL)
		return NULL;
	fputs("CEF:0|Perch|perch-kmf", f);
	header_put(f, version);
	header_put(f, kind);
	name_put(f, kind);
	fprintf(f, "|%d", severity_of(kind));
	extension_put(f, v, at_ms, seq);
	if (fclose(f) != 0) {
		free(text);
		text = NULL;
	}
	return text;
}
