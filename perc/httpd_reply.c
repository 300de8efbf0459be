/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the HTTPS server. microhttpd copies header values with strdup
 * and frees them as they are, so a secret answer keeps the addresses of those
 * copies and wipes them in the hook that runs just before; its connection
 * pool is zeroed on reuse, and by perc/wipefree.c in the end. A big
 * body goes out by callback, because every block then shows as progress.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "perc/httpd_int.h"
#include "perc/secret.h"

struct answer {
	char *copies[HTTPD_HEADERS_MAX]; /* microhttpd's, wiped when secret */
	size_t ncopies;
	bool secret;
	struct perc_httpd *h;
	size_t len;
	char body[];
};

static void
answer_free(void *cls)
{
	struct answer *a = cls;
	size_t i;

	if (a->secret) {
		for (i = 0; i < a->ncopies; i++)
			perc_wipe(a->copies[i], strlen(a->copies[i]));
		perc_wipe(a->body, a->len);
	}
	free(a);
}

static ssize_t
answer_reader(void *cls, uint64_t pos, char *out, size_t max)
{
	struct answer *a = cls;
	size_t n;

	a->h->progress = true;
	if (pos >= a->len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = a->len - (size_t)pos < max ? a->len - (size_t)pos : max;
	memcpy(out, a->body + pos, n);
	return (ssize_t)n;
}

/* Header names and values come from us, never with CR or LF: refuse. */
static bool
header_ok(const struct perc_httpd_header *hd)
{
	return strpbrk(hd->name, "\r\n: ") == NULL &&
	    strpbrk(hd->value, "\r\n") == NULL;
}

int
httpd_req_add_headers(const struct perc_httpd *h, struct MHD_Response *resp,
    const struct perc_httpd_header *headers, size_t n, bool keep_open)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!header_ok(&headers[i]))
			return PERC_ERR_INVAL;
		if (MHD_add_response_header(
			resp, headers[i].name, headers[i].value) != MHD_YES)
			return PERC_ERR_NOMEM;
	}
	if (MHD_get_response_header(resp, "Cache-Control") == NULL &&
	    MHD_add_response_header(resp, "Cache-Control", "no-store") !=
		MHD_YES)
		return PERC_ERR_NOMEM;
	if ((h->draining || h->retired) && !keep_open &&
	    MHD_add_response_header(resp, "Connection", "close") != MHD_YES)
		return PERC_ERR_NOMEM;
	return 0;
}

static enum MHD_Result
copy_note(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct answer *a = cls;

	if (value != NULL && a->ncopies < HTTPD_HEADERS_MAX)
		a->copies[a->ncopies++] = (char *)(uintptr_t)value;
	return MHD_YES;
}

static struct MHD_Response *
answer_new(struct perc_httpd *h, const struct perc_httpd_header *headers,
    size_t n, const void *body, size_t len, bool secret)
{
	struct answer *a = calloc(1, sizeof(*a) + len + 1);
	struct MHD_Response *resp;

	if (a == NULL)
		return NULL;
	a->h = h;
	a->len = len;
	a->secret = secret;
	if (len != 0)
		memcpy(a->body, body, len);
	if (len <= HTTPD_BLOCK)
		resp = MHD_create_response_from_buffer_with_free_callback_cls(
		    len, a->body, answer_free, a);
	else
		resp = MHD_create_response_from_callback(
		    len, HTTPD_BLOCK, answer_reader, a, answer_free);
	if (resp == NULL) {
		answer_free(a);
		return NULL;
	}
	if (n > HTTPD_HEADERS_MAX - 2 ||
	    httpd_req_add_headers(h, resp, headers, n, false) != 0) {
		MHD_destroy_response(resp);
		return NULL;
	}
	if (secret)
		MHD_get_response_headers(resp, copy_note, a);
	return resp;
}

/* Hand over resp; inside the handler it is queued when fn returns. */
void
httpd_req_answer(
    struct perc_httpd_req *r, unsigned status, struct MHD_Response *resp)
{
	r->answered = true;
	r->status = status;
	r->resp = resp;
	if (r->suspended) {
		MHD_resume_connection(r->c->mc);
		httpd_kick(r->h);
	}
}

void
perc_httpd_reply(struct perc_httpd_req *r, unsigned status,
    const struct perc_httpd_header *headers, size_t n, const void *body,
    size_t len, bool secret)
{
	/* Without memory for an answer the connection just closes: the
	 * handler sees answered without resp. */
	httpd_req_answer(
	    r, status, answer_new(r->h, headers, n, body, len, secret));
}
