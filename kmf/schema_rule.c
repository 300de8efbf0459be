/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keywords, a few lines each, in a table. They speak of what was sent in
 * words for people who do not know JSON Schema.
 */
#include <stdio.h>
#include <string.h>

#include "kmf/schema_int.h"
#include "perc/json.h"

#define FAULT(l, ...) kmf_fault_add((l)->f, KMF_IN_BODY, (l)->at, __VA_ARGS__)

static const struct {
	const char *name, *what;
} types[] = { { "object", "an object" }, { "array", "a list" },
	{ "string", "a text" }, { "integer", "a whole number" },
	{ "number", "a number" }, { "boolean", "true or false" },
	{ "null", "null" } };

static bool
is_type(const json_t *v, const char *name)
{
	static const char *const by[] = {
		[JSON_OBJECT] = "object",
		[JSON_ARRAY] = "array",
		[JSON_STRING] = "string",
		[JSON_INTEGER] = "integer",
		[JSON_REAL] = "number",
		[JSON_TRUE] = "boolean",
		[JSON_FALSE] = "boolean",
		[JSON_NULL] = "null",
	};

	if (json_is_integer(v) && strcmp(name, "number") == 0)
		return true;
	return strcmp(by[json_typeof(v)], name) == 0;
}

static const char *
type_what(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].what;
	return NULL;
}

static bool
kw_type(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	const json_t *one = rule;
	size_t i, n = json_array_size(rule);

	if (json_is_array(rule))
		one = json_array_get(rule, 0);
	for (i = 0; i < n; i++)
		if (is_type(v, json_string_value(json_array_get(rule, i))))
			return true;
	if (n == 0 && is_type(v, json_string_value(one)))
		return true;
	FAULT(l, "must be %s%s", type_what(json_string_value(one)),
	    n > 1 ? " or null" : "");
	return false;
}

static bool
kw_enum(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	char all[160] = "";
	size_t i, n = 0;
	json_t *one;

	json_array_foreach((json_t *)rule, i, one)
	{
		if (json_equal(one, v))
			return true;
		if (json_is_string(one) && n < sizeof(all))
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s",
			    i == 0 ? "" : ", ", json_string_value(one));
	}
	FAULT(l, "must be one of: %s", all);
	return false;
}

static bool
kw_const(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	if (json_equal(rule, v))
		return true;
	if (json_is_string(rule))
		FAULT(l, "must be %s", json_string_value(rule));
	else
		FAULT(l, "has one value only");
	return false;
}

/* In characters, as JSON Schema counts. */
static size_t
length(const json_t *v)
{
	const char *p = json_string_value(v);
	size_t n = 0;

	for (; *p != '\0'; p++)
		n += ((unsigned char)*p & 0xc0) != 0x80;
	return n;
}

/* What this bound is about; false: not such a value. */
static bool
measure(json_int_t *n, const struct kmf_keyword *k, const json_t *v)
{
	switch (k->of) {
	case JSON_STRING:
		*n = json_is_string(v) ? (json_int_t)length(v) : 0;
		break;
	case JSON_ARRAY:
		*n = (json_int_t)json_array_size(v);
		break;
	case JSON_OBJECT:
		*n = (json_int_t)json_object_size(v);
		break;
	default:
		*n = json_integer_value(v);
	}
	return json_typeof(v) == k->of;
}

static bool
kw_bound(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	json_int_t n, bound = json_integer_value(rule);

	if (!measure(&n, k, v) || (k->least ? n >= bound : n <= bound))
		return true;
	FAULT(l, "must %s %s %lld%s", k->of == JSON_INTEGER ? "be" : "have",
	    k->least ? "at least" : "at most", (long long)bound, k->unit);
	return false;
}

static bool
is_time(const char *s)
{
	int64_t ms;

	return perc_time_get(&ms, s) == 0;
}

static bool
is_email(const char *s)
{
	const char *at = strrchr(s, '@');

	return at != NULL && at != s && at[1] != '\0' &&
	    strpbrk(s, " \t\r\n,;<>\"") == NULL;
}

/* RFC 3986, 3: a scheme, a colon, and something behind it. */
static bool
is_uri(const char *s)
{
	size_t n = strspn(s,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789+-.");

	return n > 0 && (s[0] | 0x20) >= 'a' && (s[0] | 0x20) <= 'z' &&
	    s[n] == ':' && s[n + 1] != '\0' && strpbrk(s, " <>\"") == NULL;
}

static const struct {
	const char *name;
	bool (*is)(const char *s);
	const char *what;
} formats[] = {
	{ "date-time", is_time, "RFC 3339, as 2026-11-21T09:30:00Z" },
	{ "email", is_email, "an e-mail address" },
	{ "uri", is_uri, "an absolute URI" },
};

static bool
kw_format(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	const char *name = json_string_value(rule);
	size_t i;

	for (i = 0;
	     json_is_string(v) && i < sizeof(formats) / sizeof(formats[0]);
	     i++) {
		if (strcmp(formats[i].name, name) != 0 ||
		    formats[i].is(json_string_value(v)))
			continue;
		FAULT(l, "must be %s", formats[i].what);
		return false;
	}
	return true;
}

static bool
kw_required(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	bool good = true;
	size_t i, mark;
	json_t *name;

	if (!json_is_object(v))
		return true;
	json_array_foreach((json_t *)rule, i, name)
	{
		if (json_object_get(v, json_string_value(name)) != NULL)
			continue;
		mark = kmf_look_enter(l, json_string_value(name));
		FAULT(l, "is missing");
		l->at[mark] = '\0';
		good = false;
	}
	return good;
}

static bool
kw_properties(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	bool good = true, closed;
	const char *name;
	const json_t *sub;
	json_t *member;
	size_t mark;

	closed = json_is_false(json_object_get(s, "additionalProperties"));
	json_object_foreach((json_t *)v, name, member)
	{
		sub = json_object_get(rule, name);
		if (sub == NULL && !closed)
			continue;
		mark = kmf_look_enter(l, name);
		if (sub == NULL)
			FAULT(l, "there is no such member");
		if (sub == NULL || !kmf_look_check(l, sub, member))
			good = false;
		l->at[mark] = '\0';
	}
	return good;
}

static bool
kw_items(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	bool good = true;
	char name[24];
	json_t *one;
	size_t i, mark;

	json_array_foreach((json_t *)v, i, one)
	{
		snprintf(name, sizeof(name), "%zu", i);
		mark = kmf_look_enter(l, name);
		good = kmf_look_check(l, rule, one) && good;
		l->at[mark] = '\0';
		if (!good && (l->f == NULL || l->f->n == KMF_FAULTS_MAX))
			break;
	}
	return good;
}

static bool
kw_one_of(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	struct kmf_faults *f = l->f;
	unsigned matches = 0;
	const char *title;
	char all[160] = "";
	size_t i, n = 0;
	json_t *one;

	json_array_foreach((json_t *)rule, i, one)
	{
		l->f = NULL;
		matches += kmf_look_check(l, one, v);
		l->f = f;
		title = perc_json_str(one, "title");
		if (title != NULL && n < sizeof(all))
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s",
			    n == 0 ? ": " : "; ", title);
	}
	if (matches == 1)
		return true;
	FAULT(l, "must be %s of its forms%s", matches == 0 ? "one" : "only one",
	    all);
	return false;
}

static bool
kw_nothing(struct kmf_look *l, const struct kmf_keyword *k, const json_t *s,
    const json_t *rule, const json_t *v)
{
	return true;
}

const struct kmf_keyword kmf_keywords[] = {
	{ "type", kw_type, 0, false, NULL }, /* first: the others trust it */
	{ "enum", kw_enum, 0, false, NULL },
	{ "const", kw_const, 0, false, NULL },
	{ "minimum", kw_bound, JSON_INTEGER, true, "" },
	{ "maximum", kw_bound, JSON_INTEGER, false, "" },
	{ "minLength", kw_bound, JSON_STRING, true, " characters" },
	{ "maxLength", kw_bound, JSON_STRING, false, " characters" },
	{ "minItems", kw_bound, JSON_ARRAY, true, " items" },
	{ "maxItems", kw_bound, JSON_ARRAY, false, " items" },
	{ "minProperties", kw_bound, JSON_OBJECT, true, " members" },
	{ "format", kw_format, 0, false, NULL },
	{ "required", kw_required, 0, false, NULL },
	{ "properties", kw_properties, 0, false, NULL },
	{ "items", kw_items, 0, false, NULL },
	{ "oneOf", kw_one_of, 0, false, NULL },
	/* with properties, or for people */
	{ "additionalProperties", kw_nothing, 0, false, NULL },
	{ "title", kw_nothing, 0, false, NULL },
	{ "description", kw_nothing, 0, false, NULL },
	{ "default", kw_nothing, 0, false, NULL },
	{ "example", kw_nothing, 0, false, NULL },
};
const size_t kmf_nkeywords = sizeof(kmf_keywords) / sizeof(kmf_keywords[0]);

bool
kmf_format_known(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i].name, name) == 0)
			return true;
	return false;
}
