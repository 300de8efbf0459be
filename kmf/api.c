/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The document's paths, found once for each route. A front looks at a body
 * here before the keeper sees it: the keeper's one thread should not spend
 * its time on what is not even well-formed, and every member that somebody
 * misspelt is an error with a pointer, not a silent default.
 */
#include "kmf/api.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kmf/intake.h"
#include "kmf/openapi.h"
#include "perc/json.h"

#define JSON_TYPE "application/json"

struct operation {
	const json_t *body; /* schema of application/json, or NULL */
	bool body_needed;
	const json_t *params[2]; /* lists: of the path, of the operation */
	const json_t *responses;
};

struct kmf_api {
	json_t *doc;
	size_t n;
	struct operation ops[];
};

/* --- at start ------------------------------------------------------------- */
/* /x/{c}/{i.ics} and /x/{id}/{iid}.ics are the same without the names. */
static void
path_bare(char *out, size_t cap, const char *path)
{
	size_t n = 0;
	bool name = false;

	for (; *path != '\0' && n + 1 < cap; path++) {
		if (*path == '{') {
			name = true;
			out[n++] = '{';
		} else if (name && (*path == '.' || *path == '}')) {
			name = false;
			if (*path == '.')
				out[n++] = '.';
		} else if (!name && *path != '}')
			out[n++] = *path;
	}
	out[n] = '\0';
}

static const json_t *
path_find(const json_t *doc, const char *path)
{
	char want[128], have[128];
	const char *name;
	json_t *item;

	path_bare(want, sizeof(want), path);
	json_object_foreach(json_object_get(doc, "paths"), name, item)
	{
		path_bare(have, sizeof(have), name);
		if (strcmp(want, have) == 0)
			return item;
	}
	return NULL;
}

static const json_t *
content_schema(const json_t *doc, const json_t *node, const char *type)
{
	node = kmf_schema_deref(doc, node);
	node = json_object_get(json_object_get(node, "content"), type);
	return json_object_get(node, "schema");
}

static int
params_understood(const json_t *doc, const json_t *list, const char **why)
{
	const json_t *p;
	size_t i;
	json_t *one;
	int r = 0;

	json_array_foreach((json_t *)list, i, one)
	{
		p = kmf_schema_deref(doc, one);
		if (r == 0)
			r = kmf_schema_understood(
			    doc, json_object_get(p, "schema"), why);
	}
	return r;
}

static int
operation_take(struct operation *o, const json_t *doc,
    const struct kmf_route *t, const char **why)
{
	const json_t *path = path_find(doc, t->path), *op, *body;
	char method[16];
	size_t i;
	int r;

	for (i = 0; t->method[i] != '\0' && i + 1 < sizeof(method); i++)
		method[i] = (char)tolower((unsigned char)t->method[i]);
	method[i] = '\0';
	*why = "is not documented";
	if ((op = json_object_get(path, method)) == NULL)
		return PERC_ERR_FORMAT;
	body = kmf_schema_deref(doc, json_object_get(op, "requestBody"));
	o->body = content_schema(doc, body, JSON_TYPE);
	o->body_needed = perc_json_bool(body, "required", false);
	o->params[0] = json_object_get(path, "parameters");
	o->params[1] = json_object_get(op, "parameters");
	o->responses = json_object_get(op, "responses");
	if (o->body != NULL &&
	    (r = kmf_schema_understood(doc, o->body, why)) != 0)
		return r;
	if ((r = params_understood(doc, o->params[0], why)) != 0)
		return r;
	return params_understood(doc, o->params[1], why);
}

int
kmf_api_new(struct kmf_api **ap, char *why, size_t cap)
{
	const struct kmf_route *t;
	const char *what = "";
	struct kmf_api *a;
	size_t n = 0, i;
	int r = PERC_ERR_FORMAT;

	while (kmf_route_at(n) != NULL)
		n++;
	if ((a = calloc(1, sizeof(*a) + n * sizeof(a->ops[0]))) == NULL)
		return PERC_ERR_NOMEM;
	a->n = n;
	snprintf(why, cap, "openapi: ");
	if ((r = perc_json_parse(&a->doc, kmf_openapi_text, kmf_openapi_len,
		 kmf_openapi_len, why + 9, cap - 9)) != 0)
		goto out;
	for (i = 0; i < n; i++) {
		t = kmf_route_at(i);
		if ((r = operation_take(&a->ops[i], a->doc, t, &what)) == 0)
			continue;
		snprintf(
		    why, cap, "openapi: %s %s: %s", t->method, t->path, what);
		goto out;
	}
	*ap = a;
	a = NULL;
out:
	kmf_api_free(a);
	return r;
}

void
kmf_api_free(struct kmf_api *a)
{
	if (a == NULL)
		return;
	json_decref(a->doc);
	free(a);
}

static const struct operation *
operation_of(const struct kmf_api *a, const struct kmf_route *t)
{
	return &a->ops[t - kmf_route_at(0)];
}

/* --- bodies --------------------------------------------------------------- */
/* RFC 8259, 11: no parameters; a charset that says UTF-8 does no harm. None
 * at all is taken for JSON. */
static bool
is_json_type(const char *type)
{
	size_t n = sizeof(JSON_TYPE) - 1;

	if (type == NULL)
		return true;
	if (strncasecmp(type, JSON_TYPE, n) != 0)
		return false;
	type += n;
	type += strspn(type, " ");
	if (*type == '\0')
		return true;
	type += strspn(type, "; ");
	return strcasecmp(type, "charset=utf-8") == 0 ||
	    strcasecmp(type, "charset=\"utf-8\"") == 0;
}

int
kmf_api_body(const struct kmf_api *a, const struct kmf_route *t,
    const char *type, const void *body, size_t len, struct kmf_faults *f)
{
	const struct operation *o = operation_of(a, t);
	char why[128] = "";
	json_t *v = NULL;
	int r;

	f->n = 0;
	if (len == 0 && !o->body_needed)
		return 0;
	if (len != 0 && !is_json_type(type))
		return PERC_ERR_UNSUPPORTED;
	if (len == 0)
		snprintf(why, sizeof(why), "the body is missing");
	else if (o->body == NULL)
		snprintf(why, sizeof(why), "no body goes with this");
	if (why[0] == '\0' &&
	    (r = perc_json_parse(
		 &v, body, len, KMF_BODY_MAX, why, sizeof(why))) != 0 &&
	    r != PERC_ERR_FORMAT && r != PERC_ERR_LIMIT)
		return r;
	if (v == NULL)
		kmf_fault_add(f, KMF_IN_BODY, "", "%s", why);
	else
		(void)kmf_schema_check(a->doc, o->body, v, f);
	json_decref(v);
	return f->n == 0 ? 0 : PERC_ERR_FORMAT;
}

/* --- queries -------------------------------------------------------------- */
static const json_t *
param_find(const struct kmf_api *a, const struct operation *o, const char *name)
{
	const json_t *p;
	json_t *one;
	size_t i, n;

	for (n = 0; n < 2; n++)
		json_array_foreach((json_t *)o->params[n], i, one)
		{
			p = kmf_schema_deref(a->doc, one);
			if (strcmp(perc_json_str(p, "in"), "query") == 0 &&
			    strcmp(perc_json_str(p, "name"), name) == 0)
				return json_object_get(p, "schema");
		}
	return NULL;
}

/* As the schema's type reads it; a text that is no such thing stays one. */
static json_t *
param_value(const json_t *schema, const char *text)
{
	const char *type = perc_json_str(schema, "type");
	char *end;
	long long n;

	if (type != NULL && strcmp(type, "integer") == 0) {
		errno = 0;
		n = strtoll(text, &end, 10);
		if (errno == 0 && *end == '\0' && end != text &&
		    (isdigit((unsigned char)text[0]) || text[0] == '-'))
			return json_integer(n);
	}
	if (type != NULL && strcmp(type, "boolean") == 0 &&
	    (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		return json_boolean(text[0] == 't');
	return json_string(text); /* NULL when it is not UTF-8 */
}

/* The value's faults are the parameter's. */
static void
param_check(const struct kmf_api *a, const json_t *schema, const char *name,
    const char *text, struct kmf_faults *f)
{
	struct kmf_faults of = { .n = 0 };
	json_t *v;
	size_t i;

	if (schema == NULL) {
		kmf_fault_add(
		    f, KMF_IN_QUERY, name, "there is no such parameter");
		return;
	}
	schema = kmf_schema_deref(a->doc, schema);
	if (text[0] == '\0') /* as if omitted */
		return;
	if ((v = param_value(schema, text)) == NULL)
		kmf_fault_add(f, KMF_IN_QUERY, name, "must be UTF-8");
	else if (!kmf_schema_check(a->doc, schema, v, &of))
		for (i = 0; i < of.n; i++)
			kmf_fault_add(
			    f, KMF_IN_QUERY, name, "%s", of.list[i].detail);
	json_decref(v);
}

int
kmf_api_query(const struct kmf_api *a, const struct kmf_route *t,
    const char *query, struct kmf_faults *f)
{
	const struct operation *o = operation_of(a, t);
	struct kmf_form q;
	size_t i;
	int r;

	f->n = 0;
	if (query == NULL || query[0] == '\0')
		return 0;
	r = kmf_form_parse(&q, query, strlen(query));
	if (r == PERC_ERR_NOMEM)
		return r;
	if (r != 0) {
		kmf_fault_add(f, KMF_IN_QUERY, "",
		    r == PERC_ERR_EXISTS ? "a parameter is there twice"
			: r == PERC_ERR_LIMIT
			? "there are too many parameters"
			: "must be name=value, percent-encoded, joined by &");
		return PERC_ERR_FORMAT;
	}
	for (i = 0; i < q.n; i++)
		param_check(a, param_find(a, o, q.item[i].name), q.item[i].name,
		    q.item[i].value, f);
	kmf_form_clear(&q);
	return f->n == 0 ? 0 : PERC_ERR_FORMAT;
}

/* --- answers -------------------------------------------------------------- */
/* Type without its parameters, in the content of this response. */
static const json_t *
answer_schema(const struct kmf_api *a, const json_t *response, const char *type)
{
	char bare[64];

	snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(type, ";"), type);
	return content_schema(a->doc, response, bare);
}

int
kmf_api_answer(const struct kmf_api *a, const struct kmf_route *t,
    unsigned status, const char *type, const void *body, size_t len,
    struct kmf_faults *f)
{
	const struct operation *o = operation_of(a, t);
	const json_t *response, *schema;
	char name[16];
	json_t *v;
	size_t n;

	f->n = 0;
	snprintf(name, sizeof(name), "%u", status);
	response =
	    kmf_schema_deref(a->doc, json_object_get(o->responses, name));
	if (response == NULL)
		kmf_fault_add(f, KMF_IN_BODY, "", "status %u", status);
	else if (len == 0 && type[0] == '\0')
		return 0;
	schema = answer_schema(a, response, type);
	if (response != NULL && schema == NULL)
		kmf_fault_add(f, KMF_IN_HEADER, "Content-Type", "%s", type);
	n = strcspn(type, ";");
	if (f->n != 0 || n < 5 || strncmp(type + n - 4, "json", 4) != 0)
		return f->n == 0 ? 0 : PERC_ERR_FORMAT;
	v = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	if (v == NULL)
		kmf_fault_add(f, KMF_IN_BODY, "", "not JSON");
	else
		(void)kmf_schema_check(a->doc, schema, v, f);
	json_decref(v);
	return f->n == 0 ? 0 : PERC_ERR_FORMAT;
}
