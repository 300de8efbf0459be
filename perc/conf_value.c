/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One parser per type, in a table. Each makes the new value whole before the
 * old one is freed.
 */
#include "perc/conf_value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREDENTIAL "credential:"
#define LIST_MAX   256 /* entries of a list */

struct ask {
	void *at; /* the target member */
	const struct perc_conf_item *item;
	const char *file;
	char *why;
	size_t cap;
};

static int PERC_PRINTF(2, 3) refuse(const struct ask *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->why, a->cap, fmt, ap);
	va_end(ap);
	return PERC_ERR_FORMAT;
}

static int
set_str(const struct ask *a, const char *text)
{
	char **at = a->at, *s = strdup(text);

	if (s == NULL)
		return PERC_ERR_NOMEM;
	free(*at);
	*at = s;
	return 0;
}

/* systemd.exec(5), LoadCredential= */
static int
set_credential(const struct ask *a, const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *full = NULL;
	int r;

	if (*name == '\0' || strchr(name, '/') != NULL)
		return refuse(a, "must be credential:NAME");
	if (dir == NULL)
		return refuse(a,
		    "is a credential, but systemd gave none "
		    "(LoadCredential=)");
	if (asprintf(&full, "%s/%s", dir, name) < 0)
		return PERC_ERR_NOMEM;
	r = set_str(a, full);
	free(full);
	return r;
}

static int
set_path(const struct ask *a, const char *text)
{
	const char *slash = strrchr(a->file, '/');
	char *full = NULL;
	int r;

	if (*text == '\0')
		return refuse(a, "must not be empty");
	if (strncmp(text, CREDENTIAL, sizeof(CREDENTIAL) - 1) == 0)
		return set_credential(a, text + sizeof(CREDENTIAL) - 1);
	if (*text == '/' || slash == NULL)
		return set_str(a, text);
	if (asprintf(&full, "%.*s/%s", (int)(slash - a->file), a->file, text) <
	    0)
		return PERC_ERR_NOMEM;
	r = set_str(a, full);
	free(full);
	return r;
}

static int
set_int(const struct ask *a, const char *text)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (*text == '\0' || *end != '\0' || errno != 0 || v < a->item->min ||
	    v > a->item->max)
		return refuse(a, "must be a number from %lld to %lld",
		    (long long)a->item->min, (long long)a->item->max);
	*(int64_t *)a->at = v;
	return 0;
}

static int
set_bool(const struct ask *a, const char *text)
{
	static const char *const words[] = { "no", "yes", "false", "true",
		"off", "on" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*(bool *)a->at = i % 2 == 1;
			return 0;
		}
	return refuse(a, "must be yes or no");
}

static void
list_free(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static int
set_list(const struct ask *a, const char *text)
{
	char **list = calloc(LIST_MAX + 1, sizeof(*list));
	size_t n = 0;
	int r = PERC_ERR_NOMEM;

	if (list == NULL)
		return r;
	for (const char *p = text; *p != '\0';) {
		size_t len;

		p += strspn(p, " \t,");
		len = strcspn(p, ",");
		if (*p == '\0')
			break;
		if (n == LIST_MAX) {
			r = refuse(a, "has more than %d entries", LIST_MAX);
			goto out;
		}
		if ((list[n] = strndup(p, len)) == NULL)
			goto out;
		p += len;
		while (len > 0 && strchr(" \t", list[n][len - 1]) != NULL)
			list[n][--len] = '\0';
		n++;
	}
	list_free(*(char ***)a->at);
	*(char ***)a->at = list;
	list = NULL;
	r = 0;
out:
	list_free(list);
	return r;
}

static int
set_hostport(const struct ask *a, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	bool v6 = n > 2 && text[0] == '[' && text[n - 1] == ']';
	const char *good = "abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*";
	char *end;
	long port;

	if (v6) {
		good = "0123456789abcdefABCDEF:.%";
		text++;
		n -= 2;
	}
	if (n == 0 || strspn(text, good) < n || colon[1] < '0' ||
	    colon[1] > '9')
		return refuse(a, "must be host:port or [v6]:port");
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port > 65535)
		return refuse(a, "needs a port from 0 to 65535");
	return set_str(a, v6 ? text - 1 : text);
}

static int
set_url(const struct ask *a, const char *text)
{
	size_t n = strlen(text);
	char *cut;
	int r;

	if (strncmp(text, "https://", 8) != 0 || n == 8 || text[8] == '/' ||
	    text[8] == ':')
		return refuse(a, "must be an https:// URL");
	if (strcspn(text, "?#@ \t\"<>\\") != n)
		return refuse(a,
		    "must be a plain URL: no user, query, fragment or blank");
	while (text[n - 1] == '/')
		n--;
	if ((cut = strndup(text, n)) == NULL)
		return PERC_ERR_NOMEM;
	r = set_str(a, cut);
	free(cut);
	return r;
}

static int
set_enum(const struct ask *a, const char *text)
{
	const char *p = a->item->choices;
	size_t len = strlen(text);

	for (int i = 0; *p != '\0'; i++) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, text, n) == 0) {
			*(int *)a->at = i;
			return 0;
		}
		p += n + (p[n] == '|');
	}
	return refuse(a, "must be one of %s", a->item->choices);
}

static int (*const setters[])(
    const struct ask *, const char *) = { [PERC_CONF_STR] = set_str,
	[PERC_CONF_PATH] = set_path,
	[PERC_CONF_INT] = set_int,
	[PERC_CONF_BOOL] = set_bool,
	[PERC_CONF_LIST] = set_list,
	[PERC_CONF_HOSTPORT] = set_hostport,
	[PERC_CONF_URL] = set_url,
	[PERC_CONF_ENUM] = set_enum };

int
perc_conf_value_set(void *target, const struct perc_conf_item *item,
    const char *text, const char *file, char *why, size_t cap)
{
	struct ask a = { (char *)target + item->offset, item, file, why, cap };
	int r = setters[item->type](&a, text);

	if (r == PERC_ERR_NOMEM)
		snprintf(why, cap, "does not fit into memory");
	return r;
}

void
perc_conf_clear(void *target, const struct perc_conf_item *items)
{
	for (; items->name != NULL; items++) {
		void *at = (char *)target + items->offset;

		switch (items->type) {
		case PERC_CONF_INT:
			*(int64_t *)at = 0;
			break;
		case PERC_CONF_BOOL:
			*(bool *)at = false;
			break;
		case PERC_CONF_ENUM:
			*(int *)at = 0;
			break;
		case PERC_CONF_LIST:
			list_free(*(char ***)at);
			*(char ***)at = NULL;
			break;
		default:
			free(*(char **)at);
			*(char **)at = NULL;
		}
	}
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_list(char *const *a, char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (; *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool
perc_conf_equal(const void *a, const void *b, const struct perc_conf_item *item)
{
	const void *x = (const char *)a + item->offset;
	const void *y = (const char *)b + item->offset;

	switch (item->type) {
	case PERC_CONF_INT:
		return *(const int64_t *)x == *(const int64_t *)y;
	case PERC_CONF_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case PERC_CONF_ENUM:
		return *(const int *)x == *(const int *)y;
	case PERC_CONF_LIST:
		return same_list(
		    *(char *const *const *)x, *(char *const *const *)y);
	default:
		return same_text(
		    *(const char *const *)x, *(const char *const *)y);
	}
}
