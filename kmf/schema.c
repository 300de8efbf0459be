/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Debian 12 has no JSON Schema library for C, so this is a table of keywords
 * (schema_rule.c) and a walk along it: valijson and nlohmann's are C++,
 * jsonschema is Python, json-glib and json-c have none, and WJElement (not in
 * Debian) stopped at draft 4. Pattern is left out on purpose: a regular
 * expression is the one keyword whose cost a sender can choose. A document that
 * uses a keyword beyond this table is refused at start, so nothing in it is
 * silently unchecked.
 */
#include "kmf/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kmf/schema_int.h"
#include "perc/json.h"

#define DEPTH_MAX 48 /* of schemas within schemas, and of $ref */

/* --- faults --------------------------------------------------------------- */
/* Do not end within a UTF-8 character. */
static void
cut(char *s, size_t cap)
{
	size_t n = strlen(s);

	if (n + 1 < cap)
		return;
	while (n > 0 && ((unsigned char)s[n - 1] & 0xc0) == 0x80)
		n--;
	if (n > 0 && ((unsigned char)s[n - 1] & 0x80) != 0)
		n--;
	s[n] = '\0';
}

/* A stranger's name that is not UTF-8 cannot be told in JSON: the fault then
 * names nothing. */
static void
tellable(char *s)
{
	json_t *v = json_string(s);

	if (v == NULL)
		s[0] = '\0';
	json_decref(v);
}

void
kmf_fault_add(struct kmf_faults *f, enum kmf_fault_in in, const char *where,
    const char *fmt, ...)
{
	struct kmf_fault *t;
	va_list ap;

	if (f == NULL || f->n == KMF_FAULTS_MAX)
		return;
	t = &f->list[f->n++];
	t->in = in;
	snprintf(t->where, sizeof(t->where), "%s", where);
	cut(t->where, sizeof(t->where));
	tellable(t->where);
	va_start(ap, fmt);
	vsnprintf(t->detail, sizeof(t->detail), fmt, ap);
	va_end(ap);
	cut(t->detail, sizeof(t->detail));
}

/* RFC 6901, 3: ~ and / are escaped. */
size_t
kmf_look_enter(struct kmf_look *l, const char *name)
{
	size_t mark = strlen(l->at), n = mark;

	if (n + 1 < sizeof(l->at))
		l->at[n++] = '/';
	for (; *name != '\0' && n + 2 < sizeof(l->at); name++) {
		if (*name != '~' && *name != '/') {
			l->at[n++] = *name;
			continue;
		}
		l->at[n++] = '~';
		l->at[n++] = *name == '~' ? '0' : '1';
	}
	l->at[n] = '\0';
	if (*name != '\0') /* as if it filled the place */
		cut(l->at, n + 1);
	return mark;
}

/* --- schemas -------------------------------------------------------------- */
const json_t *
kmf_schema_deref(const json_t *doc, const json_t *node)
{
	const char *p;
	char name[64];
	unsigned hops;
	size_t n;

	for (hops = 0; hops < 8; hops++) {
		if ((p = perc_json_str(node, "$ref")) == NULL)
			return node;
		if (*p++ != '#')
			return NULL;
		for (node = doc; *p == '/'; p += n) {
			n = strcspn(++p, "/");
			snprintf(name, sizeof(name), "%.*s", (int)n, p);
			node = json_object_get(node, name);
		}
	}
	return NULL;
}

bool
kmf_look_check(struct kmf_look *l, const json_t *schema, const json_t *v)
{
	const json_t *rule;
	bool good = true;
	size_t i;

	schema = kmf_schema_deref(l->doc, schema);
	if (schema == NULL || l->depth == DEPTH_MAX) {
		kmf_fault_add(l->f, KMF_IN_BODY, l->at, "is nested too deeply");
		return false;
	}
	l->depth++;
	for (i = 0; i < kmf_nkeywords; i++) {
		if ((rule = json_object_get(schema, kmf_keywords[i].name)) ==
		    NULL)
			continue;
		good =
		    kmf_keywords[i].fn(l, &kmf_keywords[i], schema, rule, v) &&
		    good;
		if (!good && (i == 0 || l->f == NULL))
			break;
	}
	l->depth--;
	return good;
}

bool
kmf_schema_check(const json_t *doc, const json_t *schema, const json_t *v,
    struct kmf_faults *f)
{
	struct kmf_look l = { .doc = doc, .f = f };

	return kmf_look_check(&l, schema, v);
}

/* --- the document itself -------------------------------------------------- */
static int understood(
    const json_t *doc, const json_t *schema, unsigned depth, const char **why);

static int
keyword_understood(const char *name, const json_t *rule, const char **why)
{
	const char *format = json_string_value(rule);
	size_t i;

	*why = name;
	for (i = 0; i < kmf_nkeywords; i++)
		if (strcmp(kmf_keywords[i].name, name) == 0)
			break;
	if (i == kmf_nkeywords)
		return PERC_ERR_UNSUPPORTED;
	if (strcmp(name, "format") != 0)
		return 0;
	*why = format != NULL ? format : "format";
	return format != NULL && kmf_format_known(format)
	    ? 0
	    : PERC_ERR_UNSUPPORTED;
}

/* The schemas under one keyword. */
static int
below_understood(const json_t *doc, const char *name, const json_t *rule,
    unsigned depth, const char **why)
{
	const char *member;
	json_t *sub;
	size_t i;
	int r = 0;

	if (strcmp(name, "items") == 0)
		return understood(doc, rule, depth, why);
	if (strcmp(name, "properties") == 0)
		json_object_foreach((json_t *)rule, member, sub)
		{
			if (r == 0)
				r = understood(doc, sub, depth, why);
		}
	if (strcmp(name, "oneOf") == 0)
		json_array_foreach((json_t *)rule, i, sub)
		{
			if (r == 0)
				r = understood(doc, sub, depth, why);
		}
	return r;
}

static int
understood(
    const json_t *doc, const json_t *schema, unsigned depth, const char **why)
{
	const char *name;
	json_t *rule;
	int r = 0;

	*why = "$ref";
	schema = kmf_schema_deref(doc, schema);
	if (!json_is_object(schema) || depth == DEPTH_MAX)
		return PERC_ERR_FORMAT;
	json_object_foreach((json_t *)schema, name, rule)
	{
		if (r == 0)
			r = keyword_understood(name, rule, why);
		if (r == 0)
			r = below_understood(doc, name, rule, depth + 1, why);
	}
	return r;
}

int
kmf_schema_understood(const json_t *doc, const json_t *schema, const char **why)
{
	return understood(doc, schema, 0, why);
}
