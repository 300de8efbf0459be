/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of the HTTPS server, from its raw target to its answer.
 * microhttpd decodes the path before anyone may look ("/x%00y" arrives as
 * "/x", "%2f" as "/") and lets Content-Length and Transfer-Encoding pass
 * together, so the raw target is read in the log callback, where a request is
 * born, and the framing headers are counted by us. A request that is not
 * answered at once is suspended; answering resumes it.
 */
#include "config.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/httpd_int.h"
#include "perc/log.h"
#include "perc/secret.h"

static int
hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo percent-encoding in place; false for octets that could mean another
 * path to somebody else on the way (RFC 3986 section 7.3). */
static bool
path_decode(char *p)
{
	char *out = p;
	int hi, lo, c;

	for (; *p != '\0'; p++) {
		c = (unsigned char)*p;
		if (c == '%') {
			if ((hi = hexval(p[1])) < 0 || (lo = hexval(p[2])) < 0)
				return false;
			c = hi * 16 + lo;
			if (c == '/' || c == '.' || c == '%')
				return false;
			p += 2;
		}
		if (c <= ' ' || c >= 0x7f || strchr("\\#?", c) != NULL)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

static bool
query_ok(const char *q)
{
	for (; *q != '\0'; q++) {
		if ((unsigned char)*q <= ' ' || (unsigned char)*q >= 0x7f)
			return false;
		if (*q == '%' &&
		    (hexval(q[1]) < 0 || hexval(q[2]) < 0 ||
			(q[1] == '0' && q[2] == '0')))
			return false;
	}
	return true;
}

bool
httpd_target_take(char *target, const char **query)
{
	char *q;

	*query = NULL;
	if (target[0] != '/' || strlen(target) > HTTPD_TARGET_MAX)
		return false;
	if ((q = strchr(target, '?')) != NULL) {
		*q++ = '\0';
		*query = q;
		if (!query_ok(q))
			return false;
	}
	return path_decode(target) && strstr(target, "//") == NULL &&
	    strstr(target, "..") == NULL;
}

static struct httpd_conn *
conn_of(struct MHD_Connection *mc)
{
	const union MHD_ConnectionInfo *i =
	    MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i == NULL ? NULL : i->socket_context;
}

/* The log callback: called with the target as it came. */
void *
httpd_req_begin(void *cls, const char *uri, struct MHD_Connection *mc)
{
	struct perc_httpd_req *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->h = cls;
	r->c = conn_of(mc);
	r->target = strdup(uri);
	if (r->c == NULL || r->target == NULL) {
		free(r->target);
		free(r);
		return NULL;
	}
	r->bad = !httpd_target_take(r->target, &r->query);
	r->c->req = r;
	r->c->asked = true;
	r->c->phase = HTTPD_WAITING;
	r->c->until_ms = perc_now_ms() + r->h->deadline_ms;
	r->h->progress = true;
	return r;
}

static void
req_free(struct perc_httpd_req *r)
{
	if (r->handed && !r->answered && r->gone != NULL)
		r->gone(r, r->data);
	if (r->resp != NULL)
		MHD_destroy_response(r->resp);
	if (r->c != NULL && r->c->req == r)
		r->c->req = NULL;
	perc_wipe(r->body, r->cap);
	free(r->body);
	free(r->target);
	free(r);
}

void
httpd_req_completed(void *cls, struct MHD_Connection *mc, void **ctx,
    enum MHD_RequestTerminationCode why)
{
	struct perc_httpd *h = cls;
	struct perc_httpd_req *r = *ctx;
	struct httpd_conn *c;

	h->progress = true;
	if (r == NULL)
		return;
	if (!r->handed)
		h->malformed++;
	if ((c = r->c) != NULL) {
		c->phase = HTTPD_WAITING;
		c->until_ms = perc_now_ms() + (h->draining ? 0 : HTTPD_IDLE_MS);
	}
	req_free(r);
	*ctx = NULL;
}

/* --- refusals of our own ------------------------------------------------ */
static enum MHD_Result
refuse(struct perc_httpd_req *r, unsigned status, const char *title,
    const char *code, const char *detail)
{
	static struct perc_log_limit limit = { .burst = 50, .per_ms = 10000 };
	char text[256], id[32];
	struct MHD_Response *resp;
	enum MHD_Result ok = MHD_NO;
	int n;

	perc_random_id(id, sizeof(id), "r_");
	if (perc_log_allow(&limit))
		log_info("httpd.refuse id=%s status=%u", id, status);
	n = snprintf(text, sizeof(text),
	    "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
	    "\"code\":\"%s\",\"detail\":\"%s\",\"request_id\":\"%s\"}",
	    title, status, code, detail, id);
	resp = MHD_create_response_from_buffer(
	    (size_t)n, text, MHD_RESPMEM_MUST_COPY);
	if (resp == NULL)
		return MHD_NO;
	r->answered = true;
	r->c->phase = HTTPD_SENDING;
	if (MHD_add_response_header(
		resp, "Content-Type", "application/problem+json") == MHD_YES &&
	    MHD_add_response_header(resp, "Cache-Control", "no-store") ==
		MHD_YES &&
	    MHD_add_response_header(resp, "Connection", "close") == MHD_YES)
		ok = MHD_queue_response(r->c->mc, status, resp);
	MHD_destroy_response(resp);
	return ok;
}

/* RFC 9112 section 6.3: what two parsers could frame differently. */
static bool
framing_ok(const struct perc_httpd_req *r)
{
	unsigned ncl, nte, nhost;
	const char *te;

	(void)perc_httpd_header(r, "Content-Length", &ncl);
	te = perc_httpd_header(r, "Transfer-Encoding", &nte);
	(void)perc_httpd_header(r, "Host", &nhost);
	if (ncl > 1 || nte > 1 || (ncl > 0 && nte > 0) || nhost != 1)
		return false;
	return te == NULL || strcasecmp(te, "chunked") == 0;
}

static bool
length_over(const struct perc_httpd_req *r, size_t max)
{
	const char *cl = perc_httpd_header(r, "Content-Length", NULL);

	return cl != NULL && (strlen(cl) > 9 || strtoull(cl, NULL, 10) > max);
}

/* What is wrong with it; MHD_YES: nothing. */
static enum MHD_Result
refuse_why(struct perc_httpd_req *r)
{
	if (r->bad)
		return refuse(r, 400, "Bad Request", "bad_request",
		    "the target or the framing is ambiguous or malformed");
	if (r->too_big)
		return refuse(r, 413, "Content Too Large", "too_large",
		    "the body is too large");
	return MHD_YES;
}

static enum MHD_Result
req_head(struct perc_httpd_req *r, const char *method, const char *version)
{
	bool framed = framing_ok(r);

	r->begun = true;
	snprintf(r->method, sizeof(r->method), "%s", method);
	if (strcmp(version, "HTTP/1.1") != 0)
		return refuse(r, 505, "HTTP Version Not Supported",
		    "http_version", "speak HTTP/1.1");
	r->bad = r->bad || !framed || strlen(method) >= sizeof(r->method);
	r->too_big = length_over(r, r->h->max_body);
	/* Who is still sending when we close loses our answer: read on, within
	 * bounds, and throw it away; unless he waits to be told, or it is not
	 * clear where his request ends. */
	if (!framed || length_over(r, r->h->max_body + HTTPD_OVERRUN) ||
	    perc_httpd_header(r, "Expect", NULL) != NULL)
		return refuse_why(r);
	return MHD_YES;
}

static enum MHD_Result
req_body(struct perc_httpd_req *r, const char *p, size_t *np)
{
	size_t n = *np, cap;
	uint8_t *grown;

	*np = 0;
	r->seen += n;
	if (r->bad || r->too_big || r->seen > r->h->max_body) {
		r->too_big = true;
		return r->seen > r->h->max_body + HTTPD_OVERRUN ? MHD_NO
								: MHD_YES;
	}
	if (r->seen + 1 > r->cap) {
		/* A body may hold a token: never realloc, copy and wipe. */
		cap = r->seen + 1 < 1024 ? 1024 : (r->seen + 1) * 2;
		if ((grown = calloc(1, cap)) == NULL)
			return MHD_NO;
		if (r->len != 0)
			memcpy(grown, r->body, r->len);
		perc_wipe(r->body, r->cap);
		free(r->body);
		r->body = grown;
		r->cap = cap;
	}
	memcpy(r->body + r->len, p, n);
	r->len += n;
	return MHD_YES;
}

static enum MHD_Result
req_queue(struct perc_httpd_req *r)
{
	struct MHD_Response *resp = r->resp;
	enum MHD_Result ok;

	r->resp = NULL;
	r->c->phase = r->c->stream != NULL ? HTTPD_STREAM : HTTPD_SENDING;
	r->c->until_ms = perc_now_ms() + HTTPD_SEND_MS;
	ok = MHD_queue_response(r->c->mc, r->status, resp);
	MHD_destroy_response(resp);
	return ok;
}

enum MHD_Result
httpd_req_handle(void *cls, struct MHD_Connection *mc, const char *url,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **ctx)
{
	struct perc_httpd *h = cls;
	struct perc_httpd_req *r = *ctx;

	h->progress = true;
	if (r == NULL)
		return MHD_NO;
	if (!r->begun)
		return req_head(r, method, version);
	if (*upload_len != 0)
		return req_body(r, upload, upload_len);
	if (r->bad || r->too_big)
		return refuse_why(r);
	r->suspended = false;
	if (!r->handed) {
		r->handed = true;
		r->c->phase = HTTPD_BUSY;
		r->c->until_ms = 0;
		h->fn(r, h->arg);
	}
	if (r->resp != NULL)
		return req_queue(r);
	if (r->answered || h->dying)
		return MHD_NO;
	r->suspended = true;
	MHD_suspend_connection(mc);
	return MHD_YES;
}

/* --- what the owner sees ------------------------------------------------- */
const char *
perc_httpd_method(const struct perc_httpd_req *r)
{
	return r->method;
}

const char *
perc_httpd_path(const struct perc_httpd_req *r)
{
	return r->target;
}

const char *
perc_httpd_query(const struct perc_httpd_req *r)
{
	return r->query;
}

struct lookup {
	const char *name, *first;
	unsigned count;
};

static enum MHD_Result
lookup_one(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct lookup *l = cls;

	if (name == NULL || strcasecmp(name, l->name) != 0)
		return MHD_YES;
	if (l->count++ == 0)
		l->first = value == NULL ? "" : value;
	return MHD_YES;
}

const char *
perc_httpd_header(
    const struct perc_httpd_req *r, const char *name, unsigned *count)
{
	struct lookup l = { name, NULL, 0 };

	MHD_get_connection_values(r->c->mc, MHD_HEADER_KIND, lookup_one, &l);
	if (count != NULL)
		*count = l.count;
	return l.first;
}

const uint8_t *
perc_httpd_body(const struct perc_httpd_req *r, size_t *len)
{
	*len = r->len;
	return r->body == NULL ? (const uint8_t *)"" : r->body;
}

const struct sockaddr *
perc_httpd_peer(const struct perc_httpd_req *r)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
	    r->c->mc, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return i == NULL ? NULL : i->client_addr;
}

void
perc_httpd_set_data(struct perc_httpd_req *r, void *data,
    void (*gone)(struct perc_httpd_req *, void *data))
{
	r->data = data;
	r->gone = gone;
}
