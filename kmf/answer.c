/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What handlers build answers of. A refusal is an answer; only what could not
 * be done at all is an error.
 */
#include "kmf/keeper_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
kmf_refuse(
    struct kmf_job *j, uint16_t status, const char *code, const char *fmt, ...)
{
	va_list ap;

	j->a.status = status;
	j->a.code = code;
	va_start(ap, fmt);
	vsnprintf(j->a.detail, sizeof(j->a.detail), fmt, ap);
	va_end(ap);
	return 0;
}

/*
 * Who polls hears of no event: a refusal that is for good brings the notice,
 * which alone the endpoint's vault believes.
 */
int
kmf_refusal_notice(struct kmf_job *j)
{
	bool out = j->a.code != NULL && strcmp(j->a.code, "evicted") == 0;
	enum kmf_op op = j->call->op;
	char *text = NULL;
	int r;

	if ((op != KMF_OP_LEASE_RENEW && op != KMF_OP_KEYS &&
		op != KMF_OP_ROSTER) ||
	    j->me.id[0] == '\0' || j->a.body != NULL ||
	    (!out && (j->a.code == NULL || strcmp(j->a.code, "ended") != 0)))
		return 0;
	r = kmf_notice(&text, j->k, j->conf.id, j->a.code,
	    out ? j->me.id : NULL, j->a.code);
	if (r == 0)
		r = kmf_answer_text(j, j->a.status, "", text);
	free(text);
	return r;
}

int
kmf_not_found(struct kmf_job *j)
{
	return kmf_refuse(j, 404, "not_found",
	    "there is no such thing, or it is not for you");
}

int
kmf_answer_text(
    struct kmf_job *j, uint16_t status, const char *type, const char *text)
{
	size_t n = strlen(text);

	if ((j->a.body = perc_secmem_alloc(n + 1)) == NULL)
		return PERC_ERR_NOMEM;
	memcpy(j->a.body, text, n + 1);
	j->a.body_len = n;
	j->a.content_type = type;
	j->a.status = status;
	return 0;
}

int
kmf_answer_json(struct kmf_job *j, uint16_t status, json_t *v)
{
	char *text;
	int r;

	if (v == NULL)
		return PERC_ERR_NOMEM;
	text = perc_json_text(v);
	json_decref(v);
	if (text == NULL)
		return PERC_ERR_NOMEM;
	r = kmf_answer_text(j, status, "application/json", text);
	perc_json_free(text);
	return r;
}

void
kmf_answer_clear(struct kmf_answer *a)
{
	perc_secmem_free(a->body);
	perc_wipe(a, sizeof(*a));
}

void
kmf_json_add(json_t **a, json_t *v)
{
	if (*a != NULL && v != NULL && json_array_append(*a, v) == 0) {
		json_decref(v);
		return;
	}
	json_decref(v);
	json_decref(*a);
	*a = NULL;
}

const char *
kmf_json_opt(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

int
kmf_copy(char *out, size_t cap, const char *in)
{
	size_t n = strlen(in);

	if (n >= cap)
		return PERC_ERR_LIMIT;
	memcpy(out, in, n + 1);
	return 0;
}

bool
kmf_has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p = list;

	for (; n != 0 && (p = strstr(p, word)) != NULL; p += n)
		if ((p == list || p[-1] == ' ') &&
		    (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

void
kmf_etag_version(char out[static KMF_ETAG_MAX], int64_t version)
{
	snprintf(out, KMF_ETAG_MAX, "\"%lld\"", (long long)version);
}

/* Strong comparison (RFC 9110, 8.8.3.2): W/"1" is not "1". */
static bool
is_among(const char *list, const char *etag)
{
	const char *p = list;

	for (; (p = strstr(p, etag)) != NULL; p++)
		if (p == list || p[-1] == ' ' || p[-1] == ',')
			return true;
	return false;
}

/* RFC 9110, 13.1.1; RFC 6585, 3. */
int
kmf_precondition(struct kmf_job *j, const char *etag)
{
	const char *want = j->call->if_match;

	if (want[0] == '\0')
		return kmf_refuse(j, 428, "if_match_required",
		    "If-Match: send the ETag you last saw, or * for any");
	if (strcmp(want, "*") != 0 && !is_among(want, etag))
		return kmf_refuse(j, 412, "changed",
		    "it was changed meanwhile; read it again");
	return 0;
}
