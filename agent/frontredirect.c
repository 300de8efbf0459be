/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loopback redirect of RFC 8252 section 7.3: one tiny listener on
 * 127.0.0.1 that lives only while a browser is awaited, answers every
 * request with the same plain page, and believes only the one that brings
 * our state back.
 */
#include "agent/frontlogin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/local.h"
#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/secret.h"

#define BROWSER_MS 600000

static void
random_text(char out[static FRONT_RANDOM_TEXT])
{
	uint8_t raw[32];

	perc_random(raw, sizeof(raw));
	perc_b64_put(out, raw, sizeof(raw));
	perc_wipe(raw, sizeof(raw));
}

/* Where the value of name stands in a query, or NULL. */
static const char *
query_find(const char *q, size_t n, const char *name)
{
	const char *end = q + n, *amp;
	size_t len = strlen(name);

	while ((size_t)(end - q) <= len || q[len] != '=' ||
	    memcmp(q, name, len) != 0) {
		if ((amp = memchr(q, '&', (size_t)(end - q))) == NULL)
			return NULL;
		q = amp + 1;
	}
	return q + len + 1;
}

static bool
query_has(const char *q, size_t n, const char *name)
{
	return query_find(q, n, name) != NULL;
}

/* Value of name, percent-decoded; false: absent or too long (then cut). */
static bool
query_get(const char *q, size_t n, const char *name, char *out, size_t cap)
{
	const char *end = q + n;
	size_t k = 0, hexlen;
	uint8_t octet;

	out[0] = '\0';
	if ((q = query_find(q, n, name)) == NULL)
		return false;
	for (; q < end && *q != '&' && k + 1 < cap; q++) {
		hexlen = 1;
		if (*q == '%' && end - q > 2 &&
		    perc_hex_get(&octet, &hexlen, q + 1, 2) == 0 &&
		    octet != 0) {
			out[k++] = (char)octet;
			q += 2;
		} else {
			out[k++] = *q == '+' ? ' ' : *q;
		}
	}
	out[k] = '\0';
	return q == end || *q == '&';
}

int
front_redirect_parse(struct front_redirect *out, const char *request,
    size_t len, const char *state, const char *issuer, bool iss_needed)
{
	const char *line_end = memchr(request, '\r', len), *q, *end;
	char got[1024];
	size_t n;

	memset(out, 0, sizeof(*out));
	if (line_end == NULL || len < 8 || memcmp(request, "GET /cb?", 8) != 0)
		return PERC_ERR_FORMAT;
	q = request + 8;
	if ((end = memchr(q, ' ', (size_t)(line_end - q))) == NULL)
		return PERC_ERR_FORMAT;
	n = (size_t)(end - q);
	if (!query_get(q, n, "state", got, sizeof(got)) ||
	    strlen(got) != strlen(state) ||
	    !perc_equal(got, state, strlen(state)))
		return PERC_ERR_AUTH;
	/* RFC 9207 section 2.4: simple string comparison. */
	if (query_has(q, n, "iss")
		? !query_get(q, n, "iss", got, sizeof(got)) ||
		    strcmp(got, issuer) != 0
		: iss_needed)
		return PERC_ERR_CONFLICT;
	if (query_has(q, n, "error")) {
		(void)query_get(q, n, "error", out->error, sizeof(out->error));
		(void)query_get(q, n, "error_description", out->description,
		    sizeof(out->description));
		return PERC_ERR_DENIED;
	}
	return query_get(q, n, "code", out->code, sizeof(out->code)) &&
		out->code[0] != '\0'
	    ? 0
	    : PERC_ERR_FORMAT;
}

static void
page(int s, const char *text)
{
	char out[512];

	text_put(out, sizeof(out),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Cache-Control: no-store\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    strlen(text), text);
	(void)!send(s, out, strlen(out), MSG_NOSIGNAL);
}

static void
denied(struct front_login *l, const struct front_redirect *got)
{
	const char *advice = front_login_advice(got->error);

	front_login_fail(l, "the identity provider refused: %s%s%s%s%s",
	    got->error, got->description[0] != '\0' ? ": " : "",
	    got->description, advice[0] != '\0' ? "; " : "", advice);
}

/* What the person sees, and then what becomes of the login. A stranger's
 * request ends nothing; an answer with our state does. */
static void
redirect_take(struct front_login *l, int r, const struct front_redirect *got)
{
	switch (r) {
	case 0:
		front_redirect_close(l);
		front_login_code(l, got->code);
		break;
	case PERC_ERR_DENIED:
		denied(l, got);
		break;
	case PERC_ERR_CONFLICT:
		front_login_fail(l,
		    "the browser brought another provider's answer (RFC "
		    "9207): somebody mixes up logins");
		break;
	default:
		break;
	}
}

static const char *
page_text(int r)
{
	switch (r) {
	case 0:
		return "The identity provider has let you in. You may close "
		       "this window; perch login tells the rest.\n";
	case PERC_ERR_DENIED:
		return "The identity provider refused; perch login tells "
		       "why.\n";
	default:
		return "This is not the answer that was awaited.\n";
	}
}

void
front_redirect_answer(
    struct front_login *l, int fd, const char *request, size_t len)
{
	struct front_redirect got;
	int r = front_redirect_parse(
	    &got, request, len, l->state, l->issuer, l->iss_param);

	page(fd, page_text(r));
	redirect_take(l, r, &got);
	perc_wipe(&got, sizeof(got));
}

static void
on_late(void *arg)
{
	front_login_fail(arg, "no answer from the browser");
}

static int
listen_loopback(struct front_login *l)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)l->agent->conf->login_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int one = 1;

	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return PERC_ERR_SYS;
	(void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l->fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
	    listen(l->fd, 4) != 0 ||
	    getsockname(l->fd, (struct sockaddr *)&sin, &len) != 0)
		return PERC_ERR_SYS;
	text_put(l->redirect, sizeof(l->redirect), "http://127.0.0.1:%u/cb",
	    (unsigned)ntohs(sin.sin_port));
	return perc_loop_add(
	    l->agent->loop, &l->io, l->fd, EPOLLIN, front_visit_accept, l);
}

/* OpenID Connect Core 3.1.2.1: without openid there is no ID token, and some
 * refuse a nonce then. */
static bool
is_openid(const char *scope)
{
	const char *s = scope != NULL ? strstr(scope, "openid") : NULL;

	return s != NULL && (s == scope || s[-1] == ' ') &&
	    (s[6] == '\0' || s[6] == ' ');
}

static void
url_tell(struct front_login *l)
{
	uint8_t hash[PERC_SHA256_LEN];
	char challenge[FRONT_RANDOM_TEXT];
	struct text url = { 0 }, query = { 0 };
	json_t *o;

	if (perc_sha256(hash, l->verifier, strlen(l->verifier)) != 0)
		return;
	perc_b64_put(challenge, hash, sizeof(hash));
	text_add_form(&query, "response_type", "code");
	text_add_form(&query, "client_id", l->client_id);
	text_add_form(&query, "redirect_uri", l->redirect);
	text_add_form(&query, "scope", l->scope);
	text_add_form(&query, "resource", l->resource ? l->kmf : NULL);
	text_add_form(&query, "state", l->state);
	text_add_form(&query, "nonce", l->nonce[0] != '\0' ? l->nonce : NULL);
	text_add_form(&query, "code_challenge", challenge);
	text_add_form(&query, "code_challenge_method", "S256");
	/* RFC 9449 section 10: not even the code is good with another key. */
	text_add_form(&query, "dpop_jkt", l->dpop ? l->agent->sign_jkt : NULL);
	text_add(&url, l->auth_url);
	text_add(&url, strchr(l->auth_url, '?') != NULL ? "&" : "?");
	text_add(&url, query.p != NULL ? query.p : "");
	if (url.p != NULL && (o = json_pack("{s:s}", "url", url.p)) != NULL) {
		local_event(l->req, "open", o);
		json_decref(o);
	}
	text_clear(&url);
	text_clear(&query);
}

void
front_redirect_start(struct front_login *l)
{
	random_text(l->verifier);
	random_text(l->state);
	if (is_openid(l->scope))
		random_text(l->nonce);
	if (listen_loopback(l) != 0) {
		front_login_fail(l, "cannot listen on loopback");
		return;
	}
	if (perc_timer_set(l->agent->loop, &l->timer, BROWSER_MS, on_late, l) !=
	    0)
		fatalx("no memory for a timer");
	url_tell(l);
}

void
front_redirect_close(struct front_login *l)
{
	perc_loop_del(l->io);
	l->io = NULL;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	front_visits_close(l);
}
