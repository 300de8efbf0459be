/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request's side of the HTTPS client: what libcurl is told, what comes
 * back, and what we say when nothing does. libcurl keeps copies of header
 * lines and answers in its own heap, so its allocator is replaced by one
 * that wipes before it frees: a token must not outlive its request.
 */
#include "perc/httpc_int.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perc/secret.h"

static void
wiping_free(void *p)
{
	if (p == NULL)
		return;
	perc_wipe(p, malloc_usable_size(p));
	free(p);
}

static void *
wiping_realloc(void *p, size_t n)
{
	size_t old;
	void *q;

	if (p == NULL)
		return malloc(n);
	old = malloc_usable_size(p);
	if ((q = malloc(n)) == NULL)
		return NULL;
	memcpy(q, p, old < n ? old : n);
	wiping_free(p);
	return q;
}

int
httpc_global_init(void)
{
	static bool done;

	if (!done &&
	    curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free,
		wiping_realloc, strdup, calloc) != CURLE_OK)
		return PERC_ERR_NOMEM;
	done = true;
	return 0;
}

void
httpc_buf_clear(struct httpc_buf *b)
{
	perc_wipe(b->p, b->cap);
	free(b->p);
	memset(b, 0, sizeof(*b));
}

/* Never realloc(): it may leave the old octets behind. */
static int
buf_add(struct httpc_buf *b, const char *p, size_t n)
{
	struct httpc_buf bigger = { 0 };

	if (b->len + n + 1 > b->cap) {
		bigger.cap = (b->len + n + 1) * 2;
		if ((bigger.p = malloc(bigger.cap)) == NULL)
			return PERC_ERR_NOMEM;
		if (b->len > 0)
			memcpy(bigger.p, b->p, b->len);
		bigger.len = b->len;
		httpc_buf_clear(b);
		*b = bigger;
	}
	memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
	return 0;
}

/* A name like 127.evil.example is no address. */
static bool
host_is_loopback(const char *host)
{
	struct in_addr a;

	if (inet_pton(AF_INET, host, &a) == 1)
		return ntohl(a.s_addr) >> 24 == 127;
	return strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0;
}

int
httpc_url_check(struct perc_httpc_req *r, const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
	int err = PERC_ERR_DENIED;

	if (u == NULL)
		return PERC_ERR_NOMEM;
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) !=
		CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		goto out;
	if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		goto out; /* a password would end in logs */
	(void)curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	snprintf(r->where, sizeof(r->where), "%s:%s", host,
	    port != NULL ? port : "");
	if (strcmp(scheme, "https") == 0 ||
	    (strcmp(scheme, "http") == 0 && r->client->loopback_http &&
		host_is_loopback(host)))
		err = 0;
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_url_cleanup(u);
	return err;
}

static void
fields_clear(struct perc_httpc_req *r)
{
	for (unsigned i = 0; i < r->nfields; i++) {
		perc_wipe(r->fields[i].name, r->fields[i].size);
		free(r->fields[i].name);
	}
	r->nfields = 0;
	r->field_octets = 0;
}

static bool
field_add(struct perc_httpc_req *r, const char *line, size_t n)
{
	struct httpc_field *f = &r->fields[r->nfields];
	const char *colon = memchr(line, ':', n);
	char *end;

	if (colon == NULL)
		return true; /* the blank line */
	r->field_octets += n;
	if (r->nfields == HTTPC_HEADERS_MAX ||
	    r->field_octets > HTTPC_HEADER_OCTETS_MAX ||
	    (f->name = malloc(n + 1)) == NULL)
		return false;
	memcpy(f->name, line, n);
	f->name[n] = '\0';
	f->size = n + 1;
	f->value = f->name + (colon - line);
	*f->value++ = '\0';
	f->value += strspn(f->value, " \t");
	end = f->value + strlen(f->value);
	while (end > f->value && strchr(" \t\r\n", end[-1]) != NULL)
		*--end = '\0';
	r->nfields++;
	return true;
}

/* A status line begins a new answer: what came before was a 1xx. */
static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct perc_httpc_req *r = arg;

	n *= size;
	httpc_idle_touch(r);
	if (n > 5 && memcmp(p, "HTTP/", 5) == 0) {
		fields_clear(r);
		return n;
	}
	if (field_add(r, p, n))
		return n;
	r->err = PERC_ERR_LIMIT;
	return 0;
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct perc_httpc_req *r = arg;
	long status = 0;

	n *= size;
	httpc_idle_touch(r);
	if (r->status == 0 &&
	    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status) ==
		CURLE_OK)
		r->status = (int)status;
	if (n > r->client->max_body - r->buf.len)
		r->err = PERC_ERR_LIMIT;
	else
		r->err = buf_add(&r->buf, p, n);
	return r->err == 0 ? n : 0;
}

static int
headers_set(struct perc_httpc_req *r, const char *const headers[])
{
	/* libcurl would add the first two by itself; a name without a value
	 * takes it out. */
	static const char *const quiet[] = { "Content-Type:", "Expect:" };
	struct curl_slist *more;
	bool typed = false;

	for (size_t i = 0; headers != NULL && headers[i] != NULL; i++) {
		if (strpbrk(headers[i], "\r\n") != NULL)
			return PERC_ERR_INVAL;
		if (strncasecmp(headers[i], quiet[0], 13) == 0)
			typed = true;
		if ((more = curl_slist_append(r->sent, headers[i])) == NULL)
			return PERC_ERR_NOMEM;
		r->sent = more;
	}
	for (size_t i = typed ? 1 : 0; i < 2; i++) {
		if ((more = curl_slist_append(r->sent, quiet[i])) == NULL)
			return PERC_ERR_NOMEM;
		r->sent = more;
	}
	return curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->sent) ==
		CURLE_OK
	    ? 0
	    : PERC_ERR_NOMEM;
}

static CURLcode
method_set(struct perc_httpc_req *r, const char *method)
{
	CURLcode c = CURLE_OK;

	if (r->body != NULL || strcmp(method, "POST") == 0) {
		c |= curl_easy_setopt(r->easy, CURLOPT_POST, 1L);
		c |= curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS,
		    r->body != NULL ? r->body : "");
		c |= curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)r->body_len);
	}
	if (strcmp(method, "HEAD") == 0)
		c |= curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
	c |= curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, method);
	return c;
}

static CURLcode
trust_set(CURL *e, const struct perc_httpc *c)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https,http");
	r |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	r |= curl_easy_setopt(e, CURLOPT_PROXY, "");
	r |= curl_easy_setopt(
	    e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	r |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	r |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	if (c->ca_file != NULL) {
		r |= curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
		r |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	if (c->user_agent != NULL)
		r |= curl_easy_setopt(e, CURLOPT_USERAGENT, c->user_agent);
	return r;
}

/* The address is looked at when it is used: a name may have another one by
 * then than it had when somebody checked. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct perc_httpc_req *r = arg;
	const struct perc_httpc *c = r->client;

	if (c->refuse_metadata && !httpc_addr_ok(&a->addr)) {
		r->refused = true;
		return CURL_SOCKET_BAD;
	}
	if (c->open_socket != NULL)
		return c->open_socket(
		    &a->addr, a->socktype | SOCK_CLOEXEC, c->open_arg);
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static CURLcode
wires_set(struct perc_httpc_req *r)
{
	const struct perc_httpc *c = r->client;
	CURL *e = r->easy;
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(
	    e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	code |=
	    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
	code |= curl_easy_setopt(
	    e, CURLOPT_TIMEOUT_MS, r->on_data == NULL ? (long)c->total_ms : 0L);
	code |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	code |= curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	code |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	code |= curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	code |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->errbuf);
	code |= curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	if (c->refuse_metadata || c->open_socket != NULL) {
		code |=
		    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
		code |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, r);
	}
	return code;
}

int
httpc_easy_open(struct perc_httpc_req *r, const char *method, const char *url,
    const char *const headers[])
{
	if ((r->easy = curl_easy_init()) == NULL)
		return PERC_ERR_NOMEM;
	if (curl_easy_setopt(r->easy, CURLOPT_URL, url) != CURLE_OK ||
	    wires_set(r) != CURLE_OK ||
	    trust_set(r->easy, r->client) != CURLE_OK ||
	    method_set(r, method) != CURLE_OK || httpc_moved_apply(r) != 0)
		return PERC_ERR_NOMEM;
	return headers_set(r, headers);
}

void
httpc_easy_close(struct perc_httpc_req *r)
{
	if (r->easy != NULL)
		curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->sent);
	if (r->body != NULL)
		perc_wipe(r->body, r->body_len);
	free(r->body);
	fields_clear(r);
	httpc_buf_clear(&r->buf);
}

static const struct {
	CURLcode code;
	int err;
	const char *words; /* %s: host:port, %s: the cause */
} outcomes[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, PERC_ERR_NOTFOUND,
	    "cannot find the host of %s: %s" },
	{ CURLE_COULDNT_CONNECT, PERC_ERR_CLOSED, "cannot connect to %s: %s" },
	{ CURLE_OPERATION_TIMEDOUT, PERC_ERR_TIMEOUT,
	    "no answer from %s in time: %s" },
	{ CURLE_PEER_FAILED_VERIFICATION, PERC_ERR_AUTH,
	    "%s is not to be trusted: %s" },
	{ CURLE_SSL_CONNECT_ERROR, PERC_ERR_CLOSED, "no TLS with %s: %s" },
	{ CURLE_SSL_CACERT_BADFILE, PERC_ERR_SYS,
	    "cannot read the CA file for %s: %s" },
	{ CURLE_GOT_NOTHING, PERC_ERR_CLOSED,
	    "%s hung up without an answer: %s" },
	{ CURLE_RECV_ERROR, PERC_ERR_CLOSED, "the connection to %s broke: %s" },
	{ CURLE_SEND_ERROR, PERC_ERR_CLOSED, "the connection to %s broke: %s" },
	{ CURLE_PARTIAL_FILE, PERC_ERR_CLOSED,
	    "the connection to %s broke: %s" },
};

static void
cause_words(const struct perc_httpc_req *r, char *out, size_t cap)
{
	long sys = 0;

	if (r->code == CURLE_COULDNT_CONNECT &&
	    curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &sys) == CURLE_OK &&
	    sys != 0)
		snprintf(out, cap, "%s", strerror((int)sys));
	else if (r->errbuf[0] != '\0')
		snprintf(out, cap, "%s", r->errbuf);
	else
		snprintf(out, cap, "%s", curl_easy_strerror(r->code));
	if (!isupper((unsigned char)out[1])) /* "SSL certificate ..." */
		out[0] = (char)tolower((unsigned char)out[0]);
}

/* Long names are cut, that is all right in a message. */
static void PERC_PRINTF(2, 3)
    say(struct perc_httpc_answer *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->why, sizeof(a->why), fmt, ap);
	va_end(ap);
}

static void
own_words(const struct perc_httpc_req *r, struct perc_httpc_answer *a)
{
	switch (r->err) {
	case PERC_ERR_LIMIT:
		say(a, "the answer of %s is too long", r->where);
		break;
	case PERC_ERR_TIMEOUT:
		say(a, "nothing came from %s for %u s", r->where,
		    r->idle_ms / 1000);
		break;
	default:
		say(a, "request to %s: %s", r->where, perc_strerror(r->err));
	}
}

void
httpc_outcome(const struct perc_httpc_req *r, struct perc_httpc_answer *a)
{
	const char *form = "request to %s failed: %s";
	char cause[CURL_ERROR_SIZE];
	size_t i;

	if ((a->err = r->err) != 0) {
		own_words(r, a);
		return;
	}
	if (r->code == CURLE_OK)
		return;
	if (r->refused) {
		a->err = PERC_ERR_DENIED;
		say(a, "%s is at an address that is refused", r->where);
		return;
	}
	a->err = PERC_ERR_SYS;
	for (i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		if (outcomes[i].code == r->code) {
			a->err = outcomes[i].err;
			form = outcomes[i].words;
		}
	cause_words(r, cause, sizeof(cause));
	say(a, form, r->where, cause);
}
