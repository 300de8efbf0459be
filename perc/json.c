/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson refuses duplicate names and trailing bytes when asked, but recurses
 * 2048 deep and seeds its hash from the clock once a sandbox has taken
 * /dev/urandom away: so depth is counted before it sees the text, and the
 * seed is ours.
 */
#include "perc/json.h"

#include "perc/crypto.h"
#include "perc/secmem.h"
#include "perc/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct perc_secmem_fns *heap;
static size_t missed; /* octets that were not to be had; 0: none */

/*
 * The lexer of jansson 2.14 does not notice that it could not append a
 * string's closing quote; when its next, smaller request is met it reads and
 * writes past its buffers. A full arena does just that, so the first smaller
 * request after a failure fails too.
 */
static void *
json_alloc(size_t n)
{
	void *p;

	if (n < missed) {
		missed = 0;
		return NULL;
	}
	p = heap->alloc(n);
	missed = p == NULL ? n : 0;
	return p;
}

static void
json_release(void *p)
{
	missed = 0;
	heap->free(p);
}

void
perc_json_heap_set(const struct perc_secmem_fns *fns)
{
	heap = fns;
	missed = 0;
	json_set_alloc_funcs(json_alloc, json_release);
}

static void
explain(char *why, size_t cap, const char *text)
{
	if (why != NULL && cap > 0)
		snprintf(why, cap, "%s", text);
}

/* Brackets outside of strings; the text need not be valid JSON. */
static bool
too_deep(const char *s, size_t len)
{
	bool string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (string) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				string = false;
		} else if (s[i] == '"')
			string = true;
		else if (s[i] == '{' || s[i] == '[') {
			if (++depth > PERC_JSON_DEPTH)
				return true;
		} else if (s[i] == '}' || s[i] == ']')
			depth--;
	}
	return false;
}

static void
seed_once(void)
{
	static bool seeded;

	if (!seeded)
		json_object_seed(perc_random_u32() | 1);
	seeded = true;
}

static const char *
syntax(enum json_error_code code)
{
	switch (code) {
	case json_error_duplicate_key:
		return "a member that is there twice";
	case json_error_invalid_utf8:
		return "not UTF-8";
	case json_error_end_of_input_expected:
		return "something behind the document";
	case json_error_numeric_overflow:
		return "a number out of bounds";
	case json_error_null_character:
		return "a null character";
	default:
		return "not valid JSON";
	}
}

int
perc_json_parse(json_t **jp, const void *text, size_t len, size_t max,
    char *why, size_t whycap)
{
	json_error_t e;
	json_t *j;

	if (len > max) {
		explain(why, whycap, "the document is too long");
		return PERC_ERR_LIMIT;
	}
	if (too_deep(text, len)) {
		explain(why, whycap, "the document is nested too deeply");
		return PERC_ERR_LIMIT;
	}
	seed_once();
	if ((j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e)) == NULL) {
		/* e.text quotes the input; only kind and place are told. */
		if (why != NULL && whycap > 0)
			snprintf(why, whycap, "%s at octet %d",
			    syntax(json_error_code(&e)), e.position);
		return json_error_code(&e) == json_error_out_of_memory
		    ? PERC_ERR_NOMEM
		    : PERC_ERR_FORMAT;
	}
	if (!json_is_object(j)) {
		json_decref(j);
		explain(why, whycap, "the document is not an object");
		return PERC_ERR_FORMAT;
	}
	*jp = j;
	return 0;
}

char *
perc_json_text(const json_t *j)
{
	size_t n = json_dumpb(j, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
	char *text;

	if (n == 0 || (text = malloc(n + 1)) == NULL)
		return NULL;
	if (json_dumpb(j, text, n, JSON_COMPACT | JSON_ENCODE_ANY) != n) {
		perc_json_free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

void
perc_json_free(char *text)
{
	perc_secmem_free(text);
}

const char *
perc_json_str(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

bool
perc_json_bool(const json_t *o, const char *name, bool def)
{
	const json_t *v = json_object_get(o, name);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

int
perc_json_int(
    int64_t *out, const json_t *o, const char *name, int64_t min, int64_t max)
{
	const json_t *v = json_object_get(o, name);

	if (v == NULL)
		return PERC_ERR_NOTFOUND;
	if (!json_is_integer(v) || json_integer_value(v) < min ||
	    json_integer_value(v) > max)
		return PERC_ERR_FORMAT;
	*out = json_integer_value(v);
	return 0;
}

static bool
is_str(const json_t *v, const char *s)
{
	return json_is_string(v) && strcmp(json_string_value(v), s) == 0;
}

bool
perc_json_has(const json_t *o, const char *name, const char *s)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_array(v))
		return is_str(v, s);
	for (size_t i = 0; i < json_array_size(v); i++)
		if (is_str(json_array_get(v, i), s))
			return true;
	return false;
}
