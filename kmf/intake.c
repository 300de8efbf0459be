/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Strict readers of credentials. A token's octets never reach a log from
 * here: errors are codes.
 */
#include "kmf/intake.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perc/jose.h"
#include "perc/secret.h"

#define B64TOKEN                                                               \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
#define ID_LEN 22

int
kmf_auth_parse(enum kmf_scheme *scheme, const char **token, const char *value)
{
	static const struct {
		const char *name;
		enum kmf_scheme scheme;
	} schemes[] = { { "Bearer", KMF_SCHEME_BEARER },
		{ "DPoP", KMF_SCHEME_DPOP } };
	size_t n = strcspn(value, " "), i, len;

	*scheme = KMF_SCHEME_NONE;
	*token = NULL;
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strlen(schemes[i].name) == n &&
		    strncasecmp(value, schemes[i].name, n) == 0)
			*scheme = schemes[i].scheme;
	if (*scheme == KMF_SCHEME_NONE)
		return PERC_ERR_UNSUPPORTED;
	value += n;
	value += strspn(value, " ");
	len = strspn(value, B64TOKEN);
	if (len == 0 || value[len + strspn(value + len, "=")] != '\0')
		return PERC_ERR_FORMAT;
	if (strlen(value) > PERC_JOSE_TOKEN_MAX)
		return PERC_ERR_LIMIT;
	*token = value;
	return 0;
}

static int
hexval(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode in place up to the end; false for what no name or value holds. */
static bool
form_decode(char *p)
{
	char *out = p;
	int hi, lo, c;

	for (; *p != '\0'; p++) {
		c = (unsigned char)*p;
		if (c == '+')
			c = ' ';
		else if (c == '%') {
			if ((hi = hexval((unsigned char)p[1])) < 0 ||
			    (lo = hexval((unsigned char)p[2])) < 0)
				return false;
			c = hi * 16 + lo;
			p += 2;
		}
		if (c < ' ' || c == 0x7f)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

static int
form_add(struct kmf_form *f, char *pair)
{
	char *value = strchr(pair, '=');
	size_t i;

	if (value == NULL || f->n == KMF_FORM_MAX)
		return value == NULL ? PERC_ERR_FORMAT : PERC_ERR_LIMIT;
	*value++ = '\0';
	if (!form_decode(pair) || !form_decode(value) || *pair == '\0')
		return PERC_ERR_FORMAT;
	for (i = 0; i < f->n; i++)
		if (strcmp(f->item[i].name, pair) == 0)
			return PERC_ERR_EXISTS;
	f->item[f->n].name = pair;
	f->item[f->n++].value = value;
	return 0;
}

int
kmf_form_parse(struct kmf_form *f, const void *body, size_t len)
{
	char *next, *pair;
	int r = 0;

	memset(f, 0, sizeof(*f));
	if (len != 0 && memchr(body, '\0', len) != NULL)
		return PERC_ERR_FORMAT;
	if ((f->text = malloc(len + 1)) == NULL)
		return PERC_ERR_NOMEM;
	f->cap = len + 1;
	if (len != 0)
		memcpy(f->text, body, len);
	f->text[len] = '\0';
	next = f->text;
	while (r == 0 && next != NULL && *next != '\0') {
		pair = strsep(&next, "&");
		r = form_add(f, pair);
	}
	if (r != 0)
		kmf_form_clear(f);
	return r;
}

void
kmf_form_clear(struct kmf_form *f)
{
	perc_wipe(f->text, f->cap);
	free(f->text);
	memset(f, 0, sizeof(*f));
}

const char *
kmf_form_get(const struct kmf_form *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (strcmp(f->item[i].name, name) == 0)
			return f->item[i].value;
	return "";
}

bool
kmf_query_has(const char *query, const char *name)
{
	size_t n = strlen(name);
	const char *p = query;

	while (p != NULL) {
		if (strncmp(p, name, n) == 0 && strchr("=&", p[n]) != NULL)
			return true;
		if ((p = strchr(p, '&')) != NULL)
			p++;
	}
	return false;
}

bool
kmf_id_ok(const char *id, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(id, prefix, n) != 0)
		return false;
	id += n;
	n = strspn(id,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_");
	return n == ID_LEN && id[n] == '\0';
}

bool
kmf_client_id_ok(const char *id)
{
	size_t n = strspn(id,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_.");

	return n != 0 && n < KMF_CLIENT_ID_MAX && id[n] == '\0';
}
